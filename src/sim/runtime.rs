//! The runtimes of a simulation.

use std::io;
use std::time::Duration;

use crate::runtime::{Builder, Runtime};

/// A runtime in the simulation of the calling thread.
pub(super) fn new(processors: usize) -> io::Result<Runtime> {
    Builder::new()
        .worker_threads(processors)
        .stall_threshold(Duration::MAX)
        .build()
}
