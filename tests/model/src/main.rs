//! Model checks: the protocols of `src/`, in every order of events that a checker can think of.
//!
//! What is checked is the source: the scheduler with its worker's loop, the monitor, opening and closing, tasks, the
//! blocking pool and the reactor. `build.rs` copies it and says in which points the copy differs. Around it stand the
//! machine ([`machine`], [`kernel`]), the queues of two libraries ([`queues`]), the facade over a checker's primitives
//! ([`sync`]), and the models.
//!
//! Two checkers run the same models, one for each build:
//!
//! * loom (`--cfg executor_loom`): two to five threads and a handful of tasks, all interleavings up to a bound of
//!   preemptions, with the weak memory model.
//! * shuttle (`--cfg executor_shuttle`): more threads and tasks, random and PCT schedules, sequentially consistent.
//!
//! Each model has **twins**: the same model with one step of the protocol left out or done wrong. A twin must fail, with
//! the message that its flaw should give; this is how we know that the model can see.
//!
//! What this does not check: the queues of `crossbeam_deque` and `concurrent_queue`. In their place stand simple ones that
//! promise less. `async_task` is taken at its word.

#[cfg(not(any(executor_loom, executor_shuttle)))]
compile_error!(
    "run ci/models.sh: these models need `--cfg executor_loom` or `--cfg executor_shuttle`"
);

include!(concat!(env!("OUT_DIR"), "/root.rs"));

/// The poller of models does not fail, and nothing forks.
#[cfg_attr(not(feature = "net"), allow(dead_code))]
mod stderr {
    pub(crate) fn say(line: std::fmt::Arguments<'_>) {
        unreachable!("{line}");
    }

    pub(crate) fn say_last(line: std::fmt::Arguments<'_>) {
        unreachable!("{line}");
    }
}

mod checker;
mod ended;
mod join_set;
#[cfg(feature = "net")]
mod kernel;
mod machine;
mod plain_sync;
mod queues;
mod runner;
mod sync;
#[allow(dead_code)]
mod timeline;
mod twin;

// The files under test name these crates; this crate answers in their place.
extern crate self as concurrent_queue;
extern crate self as crossbeam_deque;
extern crate self as event_listener;
#[cfg(feature = "net")]
extern crate self as polling;
#[cfg(feature = "net")]
extern crate self as rustix;

use std::process::ExitCode;

use ended::{Event, Listener, listener};
#[cfg(feature = "net")]
use kernel::{Poller, event, io, time};
use queues::{ConcurrentQueue, Injector, Steal, Stealer, Worker};

fn main() -> ExitCode {
    runner::run(&scheduler::models::all())
}
