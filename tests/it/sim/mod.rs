//! The runtime in a simulation.

mod check;
mod repeat;
mod runs;
