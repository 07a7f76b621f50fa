//! A model of workers: what they share, around the real `Idle`, parked workers, netpoller's driver and processors.
//!
//! It does what `Shared` does in the scheduler, step by step, and keeps a book of what became of each token.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Mutex as PlainMutex;

use crossbeam_deque::Worker as LocalQueue;

use super::book::Book;
use super::netpoll::Netpoll;
use super::processor::ProcessorRef;
use super::processor::{Core, Processor, Submitted};
use super::run_queues::detached::DetachedList;
use super::worker::idle::{Claim, Idle, Next};
use super::worker_copy as worker;
use crate::queues::Queue;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use crate::sync::thread::{self, JoinHandle, Thread};
use crate::sync::{Arc, Condvar, Hole, Mutex, with_hole};
use crate::tasks::{Runnable, token};

/// One thing that is wrong in a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    SubmitterHasNoFence,
    SubmitterLooksFirst,
    SubmitterIgnoresClosing,
    SubmitterWakesAnyway,
    ClaimerEndsQuietly,
    SleeperHasNoFence,
    SleeperLooksNoMore,
    SleeperSearchesNot,
    SleeperIgnoresClosing,
    SpareJustEnds,
    SeatWakesNobody,
    FinderHasNoFence,
    FinderWakesNobody,
    HandoverLooksNoMore,
    HandoverForgetsClosing,
    SpawnerHasNoFence,
    FinisherHasNoFence,
    JanitorHasNoFence,
    WorkerEndsQuietly,
    PusherLooksFirst,
    PusherListsNot,
    PusherRelaxed,
    MonitorLeavesSlot,
    MonitorListsNot,
    MonitorLooksOnce,
    RetakeWakesNobody,
    RetakeTears,
    EndTears,
    OrphanLaidDown,
    LeftoversForgotten,
    TidyRelaxed,
    TidyLooksNoMore,
    JanitorRobsNobody,
    HomecomerEndsQuietly,
}

/// What a model is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    pub(super) processors: usize,
    pub(super) tokens: usize,
    /// Running a token of the first so many submits two others, from the worker that ran it.
    pub(super) parents: usize,
    /// Running one of the first so many blocks its worker until all others have run.
    pub(super) blockers: usize,
    /// Idle workers may wait with the driver.
    pub(super) seats: bool,
    /// The first wait of each worker ends by itself, as by a time-out.
    pub(super) restless: bool,
    /// So long do spares live: until the end of a wait that ends by itself.
    pub(super) spares_end: bool,
    pub(super) flaw: Option<Flaw>,
}

/// A handle to the model.
#[derive(Clone)]
pub(super) struct Model(Arc<Ground>);

pub(super) struct Ground {
    pub(super) plan: Plan,
    pub(super) idle: Idle<Box<Core>>,
    pub(super) netpoll: Netpoll,
    pub(super) global: Queue<Runnable>,
    pub(super) book: Book,
    closed: AtomicBool,
    /// Whether all tokens have been run or cancelled, for threads that block.
    ended: (Mutex<bool>, Condvar),
    /// Tokens spawned and finished, and workers that have not ended: until when the shutdown thread cleans up.
    spawned: AtomicUsize,
    finished: AtomicUsize,
    workers: AtomicUsize,
    shutdown_thread: Mutex<Option<Thread>>,
    /// The instance in each place, those of detached processors with work, and the cores of those that nobody holds.
    places: Vec<ProcessorRef>,
    pub(super) detached: DetachedList<2>,
    free: Mutex<Vec<Box<Core>>>,
    /// All instances, to be freed in the end. Touched by nobody but who makes one: the lock orders nothing.
    instances: PlainMutex<Vec<NonNull<Processor>>>,
    started: Mutex<Vec<JoinHandle<()>>>,
}

// SAFETY: the instances are read through shared references only, and are freed when the last owner of the model goes.
unsafe impl Send for Ground {}
// SAFETY: as above.
unsafe impl Sync for Ground {}

impl Deref for Model {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.0
    }
}

impl Model {
    /// A model and the cores of its processors.
    pub(super) fn new(plan: Plan) -> (Model, Vec<Box<Core>>) {
        let (cores, instances): (Vec<_>, Vec<_>) = (0..plan.processors).map(instance).unzip();
        let places = cores.iter().map(|core| {
            let place = ProcessorRef::none();
            place.set(Some(core.processor));
            place
        });
        let places = places.collect();
        let model = Model(Arc::new(Ground {
            plan,
            idle: Idle::new(),
            netpoll: Netpoll::new().expect("without a reactor nothing can fail"),
            global: Queue::new(),
            book: Book::new(plan.tokens),
            closed: AtomicBool::new(false),
            ended: (Mutex::new(false), Condvar::new()),
            spawned: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
            shutdown_thread: Mutex::new(None),
            places,
            detached: DetachedList::new(),
            free: Mutex::new(Vec::new()),
            instances: PlainMutex::new(instances),
            started: Mutex::new(Vec::new()),
        }));
        (model, cores)
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.plan.flaw == Some(flaw)
    }

    /// This hole is open in a model of this flaw.
    pub(super) fn hole(&self, flaw: Flaw) -> Option<Hole> {
        self.has(flaw).then_some(Hole::NoFence)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) fn processors(&self) -> impl Iterator<Item = &'static Processor> {
        self.places.iter().filter_map(ProcessorRef::get)
    }

    pub(super) fn work_is_visible(&self) -> bool {
        !self.global.is_empty()
            || self
                .processors()
                .any(|processor| !processor.stealer.is_empty())
            || self
                .detached
                .iter()
                .any(|processor| !processor.stealer.is_empty())
    }

    /// Counts a token as spawned by a thread that holds no core.
    pub(super) fn count_spawned(&self) {
        self.spawned.fetch_add(1, Ordering::Relaxed);
    }

    /// Spawns and submits from a thread that holds no core.
    pub(super) fn submit(&self, number: usize) {
        self.count_spawned();
        with_hole(self.hole(Flaw::SpawnerHasNoFence), || {
            fence(Ordering::SeqCst);
        });
        if self.is_closed() {
            self.cancel(token(number));
        } else if self.has(Flaw::SubmitterLooksFirst) {
            let next = self.idle.after_submit();
            self.global.push(token(number));
            self.follow(next);
        } else {
            self.global.push(token(number));
            self.follow(self.after_submit());
        }
    }

    /// Wakes a task that was spawned before, from a thread that holds no core.
    pub(super) fn wake(&self, number: usize) {
        self.global.push(token(number));
        self.follow(self.after_submit());
    }

    /// Submits on a worker, as if the token was woken there.
    pub(super) fn submit_on(&self, core: &Core, number: usize) {
        self.count_spawned();
        let early = self
            .has(Flaw::PusherLooksFirst)
            .then(|| core.processor.ownership.is_retaken());
        match core.push(token(number), false) {
            Submitted::Detached if early == Some(false) => {}
            Submitted::Detached => self.pushed_detached(core),
            Submitted::NoWake => {}
            Submitted::WakeOne => {
                if self.after_submit() == Next::Wake {
                    self.wake_one();
                }
            }
        }
    }

    pub(super) fn after_submit(&self) -> Next {
        if self.has(Flaw::SubmitterWakesAnyway) {
            return Next::Wake;
        }
        with_hole(self.hole(Flaw::SubmitterHasNoFence), || {
            self.idle.after_submit()
        })
    }

    pub(super) fn follow(&self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Wake => self.wake_one(),
            Next::Drain if self.has(Flaw::SubmitterIgnoresClosing) => {}
            Next::Drain => self.notify_shutdown(),
        }
    }

    pub(super) fn wake_one(&self) {
        let claim = if self.has(Flaw::SubmitterWakesAnyway) {
            self.idle.claim_another()
        } else {
            self.idle.claim()
        };
        match claim {
            // The shutdown thread waits until no claim is being made.
            None if self.is_closed() && !self.has(Flaw::ClaimerEndsQuietly) => {
                self.notify_shutdown()
            }
            None => {}
            Some(Claim::Worker(parked_worker)) => {
                self.book.search_begins();
                parked_worker.unpark();
            }
            Some(Claim::Thread(core)) => {
                self.book.search_begins();
                self.start(Some(core), true);
            }
        }
    }

    /// Starts a worker.
    pub(super) fn start(&self, core: Option<Box<Core>>, searching: bool) {
        self.start_as_worker(move |model| worker::run(model, core, searching));
    }

    /// Starts a thread that is counted as a worker.
    pub(super) fn start_as_worker(&self, body: impl FnOnce(&Model) + Send + 'static) {
        self.workers.fetch_add(1, Ordering::Relaxed);
        self.spawn(move |model| {
            body(model);
            model.workers.fetch_sub(1, Ordering::Release);
            if !model.has(Flaw::WorkerEndsQuietly) {
                model.notify_shutdown_if_closed();
            }
        });
    }

    /// Starts any thread, to be joined by [`Model::settle`].
    pub(super) fn spawn(&self, body: impl FnOnce(&Model) + Send + 'static) {
        let model = self.clone();
        let handle = thread::spawn(move || body(&model));
        self.started.lock().push(handle);
    }

    /// What `Shared::close` does, without what others see of it.
    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        for parked_worker in self.idle.close() {
            parked_worker.unpark();
        }
        self.notify_shutdown();
    }

    fn notify_shutdown(&self) {
        if let Some(thread) = &*self.shutdown_thread.lock() {
            thread.unpark();
        }
    }

    pub(super) fn notify_shutdown_if_closed(&self) {
        fence(Ordering::SeqCst);
        if self.is_closed() {
            self.notify_shutdown();
        }
    }

    /// Calls for the shutdown thread reach the calling thread from now on.
    pub(super) fn begin_epoch(&self) {
        *self.shutdown_thread.lock() = Some(thread::current());
    }

    /// Puts another instance into this place; gives its core.
    pub(super) fn replace(&self, index: usize) -> Box<Core> {
        let mut free = self.free.lock();
        let freed = free.iter().position(|core| core.index == index);
        let freed = freed.map(|processor| free.swap_remove(processor));
        drop(free);
        let core = freed.unwrap_or_else(|| {
            let (core, processor) = instance(index);
            let mut all = self.instances.lock().expect("nobody panics with it");
            all.push(processor);
            core
        });
        self.places[index].set(Some(core.processor));
        core
    }

    pub(super) fn put_free(&self, core: Box<Core>) {
        self.free.lock().push(core);
    }

    /// Moves what is left in the free list to the global queue.
    pub(super) fn move_leftovers(&self) {
        for core in self.free.lock().iter() {
            while let Some(token) = core.queue.pop() {
                self.global.push(token);
            }
        }
    }

    fn drain_stuck(&self) {
        let instances = self.instances.lock().expect("nobody panics with it");
        let all = instances.clone();
        drop(instances);
        for processor in all {
            // SAFETY: it is freed when the model is dropped.
            self.drain(unsafe { processor.as_ref() });
        }
    }

    /// The monitor's thread, from when it starts: it waits for the closing, then cleans up.
    pub(super) fn clean_up(&self) {
        self.begin_epoch();
        while !self.is_closed() {
            thread::park();
        }
        loop {
            for core in self.idle.take_cores() {
                self.retire(core);
            }
            if !self.has(Flaw::JanitorRobsNobody) {
                self.drain_stuck();
            }
            self.move_leftovers();
            while let Some(token) = self.global.pop() {
                self.cancel(token);
            }
            with_hole(self.hole(Flaw::JanitorHasNoFence), || {
                fence(Ordering::SeqCst);
            });
            let settled = self.workers.load(Ordering::Acquire) == 0
                && self.num_alive() == 0
                && self.idle.is_settled(self.plan.processors);
            if settled {
                return;
            }
            thread::park();
        }
    }

    /// A remote thread has run a token that only it knew of.
    pub(super) fn run_elsewhere(&self, number: usize) {
        let last = self.book.ran(token(number));
        self.finished(last);
    }

    fn num_alive(&self) -> usize {
        let finished = self.finished.load(Ordering::Acquire);
        self.spawned.load(Ordering::Relaxed) - finished
    }

    /// Blocks, as user code may, until all tokens have been run or cancelled.
    pub(super) fn wait_ended(&self) {
        let mut ended = self.ended.0.lock();
        while !*ended {
            ended = self.ended.1.wait(ended);
        }
    }

    pub(super) fn retire(&self, core: Box<Core>) {
        core.empty_slot();
        while let Some(token) = core.queue.pop() {
            self.global.push(token);
        }
        self.idle.put_cores(vec![core]);
    }

    pub(super) fn cancel(&self, token: Runnable) {
        let number = token.metadata().number;
        let mut last = self.book.cancelled(number);
        if number < self.plan.parents {
            // Nobody will spawn them.
            let first = self.plan.parents + 2 * number;
            last |= self.book.cancelled(first);
            last |= self.book.cancelled(first + 1);
        }
        self.finished(last);
    }

    pub(super) fn finished(&self, last: bool) {
        if last {
            *self.ended.0.lock() = true;
            self.ended.1.notify_all();
        }
        self.finished.fetch_add(1, Ordering::Release);
        with_hole(self.hole(Flaw::FinisherHasNoFence), || {
            self.notify_shutdown_if_closed();
        });
    }

    /// Waits for all workers and checks the books.
    pub(super) fn settle(&self) {
        loop {
            let Some(handle) = self.started.lock().pop() else {
                break;
            };
            handle.join().expect("a worker panicked");
        }
        self.book.check();
        assert_eq!(
            self.idle.num_idle(),
            self.plan.processors,
            "a core is lost or counted wrongly"
        );
        assert!(
            !self.idle.has_driver(),
            "somebody counts as searching who has ended"
        );
        let mut cores: Vec<usize> =
            (self.idle.take_cores().iter().map(|core| core.index)).collect();
        cores.sort_unstable();
        assert!(
            cores.into_iter().eq(0..self.plan.processors),
            "a core is lost or doubled"
        );
        self.free.lock().iter().for_each(|core| {
            assert!(
                core.queue.pop().is_none() && core.processor.next.is_empty(),
                "a token is left in the free"
            );
        });
    }
}

/// A new instance of the processor of this place, and its core.
fn instance(index: usize) -> (Box<Core>, NonNull<Processor>) {
    let queue = LocalQueue::new_fifo();
    let processor = NonNull::from(Box::leak(Box::new(Processor::new(&queue))));
    // SAFETY: it is freed when the model is dropped, when all cores are gone.
    (
        Core::new(index, unsafe { processor.as_ref() }, queue, 1),
        processor,
    )
}

impl Drop for Ground {
    fn drop(&mut self) {
        drop(self.idle.take_cores());
        self.free.lock().clear();
        let mut instances = self.instances.lock().expect("nobody panics with it");
        for processor in instances.drain(..) {
            // SAFETY: each came from a box, and the cores, which refer to it, are gone: the workers have ended, and
            // what they laid down was dropped just now.
            drop(unsafe { Box::from_raw(processor.as_ptr()) });
        }
    }
}
