//! Input and output: see tokio's documentation of the module of this name.
//!
//! Traits and utilities are those of the real tokio, so that they are the same for everybody.

#[cfg(feature = "io-std")]
mod blocking_stream;
#[cfg(feature = "io-std")]
mod stdio;

pub use real::io::*;

#[cfg(feature = "io-std")]
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
#[cfg(all(unix, feature = "net"))]
pub mod unix;
