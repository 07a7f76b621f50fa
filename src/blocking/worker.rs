//! A thread of the blocking pool: its start, its search for jobs, its wait and its end. The [parent
//! module](super) numbers the steps.

use std::{io, time::Duration};

use super::{CALLED, COVERED, HURRY, IdleThread, Job, Ledger, OPEN, Shared, WATCH};
use crate::clock;
use crate::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
    step,
};

/// Starts a thread. The ledger counts it already, and it holds the call.
pub(super) fn start<J: Job>(shared: &Arc<Shared<J>>) -> io::Result<()> {
    let place = Place {
        shared: shared.clone(),
        left: false,
    };
    // The spawner drops the body if it fails, and the new thread drops it if a start hook panics.
    // After a failure this function takes `place` back, so that the submitter gets its job. After a
    // panic the drop of `place` cleans up.
    let slot = Arc::new(Mutex::new(Some(place)));
    let body = {
        let slot = slot.clone();
        move || {
            let place = slot.lock().take();
            if let Some(place) = place {
                place.work();
            }
        }
    };
    let started = (shared.config.spawner)(Box::new(body));
    if started.is_err() {
        let place = slot.lock().take();
        if let Some(mut place) = place {
            place.left = true;
        }
    }
    started
}

/// One thread in the ledger's count. It is uncounted exactly once, however the thread ends.
struct Place<J: Job> {
    shared: Arc<Shared<J>>,
    left: bool,
}

impl<J: Job> Drop for Place<J> {
    fn drop(&mut self) {
        if !self.left {
            self.shared.uncount_lost().into_iter().for_each(J::cancel);
        }
    }
}

impl<J: Job> Place<J> {
    /// The loop of a pool thread.
    fn work(mut self) {
        let shared = self.shared.clone();
        let thread = Arc::new(IdleThread {
            bell: Condvar::new(),
            called: AtomicBool::new(false),
        });
        step();
        let mut next = Shared::next_job(&shared, &thread, Arrival::Called);
        while let Some(job) = next {
            step();
            job.run();
            step();
            next = match shared.take() {
                Some(job) => Some(job),
                None => {
                    step();
                    Shared::next_job(&shared, &thread, Arrival::Working)
                }
            };
        }
        self.left = true;
    }
}

/// Why a thread comes to the ledger.
#[derive(Clone, Copy, PartialEq)]
enum Arrival {
    /// It holds the call.
    Called,
    /// It holds the call, after a turn on watch.
    Watched,
    /// It has worked and sees no more jobs.
    Working,
    /// Its keep-alive has expired.
    Expired,
}

impl Arrival {
    fn holds_call(self) -> bool {
        matches!(self, Arrival::Called | Arrival::Watched)
    }
}

impl<J: Job> Shared<J> {
    fn take(&self) -> Option<J> {
        let job = self.queue.pop().ok()?;
        self.taken.fetch_add(1, Relaxed);
        Some(job)
    }

    /// Returns the next job; waits for one. `None`: the thread has left the ledger.
    fn next_job(shared: &Arc<Self>, thread: &Arc<IdleThread>, mut arrival: Arrival) -> Option<J> {
        let mut ledger = shared.ledger.lock();
        loop {
            if arrival.holds_call() && shared.keeps_up(&ledger, arrival) {
                (ledger, arrival) = shared.watch(ledger, thread);
                continue;
            }
            // Steps 4 and 6. If another thread holds the call, the state stays: that thread will
            // look after this one.
            if arrival.holds_call() || shared.call.load(Relaxed) == COVERED {
                shared.call.store(OPEN, Relaxed);
            }
            // Pairs with the fence in `submit`.
            fence(SeqCst);
            if let Some(job) = shared.take() {
                // Step 5.
                if shared.call.load(Relaxed) == OPEN && !shared.queue.is_empty() {
                    let handed_back = Shared::call_next(shared, ledger);
                    debug_assert!(handed_back.is_none(), "this thread is left to run it");
                }
                return Some(job);
            }
            let keep_alive = shared.config.keep_alive;
            if ledger.shutdown || arrival == Arrival::Expired || keep_alive.is_zero() {
                shared.uncount(&mut ledger);
                return None;
            }
            let called;
            (ledger, called) = wait(ledger, thread, keep_alive);
            arrival = if called {
                Arrival::Called
            } else {
                Arrival::Expired
            };
        }
    }

    /// Steps 9 and 10: whether the working threads keep up with the queue, so that one more is not
    /// worth the start of another after it.
    fn keeps_up(&self, ledger: &Ledger, arrival: Arrival) -> bool {
        let backlog = self.queue.len();
        // With one job, no further thread has to start. With an idle thread, or at the limit, none
        // would.
        let must_start = backlog > 1
            && ledger.idle.is_empty()
            && ledger.threads < self.config.max_threads
            && !ledger.shutdown;
        if !must_start || self.config.keep_alive.is_zero() {
            return false;
        }
        let moved = self.taken.load(Relaxed).wrapping_sub(ledger.mark);
        match arrival {
            Arrival::Watched => moved >= backlog,
            _ => moved >= HURRY,
        }
    }

    /// One turn on watch.
    fn watch<'a>(
        &self,
        mut ledger: MutexGuard<'a, Ledger>,
        thread: &Arc<IdleThread>,
    ) -> (MutexGuard<'a, Ledger>, Arrival) {
        ledger.mark = self.taken.load(Relaxed);
        self.call.store(COVERED, Relaxed);
        let (ledger, called) = wait(ledger, thread, WATCH);
        let arrival = if called {
            Arrival::Called
        } else if self.call.load(Relaxed) == CALLED {
            // A thread became idle meanwhile and was called: it looks after the queue.
            Arrival::Working
        } else {
            self.call.store(CALLED, Relaxed);
            Arrival::Watched
        };
        (ledger, arrival)
    }
}

/// Step 7: waits on the idle stack until a call (true) or for `limit` (false; the thread has then
/// taken itself off the stack).
fn wait<'a>(
    mut ledger: MutexGuard<'a, Ledger>,
    thread: &Arc<IdleThread>,
    limit: Duration,
) -> (MutexGuard<'a, Ledger>, bool) {
    thread.called.store(false, Relaxed);
    ledger.idle.push(thread.clone());
    // The real clock, not the scheduler's, since an OS thread waits. `None`: later than the clock
    // can express.
    let deadline = clock::now().checked_add(limit);
    while !thread.called.load(Relaxed) {
        let Some(deadline) = deadline else {
            ledger = thread.bell.wait(ledger);
            continue;
        };
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            ledger.idle.retain(|other| !Arc::ptr_eq(other, thread));
            return (ledger, false);
        }
        ledger = thread.bell.wait_timeout(ledger, left);
    }
    (ledger, true)
}
