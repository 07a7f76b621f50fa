//! Tasks: see tokio's documentation of the module of this name.

mod blocking;
mod id;
mod join;
mod join_set;
mod local;

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

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::context;
use crate::runtime::wake_after_turn;

/// Spawns a task onto the runtime that this thread is in.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    context::expect_current().spawn(future)
}

/// Lets other tasks run before this one goes on.
pub async fn yield_now() {
    let mut yields = pin!(executor::task::yield_now());
    let mut waits_for_turn = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waits_for_turn, false) {
            return Poll::Ready(());
        }
        waits_for_turn = wake_after_turn(cx.waker());
        match waits_for_turn {
            true => Poll::Pending,
            false => yields.as_mut().poll(cx),
        }
    })
    .await;
}
