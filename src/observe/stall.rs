//! Naming the culprit: reports of polls that keep their thread for too long.
//!
//! The monitor finds a stall, tells it once, and goes on watching. A line about it goes to
//! [`crate::stderr`]. The user's hook, which may itself block, is called on a thread of the
//! blocking pool: in time unless all threads of the pool are busy, and not at all if none can be
//! started.
//!
//! Panics of tasks, and a runtime without a thread to spare, are told in the same ways.
//!
//! # How loud
//!
//! A library is quiet in a program that is well, and a poll of some 10 ms now and then harms nobody
//! here: it has lost its processor to the others. So nothing is said of one that is shorter than
//! [`Builder::stall_threshold`](crate::Builder::stall_threshold), a place is named on standard
//! error when its count is a power of two, and all are counted.
//!
//! # What is stuck without a task
//!
//! A worker may be stuck between two polls: in a waker of another executor that it has woken for a
//! timer or a socket, or in the kernel while it starts a thread. It loses its processor like any
//! other. No hook is told, as there is no task to name; the line on standard error says that it was
//! no task.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::Location;
use std::time::Duration;
use std::{fmt, ptr};

use super::groups::write_last_waited;
use super::places;
use crate::scheduler::Shared;
use crate::scheduler::observer::{Incident, Stall};
use crate::stacks::TaskStack;
use crate::stderr;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Id};

/// What [`Builder::on_stall`](crate::runtime::Builder::on_stall) is told: which task has kept its
/// thread for [`stall_threshold`](crate::runtime::Builder::stall_threshold) or more without
/// returning from its poll.
///
/// # Examples
///
/// ```
/// let runtime = executor::runtime::Builder::new()
///     .on_stall(|report| eprintln!("{report}; spawned at {:?}", report.location()))
///     .build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StallReport {
    task: tasks::Description,
    kept: Kept,
    last_stacks: Vec<TaskStack>,
}

impl StallReport {
    /// The task.
    pub fn id(&self) -> Id {
        self.task.id
    }

    /// The name it was given by [`task::Builder`](crate::task::Builder).
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_deref()
    }

    /// Where it was spawned.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.task.location
    }

    /// How long the poll had lasted when it was found out, to about a millisecond; it may last on.
    pub fn duration(&self) -> Duration {
        self.kept.duration
    }

    /// Whether the thread was blocked in the kernel (a lock, a sleep, a file), and not running on.
    pub fn is_blocked(&self) -> bool {
        self.kept.is_blocked
    }

    /// The system call in which the thread was blocked, as
    /// [`TaskInfo::blocked_in`](crate::runtime::TaskInfo::blocked_in) says it.
    pub fn blocked_in(&self) -> Option<&str> {
        self.kept.blocked_in.as_deref()
    }

    /// The calls that led to where the thread was blocked. `None`: it ran, or the stack could not be
    /// read, as it cannot on systems other than Linux on x86-64, in some sandboxes, and without the
    /// feature `stacks`. The outer frames are missing where a function between needs more to be
    /// known of the thread than the kernel tells.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = executor::runtime::Builder::new()
    ///     .on_stall(|report| {
    ///         if let Some(stack) = report.stack() {
    ///             eprintln!("{report}\n{stack}");
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stack(&self) -> Option<&TaskStack> {
        self.kept.stack.as_ref()
    }

    /// Whether the task has lost its processor, so that others could go on. If not, nobody was
    /// waiting for it, or [`max_threads`](crate::runtime::Builder::max_threads) was reached.
    pub fn is_retaken(&self) -> bool {
        self.kept.is_retaken
    }

    /// Where it waited last. Known while
    /// [`Builder::record_stacks`](crate::runtime::Builder::record_stacks) is on.
    pub fn last_stacks(&self) -> &[TaskStack] {
        &self.last_stacks
    }
}

impl fmt::Display for StallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.task)?;
        if self.location().is_some() {
            f.write_str(",")?;
        }
        write!(f, " {}", self.kept)?;
        write_last_waited(f, &self.last_stacks)
    }
}

/// How it has kept its thread.
#[derive(Clone, Debug)]
struct Kept {
    duration: Duration,
    is_blocked: bool,
    blocked_in: Option<Cow<'static, str>>,
    stack: Option<TaskStack>,
    is_retaken: bool,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = if self.is_blocked { "blocked" } else { "kept" };
        let millis = self.duration.as_millis();
        write!(f, "has {doing} its thread for {millis} ms")?;
        if let Some(call) = &self.blocked_in {
            write!(f, " in {call}")?;
        }
        let innermost = self.stack.as_ref().and_then(|stack| stack.frames().next());
        if let Some(place) = innermost.and_then(|frame| frame.place()) {
            write!(f, " at {place}")?;
        }
        match self.is_retaken {
            true => write!(f, "; the other tasks went on without it"),
            false => Ok(()),
        }
    }
}

/// A stall of what is no task.
#[derive(Clone, Debug)]
struct Nameless(Kept);

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Nameless(kept) = self;
        write!(
            f,
            "something that is no task, perhaps a waker of another executor, {kept}"
        )
    }
}

/// What is done with reports.
pub(crate) enum OnStall {
    Ignore,
    /// A line on standard error, when a place's count has doubled.
    Print(Mutex<HashMap<Place, u64>>),
    Call(Box<dyn Fn(&StallReport) + Send + Sync>),
}

/// A spawn location, by address; tasks without one share zero. `None`: no task.
type Place = Option<usize>;

fn place_of(task: &tasks::Description) -> Place {
    Some(task.location.map_or(0, |at| ptr::from_ref(at).addr()))
}

impl OnStall {
    pub(crate) fn print() -> OnStall {
        OnStall::Print(Mutex::default())
    }

    /// Whether the next stall at this place is told to anybody. The monitor alone counts, and tells
    /// the stall after this.
    fn will_tell(&self, place: Place) -> bool {
        match self {
            OnStall::Ignore => false,
            OnStall::Call(_) => true,
            OnStall::Print(counts) => {
                is_said(counts.lock().get(&place).map_or(0, |count| *count) + 1)
            }
        }
    }

    /// Says it, if it is to be said and is due. The line is made by another thread, as symbols may
    /// have to be looked up for it.
    fn say(&self, place: Place, line: impl fmt::Display + Send + 'static) {
        const SWITCH: &str = "EXECUTOR_DEBUG=stall=0 silences this";
        let OnStall::Print(counts) = self else {
            return;
        };
        match count(&mut counts.lock(), place) {
            1 => stderr::say_later(move || with_remark(&line.to_string(), SWITCH)),
            times if is_said(times) => stderr::say_later(move || {
                let remark = format!("{times} times here so far; {SWITCH}");
                with_remark(&line.to_string(), &remark)
            }),
            _ => {}
        }
    }
}

/// A report with a remark in its first line: below that there may be stacks.
fn with_remark(report: &str, remark: &str) -> String {
    match report.split_once('\n') {
        Some((line, stacks)) => format!("{line} ({remark})\n{stacks}"),
        None => format!("{report} ({remark})"),
    }
}

/// Whether this one of a place is said.
fn is_said(count: u64) -> bool {
    count.is_power_of_two()
}

/// One more here; gives how many there were.
fn count(counts: &mut HashMap<Place, u64>, place: Place) -> u64 {
    let count = counts.entry(place).or_default();
    *count += 1;
    *count
}

impl fmt::Debug for OnStall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnStall::Ignore => "Ignore",
            OnStall::Print(_) => "Print",
            OnStall::Call(_) => "Call",
        })
    }
}

/// Called when something has gone wrong, with a line about it: for the flight recorder.
pub(crate) type OnIncident = Arc<dyn Fn(&'static Shared, &str) + Send + Sync>;

/// Whom a builder wants told.
pub(super) struct Reporters {
    pub(super) on_stall: OnStall,
    pub(super) on_incident: Option<OnIncident>,
}

impl Reporters {
    /// Whether any waits for a stall.
    fn are_there(&self) -> bool {
        matches!(self.on_stall, OnStall::Call(_)) || self.on_incident.is_some()
    }

    /// For the user's hook and the flight recorder. On a thread of the pool.
    fn tell_stall(&self, shared: &'static Shared, report: &StallReport) {
        if let OnStall::Call(hook) = &self.on_stall {
            tasks::catch_panic(|| hook(report));
        }
        self.tell_incident(shared, &report.to_string());
    }

    /// For the flight recorder. On a thread of the pool.
    fn tell_incident(&self, shared: &'static Shared, incident: &str) {
        if let Some(on_incident) = &self.on_incident {
            on_incident(shared, incident);
        }
    }
}

impl fmt::Debug for Reporters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporters")
            .field("on_stall", &self.on_stall)
            .finish_non_exhaustive()
    }
}

/// Who is told what is wrong with a runtime.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// `None`: the runtime has ended.
    reporters: Mutex<Option<Arc<Reporters>>>,
    /// It was said that there are no more threads. `Relaxed`: only who sets it matters.
    said_exhausted: AtomicBool,
}

impl Reports {
    pub(super) fn begin(&self, reporters: Reporters) {
        *self.reporters.lock() = Some(Arc::new(reporters));
        self.said_exhausted.store(false, Ordering::Relaxed);
    }

    pub(super) fn forget(&self) {
        let reporters = self.reporters.lock().take();
        tasks::drop_catching(reporters);
    }

    /// Whether anybody is told where a stall of this task is blocked.
    pub(super) fn wants_place_of(&self, task: Option<&tasks::Description>) -> bool {
        let reporters = self.reporters.lock();
        reporters.as_ref().is_some_and(|reporters| {
            reporters.on_incident.is_some() || reporters.on_stall.will_tell(task.and_then(place_of))
        })
    }

    pub(super) fn report(&self, shared: &'static Shared, incident: Incident) {
        let Some(reporters) = self.reporters.lock().clone() else {
            return;
        };
        match incident {
            Incident::Stall(stall) => report_stall(shared, stall, reporters),
            Incident::Panic { tag } => {
                if reporters.on_incident.is_some() {
                    let text = format!("{} has panicked", tasks::describe(tag));
                    shared.call_in_pool(move || reporters.tell_incident(shared, &text));
                }
            }
            Incident::NoMoreThreads { limit } => {
                let silent = matches!(reporters.on_stall, OnStall::Ignore);
                if !silent && !self.said_exhausted.swap(true, Ordering::Relaxed) {
                    stderr::say(format_args!(
                        "all {limit} threads (max_threads) are stuck in tasks or block; until one is free, other tasks wait"
                    ));
                }
            }
        }
    }
}

fn report_stall(shared: &'static Shared, stall: Stall, reporters: Arc<Reporters>) {
    let kept = Kept {
        duration: stall.duration,
        is_blocked: stall.is_blocked,
        blocked_in: stall.blocked_in,
        stack: stall.stack,
        is_retaken: stall.is_retaken,
    };
    let Some(task) = stall.task else {
        let stall = Nameless(kept);
        reporters.on_stall.say(None, stall.clone());
        if reporters.on_incident.is_some() {
            shared.call_in_pool(move || reporters.tell_incident(shared, &stall.to_string()));
        }
        return;
    };
    let place = place_of(&task);
    let last_stacks = places::last(shared, task.tag);
    let report = StallReport {
        task,
        kept,
        last_stacks,
    };
    reporters.on_stall.say(place, report.clone());
    if reporters.are_there() {
        shared.call_in_pool(move || reporters.tell_stall(shared, &report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_a_count_of_its_own() {
        let mut counts = HashMap::new();
        assert_eq!((1..=3).map(|_| count(&mut counts, Some(1))).max(), Some(3));
        assert_eq!(count(&mut counts, Some(2)), 1);
        assert_eq!(count(&mut counts, None), 1);
        assert_eq!(count(&mut counts, Some(1)), 4);
    }

    #[test]
    fn a_remark_stands_in_the_line_about_the_stall() {
        assert_eq!(with_remark("kept", "why"), "kept (why)");
        let report = "kept\n  last waited at:\n  main.rs:7";
        let said = "kept (why)\n  last waited at:\n  main.rs:7";
        assert_eq!(with_remark(report, "why"), said);
    }
}
