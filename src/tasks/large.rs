//! Large futures and closures are boxed before they pass through the layers.
//!
//! A spawn passes its future on by value, from one function to the next, and without optimisation each of them keeps a copy on
//! its stack: a dozen in all, so that a future of 100 KiB overflowed the 2 MiB of a thread. Boxed, a pointer is passed on. It
//! must be the *outermost* function that boxes, the one that the user calls: then there are two copies on the stack, the caller's
//! and that function's argument to `Box::pin`.
//!
//! Whether to box is a constant of the type, asked for by the macro [`boxing`]: only the branch that is taken is compiled, and a
//! small future costs no instruction.

use std::marker::PhantomData;

/// A task's future of this size is boxed. `async-task` boxes from the same size on, after the last of the copies, so that this
/// is no allocation more.
pub(crate) const LARGE_TASK: usize = 2048;

/// The future of a `block_on` need not be allocated at all, so that a box is worth it only to save the stack. As in tokio.
pub(crate) const LARGE_ON_STACK: usize = if cfg!(debug_assertions) {
    2048
} else {
    16 * 1024
};

/// Whether a `T` is to be boxed.
pub(crate) struct Size<T>(PhantomData<T>);

impl<T> Size<T> {
    pub(crate) const IS_LARGE: bool = size_of::<T>() >= LARGE_TASK;
    pub(crate) const IS_LARGE_ON_STACK: bool = size_of::<T>() >= LARGE_ON_STACK;
}

/// `boxing!(F, future => call(future))` evaluates the call with the variable `future`, of type `F`, in a box if it is large.
macro_rules! boxing {
    ($IsLarge:ident, $new:path, $F:ty, $value:ident => $call:expr) => {
        if $crate::tasks::large::Size::<$F>::$IsLarge {
            let $value = $new($value);
            $call
        } else {
            $call
        }
    };
    ($F:ty, $future:ident => $call:expr) => {
        $crate::tasks::large::boxing!(IS_LARGE, Box::pin, $F, $future => $call)
    };
    (closure $F:ty, $f:ident => $call:expr) => {
        $crate::tasks::large::boxing!(IS_LARGE, Box::new, $F, $f => $call)
    };
    (on_stack $F:ty, $future:ident => $call:expr) => {
        $crate::tasks::large::boxing!(IS_LARGE_ON_STACK, Box::pin, $F, $future => $call)
    };
}
pub(crate) use boxing;

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    /// The sizes are constants, so this is a test of the compiler: no small future is boxed.
    const _: () = {
        assert!(!Size::<[u8; 0]>::IS_LARGE);
        assert!(!Size::<[u8; LARGE_TASK - 1]>::IS_LARGE);
        assert!(Size::<[u8; LARGE_TASK]>::IS_LARGE);
        assert!(!Size::<[u8; LARGE_ON_STACK - 1]>::IS_LARGE_ON_STACK);
        assert!(Size::<[u8; LARGE_ON_STACK]>::IS_LARGE_ON_STACK);
    };

    #[test]
    fn a_small_future_is_passed_on_as_it_is_and_a_large_one_as_a_pointer() {
        fn passed<F: Future>(future: F) -> usize {
            boxing!(F, future => size_of_val(&future))
        }
        async fn keeps<const N: usize>() -> u8 {
            let bytes = [0; N];
            std::future::ready(()).await;
            std::hint::black_box(&bytes)[0]
        }
        let small = keeps::<1024>();
        let size = size_of_val(&small);
        assert!(size > 1024);
        assert_eq!(passed(small), size);
        assert_eq!(passed(keeps::<4096>()), size_of::<usize>());
    }
}
