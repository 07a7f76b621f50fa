//! Naming the culprit: reports of polls that keep their thread for too long.
//!
//! The monitor finds a stall and goes on watching; a line about it goes to [`crate::stderr`], and the user's hook, which may
//! itself block, is called on a thread of the blocking pool. So a stall is reported at most once, in time unless all
//! threads of the pool are busy, and to no hook if none can be started.
//!
//! # How loud
//!
//! A library is quiet in a program that is well, and a poll of some 10 ms now and then harms nobody here: it has lost its
//! processor to the others. So nothing is said of one that is shorter than
//! [`Builder::stall_threshold`](crate::Builder::stall_threshold), a place is named on standard error when its count is a
//! power of two, and all are counted.
//!
//! # What is stuck without a task
//!
//! A worker may be stuck between two polls: in a waker of another executor that it has woken for a timer or a socket, or in
//! the kernel while it starts a thread. It loses its processor like any other. No hook is told, as there is no task to name; the
//! line on standard error says that it was no task.

use std::collections::HashMap;
use std::panic::Location;
use std::time::{Duration, Instant};
use std::{fmt, ptr};

use super::{Settings, Shared};
use crate::scheduler::monitor::probe::Probe;
use crate::scheduler::monitor::watch::{LONG, Poll, Stall};
use crate::scheduler::processor::Processor;
use crate::stderr;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Id, Meta};

/// Polls that go on although their processor was retaken.
#[derive(Debug)]
pub(super) struct Stalls {
    all: Vec<Retaken>,
    threshold: Duration,
    probe: Probe,
}

#[derive(Debug)]
struct Retaken {
    poll: Poll,
    since: Instant,
    /// When it is to be looked at again, for a report. `None`: never.
    due: Option<Instant>,
}

impl Stalls {
    pub(super) fn new(threshold: Duration) -> Stalls {
        Stalls {
            all: Vec::new(),
            threshold,
            probe: Probe::default(),
        }
    }

    pub(super) fn threshold(&self) -> Duration {
        self.threshold
    }

    /// This poll has lost its processor, in the round that began at `round`.
    pub(super) fn push(&mut self, poll: Poll, round: Instant) {
        self.all.push(Retaken {
            poll,
            since: round,
            due: Some(round),
        });
    }

    /// Reports what is due, and calls `check_detached` on each that has not lasted for [`LONG`] yet.
    pub(super) fn look(
        &mut self,
        shared: &'static Shared,
        round: Instant,
        mut check_detached: impl FnMut(&'static Processor),
    ) {
        let Stalls {
            all,
            threshold,
            probe,
        } = self;
        all.retain_mut(|retaken| {
            let poll = &mut retaken.poll;
            if !poll.processor().ownership.is_detached() {
                return false;
            }
            let is_young = round.saturating_duration_since(retaken.since) < LONG;
            if is_young {
                check_detached(poll.processor());
            }
            if retaken.due.is_some_and(|due| due <= round) {
                let left = poll.report_in(*threshold, probe);
                if left == Some(Duration::ZERO) {
                    let stall = poll.stall(*threshold);
                    let task = stall.describe();
                    // Else it has ended meanwhile, and its name may be gone.
                    if poll.goes_on() {
                        shared.report_stall(&stall, task, true);
                    }
                }
                let left = left.filter(|left| !left.is_zero());
                retaken.due = left.and_then(|left| round.checked_add(left));
            }
            is_young || retaken.due.is_some()
        });
    }

    /// Whether any is so young that each round has to look at it.
    pub(super) fn are_young(&self, round: Instant) -> bool {
        let mut ages = self
            .all
            .iter()
            .map(|retaken| round.saturating_duration_since(retaken.since));
        ages.any(|age| age < LONG)
    }

    /// When there is something to report, if it goes on so.
    pub(super) fn due(&self) -> Option<Instant> {
        self.all.iter().filter_map(|retaken| retaken.due).min()
    }

    /// The monitor has overslept.
    pub(super) fn reset_marks(&mut self, now: Instant) {
        for Retaken { poll, since, due } in &mut self.all {
            poll.reset_marks(now);
            *since = now;
            *due = due.and_then(|_| now.checked_add(self.threshold));
        }
    }
}

/// What [`Builder::on_stall`](crate::runtime::Builder::on_stall) is told: which task has kept its thread for
/// [`stall_threshold`](crate::runtime::Builder::stall_threshold) or more without returning from its poll.
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
    duration: Duration,
    is_blocked: bool,
    is_retaken: bool,
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
        self.duration
    }

    /// Whether the thread was blocked in the kernel (a lock, a sleep, a file), and not running on.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Whether the task has lost its processor, so that others could go on. If not, nobody was waiting for it, or
    /// [`max_threads`](crate::runtime::Builder::max_threads) was reached.
    pub fn is_retaken(&self) -> bool {
        self.is_retaken
    }
}

impl fmt::Display for StallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.task)?;
        if self.location().is_some() {
            f.write_str(",")?;
        }
        let stall = Kept {
            duration: self.duration,
            is_blocked: self.is_blocked,
            is_retaken: self.is_retaken,
        };
        write!(f, " {stall}")
    }
}

/// How it has kept its thread.
struct Kept {
    duration: Duration,
    is_blocked: bool,
    is_retaken: bool,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = if self.is_blocked { "blocked" } else { "kept" };
        let millis = self.duration.as_millis();
        write!(f, "has {doing} its thread for {millis} ms")?;
        match self.is_retaken {
            true => write!(f, "; the other tasks went on without it"),
            false => Ok(()),
        }
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

    /// Says it, if it is to be said and is due.
    fn say(&self, place: Place, line: fmt::Arguments<'_>) {
        const SWITCH: &str = "EXECUTOR_DEBUG=stall=0 silences this";
        let OnStall::Print(counts) = self else {
            return;
        };
        match count(&mut counts.lock(), place) {
            1 => stderr::say(format_args!("{line} ({SWITCH})")),
            times if times.is_power_of_two() => {
                stderr::say(format_args!("{line} ({times} times here so far; {SWITCH})"));
            }
            _ => {}
        }
    }
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

/// Something to tell the user's hook or the flight recorder, on its way to a thread of the pool.
pub(crate) struct Reporting {
    shared: &'static Shared,
    what: What,
    settings: Arc<Settings>,
}

enum What {
    Stall(StallReport),
    /// Of the flight recorder alone.
    Incident(String),
}

impl Reporting {
    pub(super) fn run(self) {
        let incident = match self.what {
            What::Stall(report) => {
                if let OnStall::Call(hook) = &self.settings.on_stall {
                    tasks::catch_panic(|| hook(&report));
                }
                report.to_string()
            }
            What::Incident(text) => text,
        };
        if let Some(on_incident) = &self.settings.on_incident {
            on_incident(self.shared, &incident);
        }
    }
}

impl Shared {
    /// Reports a stall, once. The task was described while it was stuck; `None`: no task was.
    pub(super) fn report_stall(
        &'static self,
        stall: &Stall,
        task: Option<tasks::Description>,
        is_retaken: bool,
    ) {
        let Stall {
            duration,
            is_blocked,
            ..
        } = *stall;
        let Ok(settings) = self.settings() else {
            return;
        };
        let Some(task) = task else {
            let kept = Kept {
                duration,
                is_blocked,
                is_retaken,
            };
            let line =
                format!("something that is no task, perhaps a waker of another executor, {kept}");
            settings.on_stall.say(None, format_args!("{line}"));
            if settings.on_incident.is_some() {
                self.report(What::Incident(line), settings);
            }
            return;
        };
        self.counters.stalls.fetch_add(1, Ordering::Relaxed);
        let place = place_of(&task);
        let report = StallReport {
            task,
            duration,
            is_blocked,
            is_retaken,
        };
        settings.on_stall.say(place, format_args!("{report}"));
        if matches!(settings.on_stall, OnStall::Call(_)) || settings.on_incident.is_some() {
            self.report(What::Stall(report), settings);
        }
    }

    /// A poll of this task has thrown something.
    #[cold]
    pub(crate) fn task_panicked(&'static self, meta: &Meta) {
        if self.is_closed_by_fork() {
            return;
        }
        if let Ok(settings) = self.settings() {
            if settings.on_incident.is_some() {
                let text = format!("{} has panicked", tasks::describe(meta.tag()));
                self.report(What::Incident(text), settings);
            }
        }
    }

    /// Says that no more threads may be started, once per runtime. Who has allowed no more than there are processors knows.
    #[cold]
    pub(super) fn report_exhausted_threads(&self) {
        let Ok(settings) = self.settings() else {
            return;
        };
        let is_meant = settings.max_threads == settings.worker_threads;
        let silent = matches!(settings.on_stall, OnStall::Ignore) || is_meant;
        if !silent && !self.observers.said_exhausted.swap(true, Ordering::Relaxed) {
            let limit = settings.max_threads;
            stderr::say(format_args!(
                "all {limit} threads (max_threads) are stuck in tasks or block; until one is free, other tasks wait"
            ));
        }
    }

    fn report(&'static self, what: What, settings: Arc<Settings>) {
        self.submit_report(Reporting {
            shared: self,
            what,
            settings,
        });
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
}
