//! Channels and locks: the real tokio's, which need no runtime. See its documentation.

#[doc(inline)]
pub use real::sync::*;

pub mod mpsc;
