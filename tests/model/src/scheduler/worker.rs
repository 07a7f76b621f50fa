//! Of the workers, how they wait and are woken.

#[path = "../../../../src/scheduler/worker/idle.rs"]
#[rustfmt::skip]
pub(crate) mod idle;
#[path = "../../../../src/scheduler/worker/parked_worker.rs"]
#[rustfmt::skip]
pub(crate) mod parked_worker;
