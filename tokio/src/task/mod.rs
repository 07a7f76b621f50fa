//! Tasks: see tokio's documentation of the module of this name.

mod blocking;
mod id;
pub(crate) mod join;
mod join_set;
mod local;
mod spawn;
pub(crate) mod yield_now;

pub mod coop {
    //! The cooperative budget of tasks: see tokio's documentation of the module of this name.

    pub use real::task::coop::{
        Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
        poll_proceed, unconstrained,
    };
}

pub use blocking::{block_in_place, spawn_blocking};
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use id::{Id, id, try_id};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use join_set::JoinSet;
pub use local::{LocalEnterGuard, LocalSet, spawn_local};
pub use real::task::{LocalKey, futures};
pub use spawn::spawn;
pub use yield_now::yield_now;
