//! An async runtime that schedules futures the way Go schedules goroutines.
//!
//! Tasks are stackless futures, spread over **P** processors, each with a next slot and a queue of its own; idle workers
//! steal from the others. Sockets wait in a netpoller that the workers share, blocking jobs go to a pool. A thread that is
//! about to block hands its processor to another one first; one that blocks or computes for long without a word loses it.
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
//! The numbers are those of the constants in the code: `tests/promises.rs` compares them with this list, the README and the
//! scheduler's documentation, and names the tests beside.
//!
//! * P tasks run truly in parallel, and no processor is idle beside queued work for more than 10 ms; for one only while a poll
//!   hides that work from all others.
//! * A poll loses its processor while other work waits: after 0.1 ms of being blocked, or after 10 ms of its CPU time. Queue,
//!   timers and I/O go on elsewhere. Nothing need be annotated, and [`Builder::on_stall`] learns who it was.
//! * That holds for every poll that blocks, at once, up to [`Builder::max_threads`]. Polls that compute have 4 P threads
//!   (of up to 200 ms each; more if they compute for longer): tasks that were spawned where others compute wait until
//!   fewer than P of those do, and all other tasks go on meanwhile, on the processors. One that has computed for 200 ms counts no
//!   more, or later if many such go on.
//! * No task starves. A queued task waits for at most 7 polls for itself and for each one before it, whatever pairs of
//!   tasks wake each other; a task spawned from outside for 61 polls, or 10 ms if polls are long; a task that wakes itself or
//!   yields goes to the back of the queue, and at the latest after 128 operations that were ready at once.
//! * Timers and sockets are looked at each 61 polls, or by the monitor each 1 ms if polls are long. Of many timers of one deadline
//!   at most 256 are fired between two looks, so that others have their turn.
//! * A panic ends its task and nothing else; its payload reaches the [`JoinHandle`].
//! * A future is dropped before its handle resolves, and exactly once, also at shutdown.
//! * [`block_on`] and [`block_in_place`] work anywhere, also on a worker, nested however deeply: the worker's processor goes
//!   to another thread meanwhile.
//! * A sleep never ends early, and no deadline overflows.
//!
//! # Limits
//!
//! * A poll cannot be suspended. One that is stuck holds up its own task and whoever waits for that; and until it returns,
//!   more threads run than there are processors.
//! * Blocked and computing threads are told apart on Linux. Elsewhere a poll loses its processor after 10 ms of wall time.
//! * The cooperative budget covers this crate's own sockets, timers and joins, not foreign futures.
//! * Sockets and [`io`] need a Unix system. The scheduler and timers run anywhere with threads.
//!
//! # Seeing inside
//!
//! Nothing of this needs a special build, and what is off costs nothing.
//!
//! | question | answer |
//! |---|---|
//! | Who keeps a thread? | a line on standard error after 100 ms ([`Builder::stall_threshold`]), or [`Builder::on_stall`] |
//! | Does everybody wait for everybody? | in debug builds a line on standard error; [`Builder::on_deadlock`] |
//! | How busy is it? | [`Handle::metrics`]; with [`Builder::histograms`] how long polls take and tasks wait for a processor |
//! | What are the tasks doing? | [`Handle::dump_tasks`]; with [`Builder::task_details`] for how long, and how often they were polled |
//! | What happened when? | [`trace`]: a timeline of all processors, from now on, of a whole run, or of the seconds before a failure |
//! | What was left at the end? | [`Runtime::shutdown_timeout`] |
//!
//! The environment asks for most of it, without a change to the program: `EXECUTOR_TRACE=file.json` writes a timeline,
//! `EXECUTOR_FLIGHT_RECORDER=file.json` one when something goes wrong, and `EXECUTOR_DEBUG` is a list of switches:
//! `stall=0`, `deadlock=1` (or `0`, or `panic`), `histograms=1`, `tasks=1`, and `retake=0`, which leaves stuck tasks their
//! processors, to see what that costs.
//!
//! What is said on standard error holds up nobody, whether it is closed, or full and never read: then messages are dropped, and
//! their number is said when it takes some again.
//!
//! # Which runtime
//!
//! The functions here act on the runtime the calling thread is in: a task, a blocking job, a `block_on`, an
//! [entered handle](Handle::enter). Outside any they act on a process-wide default runtime, which is built on first use with
//! one processor per CPU (or `EXECUTOR_WORKER_THREADS`) and never dropped. [`runtime::Builder`] makes others.
//!
//! # Processes
//!
//! Every descriptor is opened with close-on-exec: a program that is started inherits none.
//!
//! A child made by `fork` without `exec` has one thread, and so nothing of the runtimes that it inherits goes on in it. On
//! Linux and Android this is noticed:
//!
//! * Spawning on an inherited runtime, [`block_on`] on it, and its metrics panic with a message that says so; so does a
//!   `block_on` that was forked in and has to wait. Registering a socket with it, or waiting on one, is an error.
//! * Dropping one, or its sockets, timers and handles, neither waits nor disturbs the parent; the memory is leaked.
//! * Outside any runtime all functions work: the child gets a default runtime of its own, and [`runtime::Builder`] makes
//!   others.
//! * A child forked in a task or a blocking job must call `exec` or `_exit` there. When it returns into the runtime it is
//!   aborted, since the tasks it would go on with are its parent's.
//!
//! What remains is not ours to mend: a Rust thread that starts or ends holds a lock of the standard library for a moment,
//! and in a child that is forked by another thread at that moment no thread can be started. A child of a bare `clone` system
//! call, or on another system, is not noticed. `std::process::Command` is safe anywhere.
//!
//! # Map
//!
//! | module | what is in it |
//! |---|---|
//! | crate root | [`block_on`], [`run`], [`spawn`], [`spawn_local`], [`spawn_blocking`], [`block_in_place`] |
//! | [`task`] | handles, [`task::JoinSet`], names, ids, yielding and the budget |
//! | [`runtime`] | [`Runtime`], [`Handle`], [`Builder`]; metrics, hooks, reports and dumps of tasks |
//! | [`trace`] | timelines of what the processors did |
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
//! | `tokio-io` | | tokio's `AsyncRead` and `AsyncWrite` on streams, their halves and [`io::Async`] |
//! | `tokio-compat` | | a live tokio context in all tasks and `block_on`s, for reqwest, sqlx, tonic and others |
//! | `hyper` | | hyper's I/O traits on streams, its `Executor` and `Timer` |
//! | `axum-0-8` | | `axum::serve` takes our listeners; implies `tokio-io` |
//! | `futures-task` | | [`Handle`] is `Spawn` and `LocalSpawn` |
//! | `quinn-0-11` | | quinn's `Runtime` |
//! | `hickory-0-26` | | hickory's `RuntimeProvider` |
//! | `tracing` | | a span per task and events of its wakers, in the dialect of tokio-console |
//! | `metrics` | | `RuntimeMetrics::publish` gives the figures to a recorder of the `metrics` crate |
//!
//! Each is independent of the others unless it says so, and adds only. `compat` documents those that adapt other libraries.
//! Features named with a version follow that version of the library; one for its next version will stand beside it.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
mod clock;
#[cfg(any(
    feature = "tokio-io",
    feature = "tokio-compat",
    feature = "hyper",
    feature = "axum-0-8",
    feature = "futures-task",
    feature = "quinn-0-11",
    feature = "hickory-0-26",
))]
pub mod compat;
#[cfg(all(feature = "net", unix))]
pub mod io;
mod join_set;
#[cfg(all(feature = "net", unix))]
pub mod net;
mod observe;
#[cfg(all(feature = "net", unix))]
mod reactor;
pub mod runtime;
mod scheduler;
mod stderr;
mod sync;
mod tasks;
#[cfg(feature = "time")]
pub mod time;

pub use runtime::block_on::block_on;
pub use runtime::spawn::{block_in_place, run, spawn, spawn_blocking};
pub use runtime::{Builder, Handle, Runtime, spawn_local};
pub use tasks::{JoinError, JoinHandle};

/// Timelines: what each processor did, and when.
///
/// They are written in the trace event format of Chrome, which [Perfetto](https://ui.perfetto.dev) and `chrome://tracing` open,
/// and cost some 30 ns for each poll and each wake while they are recorded. Three ways:
///
/// * [`start`](trace::start) and [`stop`](trace::stop), around what is of interest;
/// * [`Builder::trace_to`] or `EXECUTOR_TRACE=file.json`, for a whole run;
/// * [`Builder::flight_recorder`] or `EXECUTOR_FLIGHT_RECORDER=file.json`, for what came before a stall or a panic.
///
/// # Examples
///
/// ```
/// executor::trace::start();
/// executor::run(async {
///     let task = executor::task::Builder::new().name("child");
///     task.spawn(async { executor::task::yield_now().await }).await.unwrap();
/// });
/// let mut json = Vec::new();
/// executor::trace::stop(&mut json)?;
/// assert!(String::from_utf8(json).unwrap().contains("child"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub mod trace {
    pub use crate::observe::recording::{snapshot, start, stop};
}

/// Tasks: their handles, names and manners.
pub mod task {
    pub use crate::join_set::JoinSet;
    pub use crate::runtime::spawn::TaskBuilder as Builder;
    pub use crate::tasks::budget::{Unconstrained, consume_budget, unconstrained};
    pub use crate::tasks::control::name;
    pub use crate::tasks::{AbortHandle, Id, JoinError, JoinHandle, YieldNow};
    pub use crate::tasks::{id, location, try_id, yield_now};
}
