//! Model 5, M:N with a queue per thread, and stealing.
//!
//! A thread works on its own queue without a lock, so this grows with the cores. A call that blocks is made up for by another
//! thread ([`Places`]), which has a queue of its own, too. What it lacks: a bound on stealing. Whoever has nothing to do looks into the queue
//! of every thread that exists, blocked and spare ones among them, before it may sleep.
//!
//! # Looking for work
//!
//! The own queue, then the global one (first on each 61st task), then half of another thread's queue, all of them once, from a random one
//! on.
//!
//! # Sleeping
//!
//! 1. Submit: push; fence; if nobody searches and somebody sleeps, wake one, who begins as a searcher.
//! 2. A searcher that finds something stops searching; the last one to do so looks whether there is more, and wakes the next.
//! 3. To sleep: stop searching; under the lock count as asleep; fence; look at every queue once more. Against step 1: either the push
//!    is seen here, or the sleeper is seen there.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use async_task::{Runnable, Task};
use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use super::places::Places;
use super::{Model, create, outside, start_thread, yield_to_queue};
use crate::support::ticks::quantile;
use crate::support::{Scheduler, workers};

const GLOBAL_FIRST: u32 = 61;
/// A steal takes half of a queue, and at most so many; this crate has the same number.
const BATCH: usize = 128;
const SAMPLES: usize = 100_000;

static EXECUTOR: OnceLock<Executor> = OnceLock::new();

std::thread_local! {
    static QUEUE: RefCell<Option<Worker<Runnable>>> = const { RefCell::new(None) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

struct Executor {
    global: Injector<Runnable>,
    /// Of all threads that have ever been started; they live as long as the process.
    queues: RwLock<Vec<Stealer<Runnable>>>,
    sleep: Mutex<Sleep>,
    woken: Condvar,
    /// Written under the lock of `sleep`, read by whoever submits, see step 3.
    asleep: AtomicUsize,
    /// Threads on the search, and threads that have been woken for it. Written by all; read by whoever submits, see step 1.
    searching: AtomicUsize,
    places: Places,
    searches: Searches,
}

/// Statistics of searches of other threads' queues. Written by thieves, read when all is done.
#[derive(Default)]
struct Searches {
    /// Nanoseconds of each of the first [`SAMPLES`]; of each and not in all, as some are interrupted.
    times: Mutex<Vec<f64>>,
    /// Queues looked at, also before a thread sleeps.
    looks: AtomicU64,
    found: AtomicU64,
}

#[derive(Default)]
struct Sleep {
    /// Threads that have been woken, and do not know it yet.
    called: usize,
}

fn executor() -> &'static Executor {
    EXECUTOR.get_or_init(|| Executor {
        global: Injector::new(),
        queues: RwLock::default(),
        sleep: Mutex::default(),
        woken: Condvar::new(),
        asleep: AtomicUsize::new(0),
        searching: AtomicUsize::new(0),
        places: Places::new(workers(), || executor().run()),
        searches: Searches::default(),
    })
}

impl Executor {
    fn sleep(&self) -> MutexGuard<'_, Sleep> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queues(&self) -> RwLockReadGuard<'_, Vec<Stealer<Runnable>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, runnable: Runnable) {
        QUEUE.with_borrow(|queue| match queue {
            Some(queue) => queue.push(runnable),
            None => self.global.push(runnable),
        });
        fence(Ordering::SeqCst); // step 1: between the push and the look
        self.wake_one();
    }

    fn wake_one(&self) {
        if self.searching.load(Ordering::Relaxed) > 0 || self.asleep.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut sleep = self.sleep();
        let asleep = self.asleep.load(Ordering::Relaxed);
        let first = || (self.searching).compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
        if asleep > 0 && first().is_ok() {
            self.asleep.store(asleep - 1, Ordering::Relaxed);
            sleep.called += 1;
            self.woken.notify_one();
        }
    }

    fn run(&self) {
        let worker = Worker::new_fifo();
        let mut all = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        all.push(worker.stealer());
        RANDOM.set(all.len() as u64 * 0x9E37_79B9_7F4A_7C15);
        drop(all);
        QUEUE.set(Some(worker));
        let mut searching = false;
        for tick in 0u32.. {
            self.places.take();
            self.next(tick, &mut searching).run();
        }
    }

    fn next(&self, tick: u32, searching: &mut bool) -> Runnable {
        loop {
            if let Some(runnable) = self.own(tick).or_else(|| self.others(searching)) {
                if std::mem::take(searching) && self.searching.fetch_sub(1, Ordering::SeqCst) == 1 {
                    fence(Ordering::SeqCst);
                    if self.any_work() {
                        self.wake_one(); // step 2
                    }
                }
                return runnable;
            }
            if std::mem::take(searching) {
                self.searching.fetch_sub(1, Ordering::SeqCst);
            }
            self.lie_down();
            *searching = true;
        }
    }

    fn own(&self, tick: u32) -> Option<Runnable> {
        QUEUE.with_borrow(|queue| {
            let queue = queue.as_ref()?;
            let global = || finally(|| self.global.steal_batch_and_pop(queue));
            match tick % GLOBAL_FIRST {
                0 => global().or_else(|| queue.pop()),
                _ => queue.pop().or_else(global),
            }
        })
    }

    fn others(&self, searching: &mut bool) -> Option<Runnable> {
        if !std::mem::replace(searching, true) {
            self.searching.fetch_add(1, Ordering::SeqCst);
        }
        QUEUE.with_borrow(|queue| {
            let queue = queue.as_ref()?;
            let begin = Instant::now();
            let queues = self.queues();
            let (before, after) = queues.split_at(random() as usize % queues.len());
            let mut looks = 0;
            let found = after.iter().chain(before).find_map(|victim| {
                looks += 1;
                finally(|| victim.steal_batch_with_limit_and_pop(queue, BATCH))
            });
            let nanos = begin.elapsed().as_nanos() as f64;
            let searches = &self.searches;
            let mut times = searches.times.lock().expect("nobody panics");
            if times.len() < SAMPLES {
                times.push(nanos);
            }
            drop(times);
            searches.looks.fetch_add(looks, Ordering::Relaxed);
            searches
                .found
                .fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
            found
        })
    }

    fn any_work(&self) -> bool {
        let queues = self.queues();
        let mut looks = 0;
        let found = !self.global.is_empty()
            || queues.iter().any(|queue| {
                looks += 1;
                !queue.is_empty()
            });
        self.searches.looks.fetch_add(looks, Ordering::Relaxed);
        found
    }

    /// Sleeps until called; whoever returns from here is counted as a searcher.
    fn lie_down(&self) {
        let sleep = self.sleep();
        let asleep = self.asleep.load(Ordering::Relaxed);
        self.asleep.store(asleep + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst); // step 3: between the count and the look
        if self.any_work() {
            self.asleep.store(asleep, Ordering::Relaxed);
            self.searching.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let called = self.woken.wait_while(sleep, |sleep| sleep.called == 0);
        called.unwrap_or_else(PoisonError::into_inner).called -= 1;
    }
}

/// A retry means that somebody else got something.
fn finally(mut attempt: impl FnMut() -> Steal<Runnable>) -> Option<Runnable> {
    loop {
        match attempt() {
            Steal::Success(runnable) => return Some(runnable),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}

/// Xorshift; the seed is not zero.
fn random() -> u64 {
    let mut x = RANDOM.get();
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    RANDOM.set(x);
    x
}

pub(crate) struct Distributed;

impl Model for Distributed {
    const TITLE: &'static str = "M:N, a queue per thread";
    const KEEPS_THREAD: bool = false;

    fn blocking(call: impl FnOnce()) {
        executor().places.lend_during(call);
    }

    fn searches() -> [f64; 2] {
        let searches = &executor().searches;
        let [looks, found] = [&searches.looks, &searches.found];
        let [looks, found] = [looks, found].map(|count| count.load(Ordering::Relaxed) as f64);
        let mut times = searches.times.lock().expect("nobody panics").clone();
        times.sort_by(f64::total_cmp);
        [looks / found, quantile(&times, 0.5)]
    }
}

impl Scheduler for Distributed {
    const NAME: &'static str = "distributed";
    type Task<T: Send + 'static> = Task<T>;

    fn start() -> Distributed {
        (0..workers()).for_each(|_| start_thread(|| executor().run()));
        Distributed
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        outside(future)
    }

    fn spawn_from_outside<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        Self::detach(future);
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        create(future, |runnable| executor().submit(runnable))
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        Self::spawn(future).detach();
    }

    async fn yield_now() {
        yield_to_queue().await;
    }
}
