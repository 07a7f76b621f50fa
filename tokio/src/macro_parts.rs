//! What macros need, and `select!`, which is the real tokio's but for the branch at which it begins.

#[cfg(feature = "macros")]
use crate::simulated;

/// Waits for several futures, and goes on with the first that is ready: see tokio's documentation of
/// the macro of this name.
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! select {
    ($(biased;)? else => $else:expr $(,)?) => {
        $crate::__real_select!(else => $else)
    };

    (biased; $p:pat = $($t:tt)*) => {
        $crate::__real_select!(biased; $p = $($t)*)
    };

    ($p:pat = $($t:tt)*) => {
        $crate::__real_select!(@{ start={ $crate::__first_branch(BRANCHES) }; () } $p = $($t)*)
    };

    ($($t:tt)*) => {
        $crate::__real_select!($($t)*)
    };
}

/// The branch of a `select!` that is polled first, below `n`.
#[cfg(feature = "macros")]
#[doc(hidden)]
#[must_use]
pub fn first_branch(n: u32) -> u32 {
    match simulated::choose(n) {
        Some(branch) => branch,
        None => real::macros::support::thread_rng_n(n),
    }
}
