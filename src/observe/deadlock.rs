//! "All tasks are asleep": a process in which nothing can happen any more, while a `block_on`
//! waits.
//!
//! Go's `checkdead` counts threads that run. Here a waker may be in the hands of any thread, so
//! that is not enough, and a false alarm would be worse than none. So the question is asked of the
//! process as a whole: **is there any thread that could ever do anything?**
//!
//! # When a runtime stands still
//!
//! All processors are idle, and no run queue, next slot or detached processor has anything; no
//! timer is armed; no task waits for a socket (the kernel might wake it); no blocking job is queued
//! or runs; all its threads are the monitor, workers that lie, idle threads of the pool, and
//! workers that have given their processor away and are parked in a `block_on`; every `block_on` is
//! parked, not woken, and has no local task to run; and its monitor rests. (While it is up it may
//! have taken a timer's waker, and be in the middle of waking it: then no timer is armed any more
//! and nothing queued yet, and if that waker blocks, the monitor sleeps like everybody else.)
//!
//! # How foreign wakers are counted
//!
//! By the threads that could use them. A thread that belongs to no runtime of ours and is not
//! parked in a `block_on` may hold a waker and wake it whenever it likes, even if it sleeps at the
//! moment. So there must be none: the kernel's number of threads of the process (`/proc/self/task`)
//! has to be that of the runtimes' own and those parked in `block_on`. All runtimes have to stand
//! still, as each one's tasks may wake another's.
//!
//! So whoever uses a library with threads of its own (another runtime, a logger) is never alarmed,
//! rightly or wrongly. Our own [writer](crate::stderr) wakes nobody, nor does the thread that waits
//! for [SIGQUIT](super::sigquit), and both are left out. So are the threads of a test harness that
//! only wait for tests: see [`tests_run`].
//!
//! What remains are signal handlers that wake, and timers of the system that start threads: POSIX
//! allows neither to touch a lock, hence a waker. Where there is no `/proc`, nobody is alarmed.
//!
//! # What it costs
//!
//! Each `block_on` that parks allocates, takes two locks and reads the clock, so it is on in debug
//! builds only, unless the builder or the environment says otherwise. While it is off, a `block_on`
//! tests one flag.
//!
//! # Protocol
//!
//! 1. Somebody suspects: a thread that has been parked in `block_on` for [`PATIENCE`], or the
//!    monitor when it is about to go to sleep. (One of the two comes last: what a task does wakes
//!    the monitor, and a `block_on` that begins to wait later has its own look.) It takes a
//!    [`Standstill`]: all of the above, and what has moved by then: polls, parkings, threads. While
//!    [tests run](tests_run), each `block_on` suspects again and again, since no monitor wakes up
//!    when another test ends.
//! 2. It waits for [`CONFIRMED`], and looks again. If both agree, nothing has moved meanwhile, and
//!    nothing that moves is left: what one look might have missed, a thread between two counts,
//!    would have shown. A monitor that has to resume before that, to print the scheduler's state,
//!    remembers its [`Suspicion`], and when it began.
//! 3. Each runtime with a `block_on` that waits says so, whoever has found out, and once for each
//!    standstill. (Its own monitor may have gone to sleep long before, when another runtime was
//!    still busy.) The report says where the tasks wait, for which it polls each of them: so what is
//!    compared with the last report leaves out what dumps have moved. Who has found out
//!    lets another thread report: a `block_on` is to be asked as well, and the monitor has to help
//!    where the polls of the dump block. While that thread lives, nobody is sure of anything, as it
//!    wakes. So a monitor that falls asleep meanwhile looks again afterwards.

use std::collections::HashSet;
use std::panic::Location;
use std::time::Duration;

use super::stack_dump::{WITHIN, dump_stacks};
use super::{each, of, sigquit, try_of};
use crate::clock::{self, Instant};
use crate::machine::pinned;
use crate::scheduler::{Shared, probe};
use crate::stderr;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::thread;
use crate::sync::{Arc, Mutex};

#[cfg(test)]
mod tests;
// Without the macros nobody runs tests.
#[cfg_attr(not(feature = "macros"), allow(dead_code))]
pub(crate) mod tests_run;
mod waiting;

pub(crate) use waiting::Waiting;

/// A `block_on` that waits for so long looks around.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Two looks, so far apart. A deadlock lasts.
pub(crate) const CONFIRMED: Duration = Duration::from_millis(500);

/// What is done about a deadlock: see [`Builder::on_deadlock`](crate::Builder::on_deadlock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDeadlock {
    /// Nobody looks for one, and `block_on` pays nothing. The default where debug assertions are
    /// off, as in release builds.
    Ignore,
    /// A report on standard error, with the list of the tasks. The default where debug assertions
    /// are on, as in debug builds.
    Report,
    /// Every `block_on` that waits panics, with the same report as the message.
    Panic,
}

impl Default for OnDeadlock {
    fn default() -> OnDeadlock {
        match cfg!(debug_assertions) {
            true => OnDeadlock::Report,
            false => OnDeadlock::Ignore,
        }
    }
}

/// What must not have changed between two looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standstill {
    polls: u64,
    threads: usize,
    /// Of each `block_on`.
    parks: Vec<(u64, u64)>,
    /// What dumps have caused of that: polls, and the parks of each `block_on`.
    by_dumps: (u64, Vec<u64>),
}

impl Standstill {
    /// What has moved by itself until then. The report of a standstill is a dump, and moves tasks.
    fn moved(&self) -> Moved {
        let (polls, answered) = &self.by_dumps;
        let parks = self.parks.iter().zip(answered);
        let parks = parks.map(|(&(number, parks), answered)| (number, parks - 2 * answered));
        (self.polls.saturating_sub(*polls), parks.collect())
    }
}

/// What the monitor has seen, and when first.
#[derive(Debug)]
struct Suspicion {
    /// `None`: a thread that reports was in the way.
    before: Option<Standstill>,
    since: Instant,
}

impl Suspicion {
    /// The monitor is about to sleep, and looks.
    fn look(last: Option<Suspicion>, now: Instant) -> Option<Suspicion> {
        let is_reporting = || REPORTING.load(Ordering::Relaxed) != 0;
        let was_reporting = is_reporting();
        let before = look();
        if before.is_none() && !was_reporting && !is_reporting() {
            return None;
        }
        Suspicion::seen(before, last, now)
    }

    /// If it is what was seen `last`, it is that suspicion, as old as it is.
    fn seen(
        before: Option<Standstill>,
        last: Option<Suspicion>,
        now: Instant,
    ) -> Option<Suspicion> {
        let same = last.filter(|last| last.before == before);
        same.or(Some(Suspicion { before, since: now }))
    }

    /// How long it is until it is to be confirmed.
    fn due_in(&self, now: Instant) -> Duration {
        CONFIRMED.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// Polls and parkings of a standstill, by which it is known again.
type Moved = (u64, Vec<(u64, u64)>);

/// Whether nothing in this process can ever happen again, and if so, what has happened until now.
pub(crate) fn look() -> Option<Standstill> {
    let mut seen = Standstill::default();
    let mut outsiders = Vec::new();
    let mut stands_still = true;
    each(|shared, observer| {
        // Of a runtime that has ended no thread is left.
        if stands_still && shared.num_threads() != 0 {
            stands_still = (observer.deadlocks).stand_still(shared, &mut seen, &mut outsiders);
        }
    });
    outsiders.sort_unstable();
    outsiders.dedup();
    let wait_for_tests = tests_run::num_threads(&outsiders);
    let known = seen.threads
        + outsiders.len()
        + wait_for_tests
        + stderr::num_threads()
        + sigquit::num_threads()
        + NUM_WATCHDOGS.load(Ordering::Relaxed);
    // Last: it reads two files for each thread.
    (stands_still && !seen.parks.is_empty() && count_threads() == Some(known)).then_some(seen)
}

/// Threads of this crate that are of no runtime, and only look at others. Whoever starts one counts
/// it before, and it uncounts itself last. Relaxed: while the number is wrong, nothing is reported.
pub(crate) static NUM_WATCHDOGS: AtomicUsize = AtomicUsize::new(0);

/// Step 3.
pub(crate) fn report(standstill: &Standstill) {
    each(|shared, observer| {
        if observer.deadlocks.are_looked_for() {
            observer.deadlocks.report(shared, standstill);
        }
    });
}

/// Threads that report. Changed by [`report_elsewhere`], those threads and [`in_child`], read by
/// [`Suspicion::look`], before and after it counts threads. `Relaxed`: the kernel has started a
/// thread that is counted, after this was raised for it.
static REPORTING: AtomicUsize = AtomicUsize::new(0);

/// In a child: none of those threads exists.
pub(crate) fn in_child() {
    REPORTING.store(0, Ordering::Relaxed);
    tests_run::in_child();
}

/// Step 3, on a thread of its own. The calling one is in a `block_on`, and is asked where it waits;
/// or it is the monitor, which takes processors away from polls that block. If no thread can be
/// started, it does not do that.
pub(crate) fn report_elsewhere(standstill: Standstill) {
    let standstill = Arc::new(standstill);
    let elsewhere = standstill.clone();
    let report_and_end = move || {
        report(&elsewhere);
        REPORTING.fetch_sub(1, Ordering::Relaxed);
    };
    let thread = thread::Builder::new().name("executor-deadlock".to_owned());
    REPORTING.fetch_add(1, Ordering::Relaxed);
    if thread.spawn(pinned::unpinned(report_and_end)).is_err() {
        report(&standstill);
        REPORTING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether anybody wants to know of one in this runtime.
pub(crate) fn is_looked_for(shared: &'static Shared) -> bool {
    try_of(shared).is_some_and(|observer| observer.deadlocks.are_looked_for())
}

/// The calling thread begins to wait in a `block_on` of this runtime.
pub(crate) fn waits_in_block_on(
    shared: &'static Shared,
    location: &'static Location<'static>,
    has_work: Box<dyn Fn() -> bool + Send + Sync>,
) -> Arc<Waiting> {
    let waiting = Arc::new(Waiting::of_this_thread(location, has_work));
    of(shared).deadlocks.waiting.lock().push(waiting.clone());
    waiting
}

/// It has returned.
pub(crate) fn has_waited(shared: &'static Shared, waiting: &Arc<Waiting>) {
    if shared.in_forked_child() {
        return;
    }
    let mut all = of(shared).deadlocks.waiting.lock();
    if let Some(place) = all.iter().position(|other| Arc::ptr_eq(other, waiting)) {
        all.swap_remove(place);
    }
}

/// Threads of this process, as the kernel counts them. `None`: it cannot be told, or one of the
/// others is not asleep.
fn count_threads() -> Option<usize> {
    if cfg!(any(target_os = "linux", target_os = "android")) {
        let this = probe::number(probe::this_thread()).to_string();
        let mut count = 0;
        for task in std::fs::read_dir("/proc/self/task").ok()? {
            let task = task.ok()?;
            let is_this = task.file_name().to_str() == Some(&*this);
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            // "TID (name) STATE ..". One that is on its way, for want of a CPU or stopped, may do
            // anything.
            let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
            if !is_this && state != 'S' {
                return None;
            }
            count += 1;
        }
        Some(count)
    } else {
        None
    }
}

/// One runtime's part.
#[derive(Debug, Default)]
pub(super) struct Deadlocks {
    /// Written at opening.
    are_looked_for: AtomicBool,
    what: Mutex<OnDeadlock>,
    /// `block_on`s of this runtime that have parked.
    waiting: Mutex<Vec<Arc<Waiting>>>,
    /// What its monitor has seen.
    suspicion: Mutex<Option<Suspicion>>,
    /// The last standstill that was reported.
    reported: Mutex<Option<Moved>>,
}

impl Deadlocks {
    /// A runtime begins.
    pub(super) fn begin(&self, what: OnDeadlock) {
        let looks = what != OnDeadlock::Ignore;
        self.are_looked_for.store(looks, Ordering::Relaxed);
        *self.what.lock() = what;
        *self.suspicion.lock() = None;
        *self.reported.lock() = None;
    }

    /// It has ended.
    pub(super) fn forget(&self) {
        *self.what.lock() = OnDeadlock::Ignore;
    }

    fn are_looked_for(&self) -> bool {
        self.are_looked_for.load(Ordering::Relaxed)
    }

    /// Step 1, by the monitor when it falls asleep.
    pub(super) fn suspect(&self) {
        if self.are_looked_for() {
            let last = self.suspicion.lock().take();
            *self.suspicion.lock() = Suspicion::look(last, clock::now());
        }
    }

    /// Step 2, by the monitor while it sleeps. Gives how long it is until this is to be called.
    pub(super) fn confirm(&self) -> Option<Duration> {
        let now = clock::now();
        let mut suspicion = self.suspicion.lock();
        let due = suspicion.as_ref()?.due_in(now);
        if due.is_zero() {
            let before = suspicion.take().and_then(|suspicion| suspicion.before);
            // The second look, or the first without a thread that reports.
            let again = Suspicion::look(None, now);
            let agrees = again.as_ref().is_some_and(|again| again.before == before);
            match before {
                Some(standstill) if agrees => {
                    drop(suspicion);
                    report_elsewhere(standstill);
                }
                _ => *suspicion = again,
            }
        }
        Some(due)
    }

    /// See the module's documentation. Adds what it has seen, and the threads in `block_on` that
    /// belong to no runtime.
    fn stand_still(
        &self,
        shared: &'static Shared,
        seen: &mut Standstill,
        outsiders: &mut Vec<u64>,
    ) -> bool {
        if !shared.is_at_rest() {
            return false;
        }
        let mut parked = Vec::new();
        for waiting in &*self.waiting.lock() {
            let parks = waiting.parks.load(Ordering::Acquire);
            seen.parks.push((waiting.number, parks));
            let answered = waiting.answered.load(Ordering::Relaxed);
            seen.by_dumps.1.push(answered);
            if parks % 2 == 1 && !(waiting.has_work)() {
                parked.push(waiting.thread);
                if !waiting.is_member {
                    outsiders.push(waiting.thread);
                }
            }
        }
        let is_parked = |thread: u64| parked.contains(&thread);
        // A `block_on` inside another one on the same thread waits in its place.
        let all_wait = (self.waiting.lock().iter()).all(|waiting| is_parked(waiting.thread));
        let away = shared.off_processor();
        if !all_wait
            || away
                .iter()
                .any(|poll| poll.is_job || !is_parked(poll.thread))
        {
            return false;
        }
        let mut away: Vec<u64> = away.iter().map(|poll| poll.thread).collect();
        away.sort_unstable();
        away.dedup();
        let Some(pool) = shared.pool() else {
            return false;
        };
        if pool.threads != pool.idle_threads || pool.queued_jobs != 0 {
            return false;
        }
        const MONITOR: usize = 1;
        let threads = shared.num_threads();
        seen.threads += threads;
        seen.polls += shared.num_polls();
        seen.by_dumps.0 += shared.registry.num_captured();
        threads == MONITOR + shared.num_waiting_workers() + away.len() + pool.threads
    }

    /// Step 3, for this runtime. Whoever comes second to the same standstill leaves it.
    fn report(&self, shared: &'static Shared, standstill: &Standstill) {
        // Not the threads: idle ones end by themselves.
        let moved = standstill.moved();
        if self.reported.lock().replace(moved.clone()) == Some(moved) {
            return;
        }
        let what = *self.what.lock();
        let Some(report) = self.describe(shared) else {
            return;
        };
        match what {
            OnDeadlock::Ignore => {}
            OnDeadlock::Report => stderr::say(format_args!("{report}")),
            OnDeadlock::Panic => {
                self.let_all_park();
                let report = Arc::from(report);
                for waiting in &*self.waiting.lock() {
                    waiting.condemn(&report);
                }
            }
        }
    }

    fn describe(&self, shared: &'static Shared) -> Option<String> {
        if self.waiting.lock().is_empty() {
            return None;
        }
        let dump = dump_stacks(shared, WITHIN);
        let report = format!("all tasks are asleep - deadlock!\n{dump}");
        Some(report.trim_end().to_owned())
    }

    /// The dump has woken those in `block_on`. A verdict reaches who is parked.
    fn let_all_park(&self) {
        let begin = clock::now();
        while !self.all_park() && clock::elapsed(begin) < WITHIN {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether each thread that is in a `block_on` is parked in one: of those that are nested, in
    /// the innermost.
    fn all_park(&self) -> bool {
        let waiting = self.waiting.lock();
        let parked = waiting.iter().filter(|waiting| waiting.is_parked());
        let parked: HashSet<u64> = parked.map(|waiting| waiting.thread).collect();
        (waiting.iter()).all(|waiting| parked.contains(&waiting.thread))
    }
}
