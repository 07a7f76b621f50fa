//! An async runtime in which a task that blocks or computes does not hold up the others.
//!
//! It schedules futures the way Go schedules goroutines. A *processor* is the right to poll tasks,
//! and has a queue of them; a *worker* is a thread that polls while it holds one. There are P
//! processors: one for each CPU that the process may use, unless you set their number. A worker
//! that finds no task steals from another processor. A worker that is stuck in a poll loses its
//! processor to another worker, and you annotate nothing for that.
//!
//! ```
//! # #[cfg(feature = "macros")] mod program {
//! use std::{thread, time::Duration};
//!
//! #[executor::main]
//! async fn main() -> Result<(), executor::JoinError> {
//!     // Blocks its thread. The other tasks go on.
//!     let blocks = executor::spawn(async { thread::sleep(Duration::from_millis(50)) });
//!     let squares: Vec<_> = (0..10u64).map(|n| executor::spawn(async move { n * n })).collect();
//!     let mut sum = 0;
//!     for square in squares {
//!         sum += square.await?;
//!     }
//!     assert_eq!(sum, 285);
//!     blocks.await
//! }
//! # pub(super) fn run() { main().unwrap() }
//! # }
//! # fn main() {
//! #     #[cfg(feature = "macros")]
//! #     program::run();
//! # }
//! ```
//!
//! The functions here act on the runtime that the calling thread is in: that of a task, a blocking
//! job, a `block_on` or an [entered handle](Handle::enter). Elsewhere they act on a default
//! runtime, which starts on first use and lives as long as the process. [`runtime::Builder`] makes
//! others.
//!
//! # Guarantees
//!
//! The numbers are constants in the code; the test `promises` compares them with this list.
//!
//! * P tasks run in parallel, and no processor is idle beside queued work for more than 10 ms. It
//!   is idle beside it at all only while a poll hides that work from all others. Of class
//!   [`Background`](task::Priority) at most [`Builder::background_limit`] polls go on at once.
//! * A poll loses its processor while other work waits: after 0.1 ms of being blocked, or after
//!   10 ms of its CPU time. Its queue, timers and sockets go on elsewhere. [`Builder::on_stall`]
//!   learns which task it was.
//! * This holds for every poll that blocks, at once, up to [`Builder::max_threads`]. Polls that
//!   compute have 4 P threads: tasks that were spawned where others compute wait until fewer than P
//!   of those do. All other tasks go on meanwhile. One that has computed for 200 ms counts no more,
//!   or later if many such go on.
//! * No task starves. A queued task waits for at most 7 polls for itself and for each one before
//!   it, whatever pairs of tasks wake each other. A task spawned from outside waits for 61 polls,
//!   or 10 ms if polls are long, for itself and for each one before it, divided by P. A task that
//!   yields or wakes itself goes to the back of the queue; so does one after 128 operations that
//!   were ready at once.
//! * Where tasks have [classes](task::Priority), one of class `Interactive` waits for one poll and
//!   for those of its class before it, however many others wait. If all processors are at longer
//!   polls, one of them loses its processor: of class `Background` after 0.2 ms of its CPU time,
//!   `Normal` after 1 ms. No flood of one class starves another: `Normal` keeps one of 9 polls, and
//!   `Background` one poll per processor and 10 ms.
//! * Workers look at timers and sockets each 61 polls. If polls are long the monitor does, each
//!   1 ms. Of many timers of one deadline at most 256 are fired between two looks.
//! * A panic ends its task and nothing else; its payload reaches the [`JoinHandle`].
//! * A future is dropped exactly once, before its handle resolves, also at shutdown.
//! * [`block_on`] and [`block_in_place`] work anywhere, also inside a task, at any depth.
//! * A sleep never ends early, and no deadline overflows.
//!
//! # Limits
//!
//! * A poll cannot be suspended. While one is stuck, its own task and whoever awaits it wait, and
//!   there are more threads than processors.
//! * Linux, macOS, Windows 10 and FreeBSD tell blocked threads from computing ones. Only Linux has an
//!   exact clock of what another thread has computed: a poll that computes loses its processor after
//!   up to 20 ms on macOS and Windows, and on FreeBSD after 10 ms of wall time. Elsewhere any poll loses
//!   its processor after 10 ms of wall time. `docs/systems.md` has a table, and says what was run.
//! * The budget of 128 operations covers this crate's sockets, timers and joins, not other futures.
//! * Sockets and [`io`] need a Unix system or Windows, where only sockets can be watched. The
//!   scheduler and timers run anywhere.
//! * WebAssembly has no threads. There [`block_on`] runs all tasks meanwhile, one at a time, and no
//!   poll loses its processor; [`spawn_blocking`] and more than one worker are refused. See
//!   `docs/wasm.md`.
//! * There is no order among tasks of one [class](task::Priority).
//!
//! # Map
//!
//! | module | what is in it |
//! |---|---|
//! | crate root | [`block_on`], [`run`], [`spawn`], [`spawn_local`], [`spawn_blocking`], [`block_in_place`]; the attributes `main` and `test` |
//! | [`task`] | handles, [`task::JoinSet`], names, ids, yielding and the budget |
//! | [`runtime`] | [`Runtime`], [`Handle`], [`Builder`]; metrics, hooks, reports, dumps of tasks |
//! | [`trace`] | timelines of what the processors did |
//! | [`time`] | sleeps, timeouts, intervals |
//! | [`io`], [`net`] | readiness of any descriptor; TCP, UDP and Unix sockets |
//! | `sim` | simulations: tests whose threads, time and network are virtual (feature `sim`) |
//! | `compat` | adapters for other libraries, by features |
//!
//! The module [`runtime`] also documents what you can see of a running program, the environment
//! variables that it reads, and what happens in a child made by `fork`.
//!
//! Channels, locks, streams and `select!` come from other crates (`async-channel`, `async-lock`,
//! `futures`, `tokio::sync`): their futures run here as anywhere.
//!
//! # Features
//!
//! | feature | default | what it gives |
//! |---|---|---|
//! | `macros` | yes | `#[executor::main]` and `#[executor::test]` |
//! | `net` | yes | [`net`], [`io`] and the reactor |
//! | `time` | yes | [`time`] |
//! | `stacks` | yes | `EXECUTOR_DEBUG=sigquit=1`: SIGQUIT prints the tasks, on unix |
//! | `tokio-io` | | tokio's `AsyncRead` and `AsyncWrite` on streams, their halves and [`io::Async`] |
//! | `tokio-compat` | | a live tokio context in all tasks and `block_on`s, for reqwest, sqlx, tonic and others |
//! | `hyper` | | hyper's I/O traits on streams, its `Executor` and `Timer` |
//! | `axum-0-8` | | [`compat::serve`] for axum; `axum::serve` takes our listeners; implies `tokio-io`, `hyper` |
//! | `futures-task` | | [`Handle`] is `Spawn` and `LocalSpawn` |
//! | `quinn-0-11` | | quinn's `Runtime` |
//! | `hickory-0-26` | | hickory's `RuntimeProvider` |
//! | `tracing` | | a span per task and events of its wakers, in the dialect of tokio-console |
//! | `sim` | | `sim`: tests in virtual time, under the scheduler's choices, repeated by their seed |
//! | `metrics` | | `RuntimeMetrics::publish` gives the figures to a recorder of the `metrics` crate |
//!
//! Each feature only adds, and none needs another unless it says so. A feature named with a version
//! follows that version of the library; one for its next version will stand beside it.
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
#[cfg(feature = "net")]
pub mod io;
mod join_set;
// Elsewhere there are no such files to read.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
mod machine;
#[cfg(feature = "macros")]
mod macros;
#[cfg(feature = "net")]
pub mod net;
mod observe;
#[cfg(feature = "net")]
mod reactor;
mod rng;
pub mod runtime;
mod scheduler;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sim")]
mod simulated;
#[doc(hidden)]
pub mod simulating;
mod stacks;
mod stderr;
mod sync;
#[cfg(feature = "net")]
mod sys;
mod tasks;
#[cfg(feature = "time")]
pub mod time;
#[cfg(target_family = "wasm")]
mod unsupported;

pub use runtime::block_on::block_on;
pub use runtime::spawn::{block_in_place, run, spawn, spawn_blocking};
pub use runtime::{Builder, Handle, Runtime, spawn_local};
pub use tasks::{JoinError, JoinHandle};

/// Runs an async function, most often `main`, on a runtime of its own.
///
/// The function may have any name, visibility and return type, and keeps its attributes. What is
/// made of it is an ordinary function without arguments, which
///
/// 1. starts a runtime;
/// 2. waits in [`Runtime::block_on`] for the async function. So the calling thread polls it, it need
///    not be `Send`, and [`spawn_local`] works in it. If it spawns and wakes a lot, a task is
///    faster: spawn one and await it;
/// 3. shuts the runtime down, also after a panic, and then returns. The tasks that are left are
///    cancelled; polls and blocking jobs that have begun are waited for, as in the drop of a
///    [`Runtime`].
///
/// Threads that are not of this runtime are not in it: on those, functions such as [`spawn`] act on
/// the default runtime. Give them a [`Handle`].
///
/// # Options
///
/// | option | what it sets | default |
/// |---|---|---|
/// | `worker_threads = 4` | the number of processors, from 1 on | as [`Builder::worker_threads`] |
/// | `crate = "path"` | where this library is, if it was renamed | `::executor` |
///
/// [`Builder`] has many more settings; with those you write `main` yourself:
/// `Builder::new()…build()?.block_on(async { .. })`.
///
/// # Panics
///
/// With the function's own panic, and if the runtime cannot be started.
///
/// # Examples
///
/// ```
/// #[executor::main]
/// async fn main() -> Result<(), executor::JoinError> {
///     let answer = executor::spawn(async { 6 * 7 }).await?;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
///
/// Another name and another type:
///
/// ```
/// /// How long is it?
/// #[executor::main(worker_threads = 2)]
/// pub async fn measure(/* no arguments */) -> usize {
///     executor::spawn(async { "a task".len() }).await.unwrap()
/// }
///
/// assert_eq!(measure(), 6);
/// ```
#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use gosched_macros::main;

/// Makes an async function a test, as `#[test]` does with others.
///
/// Each test has a fresh runtime, which is shut down before the test ends. The harness's thread
/// polls the function in [`Runtime::block_on`], so it need not be `Send`. It keeps its attributes,
/// such as `ignore` and `should_panic`, and may return what a test may: an `Err` fails it.
///
/// **A test whose tasks are all asleep fails**, with the stacks of all of them in the panic's
/// message ([`Handle::dump_stacks`]), where a `#[test]` would hang. It takes about 1.5 s to be sure.
/// All of these must hold:
///
/// * The system is Linux, and no other library has a thread in the process. (The feature
///   `tokio-compat` has one.)
/// * None of the other tests of the program does anything or waits for a timer, a socket or a
///   blocking job, as it might share a lock with this one. Those that run beside delay the failure.
///   Of tests with another attribute none may run.
/// * The test waits on its own runtime, not on another one that it has built.
///
/// Everywhere else `timeout` helps.
///
/// # Options
///
/// | option | what it sets | default |
/// |---|---|---|
/// | `worker_threads = 4` | the number of processors, from 1 on | as [`Builder::worker_threads`] |
/// | `timeout = "5s"` | the test fails if it, or the shutdown after it, takes longer; in `us`, `ms`, `s`, `m` or `h`, as in `"1.5s"` | none |
/// | `seeds = 100` | simulates the test under this many seeds | not simulated |
/// | `seed = 7` | simulates it under this seed, or with `seeds` from this one on | new seeds each time |
/// | `crate = "path"` | where this library is, if it was renamed | `::executor` |
///
/// There is no time limit by default: a busy machine, a debugger or a sanitizer makes any test
/// slow. With a limit the function is polled by a thread of its own. When the limit is over, the
/// test panics with the stacks of all tasks, and they are cancelled. If a poll blocks for ever, its
/// thread is left behind.
///
/// With `seeds` or `seed`, for which the feature `sim` is needed, the test runs in simulations, as
/// with `sim::check`: with virtual time, on two processors by default. All of what is said there
/// holds: it fails also if tasks are left at the end or one of them panics, and its message tells
/// how to repeat the run. A `timeout` is of virtual time then. The function is called once for each
/// run, and may return `()`, an [`ExitCode`](std::process::ExitCode), or a `Result` with one of
/// them.
///
/// # Examples
///
/// ```
/// #[executor::test]
/// async fn adds() {
///     let sum = executor::spawn(async { 1 + 1 }).await;
///     assert_eq!(sum.unwrap(), 2);
/// }
///
/// #[executor::test(worker_threads = 1, timeout = "10s")]
/// async fn answers() -> Result<(), Box<dyn std::error::Error>> {
///     let answer: u32 = executor::spawn(async { "42".parse() }).await??;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
#[cfg(feature = "macros")]
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
pub use gosched_macros::test;

/// What the macros expand to: not for others.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __macros {
    #[cfg(feature = "sim")]
    pub use crate::macros::Outcome;
    pub use crate::macros::{ExitCode, Main, Test};
}

/// Timelines: what each processor did, and when.
///
/// They are written in the trace event format of Chrome, which [Perfetto](https://ui.perfetto.dev)
/// and `chrome://tracing` open, and cost some 30 ns for each poll and each wake while they are
/// recorded. Three ways:
///
/// * [`start`](trace::start) and [`stop`](trace::stop), around what is of interest;
/// * [`Builder::trace_to`] or `EXECUTOR_TRACE=file.json`, for a whole run;
/// * [`Builder::flight_recorder`] or `EXECUTOR_FLIGHT_RECORDER=file.json`, for what came before a
///   stall or a panic.
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
    pub use crate::runtime::task_queue::{LocalTaskQueue, TaskQueue, TaskSpawner};
    pub use crate::tasks::budget::{Unconstrained, consume_budget, unconstrained};
    pub use crate::tasks::control::name;
    pub use crate::tasks::{AbortHandle, Id, JoinError, JoinHandle, Priority, YieldNow};
    pub use crate::tasks::{id, location, priority, try_id, yield_now};
}

/// The README's programs, compiled and run with the other examples of the documentation. (Its tests are
/// in `tests/it/sim/documents.rs`.)
#[cfg(all(doctest, feature = "macros", feature = "time"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The programs of `docs/testing.md`, likewise.
#[cfg(all(doctest, feature = "macros", feature = "net", feature = "sim", unix))]
#[doc = include_str!("../docs/testing.md")]
struct Testing;

/// The programs of `docs/wasm.md`, likewise.
#[cfg(all(doctest, feature = "time"))]
#[doc = include_str!("../docs/wasm.md")]
struct Wasm;

/// The programs of `docs/priorities.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../docs/priorities.md")]
struct Priorities;
