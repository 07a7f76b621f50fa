//! The runtime in a simulation.

mod around;
mod check;
#[cfg(all(unix, feature = "net"))]
mod faults;
mod hostile;
#[cfg(unix)]
mod net;
#[cfg(all(unix, feature = "net"))]
mod repeat;
mod runs;
mod scheduler;
