//! The runtime in a simulation.

mod check;
#[cfg(unix)]
mod net;
mod repeat;
mod runs;
