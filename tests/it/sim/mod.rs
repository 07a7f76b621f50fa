//! The runtime in a simulation.

mod around;
mod check;
#[cfg(unix)]
mod net;
mod repeat;
mod runs;
