//! The workloads that only the scoreboard has, on any runtime.

pub(crate) mod blocking;
pub(crate) mod parked;
pub(crate) mod stall;
pub(crate) mod timers;
pub(crate) mod wakes;
