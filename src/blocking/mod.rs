//! The `spawn_blocking` pool: threads that run jobs which may block for any time.
//!
//! # What it guarantees
//! - Every accepted job is run or cancelled, exactly once. A refused job is returned to its
//!   submitter.
//! - Below the thread limit a queued job never waits for a running one: jobs may wait for each
//!   other.
//! - While a thread is already on its way to the queue, submitting costs a push, a fence and a
//!   load.
//!
//! # States
//! A thread is *idle* (parked, on the stack `Ledger::idle`), *called* (taken off the stack, or
//! started, and not yet back at the queue) or *working*. At most one thread is called at a time.
//! [`Shared::call`] holds the state of the **call**:
//!
//! | state | responsible for a queued job | `submit` |
//! |---|---|---|
//! | `OPEN` | its submitter | takes the ledger's lock and calls a thread |
//! | `CALLED` | the called thread, once it reaches the queue | does nothing |
//! | `COVERED` | the working threads, or the one *on watch*: all threads work and the limit is reached, or a thread is on watch, so no call would help | does nothing |
//!
//! The state is written under the ledger's lock only, and read without it. All counts are in the
//! ledger, and are exact.
//!
//! # Protocol
//! Submitting ([`Pool::submit`]):
//!
//! 1. Push the job. A closed queue refuses it (after shutdown), so nothing is pushed after the last
//!    look of step 12.
//! 2. Fence, then read the state. If it is not `OPEN`: done.
//! 3. Lock the ledger and read the state again (`call_if_open`). Call a thread (`call_next`): the
//!    idle thread that parked last, or else, below the limit, a new one, or else write `COVERED`. A
//!    new thread counts from this moment, under the lock, so two submitters at `max - 1` cannot
//!    both start one.
//!
//! A called thread, back at the queue, under the lock (`next_job`):
//!
//! 4. Write `OPEN`, fence, take a job. If a submitter's fence of step 2 comes before this fence,
//!    this thread sees its job; if it comes after, the submitter sees `OPEN`. Without the two
//!    fences, a job pushed after this look would wait beside idle threads.
//! 5. If the queue is still not empty, pass the call on as in step 3, before running the job.
//!    Otherwise, jobs that all wait for a queued one would occupy every thread. (This makes a
//!    chain: one wake-up is in flight at a time, and no submitter pays for more than one.)
//!
//! A working thread takes jobs without the lock until it sees none. Then, under the lock
//! (`next_job`):
//!
//! 6. Turn `COVERED` into `OPEN`, since this thread becomes free. Fence, and look once more (the
//!    pair of step 4). If there is a job, work on.
//! 7. Otherwise go onto the stack, and wait on this thread's own condition variable (`wait`). The
//!    stack decides a race between time-out and call: the side that takes the thread off the stack,
//!    under the lock, came first. A called thread never times out.
//! 8. After a time-out do as in step 6. If there is still no job, leave the ledger under the same
//!    lock. If a job is pushed at that moment, either this thread sees it, or its submitter finds
//!    `OPEN` and a count without this thread.
//!
//! The watch keeps a burst of short jobs from starting a thread for each. It applies below the
//! limit, when no thread is idle and more than one job is queued:
//!
//! 9. If a called thread sees that the queue moves ([`HURRY`]), it does not take a job, since it
//!    would have to start another thread first (step 5). It writes `COVERED` and waits on the stack
//!    for [`WATCH`].
//! 10. If the backlog is then larger than the number of jobs taken meanwhile, it goes on with steps
//!     4 and 5; otherwise it watches again. So the pool notices within `WATCH` that jobs block all
//!     threads, without a monitor. With a zero keep-alive there is no watch, and nothing here
//!     depends on time.
//!
//! Failures and the end:
//!
//! 11. A thread cannot be started, or ends before it began: uncount it, write `OPEN`, fence, look
//!     (`uncount_lost`). If a job is queued (its submitter may have seen `CALLED`), call an idle
//!     thread if there is one. If no thread is left at all, return one job to the submitter and
//!     cancel the others. Otherwise the working threads will take the job, and the next submit or
//!     [`Pool::tick`] tries again.
//! 12. Shutdown: close the queue, mark the ledger (no thread is started from now on), call all idle
//!     threads, cancel the queued jobs. Either a thread or this loop pops a job, never both.
//!
//! # What it does not do
//! It catches no panics and knows no futures; the job handles both. It does not stop a job that has
//! begun.

mod worker;

#[cfg(test)]
mod tests;

use std::{io, iter, mem, time::Duration};

use concurrent_queue::ConcurrentQueue;
use crossbeam_utils::CachePadded;

use crate::clock::{self, Instant};
use crate::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{
        AtomicBool, AtomicU8, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
};

/// If at least this many jobs were taken while a thread was on its way (about 50 µs), a job is
/// shorter than the start of a thread, and another thread would not help.
const HURRY: usize = 4;

/// How long a thread on watch sleeps: the time that a job may wait when other jobs block every
/// thread. It is ten thread starts, so a burst of short jobs adds at most one thread in the time of
/// ten.
const WATCH: Duration = Duration::from_micros(500);

/// No thread is on its way: a submitter must call one.
const OPEN: u8 = 0;
/// A thread is on its way and will look at the queue.
const CALLED: u8 = 1;
/// A call would not help: the limit is reached, or a thread is on watch.
const COVERED: u8 = 2;

/// What the pool runs. Neither method may unwind.
pub(crate) trait Job: Send + 'static {
    /// Called on a pool thread.
    fn run(self);
    /// Called if the pool was shut down before the job began, or no thread could be started for it.
    fn cancel(self);
}

/// Starts an OS thread that runs the given body. An error means that the body will never run. The
/// pool holds no lock when it calls this.
pub(crate) type Spawner = Box<dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

pub(crate) struct Config {
    pub(crate) max_threads: usize,
    /// How long a thread without work stays; with zero it ends at once.
    pub(crate) keep_alive: Duration,
    pub(crate) spawner: Spawner,
}

/// The pool. Its threads keep the shared part alive.
pub(crate) struct Pool<J: Job> {
    shared: Arc<Shared<J>>,
}

struct Shared<J: Job> {
    queue: ConcurrentQueue<J>,
    /// `OPEN`, `CALLED` or `COVERED`. Written under the ledger's lock (`call_next`, `ring`,
    /// `next_job`, `watch`, `uncount_lost`); read by `submit` and `tick` without it. After each
    /// store of `OPEN` come a SeqCst fence and a look at the queue. They pair with the push and the
    /// fence in `submit`, so the accesses themselves are relaxed.
    call: CachePadded<AtomicU8>,
    /// Number of jobs taken so far (wraps). Every thread that takes a job adds one (`take`);
    /// `call_next`, `keeps_up` and `watch` read it to estimate speed. It orders nothing: relaxed.
    taken: CachePadded<AtomicUsize>,
    ledger: Mutex<Ledger>,
    /// Notified when the last thread has left.
    ended: Condvar,
    config: Config,
}

struct Ledger {
    /// Threads that are running or being started.
    threads: usize,
    /// Idle threads. The one that parked last is on top, so that the lower ones time out and end.
    idle: Vec<Arc<IdleThread>>,
    /// Value of `taken` when the last call was made or the watch began.
    mark: usize,
    shutdown: bool,
}

/// What an idle thread waits on.
struct IdleThread {
    /// The thread waits here with the ledger's lock.
    bell: Condvar,
    /// True once a call or the shutdown has taken the thread off the idle stack. Written by `wait`,
    /// `ring` and `shutdown`, read by `wait`, all under the ledger's lock: relaxed.
    called: AtomicBool,
}

impl<J: Job> Pool<J> {
    pub(crate) fn new(config: Config) -> Arc<Pool<J>> {
        let shared = Arc::new(Shared {
            queue: ConcurrentQueue::unbounded(),
            call: CachePadded::new(AtomicU8::new(OPEN)),
            taken: CachePadded::new(AtomicUsize::new(0)),
            ledger: Mutex::new(Ledger {
                threads: 0,
                idle: Vec::new(),
                mark: 0,
                shutdown: false,
            }),
            ended: Condvar::new(),
            config,
        });
        Arc::new(Pool { shared })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// The pool is shut down, or it has no thread and none can be started. In the second case the
    /// returned job may be that of another submitter that met the same failure. The caller cancels
    /// whatever job it gets.
    pub(crate) fn submit(&self, job: J) -> Result<(), (J, io::Error)> {
        if let Err(refused) = self.shared.queue.push(job) {
            let error = io::Error::other("the runtime has shut down");
            return Err((refused.into_inner(), error));
        }
        // Step 2: orders the push before the load. Pairs with the fence after each store of OPEN.
        fence(SeqCst);
        if self.shared.call.load(Relaxed) != OPEN {
            return Ok(());
        }
        match Shared::call_if_open(&self.shared) {
            Some(handed_back) => Err(handed_back),
            None => Ok(()),
        }
    }

    /// Tries again to start a thread after a failure. Cheap when nothing is queued.
    pub(crate) fn tick(&self) {
        if self.shared.queue.is_empty() || self.shared.call.load(Relaxed) != OPEN {
            return;
        }
        if let Some((job, _)) = Shared::call_if_open(&self.shared) {
            job.cancel();
        }
    }

    /// Accepts no more jobs, cancels those that have not begun, and lets idle threads end.
    pub(crate) fn shutdown(&self) {
        let shared = &self.shared;
        shared.queue.close();
        let mut ledger = shared.ledger.lock();
        ledger.shutdown = true;
        let idle = mem::take(&mut ledger.idle);
        for thread in &idle {
            thread.called.store(true, Relaxed);
        }
        drop(ledger);
        for thread in idle {
            thread.bell.notify_one();
        }
        while let Ok(job) = shared.queue.pop() {
            job.cancel();
        }
    }

    /// Call it after [`shutdown`](Self::shutdown). Waits until every thread has left; false if the
    /// deadline passed first. A job of this pool must not call it without a deadline: it would wait
    /// for itself.
    pub(crate) fn wait_idle(&self, deadline: Option<Instant>) -> bool {
        let mut ledger = self.shared.ledger.lock();
        while ledger.threads > 0 {
            let Some(deadline) = deadline else {
                ledger = self.shared.ended.wait(ledger);
                continue;
            };
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                return false;
            }
            ledger = self.shared.ended.wait_timeout(ledger, left);
        }
        true
    }

    pub(crate) fn num_threads(&self) -> usize {
        self.shared.ledger.lock().threads
    }

    pub(crate) fn num_idle_threads(&self) -> usize {
        self.shared.ledger.lock().idle.len()
    }

    pub(crate) fn queue_depth(&self) -> usize {
        self.shared.queue.len()
    }
}

impl<J: Job> Shared<J> {
    /// Step 3, from outside the pool. Returns a job if there is no thread to run it.
    #[cold]
    fn call_if_open(shared: &Arc<Self>) -> Option<(J, io::Error)> {
        let ledger = shared.ledger.lock();
        if shared.call.load(Relaxed) != OPEN || shared.queue.is_empty() {
            return None;
        }
        Shared::call_next(shared, ledger)
    }

    /// Calls one more thread. The state must be `OPEN`, or the calling thread must itself be the
    /// called one.
    fn call_next(shared: &Arc<Self>, mut ledger: MutexGuard<'_, Ledger>) -> Option<(J, io::Error)> {
        if ledger.shutdown {
            return None;
        }
        ledger.mark = shared.taken.load(Relaxed);
        if let Some(thread) = ledger.idle.pop() {
            shared.ring(ledger, &thread);
            return None;
        }
        if ledger.threads >= shared.config.max_threads {
            shared.call.store(COVERED, Relaxed);
            return None;
        }
        ledger.threads += 1;
        shared.call.store(CALLED, Relaxed);
        drop(ledger);
        let error = worker::start(shared).err()?;
        let mut lost = shared.uncount_lost().into_iter();
        let handed_back = lost.next();
        lost.for_each(J::cancel);
        Some((handed_back?, error))
    }

    /// Wakes a thread that the caller has just taken off the stack.
    fn ring(&self, ledger: MutexGuard<'_, Ledger>, thread: &IdleThread) {
        self.call.store(CALLED, Relaxed);
        thread.called.store(true, Relaxed);
        drop(ledger);
        thread.bell.notify_one();
    }

    /// Step 11, for a thread that never reached the queue, or left a job by unwinding. Returns the
    /// jobs that no thread is left to run.
    fn uncount_lost(&self) -> Vec<J> {
        let mut ledger = self.ledger.lock();
        self.uncount(&mut ledger);
        self.call.store(OPEN, Relaxed);
        fence(SeqCst);
        if self.queue.is_empty() {
            return Vec::new();
        }
        if let Some(thread) = ledger.idle.pop() {
            self.ring(ledger, &thread);
            return Vec::new();
        }
        if ledger.threads > 0 {
            return Vec::new();
        }
        iter::from_fn(|| self.queue.pop().ok()).collect()
    }

    fn uncount(&self, ledger: &mut Ledger) {
        ledger.threads -= 1;
        if ledger.threads == 0 {
            self.ended.notify_all();
        }
    }
}
