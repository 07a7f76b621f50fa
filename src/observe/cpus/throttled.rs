//! What throttling there has been since a runtime began, and what it costs.
//!
//! # Whose
//!
//! The kernel counts for each group, since the group was made. What is told here is the sum of what
//! each reading adds to the one before it. A reading of another group than the last (the process
//! was moved, or another group has the lowest quota now) adds nothing: the difference of two groups'
//! counts says nothing. So the sums never fall.
//!
//! # What it costs
//!
//! The kernel counts for how long threads that could run were stopped, as a sum over CPUs. In
//! relation to the time of all processors that is the share of its time that a busy processor was
//! stopped for; it is more than the whole where other threads, as of blocking jobs, were stopped,
//! too. It is taken over [`WINDOW`] or more: readings come when the monitor has a round, and who is
//! idle is not throttled.
//!
//! When the number of processors or the quota changes, the window begins again: what so many were
//! stopped for says nothing of another number.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Instant;
use crate::machine::{Quota, Throttling};

/// Shorter bursts are what a quota is for.
const WINDOW: Duration = Duration::from_secs(10);

/// A greater share is said. A program that is stopped for less has a tail of its latencies that
/// others would not call an error.
const MUCH: f64 = 0.1;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Throttled {
    /// The last reading, and of which group it was.
    last: Option<(PathBuf, Throttling)>,
    sum: Option<Throttling>,
    /// How many processors there were at the last look, and with which quota.
    setting: Option<(usize, Option<Quota>)>,
    /// Sums at the monitor's looks: the latest that is older than the window, and those since. All
    /// with the same setting.
    looks: VecDeque<(Instant, Duration)>,
}

/// What throttling has cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    /// For how long threads were stopped, summed over CPUs.
    pub(super) stopped: Duration,
    pub(super) within: Duration,
}

impl Throttled {
    /// A reading of this group. `None`: there is nothing to read.
    pub(super) fn add(&mut self, group: Option<&Path>, reading: Option<Throttling>) {
        let (Some(group), Some(now)) = (group, reading) else {
            return;
        };
        let sum = self.sum.get_or_insert_default();
        match &mut self.last {
            Some((last_group, last)) if last_group == group => {
                sum.periods += now.periods.saturating_sub(last.periods);
                sum.throttled += now.throttled.saturating_sub(last.throttled);
                sum.duration += now.duration.saturating_sub(last.duration);
                *last = now;
            }
            last => *last = Some((group.to_owned(), now)),
        }
    }

    /// Since the first reading. `None`: there was nothing to read.
    pub(super) fn sum(&self) -> Option<Throttling> {
        self.sum
    }

    /// The monitor looks, while there are so many processors and this quota. What throttling costs, if
    /// that is much.
    pub(super) fn look(
        &mut self,
        now: Instant,
        processors: usize,
        quota: Option<Quota>,
    ) -> Option<Cost> {
        let stopped = self.sum?.duration;
        if self.setting.replace((processors, quota)) != Some((processors, quota)) {
            self.looks.clear();
        }
        self.looks.push_back((now, stopped));
        let age = |at: Instant| now.saturating_duration_since(at);
        while self.looks.get(1).is_some_and(|(at, _)| age(*at) >= WINDOW) {
            self.looks.pop_front();
        }
        let (begin, before) = *self.looks.front()?;
        if age(begin) < WINDOW {
            return None;
        }
        let cost = Cost {
            stopped: stopped.saturating_sub(before),
            within: age(begin),
        };
        let all = cost.within.as_secs_f64() * processors as f64;
        (cost.stopped.as_secs_f64() > MUCH * all).then_some(cost)
    }
}

/// What is said of it.
pub(super) fn line(cost: Cost, quota: Quota, processors: usize) -> impl fmt::Display {
    let (stopped, within) = (cost.stopped.as_secs_f64(), cost.within.as_secs_f64());
    let what_to_do = if processors > quota.whole_cpus() {
        "fewer worker threads would not use it up (Builder::follow_cpu_quota, Handle::set_worker_threads), or a higher quota helps"
    } else {
        "other threads, or other processes of the cgroup, use it up, too: a higher quota helps, or less work there"
    };
    let threads = if processors == 1 { "thread" } else { "threads" };
    format!(
        "the kernel has stopped this process for {stopped:.1} s of CPU time in the last {within:.0} s, since its CPU quota of {quota} \
         was used up; the runtime has {processors} worker {threads}: {what_to_do} (EXECUTOR_DEBUG=stall=0 silences this)"
    )
}
