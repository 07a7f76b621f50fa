//! Wakers that are not known to be our own, and may block: they are called after all others, and
//! not by the monitor.
//!
//! # What it guarantees
//!
//! No foreign waker holds up another waker that is due with it. The monitor calls wakers of our own
//! only ([`crate::tasks::wakers`]), so no foreign one holds up retakes, timers and reports. A
//! foreign one is called soon all the same, also while every worker is stuck.
//!
//! # Protocol
//!
//! 1. Who has found wakers due calls those of our own, and puts the others into a list.
//! 2. A worker calls what is in the list, then and whenever it looks beyond its own queue. The
//!    monitor sends a job to the blocking pool, which does.
//! 3. Whoever calls one has taken that one alone out of the list. So one that blocks does not keep
//!    those behind it.
//! 4. If the list is not empty for [`LATE`] rounds, all who could have called them are stuck: the
//!    monitor starts a thread for them. If none can be started it tries again [`LATE`] rounds
//!    later.
//! 5. Who closes the scheduler calls what is left.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use super::Shared;
use super::lifecycle::blocking_job::BlockingJob;
use crate::blocking::Job;
use crate::scheduler::lifecycle::threads::Context;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::tasks::{self, wakers};

/// Rounds of the monitor, of a millisecond each.
const LATE: u32 = 10;

#[derive(Debug, Default)]
pub(super) struct ForeignWakers {
    list: Mutex<VecDeque<Waker>>,
    /// How many there are. Written under the lock, read without it as a hint: `Relaxed`. A worker
    /// that misses one comes again.
    count: AtomicUsize,
}

impl ForeignWakers {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    fn put(&self, wakers: Vec<Waker>) {
        let mut list = self.list.lock();
        list.extend(wakers);
        self.count.store(list.len(), Ordering::Relaxed);
    }

    fn take(&self) -> Option<Waker> {
        let mut list = self.list.lock();
        let waker = list.pop_front();
        self.count.store(list.len(), Ordering::Relaxed);
        if list.is_empty() {
            // What one large batch took is given back.
            drop(mem::take(&mut *list));
        }
        waker
    }
}

impl Shared {
    /// Step 1. True: there were others.
    pub(super) fn call_own_wakers(&self, wakers: &mut Vec<Waker>) -> bool {
        let mut foreign = Vec::new();
        for waker in wakers.drain(..) {
            match wakers::is_own(&waker) {
                true => tasks::catch_panic(|| waker.wake()),
                false => foreign.push(waker),
            }
        }
        let any = !foreign.is_empty();
        if any {
            self.services.foreign_wakers.put(foreign);
        }
        any
    }

    /// Steps 1 and 2, for whoever may block. A panic in one of them harms neither the others nor
    /// this thread.
    pub(super) fn call_wakers(&self, wakers: &mut Vec<Waker>) {
        if self.call_own_wakers(wakers) {
            self.call_foreign_wakers();
        }
    }

    /// Steps 1 and 2 for the monitor.
    pub(super) fn call_or_defer_wakers(&'static self, wakers: &mut Vec<Waker>) {
        if !self.call_own_wakers(wakers) {
            return;
        }
        if let Some(pool) = self.blocking() {
            // Only if no thread can be started does a job come back, and perhaps another's. It ends
            // here.
            if let Err((job, _)) = pool.submit(BlockingJob::Wakers(self)) {
                job.cancel();
            }
        }
    }

    /// Calls what was left, one by one.
    pub(super) fn call_foreign_wakers(&self) {
        while let Some(waker) = self.services.foreign_wakers.take() {
            tasks::catch_panic(|| waker.wake());
        }
    }

    /// Monitor, in each round: step 4. `rounds` counts those in which there were any.
    pub(super) fn check_foreign_wakers(&'static self, rounds: &mut u32) {
        if self.services.foreign_wakers.is_empty() {
            *rounds = 0;
            return;
        }
        *rounds += 1;
        if *rounds == LATE {
            *rounds = 0;
            if let Ok(settings) = self.settings() {
                let _ = self.start_thread(&settings, Context::Needed, move || {
                    self.call_foreign_wakers()
                });
            }
        }
    }
}
