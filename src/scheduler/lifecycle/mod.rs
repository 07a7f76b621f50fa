//! How a scheduler comes into use, ends, and is used again.
//!
//! # Opening
//!
//! A [`Shared`] is leaked once and then leased again and again: tasks reach it by a number and hold
//! no reference (see [`crate::tasks`]). Handles and threads hold a [`Lease`]; when the last one
//! goes, the scheduler is free for the next runtime with room for as many processors and with an
//! equal [`Placement`], provided that none of its tasks is left. How many there may be has a limit,
//! so runtimes that differ in these two count towards it also when they have ended.
//!
//! # Closing
//!
//! 1. Mark it closed. A spawn that comes later rejects its task instead of pushing it.
//! 2. Wake all workers: they see the mark, leave what is in their queues to the shutdown thread,
//!    and end.
//! 3. Close the registry: every task that waits anywhere is woken, and so comes into a queue; one
//!    that would begin to wait cancels itself.
//! 4. Close timers and network: tasks of *other* runtimes that wait there are woken and find out.
//! 5. The monitor becomes the shutdown thread, who cancels what is left and ends last; see
//!    [`shutdown`].

use std::io;

use self::blocking_job::BlockingJob;
use self::forked::{FORKED, Free};
use self::settings::{Lease, Leased, Settings};
use self::threads::Context;
use super::netpoll::Netpoll;
use super::observer::Observer;
use super::placement::Placement;
use super::processor::Core;
use super::{Shared, monitor, worker};
use crate::blocking::{Config, Job, Pool};
use crate::clock::Instant;
use crate::rng;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, HAS_THREADS, Mutex, step};
use crate::tasks::{self, Runnable};

pub(crate) mod blocking_job;
pub(crate) mod forked;
pub(crate) mod hold;
pub(crate) mod resize;
pub(crate) mod settings;
pub(crate) mod shutdown;
pub(crate) mod threads;
pub(crate) mod wait_cycle;

const TOO_MANY: &str = "too many runtimes and task queues exist, or runtimes of too many different \
                        numbers of worker threads and sets of CPUs have existed";

/// Schedulers that no runtime uses.
static FREE: Mutex<Vec<&'static Shared>> = Mutex::new(Vec::new());

/// Takes the list of them, for a fork.
pub(crate) fn hold_free() -> Free {
    FREE.lock()
}

impl Lease {
    /// Opens a scheduler and starts its threads. If it is a new one it gets an observer; `begin` is
    /// called before any thread has begun, with whoever observes it.
    pub(crate) fn open(
        mut settings: Settings,
        new_observer: fn() -> Box<dyn Observer>,
        begin: impl FnOnce(&'static Shared),
    ) -> io::Result<Arc<Lease>> {
        let netpoll = Netpoll::new()?;
        let placement = settings.placement.take().unwrap_or_else(Placement::flat);
        let shared = take_free(settings.max_worker_threads, placement, new_observer)?;
        let lease = Arc::new(Lease { shared });
        let settings = Arc::new(settings);
        shared.prepare(&lease, settings, netpoll);
        begin(shared);
        if let Err(error) = shared.start_threads() {
            shared.close();
            shared.wait_closed(None);
            return Err(error);
        }
        Ok(lease)
    }

    #[inline]
    pub(crate) fn shared(&self) -> &'static Shared {
        self.shared
    }
}

fn take_free(
    room: usize,
    placement: Placement,
    new_observer: fn() -> Box<dyn Observer>,
) -> io::Result<&'static Shared> {
    let mut free = FREE.lock();
    let fits =
        |shared: &&'static Shared| shared.queues.room() == room && shared.placement == placement;
    match free.iter().position(fits) {
        Some(index) => Ok(free.swap_remove(index)),
        None => {
            drop(free);
            Shared::leak(room, placement, new_observer()).ok_or_else(|| io::Error::other(TOO_MANY))
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.shared.in_forked_child() {
            return;
        }
        self.shared.forget_leased();
        // The shutdown thread ends only then. Were there anything left, the scheduler would never
        // be used again.
        if self.shared.is_settled() {
            FREE.lock().push(self.shared);
        }
    }
}

/// A core on its way to the thread that was started for it. When the thread ends before it begins
/// to work, the core is idle again, with what is in its queues.
struct Carried {
    shared: &'static Shared,
    core: Option<Box<Core>>,
    /// The worker counts as searching already.
    searching: bool,
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            core.empty_slot();
            self.shared.take_back(core, self.searching);
            // It may be about to sleep since all cores are idle, which this one does only now.
            self.shared.workers.monitor.wake();
        }
    }
}

/// Counts one worker from before its thread starts until it has ended, however that happens.
struct CountedWorker(&'static Shared);

impl CountedWorker {
    /// `None`: there are `limit` of them.
    fn new(shared: &'static Shared, limit: usize) -> Option<CountedWorker> {
        let counted = shared.workers.count.fetch_add(1, Ordering::Relaxed);
        let worker = CountedWorker(shared);
        (counted < limit).then_some(worker)
    }
}

impl Drop for CountedWorker {
    fn drop(&mut self) {
        // Release: the shutdown thread that reads this sees all that the worker has counted.
        self.0.workers.count.fetch_sub(1, Ordering::Release);
        self.0.notify_shutdown_if_closed();
    }
}

impl Shared {
    fn prepare(&'static self, lease: &Arc<Lease>, settings: Arc<Settings>, netpoll: Netpoll) {
        self.workers.threads.reopen();
        let seed = settings.seed.unwrap_or_else(rng::random_seed);
        let processors = settings.worker_threads;
        let spawner = {
            let settings = settings.clone();
            move |body: Box<dyn FnOnce() + Send>| {
                self.start_thread(&settings, Context::Needed, body)
            }
        };
        let pool = Pool::new(Config {
            max_threads: settings.max_blocking_threads,
            keep_alive: settings.thread_keep_alive,
            spawner: Box::new(spawner),
        });
        *self.services.leased.lock() = Leased {
            lease: Arc::downgrade(lease),
            settings: Some(settings),
            netpoll: Some(netpoll),
            blocking: Some(pool),
        };
        self.counters.reset();
        for remote in &self.remote_tasks {
            remote.spawned.store(0, Ordering::Relaxed);
            remote.finished.store(0, Ordering::Relaxed);
        }
        self.resize(processors);
        self.services.timers.reopen();
        self.workers.idle.each_core(|core| core.begin(seed));
        self.queues.reset(seed);
        self.reset_classes();
        self.registry.reopen();
        self.workers.idle.reopen();
        self.closed.store(false, Ordering::SeqCst);
    }

    fn start_threads(&'static self) -> io::Result<()> {
        if !HAS_THREADS {
            return Ok(());
        }
        let settings = self.settings()?;
        // Before the monitor begins: it would start workers for idle processors, and then there is
        // one too many.
        let mut cores = self.workers.idle.take_cores();
        if let Err(error) =
            self.start_thread(&settings, Context::Wanted, move || monitor::run(self))
        {
            self.workers.idle.put_cores(cores);
            return Err(error);
        }
        while let Some(core) = cores.pop() {
            if let Err((core, error)) = self.start_worker(core, false) {
                cores.push(core);
                self.workers.idle.put_cores(cores);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn start_thread(
        &'static self,
        settings: &Arc<Settings>,
        context: Context,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.workers.threads.admit()?;
        self.start_admitted(settings, context, body)
    }

    /// Starts a thread whether or not the scheduler is closed.
    pub(super) fn start_admitted(
        &'static self,
        settings: &Arc<Settings>,
        context: Context,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let lease = self.services.leased.lock().lease.upgrade();
        let lease = lease.ok_or_else(|| io::Error::other("the runtime has ended"))?;
        self.workers.threads.start(lease, settings, context, body)
    }

    /// Starts a worker that holds this core. `searching`: it is counted so already.
    pub(super) fn start_worker(
        &'static self,
        core: Box<Core>,
        searching: bool,
    ) -> Result<(), (Box<Core>, io::Error)> {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(error) => return Err((core, error)),
        };
        let Some(counted) = CountedWorker::new(self, settings.max_threads) else {
            self.tell_no_more_threads();
            return Err((core, io::Error::other("all threads are in use")));
        };
        let carried = Carried {
            shared: self,
            core: Some(core),
            searching,
        };
        // The core comes back through this cell from a thread that was not started.
        let cell = Arc::new(Mutex::new(Some(carried)));
        let carried = cell.clone();
        let started = self.start_thread(&settings, Context::Needed, move || {
            let _counted = counted;
            let carried = carried.lock().take();
            let core = carried.and_then(|mut carried| carried.core.take());
            step();
            worker::run(self, core, searching);
        });
        started.map_err(|error| {
            let core = cell
                .lock()
                .take()
                .and_then(|mut carried| carried.core.take())
                .expect("a thread that was not started took nothing");
            (core, error)
        })
    }

    /// A turn of the only thread counts as a worker until this is dropped.
    pub(super) fn count_turn(&'static self) -> impl Sized {
        self.workers.count.fetch_add(1, Ordering::Relaxed);
        CountedWorker(self)
    }

    /// Whether another worker may be started.
    pub(super) fn can_start_worker(&self) -> bool {
        let limit = self.settings().map_or(0, |settings| settings.max_threads);
        self.workers.count.load(Ordering::Relaxed) < limit
    }

    /// Whether its threads are those of the parent process, or of a simulation that has abandoned
    /// them or that the calling thread is not in.
    pub(crate) fn has_lost_its_threads(&self) -> bool {
        #[cfg(feature = "sim")]
        if self.workers.threads.are_simulated_elsewhere() {
            return true;
        }
        self.in_forked_child()
    }

    /// Calls a function that waits for its threads. If they are the system's, a caller in a simulation
    /// leaves it meanwhile, whose threads would all be asleep.
    pub(crate) fn among_its_threads(&self, wait: impl FnOnce()) {
        #[cfg(feature = "sim")]
        if crate::simulated::is_here() && !self.workers.threads.are_simulated() {
            return crate::simulated::outside(wait);
        }
        wait();
    }

    /// Steps 1 to 4 of closing. Later calls do nothing.
    pub(crate) fn close(&'static self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        step();
        self.workers.threads.close();
        for parked_worker in self.workers.idle.close() {
            parked_worker.unpark();
        }
        step();
        self.registry.close();
        step();
        let mut wakers = Vec::new();
        self.services.timers.drain(&mut wakers);
        if let Some(netpoll) = self.netpoll() {
            netpoll.close(&mut wakers);
        }
        self.call_wakers(&mut wakers);
        self.call_foreign_wakers();
        self.workers.monitor.notify_shutdown();
    }

    /// After `close`: waits until the last future has been dropped and all threads have ended.
    /// False: the deadline came first.
    pub(crate) fn wait_closed(&'static self, deadline: Option<Instant>) -> bool {
        if !HAS_THREADS {
            // Nobody would do the rest while this thread waits.
            let ended = self.is_settled();
            if ended {
                self.forget_leased();
            }
            return ended;
        }
        let jobs_ended = self.blocking().is_none_or(|pool| pool.wait_idle(deadline));
        let ended = jobs_ended && self.workers.threads.join_blocking(deadline);
        if ended {
            self.forget_leased();
        }
        ended
    }

    /// Submits a job to the blocking pool; one that cannot be taken ends at once.
    pub(crate) fn submit_blocking(&'static self, runnable: Runnable) {
        let Some(pool) = self.blocking() else {
            return self.reject(runnable, None, false);
        };
        if let Err((BlockingJob::Task(runnable), error)) = pool.submit(BlockingJob::Task(runnable))
        {
            let refused = (!self.is_closed()).then(|| error.kind());
            self.reject(runnable, refused, false);
        }
    }

    /// Ends a task that no queue accepts. `refused`: what the system refused, if that is why.
    /// `is_new`: its spawn has not been told yet.
    #[cold]
    pub(super) fn reject(
        &'static self,
        runnable: Runnable,
        refused: Option<io::ErrorKind>,
        is_new: bool,
    ) {
        if is_new && self.in_forked_child() {
            // To end it would take locks that nobody may be left to release.
            std::mem::forget(runnable);
            panic!("{FORKED}");
        }
        let _ends = wait_cycle::ends_task_of(self);
        match self.is_observed() {
            false => tasks::reject(runnable, refused, None),
            true => self.observer.reject(self, runnable, refused, is_new),
        }
    }

    /// Has this called on a thread of the blocking pool, for who must not block. If none can be
    /// started it is dropped.
    pub(crate) fn call_in_pool(&self, call: impl FnOnce() + Send + 'static) {
        if let Some(pool) = self.blocking() {
            // What comes back may be another's job, which nobody else would end.
            if let Err((job, _)) = pool.submit(BlockingJob::Call(Box::new(call))) {
                job.cancel();
            }
        }
    }
}
