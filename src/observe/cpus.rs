//! The number of processors follows the number of CPUs, and throttling is told.
//!
//! How many CPUs the process may use, and how often the kernel has throttled it, says
//! [`crate::machine`]. Here it is asked, about once a second, and something follows from it.
//!
//! # What it guarantees
//!
//! * While the runtime follows ([`Builder::follow_cpu_quota`](crate::Builder::follow_cpu_quota)),
//!   it has as many processors as there are CPUs at the last look, within its limits.
//! * No change that the user has asked for is undone by a look that began before it.
//! * An idle runtime stays asleep. The look waits for a round of the monitor that comes anyway.
//! * While rounds come, it looks at least each ten seconds ([`LONGEST_PERIOD`]). Where a look takes
//!   up to 10 ms, that is a thousandth of the monitor's time ([`COST`]); meanwhile it would retake
//!   no processor. Where the kernel's files are slower still, it is more.
//! * Nothing is read where nothing follows from it.
//! * What throttling costs is said once for each runtime, on standard error.
//!
//! # Protocol
//!
//! 1. `Builder::check` asks how many CPUs there are (`CpusReader::available`); the runtime begins
//!    with that number.
//! 2. At the end of a round, if the last look was a second ago or more ([`pause_after`]), the monitor
//!    asks again ([`CpusWatch::look`]), and with the lock released calls `Shared::set_num_processors`.
//! 3. That call takes the lock of whoever changes the number, and under it asks whether the runtime
//!    still follows.
//! 4. The user's call ([`CpusWatch::set_by_user`]) ends the following under the same lock.
//!
//! So the user's call comes after a change by the monitor and replaces it, or comes before and is
//! seen by it. Without the common lock the monitor could read that there are 2 CPUs, the user ask
//! for 5 processors, and the monitor then set 2. The model is `resize-agreed`.
//!
//! # Whose affinity mask
//!
//! That of the process, and not of one thread: hooks may pin each thread of the runtime to one CPU,
//! the monitor's too, and the program its first thread. Whatever changes the mask of the whole
//! process (a cpuset, `taskset -a`) changes both of these. So `Mask::OfProcess` in [`reader`] takes
//! what either may use.
//!
//! # Rejected designs
//!
//! * *A timer, or a thread of its own*: an idle program would wake up each second.
//! * *A job of the blocking pool*: each busy program would have one more thread.
//! * *One reader for all runtimes of a process*: its lock would have to be held for a fork.

mod reader;
// Quotas are read from the files of cgroups, which only those systems have.
#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests;
mod throttled;

use std::io;
use std::time::Duration;

use self::throttled::Throttled;
use crate::clock::{self, Instant};
use crate::machine::Throttling;
use crate::scheduler::Shared;
use crate::stderr;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

pub(crate) use reader::{CpusReader, CpusSource};

/// Between two looks, as in Go 1.25 at most.
const PERIOD: Duration = Duration::from_secs(1);

/// After looks that have taken `t` the next one comes after this times `t`, if that is more.
const COST: u32 = 1000;

/// But not later than after this: a quota that is lowered stops all threads meanwhile.
const LONGEST_PERIOD: Duration = Duration::from_secs(10);

/// What a builder has asked for.
pub(crate) struct CpusSettings {
    pub(crate) reader: CpusReader,
    /// The number of processors follows that of the CPUs, up to this. `None`: it does not.
    pub(crate) followed_up_to: Option<usize>,
    /// Whether standard error is told what throttling costs.
    pub(crate) says_throttling: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct CpusWatch {
    /// Cleared by [`CpusWatch::set_by_user`], read by [`CpusWatch::look`], both under the lock of
    /// whoever changes the number of processors, which orders them. Set before the runtime has
    /// threads. Hence `Relaxed`.
    is_followed: AtomicBool,
    /// `None` before the first runtime.
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    /// `None`: the runtime has ended. What was counted stays.
    reader: Option<CpusReader>,
    followed_up_to: usize,
    /// The next look of the monitor.
    due: Instant,
    /// How long the last look took.
    took: Duration,
    throttled: Throttled,
    /// When that was read last.
    read: Option<Instant>,
    says_throttling: bool,
}

impl CpusWatch {
    /// A runtime begins. None of its threads has started.
    pub(super) fn begin(&self, wanted: CpusSettings) {
        let is_followed = wanted.followed_up_to.is_some();
        self.is_followed.store(is_followed, Ordering::Relaxed);
        *self.state.lock() = Some(State {
            reader: Some(wanted.reader),
            followed_up_to: wanted.followed_up_to.unwrap_or(0),
            due: clock::now(),
            took: Duration::ZERO,
            throttled: Throttled::default(),
            read: None,
            says_throttling: wanted.says_throttling,
        });
    }

    /// It has ended.
    pub(super) fn forget(&self) {
        if let Some(state) = &mut *self.state.lock() {
            state.reader = None;
        }
    }

    /// Step 2, at the end of the round that began at `now`.
    pub(super) fn look(&self, shared: &'static Shared, now: Instant) {
        // Who asks for figures may have it. Then the next round looks.
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        let Some(state_now) = state.as_mut().filter(|state| state.due <= now) else {
            return;
        };
        let is_followed = self.is_followed.load(Ordering::Relaxed);
        if !is_followed && !state_now.wants_throttling() {
            return;
        }
        let begin = clock::now();
        let wanted = state_now.read_limits(is_followed);
        state_now.look_at_throttling(shared.num_processors());
        let end = clock::now();
        let took = end.saturating_duration_since(begin);
        let before = std::mem::replace(&mut state_now.took, took);
        state_now.due = end + pause_after(took, before);
        drop(state);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != shared.num_processors()) {
            // Step 3. An error: the runtime has shut down.
            let agreed = || self.is_followed.load(Ordering::Relaxed);
            let _ = shared.set_num_processors(wanted, agreed);
        }
    }

    /// Step 4.
    pub(super) fn set_by_user(&self, shared: &'static Shared, wanted: usize) -> io::Result<()> {
        shared.set_num_processors(wanted, || {
            self.is_followed.store(false, Ordering::Relaxed);
            true
        })
    }

    /// What throttling there was since the runtime began, at most a second ago.
    pub(super) fn throttling(&self) -> Option<Throttling> {
        let mut state = self.state.lock();
        let state = state.as_mut()?;
        let now = clock::now();
        let is_old = |read: Instant| now.saturating_duration_since(read) >= PERIOD;
        if state.read.is_none_or(is_old) {
            state.read_limits(false);
            state.read_throttling(now);
        }
        state.throttled.sum()
    }
}

impl State {
    /// Whether something follows from a look at it. The first one begins the count.
    fn wants_throttling(&self) -> bool {
        self.says_throttling || self.read.is_none()
    }

    /// How many processors there should be. `None`: the runtime does not follow, or has ended.
    fn read_limits(&mut self, is_followed: bool) -> Option<usize> {
        let reader = self.reader.as_mut()?;
        if !is_followed {
            reader.read();
            return None;
        }
        Some(reader.available().min(self.followed_up_to).max(1))
    }

    /// After the limits.
    fn read_throttling(&mut self, now: Instant) {
        if let Some(reader) = &self.reader {
            let throttling = reader.throttling();
            self.throttled.add(reader.throttled_group(), throttling);
            self.read = Some(now);
        }
    }

    /// By the monitor: takes the figures, and says what throttling costs if it is much.
    fn look_at_throttling(&mut self, processors: usize) {
        let now = clock::now();
        self.read_throttling(now);
        let quota = self.reader.as_ref().and_then(CpusReader::quota);
        let Some(cost) = self.throttled.look(now, processors, quota) else {
            return;
        };
        if let Some(quota) = quota.filter(|_| std::mem::take(&mut self.says_throttling)) {
            let line = throttled::line(cost, quota, processors);
            stderr::say(format_args!("{line}"));
        }
    }
}

/// How long it is from the end of a look that has taken so long, as the one before it did, to the
/// next one. The shorter counts: a thread that is stopped in the middle of a look, just where the
/// quota is used up, says nothing of the files.
fn pause_after(took: Duration, before: Duration) -> Duration {
    let took = took.min(before);
    took.saturating_mul(COST).clamp(PERIOD, LONGEST_PERIOD)
}
