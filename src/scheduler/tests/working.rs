//! This thread is a worker, until a task that it polls closes the scheduler.

use super::*;
use crate::tasks::Meta;

/// A task that calls `f` when it is polled.
pub(super) fn task(f: impl FnOnce() + Send + 'static) -> Runnable {
    task_of(Meta::new(Id::next(), 0, 0), f)
}

pub(in crate::scheduler) fn task_of(meta: Meta, f: impl FnOnce() + Send + 'static) -> Runnable {
    let (runnable, task) = async_task::Builder::new()
        .metadata(meta)
        .spawn(|_| async { f() }, |_| ());
    task.detach();
    Runnable::new(runnable)
}

impl TestScheduler {
    /// Works with an idle core, and begins as one that searches.
    pub(super) fn run(&self) {
        self.shared.services.leased.lock().netpoll = Some(Netpoll::new().unwrap());
        let core = self.shared.workers.idle.pop_idle(0).unwrap();
        self.shared.workers.idle.begin_search_anyway();
        worker::run(self.shared, Some(core), true);
    }

    /// A task that closes the scheduler, and tells whether this worker has been woken before.
    fn closes(
        &self,
        parked_worker: &Arc<ParkedWorker<Box<Core>>>,
    ) -> (Runnable, Arc<Mutex<Option<bool>>>) {
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let (shared, parked_worker) = (self.shared, parked_worker.clone());
        let runnable = task(move || {
            *tell.lock() = Some(parked_worker.has_handed());
            shared.closed.store(true, Ordering::SeqCst);
        });
        (runnable, told)
    }
}

#[test]
fn a_searcher_that_finds_more_than_one_wakes_the_next_before_it_polls() {
    for others in [0, 1, 5] {
        let test = TestScheduler::new(2);
        let parked_workers = test.parked_workers(1);
        let (closes, woken) = test.closes(&parked_workers[0]);
        test.shared.queues.global.push(closes);
        (0..others).for_each(|_| test.shared.queues.global.push(token().1));
        test.run();
        assert_eq!(*woken.lock(), Some(others > 0), "{others} others");
        assert_eq!(
            test.shared.workers.idle.num_searching(),
            usize::from(others > 0)
        );
        assert_eq!(
            test.take_global().len(),
            others,
            "a closed scheduler begins no poll"
        );
        // The worker has released its processor; the other one's is held.
        assert_eq!(
            test.shared.workers.idle.num_idle(),
            if others > 0 { 1 } else { 2 }
        );
        assert!(!this_thread::holds_core());
    }
}

/// The order in which tasks ran, by their names.
pub(super) type Log = Arc<Mutex<Vec<u32>>>;

impl TestScheduler {
    /// A task that writes its name down; the last one closes the scheduler.
    pub(super) fn writes(&self, log: &Log, name: u32, is_last: bool) -> Runnable {
        let (log, shared) = (log.clone(), self.shared);
        task(move || {
            log.lock().push(name);
            shared.closed.store(is_last, Ordering::SeqCst);
        })
    }

    /// Puts runnables into the queue of the core that [`TestScheduler::run`] takes.
    pub(super) fn queue(
        &self,
        runnables: impl IntoIterator<Item = Runnable>,
    ) -> &'static Processor {
        let core = self.shared.workers.idle.pop_idle(0).unwrap();
        let processor = core.processor;
        runnables
            .into_iter()
            .for_each(|runnable| core.queue.push(runnable));
        self.shared.workers.idle.push_idle(core);
        processor
    }
}

#[test]
fn the_global_queue_comes_first_every_61_looks() {
    const OWN: u32 = 200;
    let test = TestScheduler::new(1);
    let log = Log::default();
    test.queue((0..OWN).map(|name| test.writes(&log, name, name == OWN - 1)));
    for name in 1000..1004 {
        test.shared
            .queues
            .global
            .push(test.writes(&log, name, false));
    }
    test.run();
    let log = log.lock();
    let places = log.iter().enumerate().filter(|(_, name)| **name >= 1000);
    assert!(places.map(|(place, _)| place).eq([0, 61, 122, 183]));
    let own: Vec<u32> = log.iter().copied().filter(|name| *name < 1000).collect();
    assert_eq!(own, Vec::from_iter(0..OWN));
}

/// Its share is what there is for each processor, and one.
#[test]
fn a_worker_takes_its_share_of_the_global_queue() {
    for (processors, global, share) in [(4, 40, 11), (4, 3, 1), (8, 16, 3), (3, 3, 2)] {
        let test = TestScheduler::new(processors);
        let shared = test.shared;
        let length = Arc::new(Mutex::new(usize::MAX));
        let seen = length.clone();
        // The first look is at everything, and takes one; the second finds the own queue empty.
        shared.queues.global.push(token().1);
        shared.queues.global.push(task(move || {
            *seen.lock() = this_thread::with_core(shared, |core| core.queue.len()).unwrap();
            shared.closed.store(true, Ordering::SeqCst);
        }));
        (1..global).for_each(|_| shared.queues.global.push(token().1));
        test.run();
        // This one runs, and the others of its share wait.
        assert_eq!(*length.lock(), share - 1, "{processors} {global}");
        test.take_global();
    }
}

#[test]
fn a_busy_worker_lets_what_the_stuck_have_queued_have_its_turn() {
    let test = TestScheduler::new(2);
    let log = Log::default();
    let stuck = test.shared.workers.idle.pop_idle(0).unwrap();
    stuck.processor.ownership.acquire(1);
    assert!(stuck.processor.ownership.retake());
    drop(test.shared.queues.slots()[stuck.index].replace());
    stuck.queue.push(test.writes(&log, 1000, false));
    assert!(test.shared.queues.detached.list(stuck.processor));
    let processor = test.queue((0..3).map(|name| test.writes(&log, name, false)));
    // Behind it in the queue, so that nobody need search.
    test.shared
        .queues
        .global
        .push(test.writes(&log, 2000, false));
    test.shared
        .queues
        .global
        .push(test.writes(&log, 3000, true));
    test.run();
    assert_eq!(*log.lock(), [2000, 0, 1, 2, 1000, 3000]);
    assert_eq!(processor.counters.steals.get(), 0);
    test.shared.queues.detached.clear();
}

#[test]
fn a_thief_is_a_worker_that_found_nothing_of_its_own() {
    let test = TestScheduler::new(2);
    let log = Log::default();
    let victim = test.shared.workers.idle.pop_idle(0).unwrap();
    victim.queue.push(test.writes(&log, 0, false));
    victim.queue.push(test.writes(&log, 1, true));
    let processor = test.shared.queues.slots()[1 - victim.index].current();
    test.run();
    assert_eq!(*log.lock(), [0, 1]);
    assert_eq!(
        (processor.counters.steals.get(), processor.tick.get()),
        (2, 2)
    );
}

/// A task that the monitor asks to let others have their turn, or takes the processor from.
fn disturbed(shared: &'static Shared, retaken: bool) -> Runnable {
    task(move || {
        let processor = this_thread::with_core(shared, |core| core.processor).unwrap();
        match retaken {
            true => assert!(processor.ownership.retake()),
            false => processor.ownership.request_yield(),
        }
        shared.closed.store(retaken, Ordering::SeqCst);
    })
}

#[test]
fn a_worker_that_is_asked_looks_at_the_global_queue_next() {
    let test = TestScheduler::new(1);
    let (shared, log) = (test.shared, Log::default());
    let own = [
        disturbed(shared, false),
        test.writes(&log, 0, false),
        test.writes(&log, 1, false),
        test.writes(&log, 2, false),
    ];
    let processor = test.queue(own);
    // The first look takes one.
    for name in [1000, 1001] {
        shared.queues.global.push(test.writes(&log, name, false));
    }
    shared.queues.global.push(test.writes(&log, 1002, true));
    test.run();
    assert_eq!(*log.lock(), [1000, 1001, 0, 1, 2, 1002]);
    assert_eq!(processor.counters.parks.get(), 0);
}

#[test]
fn a_worker_that_lost_its_processor_in_a_poll_takes_nothing_more() {
    let test = TestScheduler::new(1);
    let processor = test.queue([disturbed(test.shared, true), token().1]);
    test.run();
    assert_eq!(processor.tick.get(), 1);
}

/// Who has pushed it may have turned one on first, while this worker searched.
#[test]
fn a_task_that_was_found_is_polled_with_the_switches_that_are_on() {
    let test = TestScheduler::new(1);
    let shared = test.shared;
    let is_plain = move || this_thread::with_core(shared, Core::is_plain).unwrap();
    let polls = test.queue([task(move || {
        shared.switch(SWITCH, 0);
        // As if it had been asked before.
        this_thread::with_core(shared, |core| core.processor.ownership.acknowledge());
        assert!(is_plain());
    })]);
    // The first look takes one, and the third, when the queue is empty, the other.
    shared.queues.global.push(token().1);
    shared.queues.global.push(task(move || {
        assert!(!is_plain());
        shared.closed.store(true, Ordering::SeqCst);
    }));
    test.run();
    assert_eq!(polls.tick.get(), 3);
}

/// Of another executor, and it wakes a task of this one.
#[test]
fn what_a_foreign_waker_wakes_runs_before_the_worker_parks() {
    struct Wakes(&'static Shared, Mutex<Option<Runnable>>);

    impl std::task::Wake for Wakes {
        fn wake(self: Arc<Self>) {
            let runnable = self.1.lock().take().unwrap();
            self.0.submit(runnable, false);
        }
    }

    let test = TestScheduler::new(1);
    let (shared, log) = (test.shared, Log::default());
    let last = test.writes(&log, 7, true);
    let waker = Arc::new(Wakes(shared, Mutex::new(Some(last)))).into();
    // After the first look, which is at everything, so that the waker is called by the search.
    test.queue([
        token().1,
        task(move || {
            shared.call_own_wakers(&mut vec![waker]);
        }),
    ]);
    test.run();
    assert_eq!(*log.lock(), [7]);
}

/// A worker that holds a runnable while a foreign waker blocks keeps it from everybody, even after
/// its processor was retaken.
#[cfg(feature = "time")]
#[test]
fn a_foreign_waker_is_called_while_every_runnable_is_in_a_queue() {
    use crate::scheduler::timers::Timer;

    struct Looks(&'static Shared, Mutex<Vec<usize>>);

    impl std::task::Wake for Looks {
        fn wake(self: Arc<Self>) {
            self.1.lock().push(self.0.queues.num_visible());
        }
    }

    let test = TestScheduler::new(1);
    let (shared, log) = (test.shared, Log::default());
    let looks = Arc::new(Looks(shared, Mutex::default()));
    let mut timer = Timer::new();
    timer.arm(shared, Instant::now(), &looks.clone().into());
    crate::sync::thread::sleep(Duration::from_millis(1));
    // The first look is at everything.
    shared.queues.global.push(test.writes(&log, 0, false));
    shared.queues.global.push(test.writes(&log, 1, true));
    test.run();
    assert_eq!(*looks.1.lock(), [2]);
    assert_eq!(*log.lock(), [0, 1]);
}

/// The monitor takes the processor of whoever calls it, or it says itself that it will block; then
/// another worker has it.
#[cfg(feature = "time")]
#[test]
fn a_worker_that_lost_its_processor_in_a_foreign_waker_polls_nothing_more() {
    use crate::scheduler::timers::Timer;

    struct Loses {
        shared: &'static Shared,
        unasked: bool,
        core: Mutex<Option<Box<Core>>>,
    }

    impl std::task::Wake for Loses {
        fn wake(self: Arc<Self>) {
            if self.unasked {
                let processor = this_thread::with_core(self.shared, |core| core.processor).unwrap();
                assert!(processor.ownership.retake());
            } else {
                let away = enter_blocking();
                *self.core.lock() = self.shared.workers.idle.pop_idle(0);
                drop(away);
            }
            self.shared.closed.store(true, Ordering::SeqCst);
        }
    }

    for unasked in [true, false] {
        let test = TestScheduler::new(1);
        let shared = test.shared;
        let loses = Arc::new(Loses {
            shared,
            unasked,
            core: Mutex::new(None),
        });
        let mut timer = Timer::new();
        timer.arm(shared, Instant::now(), &loses.clone().into());
        crate::sync::thread::sleep(Duration::from_millis(1));
        let (queued, waiting) = (token(), token());
        test.queue([queued.1]);
        shared.queues.global.push(waiting.1);
        test.run();
        assert_eq!(shared.queues.slots()[0].current().tick.get(), 0);
        assert!(test.take_global().contains(&waiting.0));
        drop(loses.core.lock().take());
    }
}
