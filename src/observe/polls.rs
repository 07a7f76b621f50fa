//! Polls, observed.

use std::time::Duration;

use super::details::Begun;
use super::hooks::Hooks;
use super::instruments::{DETAILS, HISTOGRAMS, HOOKS, Instruments, STACKS, TIMELINE};
use super::journal::Journal;
use super::timeline::{Kind, stamp};
use crate::clock;
use crate::scheduler::Shared;
use crate::scheduler::observer::Purpose;
use crate::tasks::{Polled, Priority, Runnable, capture};

impl Instruments {
    /// Polls a task while instruments are on. `last_poll_end`: when the last observed poll of this
    /// worker ended, if it has done nothing since; zero, if it has.
    #[inline]
    pub(super) fn poll(
        &self,
        shared: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        last_poll_end: u64,
    ) -> u64 {
        match shared.switches() {
            TIMELINE => self.record_poll(shared, runnable, purpose, last_poll_end),
            _ => self.measure_poll(shared, runnable, purpose, last_poll_end),
        }
    }

    /// With the timeline alone. What this costs is what a recording costs, so it is compiled
    /// without the others.
    #[inline(never)]
    fn record_poll(
        &self,
        shared: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        last_poll_end: u64,
    ) -> u64 {
        self.poll_with(TIMELINE, shared, runnable, purpose, last_poll_end)
    }

    /// With any.
    #[inline(never)]
    fn measure_poll(
        &self,
        shared: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        last_poll_end: u64,
    ) -> u64 {
        self.poll_with(shared.switches(), shared, runnable, purpose, last_poll_end)
    }

    /// With these.
    #[inline(always)]
    fn poll_with(
        &self,
        on: u8,
        shared: &'static Shared,
        runnable: Runnable,
        purpose: Purpose,
        last_poll_end: u64,
    ) -> u64 {
        let tag = runnable.metadata().tag();
        let told = match on & HOOKS {
            0 => None,
            _ => self
                .hooks_of(shared)
                .map(|hooks| (hooks, Hooks::meta(runnable.metadata()))),
        };
        if let Some((hooks, meta)) = &told {
            Hooks::call(&hooks.before_poll, meta);
        }
        let follows_on = last_poll_end != 0 && told.is_none();
        let begin = if follows_on {
            last_poll_end
        } else {
            stamp::now()
        };
        if on & TIMELINE != 0 && !follows_on {
            self.write(shared.records_here(), Kind::Begin, tag, begin);
        }
        if on & TIMELINE != 0 {
            let class = runnable.metadata().class().effective;
            if class != Priority::Normal {
                self.write(shared.records_here(), Kind::Class, class as u64, begin);
            }
        }
        let waited = match on & HISTOGRAMS {
            0 => None,
            _ => (self.latencies.polled(tag)).map(|at| stamp::nanos(begin.saturating_sub(at))),
        };
        let begun = match on & DETAILS {
            0 => Begun::default(),
            _ => self.details.poll_begins(tag, clock::now()),
        };
        let polled = match on & STACKS {
            0 => purpose.poll(runnable),
            _ => poll_recorded(shared, runnable, purpose),
        };
        shared.abort_if_forked();
        let end = stamp::now();
        let kind = match polled.has_ended {
            true => Kind::Done,
            false => Kind::End,
        };
        let lasted = || stamp::nanos(end.saturating_sub(begin));
        let records = shared.records_here();
        if on & TIMELINE != 0 {
            self.write(records, kind, tag, end);
        }
        if let Some(records) = records.filter(|_| on & HISTOGRAMS != 0) {
            Journal::of(records).measure_poll(lasted(), waited);
        }
        if on & DETAILS != 0 {
            match polled.has_ended {
                true => self.details.finished(tag),
                false => {
                    let lasted = Duration::from_nanos(lasted());
                    (self.details).poll_ends(tag, begun, lasted, polled.is_queued);
                }
            }
        }
        if let Some((hooks, meta)) = &told {
            Hooks::call(&hooks.after_poll, meta);
            if polled.has_ended {
                Hooks::call(&hooks.terminated, meta);
            }
        }
        records.map_or(0, |_| end)
    }
}

/// Keeps the clones of the task's waker in view.
fn poll_recorded(shared: &'static Shared, runnable: Runnable, purpose: Purpose) -> Polled {
    let tag = runnable.metadata().tag();
    let polled = capture::poll_recorded(runnable, purpose);
    if polled.has_ended {
        if let Some(leaves) = shared.registry.leaves() {
            leaves.finished(tag);
        }
    }
    polled
}
