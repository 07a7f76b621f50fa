//! What a runtime says of itself: what it measures, records, prints and reports.
//!
//! All of it stands above the scheduler, which tells what happens by the trait
//! [`Observer`](crate::scheduler::observer::Observer) and lets itself be read by
//! [`inspect`](crate::scheduler::inspect). Here is the one observer of a runtime,
//! [`RuntimeObserver`].
//!
//! | question | answered by |
//! |---|---|
//! | what happened when? | [`timeline`], written by the [`instruments`], [recorded](recording) into a file |
//! | how long do polls take, and waits? | [`histogram`], with the [`latency`] of what was pushed |
//! | who was polled, and how often? | the user's [`hooks`]; [`details`] of each task |
//! | what are the tasks doing? | [`dump`]; those that do the same, [`groups`] |
//! | where do they wait? | [`stack_dump`], printed on [SIGQUIT](sigquit); recorded all the time, [`places`] |
//! | which of their futures do they forget? | [`futurelock`] |
//! | who keeps a thread? | [`stall`] |
//! | what was left at the end? | [`shutdown_report`] |
//! | does everybody wait for everybody? | [`deadlock`] |
//! | how busy is it? | [`metrics`], and a line of [`schedtrace`] |
//! | how many CPUs may it use, and does the kernel throttle it? | [`cpus`] |
//!
//! What is off costs nothing: see the scheduler's module on observers. What is on is written
//!
//! * by who holds a processor into the [`journal`] beside that, alone;
//! * by everybody else into lists behind locks.
//!
//! # Measured
//!
//! | choice | effect |
//! |---|---|
//! | a stamp by the time stamp counter / by the clock (Intel Xeon) | 13 / 29 ns; of the 29 ns that a recorded poll costs it is half |
//! | while only the timeline is on: yields pushed in the plain way, polls in a function without the other instruments / not | yield while recording 432 / 477 instructions, wake and poll 511 / 554; 29 / 32 and 56 / 77 ns more than unrecorded |
//! | told by the scheduler through a trait / inlined into it | yield while recording 464 / 431 instructions, wake and poll 573 / 513; 2 and 6 ns |
//! | a journal found by the type of a box each time / the last one remembered | yield while recording 480 / 463 instructions |
//! | a prefetch of the ring's next lines / none | within the noise; not kept |

use std::any::Any;
use std::io;
use std::time::Duration;

use self::block_ons::{BlockOns, Waits};
use self::cpus::CpusWatch;
use self::deadlock::Deadlocks;
use self::instruments::Instruments;
use self::schedtrace::Schedtrace;
use self::stall::{Reporters, Reports};
use crate::scheduler::submit::each_scheduler;
use crate::scheduler::{Lease, Shared};
use crate::sync::{Arc, Mutex};

pub(crate) mod block_ons;
mod blocked_stacks;
mod collect;
mod cpus;
pub(crate) mod deadlock;
mod details;
pub(crate) mod dump;
pub(crate) mod futurelock;
mod groups;
mod histogram;
pub(crate) mod hooks;
mod instruments;
pub(crate) mod journal;
mod json;
mod latency;
pub(crate) mod metrics;
mod observer;
mod places;
mod polls;
#[cfg(feature = "metrics")]
mod publish;
pub(crate) mod recording;
mod schedtrace;
pub(crate) mod shutdown_report;
pub(crate) mod sigquit;
pub(crate) mod stack_dump;
pub(crate) mod stall;
mod task_dump;
mod task_info;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;

pub use crate::stacks::{Frame, TaskStack};
pub use block_ons::BlockOnInfo;
pub(crate) use cpus::{CpusReader, CpusSettings, CpusSource};
pub use deadlock::OnDeadlock;
pub use futurelock::Futurelock;
pub use groups::TaskGroup;
pub use histogram::Histogram;
pub(crate) use hooks::Hooks;
pub use hooks::TaskMeta;
pub(crate) use instruments::InstrumentSettings;
pub use metrics::RuntimeMetrics;
pub use shutdown_report::ShutdownReport;
pub use stall::StallReport;
pub(crate) use stall::{OnIncident, OnStall};
pub use task_dump::TaskDump;
pub use task_info::{TaskInfo, TaskState};

/// What a builder has asked for.
pub(crate) struct Settings {
    pub(crate) on_stall: OnStall,
    pub(crate) on_incident: Option<OnIncident>,
    pub(crate) on_deadlock: OnDeadlock,
    /// How often the scheduler's state is printed. `None`: never.
    pub(crate) schedtrace: Option<Duration>,
    /// The process prints its tasks on SIGQUIT from now on. Only if that is
    /// [available](sigquit::IS_AVAILABLE).
    pub(crate) prints_on_sigquit: bool,
    pub(crate) instruments: InstrumentSettings,
    pub(crate) cpus: CpusSettings,
}

/// Who observes a scheduler, for all runtimes that use it one after the other.
#[derive(Debug)]
pub(crate) struct RuntimeObserver {
    instruments: Instruments,
    reports: Reports,
    deadlocks: Deadlocks,
    block_ons: BlockOns,
    schedtrace: Mutex<Option<Schedtrace>>,
    cpus: CpusWatch,
}

/// Opens a scheduler that is observed as is asked for.
pub(crate) fn open(
    settings: crate::scheduler::Settings,
    wanted: Settings,
) -> io::Result<Arc<Lease>> {
    if wanted.prints_on_sigquit {
        sigquit::start();
    }
    let name: Arc<str> = settings.thread_name.as_str().into();
    let begin = |shared| of(shared).begin(shared, wanted, name);
    Lease::open(settings, || Box::new(RuntimeObserver::new()), begin)
}

/// Who observes this scheduler.
pub(crate) fn of(shared: &'static Shared) -> &'static RuntimeObserver {
    try_of(shared).expect("a runtime's scheduler was opened here")
}

/// `None`: nobody of ours.
fn try_of(shared: &'static Shared) -> Option<&'static RuntimeObserver> {
    let observer: &'static dyn Any = shared.observer();
    observer.downcast_ref()
}

/// The user wants so many processors from now on.
pub(crate) fn set_worker_threads(shared: &'static Shared, count: usize) -> io::Result<()> {
    of(shared).cpus.set_by_user(shared, count)
}

/// The calling thread's `block_on` in this runtime is about to park for the first time.
pub(crate) fn list_block_on(shared: &'static Shared, waits: Arc<dyn Waits>) {
    of(shared).block_ons.enter(waits);
}

/// It returns.
pub(crate) fn unlist_block_on(shared: &'static Shared, waits: Arc<dyn Waits>) {
    if !shared.in_forked_child() {
        of(shared).block_ons.leave(&waits);
    }
}

/// Calls `f` for each runtime of this process, and those that have ended.
fn each(mut f: impl FnMut(&'static Shared, &'static RuntimeObserver)) {
    each_scheduler(|shared| {
        if !shared.in_forked_child() {
            if let Some(observer) = try_of(shared) {
                f(shared, observer);
            }
        }
    });
}

impl RuntimeObserver {
    fn new() -> RuntimeObserver {
        RuntimeObserver {
            instruments: Instruments::new(),
            reports: Reports::default(),
            deadlocks: Deadlocks::default(),
            block_ons: BlockOns::default(),
            schedtrace: Mutex::new(None),
            cpus: CpusWatch::default(),
        }
    }

    /// A runtime begins, whose threads are called `name`. None of them has started.
    fn begin(&self, shared: &'static Shared, wanted: Settings, name: Arc<str>) {
        self.reports.begin(Reporters {
            on_stall: wanted.on_stall,
            on_incident: wanted.on_incident,
        });
        self.deadlocks.begin(wanted.on_deadlock);
        self.cpus.begin(wanted.cpus);
        *self.schedtrace.lock() = wanted.schedtrace.map(Schedtrace::new);
        self.instruments.begin(shared, &wanted.instruments, name);
    }
}
