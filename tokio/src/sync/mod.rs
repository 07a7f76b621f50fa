//! Channels and locks: the real tokio's, which need no runtime. See its documentation.
//!
//! Some are types of ours around them, for what is different in a simulation or needs a timer.

#[doc(inline)]
pub use real::sync::*;

mod blocking;
pub mod mpsc;
pub mod oneshot;
pub mod watch;
