//! tokio's interface on the processors of `gosched`: see docs/tokio.md in the repository.

// With some of the features alone, common parts are unused.
#![cfg_attr(not(feature = "full"), allow(dead_code, unused_imports))]

#[cfg(any(feature = "fs", feature = "io-std"))]
mod blocking;
mod context;
mod coop;
mod simulated;

#[cfg(feature = "fs")]
pub mod fs;
pub mod io;
mod macro_parts;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "rt")]
pub mod runtime;
#[cfg(not(feature = "rt"))]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod runtime;
#[cfg(feature = "signal")]
pub mod signal;
#[cfg(all(feature = "process", not(feature = "signal")))]
mod signal;
#[cfg(feature = "sync")]
pub mod sync;
pub mod task;
#[cfg(feature = "time")]
pub mod time;

pub use real::pin;
#[cfg(feature = "rt")]
pub use task::spawn;

#[doc(hidden)]
pub use real::macros;
#[cfg(feature = "macros")]
pub use real::{join, main, test, try_join};

// Parts of the macros of this package.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use macro_parts::first_branch as __first_branch;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use real::select as __real_select;

/// The programs of `docs/tokio.md`, compiled and run.
#[cfg(all(doctest, feature = "full", feature = "test-util"))]
#[doc = include_str!("../../docs/tokio.md")]
struct Page;
