//! Large futures and closures are boxed before they pass through the layers.
//!
//! A spawn passes its future by value from one function to the next. Without optimisation each of
//! them keeps a copy on its stack, a dozen in all, and a future of 100 KiB overflowed the 2 MiB
//! stack of a thread. A boxed future is passed as a pointer. The *outermost* function, which the
//! user calls, must make the box. Then there are two copies on the stack: the caller's, and that
//! function's argument to `Box::pin`.
//!
//! Whether to box is a constant of the type, which the macro [`boxing`] evaluates. Only the branch
//! that is taken is compiled, and a small future costs no instruction.

use std::marker::PhantomData;

/// A task's future of at least this size is boxed. `async-task` boxes from the same size on, but
/// only after the last copy, so that boxing here adds no allocation.
pub(crate) const LARGE_TASK: usize = 2048;

/// The future of a `block_on` at least this large is boxed. It needs no allocation otherwise, so a
/// box is worth its cost only to save stack. The sizes are tokio's.
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

/// `boxing!(F, future => call(future))` evaluates the call; the variable `future`, of type `F`, is
/// boxed if it is large.
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

    /// The sizes are constants, so this tests at compile time that no small future is boxed.
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
