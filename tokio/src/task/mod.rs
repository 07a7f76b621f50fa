//! Tasks: see tokio's documentation of the module of this name.

mod blocking;
mod id;
pub(crate) mod join;
mod join_set;
mod local;
mod spawn;
pub(crate) mod task_local;
pub(crate) mod yield_now;

pub mod coop {
    //! The cooperative budget of tasks: see tokio's documentation of the module of this name.

    pub use real::task::coop::{
        Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
        poll_proceed, unconstrained,
    };
}

pub mod futures {
    //! Futures of this module: see tokio's documentation of the module of this name.

    pub use super::task_local::TaskLocalFuture;
}

pub use blocking::{block_in_place, spawn_blocking};
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use id::{Id, id, try_id};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use join_set::JoinSet;
pub use local::{LocalEnterGuard, LocalSet, spawn_local};
pub use spawn::spawn;
pub use task_local::LocalKey;
pub use yield_now::yield_now;
