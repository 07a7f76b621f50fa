//! The `spawn_blocking` pool: threads that run jobs which may block for as long as they like.
//!
//! # What it guarantees
//! - Every accepted job is run or cancelled, exactly once; a refused one is handed back.
//! - Below the thread limit a queued job never waits for a running one: jobs may wait for each other.
//! - Submitting while somebody is already on the way to the queue is a push, a fence and a load.
//!
//! # Words
//! A thread is *idle* (parked, on the idle stack), *called* (taken off the stack, or started, and not yet back at the
//! queue) or *working*. The **call** is a role: at most one thread is called at a time, and [`Shared::call`] says so:
//!
//! | state | who answers for a queued job | submit |
//! |---|---|---|
//! | `OPEN` | its submitter | takes the ledger's lock and calls a thread |
//! | `CALLED` | the thread on its way, once it is there | does nothing |
//! | `COVERED` | no call would help: all threads work and the limit is reached, or one is *on watch* | does nothing |
//!
//! The state is written under the ledger's lock alone and read without it. All counts live in the ledger and are exact.
//!
//! # Protocol
//! Submit:
//! 1. Push the job. A closed queue refuses it (after shutdown), so nothing is pushed behind the last look of step 12.
//! 2. Fence, then read the state; not `OPEN`: done.
//! 3. Lock, look again, call: the youngest idle thread, else a new one below the limit, else write `COVERED`.
//!    The thread counts from this moment, under the lock: two submitters at `max - 1` cannot both start one.
//!
//! A called thread, back at the queue, under the lock:
//!
//! 4. Write `OPEN`, fence, take a job. A submitter whose step 2 came before this fence has its job seen here, one whose
//!    step 2 came after sees `OPEN`. Without the pair, a job pushed behind the look waits beside idle threads.
//! 5. Queue still not empty: pass the call on as in step 3, before the job runs. Without it, jobs which all wait for a
//!    queued one would hold every thread. (A chain: one wake-up in flight, and no submitter pays for more than one.)
//!
//! A working thread takes jobs without the lock until it sees none. Then, under the lock:
//!
//! 6. Turn `COVERED` into `OPEN` (it will be free), fence, look once more (the pair of step 4). Found: work on.
//! 7. Nothing: onto the stack, and wait on its own condition variable. Being on the stack decides a race between time-out
//!    and call: whoever takes the thread off it, under the lock, was first. A called thread never times out.
//! 8. Timed out: as 6, and if there is still nothing leave the ledger under the same lock. A job pushed at that moment is
//!    either seen, or its submitter finds `OPEN` and a count that no longer holds the thread.
//!
//! The watch (below the limit, none idle, more than one job queued), so that a burst of short jobs does not start a
//! thread for each:
//!
//! 9. A called thread that sees the queue moving ([`HURRY`]) does not take a job, for then it would have to start
//!    another thread first. It writes `COVERED` and waits for [`WATCH`] on the stack.
//! 10. Afterwards, if the backlog is larger than what was taken meanwhile, it takes part (steps 4, 5); else it watches on.
//!     So jobs that block all threads are noticed after `WATCH`, without a monitor. With a zero keep-alive there is
//!     no watch, and nothing here depends on time.
//!
//! Failures and the end:
//!
//! 11. A thread that cannot be started, or ends before it began: uncount it, write `OPEN`, fence, look. A job is there
//!     (its submitter may have seen `CALLED`): call an idle thread, if there is one; if no thread is left at all, hand one
//!     job back to the submitter and cancel the others; else the working threads will come to it, and the next
//!     submit or [`Pool::tick`] tries again.
//! 12. Shutdown: close the queue, mark the ledger (no thread is started any more), call all idle threads, cancel what is
//!     queued. A job is popped by a thread or by this loop, never by both.
//!
//! # What it does not do
//! It catches no panics and knows no futures; both are the job's business. It does not stop a job that has begun.

mod worker;

#[cfg(test)]
mod tests;

use std::{
    io, iter, mem,
    time::{Duration, Instant},
};

use concurrent_queue::ConcurrentQueue;
use crossbeam_utils::CachePadded;

use crate::clock;
use crate::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{
        AtomicBool, AtomicU8, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
        fence,
    },
};

/// So many jobs taken while a thread was on its way (about 50 µs) say that a job is shorter than the start of a thread,
/// which then is no help.
const HURRY: usize = 4;

/// How long a thread on watch sleeps: what jobs that block every thread may cost the next one. Ten thread starts, so
/// that a burst of short jobs adds at most one thread in the time of ten.
const WATCH: Duration = Duration::from_micros(500);

/// Nobody is on the way: a submitter must call a thread.
const OPEN: u8 = 0;
/// A thread is on the way and will look at the queue.
const CALLED: u8 = 1;
/// A call would not help: the limit is reached, or a thread is on watch.
const COVERED: u8 = 2;

/// What the pool runs. Neither method may unwind.
pub(crate) trait Job: Send + 'static {
    /// Runs on a pool thread.
    fn run(self);
    /// The pool was shut down before the job began, or no thread could be started for it.
    fn cancel(self);
}

/// Starts an OS thread that runs the given body; an error means that the body will never run. It is called without a
/// lock held.
pub(crate) type Spawner = Box<dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

pub(crate) struct Config {
    pub(crate) max_threads: usize,
    /// How long a thread without work stays; zero: it ends at once.
    pub(crate) keep_alive: Duration,
    pub(crate) spawner: Spawner,
}

/// The pool; its threads keep the shared part alive.
pub(crate) struct Pool<J: Job> {
    shared: Arc<Shared<J>>,
}

struct Shared<J: Job> {
    queue: ConcurrentQueue<J>,
    /// `OPEN`, `CALLED` or `COVERED`. Written under the ledger's lock; read by `submit` and `tick` without it. Each
    /// `OPEN` is followed by a SeqCst fence and a look at the queue; it pairs with push and fence in `submit`, so
    /// the accesses themselves are relaxed.
    call: CachePadded<AtomicU8>,
    /// Jobs taken so far (wraps). Written by every thread that takes one, read by the watch; a guess about speed that
    /// orders nothing: relaxed.
    taken: CachePadded<AtomicUsize>,
    ledger: Mutex<Ledger>,
    /// Rung when the last thread has left.
    ended: Condvar,
    config: Config,
}

struct Ledger {
    /// Threads that are started or being started and have not left.
    threads: usize,
    /// Idle threads, the one that came last on top: the lower ones grow old and end.
    idle: Vec<Arc<IdleThread>>,
    /// `taken` when the last call was made or the watch began.
    mark: usize,
    shutdown: bool,
}

/// Where a thread waits.
struct IdleThread {
    /// Waits with the ledger's lock.
    bell: Condvar,
    /// Written and read under the ledger's lock (relaxed); true once the thread was taken off the idle stack by a call.
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
    /// The pool is shut down, or it has no thread and none can be started. In the second case the job that comes back
    /// may be that of another submitter who met the same failure; to cancel whatever comes back is right.
    pub(crate) fn submit(&self, job: J) -> Result<(), (J, io::Error)> {
        if let Err(refused) = self.shared.queue.push(job) {
            let error = io::Error::other("the runtime has shut down");
            return Err((refused.into_inner(), error));
        }
        // Step 2: orders the push before the load; pairs with the fence after each store of OPEN.
        fence(SeqCst);
        if self.shared.call.load(Relaxed) != OPEN {
            return Ok(());
        }
        match Shared::call_if_open(&self.shared) {
            Some(handed_back) => Err(handed_back),
            None => Ok(()),
        }
    }

    /// Tries again where a thread could not be started. Cheap when nothing is queued.
    pub(crate) fn tick(&self) {
        if self.shared.queue.is_empty() || self.shared.call.load(Relaxed) != OPEN {
            return;
        }
        if let Some((job, _)) = Shared::call_if_open(&self.shared) {
            job.cancel();
        }
    }

    /// Takes no more jobs, cancels those that have not begun, lets idle threads end.
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

    /// After [`shutdown`](Self::shutdown): waits until every thread has left; false when the deadline passed first.
    /// A job of this pool must not call it without a deadline: it would wait for itself.
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
            ledger = self.shared.ended.wait_timeout(ledger, left).0;
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
    /// Step 3, from outside the pool. Gives a job back when there is no thread to run it.
    #[cold]
    fn call_if_open(shared: &Arc<Self>) -> Option<(J, io::Error)> {
        let ledger = shared.ledger.lock();
        if shared.call.load(Relaxed) != OPEN || shared.queue.is_empty() {
            return None;
        }
        Shared::call_next(shared, ledger)
    }

    /// Calls one more thread; the state is `OPEN`, or the caller itself was the called thread.
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

    /// Wakes a thread that was just taken off the stack.
    fn ring(&self, ledger: MutexGuard<'_, Ledger>, thread: &IdleThread) {
        self.call.store(CALLED, Relaxed);
        thread.called.store(true, Relaxed);
        drop(ledger);
        thread.bell.notify_one();
    }

    /// Step 11, for a thread that never reached the queue (or broke out of a job by unwinding). Returns the jobs
    /// that no thread is left to run.
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
