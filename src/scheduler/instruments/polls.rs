//! Polls, observed.

use std::time::Duration;

use super::{DETAILS, HISTOGRAMS, HOOKS, Hooks, TIMELINE};
use crate::clock;
use crate::scheduler::processor::Processor;
use crate::scheduler::{Shared, this_thread};
use crate::tasks::{self, Runnable};
use crate::timeline::{Kind, stamp};

impl Shared {
    /// Polls a task while instruments are on. `chain`: when the last observed poll of this worker ended, if it has done
    /// nothing since; zero, if it has.
    #[inline]
    pub(crate) fn poll_observed(
        &'static self,
        runnable: Runnable,
        poll: impl FnOnce(Runnable) -> tasks::Polled,
        chain: u64,
    ) -> u64 {
        let on = self.observers.instruments.on();
        let poll = |runnable| {
            let polled = poll(runnable);
            self.abort_if_forked();
            polled
        };
        if on == TIMELINE {
            self.poll_on_timeline(runnable, poll, chain)
        } else {
            self.poll_measured(on, runnable, poll, chain)
        }
    }

    /// With more than the timeline. Out of the way of the other, which is what a recording costs.
    #[inline(never)]
    fn poll_measured(
        &'static self,
        on: u8,
        runnable: Runnable,
        poll: impl FnOnce(Runnable) -> tasks::Polled,
        chain: u64,
    ) -> u64 {
        let tag = runnable.metadata().tag();
        let hooks = match on & HOOKS {
            0 => None,
            _ => self.hooks(),
        };
        let meta = hooks.as_ref().map(|_| Hooks::meta(tag));
        let told = hooks.as_deref().zip(meta.as_ref());
        if let Some((hooks, meta)) = told {
            Hooks::call(&hooks.before_poll, meta);
        }
        let is_chained = chain != 0 && told.is_none();
        let begin = if is_chained { chain } else { stamp::now() };
        if !is_chained && on & TIMELINE != 0 {
            let written = this_thread::with_core(self, |core| {
                self.write(Some(core), Kind::Begin, tag, begin)
            });
            if written.is_none() {
                self.write(None, Kind::Begin, tag, begin);
            }
        }
        let waited = match on & HISTOGRAMS {
            0 => None,
            _ => (self.observers.instruments.latencies.polled(tag))
                .map(|at| begin.saturating_sub(at)),
        };
        let number = match on & DETAILS {
            0 => 0,
            _ => self
                .observers
                .instruments
                .details
                .poll_begins(tag, clock::now()),
        };
        let polled = poll(runnable);
        let end = stamp::now();
        let kind = if polled.has_ended {
            Kind::Done
        } else {
            Kind::End
        };
        let held = this_thread::with_core(self, |core| {
            if on & TIMELINE != 0 {
                self.write(Some(core), kind, tag, end);
            }
            if on & HISTOGRAMS != 0 {
                core.processor.record(
                    stamp::nanos(end.saturating_sub(begin)),
                    waited.map(stamp::nanos),
                );
            }
        });
        if held.is_none() && on & TIMELINE != 0 {
            self.write(None, kind, tag, end);
        }
        if on & DETAILS != 0 {
            let details = &self.observers.instruments.details;
            match polled.has_ended {
                true => details.finished(tag),
                false => {
                    let lasted = Duration::from_nanos(stamp::nanos(end.saturating_sub(begin)));
                    details.poll_ends(tag, number, lasted, polled.is_queued);
                }
            }
        }
        if let Some((hooks, meta)) = told {
            Hooks::call(&hooks.after_poll, meta);
            if polled.has_ended {
                Hooks::call(&hooks.terminated, meta);
            }
        }
        match held {
            Some(()) => end,
            None => 0,
        }
    }

    /// With the timeline alone.
    #[inline]
    fn poll_on_timeline(
        &'static self,
        runnable: Runnable,
        poll: impl FnOnce(Runnable) -> tasks::Polled,
        chain: u64,
    ) -> u64 {
        let tag = runnable.metadata().tag();
        if chain == 0 {
            let begin = stamp::now();
            let written = this_thread::with_core(self, |core| {
                self.write(Some(core), Kind::Begin, tag, begin);
            });
            if written.is_none() {
                self.write(None, Kind::Begin, tag, begin);
            }
        }
        let polled = poll(runnable);
        let end = stamp::now();
        let kind = if polled.has_ended {
            Kind::Done
        } else {
            Kind::End
        };
        match this_thread::with_core(self, |core| self.write(Some(core), kind, tag, end)) {
            Some(()) => end,
            None => {
                self.write(None, kind, tag, end);
                0
            }
        }
    }

    /// Polls a task on a thread that is no worker, or to end it.
    #[inline]
    pub(crate) fn poll_off_processor(
        &'static self,
        runnable: Runnable,
        poll: fn(Runnable) -> tasks::Polled,
    ) {
        if self.observers.instruments.on() == 0 {
            poll(runnable);
        } else {
            self.poll_observed(runnable, poll, 0);
        }
    }
}

impl Processor {
    /// Its holder has measured a poll, and how long its task had waited for it.
    fn record(&self, poll: u64, waited: Option<u64>) {
        let times = self.journal.times();
        times.polls.record(poll);
        if let Some(waited) = waited {
            times.waits.record(waited);
        }
    }
}
