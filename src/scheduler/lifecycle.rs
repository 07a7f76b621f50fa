//! How a scheduler comes into use, ends, and is used again.
//!
//! # Opening
//!
//! A [`Shared`] is leaked once and then leased again and again: tasks reach it by a number and hold no reference (see
//! [`crate::tasks`]). Handles and threads hold a [`Lease`]; when the last one goes, the scheduler is free for the next
//! runtime of the same size, provided that none of its tasks is left.
//!
//! # Closing
//!
//! 1. Mark it closed. A submission that comes later sees the mark (it fences between its push and its look) and cancels
//!    what it has pushed itself; so nothing is queued unseen from here on.
//! 2. Wake all workers and the monitor: they see the mark, empty their own queues and end.
//! 3. Close the registry: every task that waits anywhere is woken, and so comes into a queue; one that would begin to wait
//!    is refused and ends itself.
//! 4. Empty the global queue and the queues of the cores that lie idle.
//! 5. Close timers and network: tasks of *other* runtimes that wait there are woken and find out.
//! 6. Close the blocking pool: jobs that have not begun are cancelled.
//!
//! Emptying means cancelling: each future is dropped once, by the thread that found its task in a queue. What a stuck
//! worker is polling ends when that poll returns.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use event_listener::Listener;

use super::netpoll::Netpoll;
use super::processor::Core;
use super::{Shared, monitor, worker};
use crate::blocking::{Config, Job, Pool};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Runnable};

/// Calls what it is given inside the context of the runtime (a [`Lease`]), with the user's hooks around it.
pub(crate) type Around = Box<dyn Fn(&Arc<Lease>, &mut dyn FnMut()) + Send + Sync>;

/// What a runtime's builder has set.
pub(crate) struct Settings {
    pub(crate) worker_threads: usize,
    pub(crate) max_blocking_threads: usize,
    pub(crate) thread_keep_alive: Duration,
    pub(crate) thread_name: String,
    pub(crate) thread_stack_size: Option<usize>,
    pub(crate) around: Around,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("worker_threads", &self.worker_threads)
            .field("max_blocking_threads", &self.max_blocking_threads)
            .field("thread_keep_alive", &self.thread_keep_alive)
            .field("thread_name", &self.thread_name)
            .field("thread_stack_size", &self.thread_stack_size)
            .finish_non_exhaustive()
    }
}

/// Keeps a scheduler from being given to another runtime.
pub(crate) struct Lease {
    shared: &'static Shared,
}

/// Schedulers that no runtime uses.
static FREE: Mutex<Vec<&'static Shared>> = Mutex::new(Vec::new());

/// A job of the blocking pool: a task whose future blocks.
pub(super) struct BlockingTask(Runnable);

impl Job for BlockingTask {
    fn run(self) {
        tasks::run(self.0);
    }

    fn cancel(self) {
        tasks::cancel(self.0);
    }
}

impl Lease {
    /// Opens a scheduler and starts its threads.
    pub(crate) fn open(settings: Settings) -> io::Result<Arc<Lease>> {
        let netpoll = Netpoll::new()?;
        let shared = take_free(settings.worker_threads)?;
        let lease = Arc::new(Lease { shared });
        let settings = Arc::new(settings);
        shared.prepare(&lease, settings, netpoll);
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

fn take_free(processors: usize) -> io::Result<&'static Shared> {
    let mut free = FREE.lock();
    match free
        .iter()
        .position(|shared| shared.processors.len() == processors)
    {
        Some(index) => Ok(free.swap_remove(index)),
        None => {
            drop(free);
            Shared::leak(processors)
                .ok_or_else(|| io::Error::other("too many runtimes exist at the same time"))
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.forget_services();
        // A task that is still somewhere keeps its scheduler from ever being used again.
        if self.shared.num_alive_tasks() == 0 {
            FREE.lock().push(self.shared);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

impl Shared {
    fn prepare(&'static self, lease: &Arc<Lease>, settings: Arc<Settings>, netpoll: Netpoll) {
        self.threads.reopen();
        let spawner = {
            let settings = settings.clone();
            move |body: Box<dyn FnOnce() + Send>| self.start_thread(&settings, body)
        };
        let pool = Pool::new(Config {
            max_threads: settings.max_blocking_threads,
            keep_alive: settings.thread_keep_alive,
            spawner: Box::new(spawner),
        });
        *self.services.lock() = super::Services {
            lease: Arc::downgrade(lease),
            settings: Some(settings),
            netpoll: Some(netpoll),
            blocking: Some(pool),
        };
        self.counters.reset();
        for foreign in &self.foreign_tasks {
            foreign.spawned.store(0, Ordering::Relaxed);
            foreign.finished.store(0, Ordering::Relaxed);
        }
        self.processors.iter().for_each(|at| at.reset());
        self.registry.reopen();
        self.idle.reopen();
        self.closed.store(false, Ordering::SeqCst);
    }

    fn start_threads(&'static self) -> io::Result<()> {
        let settings = self.settings()?;
        self.start_thread(&settings, move || monitor::run(self))?;
        while let Some(core) = self.idle.pick_up() {
            if let Err((core, error)) = self.start_worker(core, false) {
                self.idle.put_cores(vec![core]);
                return Err(error);
            }
        }
        Ok(())
    }

    fn start_thread(
        &'static self,
        settings: &Arc<Settings>,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let lease = self.services.lock().lease.upgrade();
        let lease = lease.ok_or_else(|| io::Error::other("the runtime has ended"))?;
        self.threads.start(lease, settings, body)
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
        // The core comes back from a closure that is never called through this cell.
        let cell = Arc::new(Mutex::new(Some(core)));
        let carried = cell.clone();
        self.workers.fetch_add(1, Ordering::Relaxed);
        let started = self.start_thread(&settings, move || {
            let core = carried.lock().take();
            worker::run(self, core, searching);
            self.workers.fetch_sub(1, Ordering::Relaxed);
        });
        started.map_err(|error| {
            self.workers.fetch_sub(1, Ordering::Relaxed);
            let core = cell
                .lock()
                .take()
                .expect("a thread that was not started took nothing");
            (core, error)
        })
    }

    /// Steps 1 to 6 of closing. Later calls do nothing.
    pub(crate) fn close(&'static self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.threads.close();
        for sleeper in self.idle.close() {
            sleeper.unpark();
        }
        self.monitor.wake_for_good();
        self.registry.close();
        self.retire_if_closed();
        self.cancel_global();
        let mut ready = Vec::new();
        self.timers.drain(&mut ready);
        if let Some(netpoll) = self.netpoll() {
            netpoll.close(&mut ready);
        }
        worker::wake_contained(&mut ready);
        if let Some(pool) = self.blocking() {
            pool.shutdown();
        }
    }

    /// After `close`: waits for workers, for blocking jobs that have begun, and for the last future to be dropped.
    /// False: the deadline came first.
    pub(crate) fn wait_closed(&'static self, deadline: Option<Instant>) -> bool {
        let pool_ended = self.blocking().is_none_or(|pool| pool.wait_idle(deadline));
        if !(pool_ended && self.threads.join_blocking(deadline)) {
            return false;
        }
        // A foreign thread may be between its wake and its push; it cancels what it pushes.
        while self.num_alive_tasks() != 0 {
            event_listener::listener!(self.drained => listener);
            if self.num_alive_tasks() == 0 {
                break;
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) => {
                    if listener.wait_deadline(deadline).is_none() {
                        return self.num_alive_tasks() == 0;
                    }
                }
            }
        }
        self.forget_services();
        true
    }

    /// Empties the cores that lie idle, once closed.
    ///
    /// Whoever lays down a core that may have runnables in it (a thread about to block, or one that found no thread for
    /// the core) calls this afterwards: either it sees the mark of `close`, or `close` sees the core.
    pub(super) fn retire_if_closed(&'static self) {
        fence(Ordering::SeqCst);
        if self.is_closed() {
            for core in self.idle.take_cores() {
                self.retire(core);
            }
        }
    }

    /// A worker lays its core down for good, or one that lies here is emptied.
    pub(super) fn retire(&'static self, core: Box<Core>) {
        core.empty_slot();
        while let Some(runnable) = core.queue.pop() {
            tasks::cancel(runnable);
        }
        self.idle.put_cores(vec![core]);
    }

    /// Cancels what is in the global queue.
    ///
    /// A destructor may wake other tasks and thereby call this again: the outer call goes on with those, so that a chain
    /// of tasks does not become a chain of stack frames.
    #[cold]
    pub(super) fn cancel_global(&self) {
        std::thread_local! {
            static CANCELLING: Cell<bool> = const { Cell::new(false) };
        }
        if CANCELLING.replace(true) {
            return;
        }
        loop {
            match self.global.steal() {
                crossbeam_deque::Steal::Success(runnable) => tasks::cancel(runnable),
                crossbeam_deque::Steal::Retry => {}
                crossbeam_deque::Steal::Empty => break,
            }
        }
        CANCELLING.set(false);
    }

    /// Submits a job to the blocking pool; one that cannot be taken ends at once.
    pub(crate) fn submit_blocking(&self, runnable: Runnable) {
        let Some(pool) = self.blocking() else {
            return tasks::cancel(runnable);
        };
        if let Err((BlockingTask(runnable), error)) = pool.submit(BlockingTask(runnable)) {
            if self.is_closed() {
                tasks::cancel(runnable);
            } else {
                tasks::refuse(runnable, error.kind());
            }
        }
    }
}
