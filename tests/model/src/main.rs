//! Model checks: the protocols of `src/`, in every order of events that a checker can think of.
//!
//! The files under test are the real ones, taken in by path; `crate::sync` is the real facade with a few holes that
//! can be opened (see [`sync`]). Around them stands a small model of workers ([`scheduler::model`]) that does what the
//! scheduler's worker does, with tokens in place of tasks.
//!
//! Two checkers run the same models, one for each build:
//!
//! * loom (`--cfg executor_loom`): two to four threads and a handful of tokens, all interleavings up to a bound of
//!   preemptions, with the weak memory model.
//! * shuttle (`--cfg executor_shuttle`): more threads and tokens, random and PCT schedules, sequentially consistent.
//!
//! Each model has **twins**: the same model with one step of the protocol left out or done wrong. A twin must fail, with
//! the message that its flaw should give; this is how we know that the model can see.
//!
//! What this does not check: the queues of `crossbeam_deque` and `concurrent_queue`. In their place stand simple ones that
//! promise less ([`queues`]). `async_task` is taken at its word.

#[cfg(not(any(executor_loom, executor_shuttle)))]
compile_error!(
    "run ci/models.sh: these models need `--cfg executor_loom` or `--cfg executor_shuttle`"
);

#[allow(dead_code, unused_imports)]
#[path = "../../../src/sync.rs"]
#[rustfmt::skip]
mod facade;

#[allow(dead_code)]
#[path = "../../../src/blocking/mod.rs"]
#[rustfmt::skip]
mod blocking;

#[cfg(feature = "net")]
#[allow(dead_code, unused_imports)]
#[path = "../../../src/reactor/mod.rs"]
#[rustfmt::skip]
mod reactor;

#[allow(dead_code)]
#[path = "../../../src/clock.rs"]
#[rustfmt::skip]
mod clock;

/// The poller of models does not fail.
mod stderr {
    pub(crate) fn say(line: std::fmt::Arguments<'_>) {
        unreachable!("{line}");
    }
}

mod checker;
mod join_set;
#[cfg(feature = "net")]
mod kernel;
mod queues;
mod runner;
mod scheduler;
mod sync;
mod tasks;
#[allow(dead_code)]
mod timeline;

// The files under test name these crates; this crate answers in their place.
extern crate self as concurrent_queue;
extern crate self as crossbeam_deque;
#[cfg(feature = "net")]
extern crate self as polling;
#[cfg(feature = "net")]
extern crate self as rustix;

use std::process::ExitCode;

#[cfg(feature = "net")]
use kernel::{Poller, event, io, time};
use queues::{ConcurrentQueue, Injector, Stealer, Worker};

fn main() -> ExitCode {
    runner::run(&scheduler::models::all())
}
