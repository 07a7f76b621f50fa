//! An async runtime that schedules futures the way Go schedules goroutines.
//!
//! Tasks are stackless futures, spread over **P** processors, each with a next slot and a queue of its own; idle workers
//! steal from the others. Sockets wait in a netpoller that the workers share, blocking jobs go to a pool, and a thread that
//! is about to block hands its processor to another one first.
//!
//! ```
//! executor::block_on(async {
//!     let squares: Vec<_> = (0..10u64).map(|n| executor::spawn(async move { n * n })).collect();
//!     let mut sum = 0;
//!     for square in squares {
//!         sum += square.await.unwrap();
//!     }
//!     assert_eq!(sum, 285);
//! });
//! ```
//!
//! # Guarantees
//!
//! * P tasks run truly in parallel. No processor is idle beside queued work, except for the millisecond or so in which
//!   only a long poll hides that work.
//! * No task starves: a pair of tasks that wake each other, a task that wakes itself, a spawn storm or foreign spawns delay
//!   any runnable task by a bounded number of polls.
//! * A panic ends its task and nothing else; its payload reaches the [`JoinHandle`].
//! * A future is dropped before its handle resolves, and exactly once, also at shutdown.
//! * [`block_on`] and [`block_in_place`] work anywhere, also on a worker, nested however deeply: the worker's processor goes
//!   to another thread meanwhile.
//! * A sleep never ends early, and no deadline overflows.
//!
//! # Limits
//!
//! * A poll cannot be suspended. One that runs for long holds up its own task and, since other processors steal its queue,
//!   nobody else; but while *all* processors are in long polls, queued tasks wait. I/O and timers go on being noticed by the
//!   reactor thread.
//! * The cooperative budget covers this crate's own sockets, timers and joins, not foreign futures.
//! * Sockets and [`io`] need a Unix system. The scheduler and timers run anywhere with threads.
//!
//! # Which runtime
//!
//! The functions here act on the runtime the calling thread is in: a task, a blocking job, a `block_on`, an
//! [entered handle](Handle::enter). Outside any they act on a process-wide default runtime, which is built on first use with
//! one processor per CPU (or `EXECUTOR_WORKER_THREADS`) and never dropped. [`runtime::Builder`] makes others.
//!
//! # Map
//!
//! | module | what is in it |
//! |---|---|
//! | crate root | [`block_on`], [`run`], [`spawn`], [`spawn_local`], [`spawn_blocking`], [`block_in_place`] |
//! | [`task`] | handles, [`task::JoinSet`], names, ids, yielding and the budget |
//! | [`runtime`] | [`Runtime`], [`Handle`], [`Builder`], metrics |
//! | [`time`] | sleeps, timeouts, intervals |
//! | [`io`], [`net`] | readiness of any descriptor; TCP, UDP and Unix sockets |
//!
//! Channels, locks, streams and `select!` are executor-independent and come from other crates (`async-channel`,
//! `async-lock`, `futures`): their futures run here as anywhere.
//!
//! # Features
//!
//! | feature | default | what it gives |
//! |---|---|---|
//! | `net` | yes | [`net`], [`io`] and the reactor |
//! | `time` | yes | [`time`] |
#![cfg_attr(docsrs, feature(doc_cfg))]

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

pub use runtime::block_on::block_on;
pub use runtime::spawn::{block_in_place, run, spawn, spawn_blocking};
pub use runtime::{Builder, Handle, Runtime, spawn_local};
pub use tasks::{JoinError, JoinHandle};

/// Tasks: their handles, names and manners.
pub mod task {
    pub use crate::join_set::JoinSet;
    pub use crate::runtime::spawn::TaskBuilder as Builder;
    pub use crate::tasks::budget::{Unconstrained, consume_budget, unconstrained};
    pub use crate::tasks::control::name;
    pub use crate::tasks::{AbortHandle, Id, JoinError, JoinHandle, YieldNow};
    pub use crate::tasks::{id, try_id, yield_now};
}
