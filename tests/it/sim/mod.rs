//! The runtime in a simulation.

mod around;
mod check;
mod crowd;
mod documents;
#[cfg(all(unix, feature = "net"))]
mod faults;
mod hostile;
mod messages;
#[cfg(all(unix, feature = "net"))]
mod net;
#[cfg(all(unix, feature = "net"))]
mod repeat;
mod resize;
mod runs;
mod scheduler;
mod timers;
mod turns;
