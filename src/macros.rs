//! What `#[executor::main]` and `#[executor::test]` expand to. Their options are the methods here;
//! the package `gosched-macros` knows no more than their names.
//!
//! # A test
//!
//! It has a runtime of its own, in which a deadlock [panics](OnDeadlock::Panic): see
//! [`tests_run`] for when that is found. The thread of the harness polls the function, as `main`
//! polls its own: so neither has to be `Send`.
//!
//! With a time limit the function is polled by a thread of its own, of the same name, since a
//! poll that blocks cannot be ended from outside:
//!
//! 1. The thread of the harness waits until the other one has ended, or until it is late.
//! 2. Then it takes a dump of the tasks, while they are where they have been.
//! 3. It [gives up](until::Until) the function, and shuts the runtime down, for [`LEFT`] at most.
//!    So tests that follow find ports free, and no tasks of this one beside them. A thread in a
//!    poll that does not return stays.
//! 4. It panics with the dump.
//!
//! With seeds it is simulated instead: see `simulated`.
//!
//! What fails by an `Err` does so by [`Termination`], as any test: hence the exit code.

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
pub use std::process::ExitCode;
use std::process::Termination;
use std::time::Duration;

use crate::clock;
use crate::observe::deadlock::tests_run;
use crate::runtime::block_on::block_on_at;
use crate::runtime::{Builder, OnDeadlock, Runtime};
use crate::sync::{Arc, thread};

#[cfg(feature = "sim")]
mod simulated;
mod until;

#[cfg(feature = "sim")]
pub use simulated::Outcome;

use until::{Ended, Until};

/// A test that has failed waits so long for what is left of it.
const LEFT: Duration = Duration::from_secs(1);

/// Where a test waits, is asked for so long.
const DUMP: Duration = Duration::from_secs(1);

/// What `#[executor::main]` expands to.
#[derive(Debug, Default)]
pub struct Main {
    worker_threads: Option<usize>,
}

impl Main {
    /// Without options.
    pub fn new() -> Main {
        Main::default()
    }

    /// The number of processors.
    pub fn worker_threads(mut self, count: usize) -> Main {
        self.worker_threads = Some(count);
        self
    }

    /// Runs the function on a runtime, which ends before this returns.
    #[track_caller]
    pub fn run<F: Future>(self, function: impl FnOnce() -> F) -> F::Output {
        let runtime = build(Builder::new(), self.worker_threads);
        runtime.block_on(function())
    }
}

/// What `#[executor::test]` expands to.
#[derive(Debug, Default)]
pub struct Test {
    worker_threads: Option<usize>,
    timeout: Option<Duration>,
    #[cfg(feature = "sim")]
    seeds: Option<usize>,
    #[cfg(feature = "sim")]
    seed: Option<u64>,
}

impl Test {
    /// Without options.
    pub fn new() -> Test {
        Test::default()
    }

    /// The number of processors.
    pub fn worker_threads(mut self, count: usize) -> Test {
        self.worker_threads = Some(count);
        self
    }

    /// The time limit.
    pub fn timeout(mut self, seconds: u64, nanoseconds: u32) -> Test {
        self.timeout = Some(Duration::new(seconds, nanoseconds));
        self
    }

    /// Runs the function as a test. What it returns becomes an exit code, as that of any test does.
    #[track_caller]
    pub fn run<F>(self, function: impl Fn() -> F + Send + 'static) -> ExitCode
    where
        F: Future,
        F::Output: Termination,
    {
        let _runs = tests_run::run_one();
        let builder = Builder::new().on_deadlock(OnDeadlock::Panic);
        let runtime = Left(Some(build(builder, self.worker_threads)));
        match self.timeout {
            None => runtime.as_ref().block_on(function()).report(),
            Some(limit) => run_within(limit, runtime, function, Location::caller()),
        }
    }
}

#[track_caller]
fn build(builder: Builder, worker_threads: Option<usize>) -> Runtime {
    let builder = match worker_threads {
        Some(count) => builder.worker_threads(count),
        None => builder,
    };
    match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the runtime cannot be started: {error}"),
    }
}

/// A test's runtime. It ends with the test; after a panic not at any price.
struct Left(Option<Runtime>);

impl Left {
    fn as_ref(&self) -> &Runtime {
        self.0.as_ref().expect("until the drop")
    }

    fn shut_down_within(mut self, limit: Duration) -> crate::runtime::ShutdownReport {
        let runtime = self.0.take().expect("until now");
        runtime.shutdown_timeout(limit)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.take().map(|runtime| runtime.shutdown_timeout(LEFT));
        }
    }
}

/// See the module's documentation.
#[track_caller]
fn run_within<F>(
    limit: Duration,
    runtime: Left,
    function: impl Fn() -> F + Send + 'static,
    location: &'static Location<'static>,
) -> ExitCode
where
    F: Future,
    F::Output: Termination,
{
    let begin = clock::now();
    let handle = runtime.as_ref().handle().clone();
    let (here, there) = {
        let ended = Arc::new(Ended::default());
        (ended.clone(), ended)
    };
    let on_its_own = move || {
        let test = || {
            let until = Until::new(function(), there.clone());
            let output = block_on_at(handle, until, location);
            output.map_or(ExitCode::FAILURE, F::Output::report)
        };
        let result = catch_unwind(AssertUnwindSafe(test));
        there.tell(result);
    };
    let mut thread = thread::Builder::new();
    if let Some(name) = thread::current().name() {
        thread = thread.name(name.to_owned());
    }
    let thread = match thread.spawn(on_its_own) {
        Ok(thread) => thread,
        Err(error) => panic!("no thread for a test with a time limit: {error}"),
    };
    let waits = tests_run::wait_for_one();
    let result = here.wait(limit);
    drop(waits);
    let Some(result) = result else {
        let dump = runtime.as_ref().handle().dump_stacks(DUMP).to_string();
        here.give_up();
        runtime.shut_down_within(LEFT);
        let where_it_is = match here.wait(LEFT) {
            Some(_) => "",
            None => "; it is in a poll that does not return",
        };
        panic!(
            "the test has not ended within {limit:?}{where_it_is}\n{}",
            dump.trim_end()
        );
    };
    let _ = thread.join();
    let code = result.unwrap_or_else(|payload| resume_unwind(payload));
    let report = runtime.shut_down_within(limit.saturating_sub(clock::elapsed(begin)));
    if !report.is_complete() {
        panic!("the test's tasks have not ended within {limit:?}: {report}");
    }
    code
}
