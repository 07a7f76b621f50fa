//! Makes futures and closures tasks of a scheduler.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;

use super::{block_on, context};
use crate::scheduler::submit::{OnPool, OnWorkers};
use crate::scheduler::{Shared, enter_blocking};
use crate::tasks::large::boxing;
use crate::tasks::{self, AbortHandle, JoinHandle, Membership, Priority, SpawnsAs};

/// `bytes`: the size of the future before it was boxed, if it was.
#[track_caller]
#[inline]
pub(crate) fn spawn_on<F>(shared: &'static Shared, future: F, bytes: usize) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (runnable, handle) = tasks::create::<F, OnWorkers>(future, bytes, shared.registry);
    shared.submit_new(runnable);
    handle
}

/// [`spawn_on`] for a task of a group. The handle can abort it.
#[track_caller]
#[inline]
pub(crate) fn spawn_member_on<F, M>(
    shared: &'static Shared,
    future: F,
    bytes: usize,
    membership: M,
) -> AbortHandle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    M: Membership<F::Output>,
{
    let (runnable, abort) =
        tasks::create_member::<F, OnWorkers, M>(future, bytes, shared.registry, membership);
    shared.submit_new(runnable);
    abort
}

/// [`spawn_blocking_on`] for a job of a group. The handle can abort it until it begins.
#[track_caller]
pub(crate) fn spawn_blocking_member_on<F, T, M>(
    shared: &'static Shared,
    f: F,
    bytes: usize,
    membership: M,
) -> AbortHandle
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    M: Membership<T>,
{
    let (runnable, abort) =
        tasks::create_ready_member::<F, T, OnPool, M>(f, bytes, shared.registry, membership);
    shared.submit_new_blocking(runnable);
    abort
}

#[track_caller]
pub(super) fn spawn_blocking_on<F, T>(shared: &'static Shared, f: F, bytes: usize) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (runnable, handle) = tasks::create_ready::<F, T, OnPool>(f, bytes, shared.registry);
    shared.submit_new_blocking(runnable);
    handle
}

/// Runs a future as a task of the current runtime, as `go f()` does.
///
/// The task runs on a worker, in parallel with the caller. Dropping the handle detaches it. Outside
/// a runtime, the task goes to the default runtime of the process.
///
/// If a task spawns it, the new task goes into the next slot of the processor and runs there soon.
/// A task that this displaces goes to the run queue, from which other workers may steal it.
///
/// # Panics
///
/// When the default runtime is needed and cannot be started.
///
/// # Examples
///
/// ```
/// executor::block_on(async {
///     let handle = executor::spawn(async { 40 + 2 });
///     assert_eq!(handle.await.unwrap(), 42);
/// });
/// ```
#[track_caller]
#[inline]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let shared = context::current_or_default();
    boxing!(F, future => spawn_on(shared, future, size_of::<F>()))
}

/// Runs a closure that may block on a thread of the current runtime's blocking pool.
///
/// Use it for many or long blocking calls. Up to 512 jobs run at a time by default, each on a
/// thread of its own, and jobs may wait for each other. Aborting the handle has an effect only
/// before the job begins. If no thread can be created for the job, and none exists, the handle
/// resolves to a cancelled [`JoinError`](crate::JoinError) whose source is the system's error; where
/// the target has no threads, as on WebAssembly, of kind
/// [`Unsupported`](std::io::ErrorKind::Unsupported).
///
/// # Panics
///
/// When the default runtime is needed and cannot be started.
///
/// # Examples
///
/// ```
/// let bytes = executor::block_on(executor::spawn_blocking(|| std::fs::read("Cargo.toml")));
/// assert!(!bytes.unwrap().unwrap().is_empty());
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let shared = context::current_or_default();
    boxing!(closure F, f => spawn_blocking_on(shared, f, size_of::<F>()))
}

/// Runs a closure that may block, on the calling thread.
///
/// It does what Go's `entersyscall` and `exitsyscall` do. A worker first hands its processor over,
/// so that another thread runs the other tasks of that processor. Afterwards the worker acquires an
/// idle processor. If there is none, it finishes the poll without one. Outside a worker, this only
/// calls `f`.
///
/// # Examples
///
/// ```
/// let name = executor::spawn(async {
///     executor::block_in_place(|| std::fs::canonicalize("."))
/// });
/// assert!(executor::block_on(name).unwrap().is_ok());
/// ```
pub fn block_in_place<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    let _blocking = enter_blocking();
    f()
}

/// Like [`block_on`](crate::block_on), but for a main future that is `Send`: it runs as a task on a
/// worker.
///
/// So the tasks that it spawns and wakes stay local to that worker. The future of a `block_on` is
/// polled on the calling thread instead, one hop away from all tasks. A panic of the future
/// continues in the caller.
///
/// # Panics
///
/// With the future's panic, when the runtime shuts down before the future has completed, and when
/// the default runtime is needed and cannot be started.
///
/// # Examples
///
/// ```
/// let sum = executor::run(async {
///     let one = executor::spawn(async { 1 });
///     one.await.unwrap() + 1
/// });
/// assert_eq!(sum, 2);
/// ```
#[track_caller]
pub fn run<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let shared = context::current_or_default();
    let handle = boxing!(F, future => spawn_on(shared, future, size_of::<F>()));
    match block_on::block_on(handle) {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => resume_unwind(payload),
            Err(error) => panic!("executor::run: {error}"),
        },
    }
}

/// Spawns tasks that have a name, or a class of their own.
///
/// # Examples
///
/// ```
/// let handle = executor::task::Builder::new().name("greeter").spawn(async { "hello" });
/// assert_eq!(executor::block_on(handle).unwrap(), "hello");
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `spawn` is called"]
pub struct TaskBuilder {
    name: Option<String>,
    class: Option<Priority>,
}

impl TaskBuilder {
    /// A builder for a task without a name, of the class that it inherits.
    pub fn new() -> TaskBuilder {
        TaskBuilder::default()
    }

    /// The name, which reports show and [`task::name`](crate::task::name) returns.
    pub fn name(mut self, name: impl Into<String>) -> TaskBuilder {
        self.name = Some(name.into());
        self
    }

    /// The class, which tasks that the task spawns inherit. Without this, the task inherits that of the
    /// task that spawns it.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::task::{self, Priority};
    ///
    /// let answer = task::Builder::new().priority(Priority::Interactive);
    /// let handle = answer.spawn(async {
    ///     let inherits = executor::spawn(async { task::priority() });
    ///     inherits.await.unwrap()
    /// });
    /// assert_eq!(executor::block_on(handle).unwrap(), Priority::Interactive);
    /// ```
    pub fn priority(mut self, priority: Priority) -> TaskBuilder {
        self.class = Some(priority);
        self
    }

    /// Like [`executor::spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = context::current_or_default();
        let name = self.name.as_deref();
        let _class = self.class.map(SpawnsAs::class);
        boxing!(F, future => spawn_named(shared, future, size_of::<F>(), name))
    }
}

#[track_caller]
fn spawn_named<F>(
    shared: &'static Shared,
    future: F,
    bytes: usize,
    name: Option<&str>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(name) = name else {
        return spawn_on(shared, future, bytes);
    };
    let (runnable, handle) =
        tasks::create_named::<F, OnWorkers>(future, bytes, shared.registry, name);
    shared.submit_new(runnable);
    handle
}

impl fmt::Debug for TaskBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("priority", &self.class)
            .finish()
    }
}
