//! draft
mod blocking;
#[cfg(all(feature = "net", unix))]
pub mod io;
mod join_set;
#[cfg(all(feature = "net", unix))]
pub mod net;
#[cfg(all(feature = "net", unix))]
mod reactor;
pub mod runtime;
mod scheduler;
mod sync;
mod tasks;
#[cfg(feature = "time")]
pub mod time;

pub use runtime::Builder;
pub use runtime::block_on::block_on;
pub use runtime::spawn::{block_in_place, run, spawn, spawn_blocking};
pub use runtime::{Handle, Runtime, spawn_local};
pub use tasks::{JoinError, JoinHandle};

/// Tasks.
pub mod task {
    pub use crate::join_set::JoinSet;
    pub use crate::runtime::spawn::TaskBuilder as Builder;
    pub use crate::tasks::budget::{Unconstrained, consume_budget, unconstrained};
    pub use crate::tasks::control::name;
    pub use crate::tasks::{
        AbortHandle, Id, JoinError, JoinHandle, YieldNow, id, try_id, yield_now,
    };
}
