//! Input and output: see tokio's documentation of the module of this name.
//!
//! Traits and utilities are those of the real tokio, so that they are the same for everybody.

pub use real::io::*;
