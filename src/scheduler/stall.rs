//! Naming the culprit: reports of polls that keep their thread for too long.
//!
//! The monitor finds a stall and goes on watching; the report is made on a thread of the blocking pool, since a user's
//! hook, or a standard error that nobody reads, may itself block. So a stall is reported at most once, in time unless all
//! threads of the pool are busy, and not at all if none can be started.

use std::collections::HashMap;
use std::io::{self, Write};
use std::panic::Location;
use std::time::{Duration, Instant};
use std::{fmt, ptr};

use super::schedtrace::Page;
use super::{Settings, Shared};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Id, Meta};

/// A poll that keeps its thread for so long is reported. A shorter wait costs the others at most 0.1 ms and is not worth
/// a line; it is retaken without a word.
pub(super) const STALL: Duration = Duration::from_millis(10);

/// A poll that keeps its thread, as the monitor sees it.
#[derive(Debug)]
pub(super) struct Stall {
    /// The task's [`Meta::word`](tasks::Meta::word).
    pub(super) task: u64,
    pub(super) tick: u64,
    /// Seen first.
    pub(super) since: Instant,
    pub(super) is_blocked: bool,
    pub(super) reported: bool,
}

/// What [`Builder::on_stall`](crate::runtime::Builder::on_stall) is told: which task has kept its thread for 10 ms or more
/// without returning from its poll.
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
        let doing = if self.is_blocked { "blocked" } else { "kept" };
        let millis = self.duration.as_millis();
        write!(f, " has {doing} its thread for {millis} ms")?;
        match self.is_retaken {
            true => write!(f, "; the other tasks went on without it"),
            false => Ok(()),
        }
    }
}

/// What is done with reports.
pub(crate) enum OnStall {
    Ignore,
    /// A line on standard error, at most one per [`QUIET`] and spawn location.
    Print(Mutex<HashMap<Place, Instant>>),
    Call(Box<dyn Fn(&StallReport) + Send + Sync>),
}

/// So often the same place is named on standard error.
const QUIET: Duration = Duration::from_secs(1);

/// A spawn location, by address; tasks without one share zero.
type Place = usize;

impl OnStall {
    pub(crate) fn print() -> OnStall {
        OnStall::Print(Mutex::default())
    }

    fn report(&self, report: &StallReport) {
        match self {
            OnStall::Ignore => {}
            OnStall::Call(hook) => tasks::contained(|| hook(report)),
            OnStall::Print(printed) => {
                let place = report.location().map_or(0, |at| ptr::from_ref(at).addr());
                if is_due(&mut printed.lock(), place, Instant::now()) {
                    print(format_args!("{report}"));
                }
            }
        }
    }
}

/// Whether the place was not named for a while; from now on it was.
fn is_due(printed: &mut HashMap<Place, Instant>, place: Place, now: Instant) -> bool {
    let due = printed.get(&place).is_none_or(|&last| now - last >= QUIET);
    if due {
        printed.insert(place, now);
    }
    due
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

/// Something to say, on its way to a thread of the pool.
pub(super) struct Reporting {
    shared: &'static Shared,
    what: What,
    settings: Arc<Settings>,
}

enum What {
    Stall(StallReport),
    Panic(tasks::Description),
    ThreadsExhausted,
    /// Of several lines.
    Text(String),
    Schedtrace(Page),
}

impl Reporting {
    pub(super) fn run(self) {
        let incident = match self.what {
            What::Stall(report) => {
                self.settings.on_stall.report(&report);
                report.to_string()
            }
            What::Text(text) => return print(format_args!("{text}")),
            What::Schedtrace(page) => return page.print(),
            What::Panic(task) => format!("{task} has panicked"),
            What::ThreadsExhausted => {
                let limit = self.settings.max_threads;
                return print(format_args!(
                    "all {limit} threads (max_threads) are stuck in tasks or block; until one is free, other tasks wait"
                ));
            }
        };
        if let Some(on_incident) = &self.settings.on_incident {
            on_incident(self.shared, &incident);
        }
    }
}

/// Prints a line. If nobody reads it, there is nobody to tell.
pub(super) fn print(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "executor: {line}");
}

impl Shared {
    /// Reports a stall, once. The task was described while it was stuck.
    pub(super) fn report_stall(
        &'static self,
        stall: &Stall,
        task: tasks::Description,
        is_retaken: bool,
    ) {
        let Ok(settings) = self.settings() else {
            return;
        };
        if matches!(settings.on_stall, OnStall::Ignore) && settings.on_incident.is_none() {
            return;
        }
        let report = StallReport {
            task,
            // What was seen of it, which may be less than what is known by the CPU time.
            duration: stall.since.elapsed().max(STALL),
            is_blocked: stall.is_blocked,
            is_retaken,
        };
        self.report(What::Stall(report), settings);
    }

    /// A poll of this task has thrown something.
    #[cold]
    pub(crate) fn task_panicked(&'static self, meta: &Meta) {
        if self.is_lost() {
            return;
        }
        if let Ok(settings) = self.settings() {
            if settings.on_incident.is_some() {
                self.report(What::Panic(tasks::describe(meta.word())), settings);
            }
        }
    }

    /// Says that no more threads may be started, once per runtime.
    #[cold]
    pub(super) fn threads_are_exhausted(&'static self, settings: &Arc<Settings>) {
        let silent = matches!(settings.on_stall, OnStall::Ignore);
        if !silent && !self.said_exhausted.swap(true, Ordering::Relaxed) {
            self.report(What::ThreadsExhausted, settings.clone());
        }
    }

    /// Says something on standard error.
    pub(super) fn say(&'static self, text: String, settings: Arc<Settings>) {
        self.report(What::Text(text), settings);
    }

    /// Prints the state of the scheduler, unless the runtime has ended.
    pub(super) fn print_page(&'static self, page: Page) {
        if let Ok(settings) = self.settings() {
            self.report(What::Schedtrace(page), settings);
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
    fn one_line_a_second_and_place() {
        let mut printed = HashMap::new();
        let start = Instant::now();
        let mut due =
            |place, millis| is_due(&mut printed, place, start + Duration::from_millis(millis));
        assert!(due(1, 0));
        assert!(!due(1, 999));
        assert!(due(2, 999), "another place is another matter");
        assert!(due(1, 1000), "a line that was left out does not count");
        assert!(!due(1, 1999));
        assert!(due(1, 2000));
    }
}
