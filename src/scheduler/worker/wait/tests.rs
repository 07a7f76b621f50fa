//! One wait of one worker: what ends it, and what the worker is afterwards.

use std::task::Wake;
use std::time::Instant;

use super::*;
use crate::scheduler::lifecycle::settings::{Hook, ParkHooks};
use crate::scheduler::monitor::probe;
use crate::scheduler::observer::NoObserver;
use crate::scheduler::processor::tests::token;
use crate::scheduler::timers::Timer;
use crate::scheduler::worker::run_as;
use crate::scheduler::{Shared, this_thread};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, thread};

/// An open scheduler of one processor, which is idle.
fn open() -> &'static Shared {
    let shared = Shared::with_processors(1, Box::new(NoObserver)).unwrap();
    shared.workers.idle.reopen();
    shared.closed.store(false, Ordering::SeqCst);
    shared.services.leased.lock().netpoll =
        Some(crate::scheduler::netpoll::Netpoll::new().unwrap());
    shared
}

/// A worker that holds the core.
fn worker(f: impl FnOnce(&'static Shared, &Worker)) {
    let shared = open();
    let core = shared.workers.idle.pop_idle(0);
    run_as(shared, core, false, |worker| f(shared, worker));
}

/// A worker without a core. `is_idle`: one is idle, else another one holds it.
fn spare(is_idle: bool, f: impl FnOnce(&'static Shared, &Worker)) {
    let shared = open();
    let core = (!is_idle).then(|| shared.workers.idle.pop_idle(0).unwrap());
    run_as(shared, None, false, |worker| f(shared, worker));
    drop(core);
}

/// There is another worker, so there are more than processors.
fn add_worker(shared: &Shared) {
    shared.workers.staying.fetch_add(1, Ordering::SeqCst);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Timers that nobody waits for yet.
struct Timers {
    count: Arc<Count>,
    deadline: Instant,
    _timers: Vec<Timer>,
}

const SOON: Duration = Duration::from_millis(5);
const LATE: Duration = Duration::from_secs(60);

impl Timers {
    fn new(shared: &'static Shared, number: usize, after: Duration) -> Timers {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let deadline = Instant::now() + after;
        let timers = (0..number).map(|_| {
            let mut timer = Timer::new();
            timer.arm(shared, deadline, &waker);
            timer
        });
        Timers {
            _timers: timers.collect(),
            count,
            deadline,
        }
    }

    /// They have fired, and not before their time.
    fn assert_fired(&self) {
        assert!(Instant::now() >= self.deadline);
        assert_eq!(self.count.0.load(Ordering::SeqCst), self._timers.len());
    }
}

fn parks(shared: &'static Shared) -> u64 {
    shared.queues.slots()[0].current().counters.parks.get()
}

/// Others may have left it to this worker's search.
#[test]
fn a_worker_that_sees_work_after_parking_searches_on_and_does_not_wait() {
    worker(|shared, worker| {
        shared.queues.global.push(token().1);
        assert!(worker.wait());
        assert!(this_thread::holds_core() && worker.is_searching());
        assert_eq!((parks(shared), shared.workers.idle.num_searching()), (1, 1));
        assert_eq!(shared.workers.idle.num_waiting_workers(), 0);
    });
    spare(true, |shared, worker| {
        shared.queues.global.push(token().1);
        assert!(worker.wait());
        assert!(this_thread::holds_core() && worker.is_searching());
    });
}

/// It may block, and who submits meanwhile would leave its work to that search.
#[test]
fn a_worker_searches_no_more_when_a_hook_is_called() {
    worker(|shared, worker| {
        let searching = Arc::new(Mutex::new(Vec::new()));
        let seen = searching.clone();
        let hook: Hook = Arc::new(move || {
            let number = shared.workers.idle.num_searching();
            seen.lock().push(number);
        });
        let hooks = ParkHooks {
            park: Some(hook.clone()),
            unpark: Some(hook),
        };
        shared.queues.global.push(token().1);
        shared.workers.idle.begin_search_anyway();
        worker.set_searching(true);
        assert!(worker.wait_with_hooks(&hooks));
        assert_eq!(*searching.lock(), [0, 0]);
        assert!(this_thread::holds_core() && !worker.is_searching());
    });
}

#[test]
fn a_spare_that_can_do_nothing_about_work_waits() {
    spare(false, |shared, worker| {
        let _driver = worker.netpoll.try_driver();
        add_worker(shared);
        shared.queues.global.push(token().1);
        // Its keep-alive is none.
        assert!(!worker.wait(), "it ends");
        assert!(!this_thread::holds_core());
    });
}

#[test]
fn nobody_waits_in_a_closed_scheduler() {
    worker(|shared, worker| {
        shared.closed.store(true, Ordering::SeqCst);
        assert!(worker.wait());
        assert!(!worker.is_searching());
    });
    worker(|shared, worker| {
        let _driver = worker.netpoll.try_driver();
        shared.closed.store(true, Ordering::SeqCst);
        let mut wakers = Vec::new();
        // It may have been closed since it parked.
        worker.parked_worker.unpark();
        assert!(!worker.park_on_thread(&mut wakers));
    });
}

#[test]
fn a_timer_ends_the_wait_with_the_driver() {
    for number in 1..4 {
        worker(|shared, worker| {
            let timers = Timers::new(shared, number, SOON);
            assert!(worker.wait());
            timers.assert_fired();
            assert!(this_thread::holds_core() && !worker.is_searching());
            assert_eq!(worker.timers_are_dense.get(), number > 1);
            assert!(
                worker.netpoll.try_driver().is_some(),
                "it has left the driver"
            );
        });
    }
}

/// What the network has brought does not count as timers.
#[test]
fn timers_are_dense_if_several_are_due_at_once() {
    worker(|shared, worker| {
        let timers = Timers::new(shared, 1, Duration::ZERO);
        thread::sleep(Duration::from_millis(1));
        let mut wakers = vec![Waker::noop().clone(); 3];
        worker.park_on_driver(worker.netpoll.try_driver().unwrap(), &mut wakers);
        assert_eq!(wakers.len(), 4);
        assert!(!worker.timers_are_dense.get());
        drop(timers);
    });
}

#[test]
fn a_timer_ends_the_wait_of_a_parked_worker() {
    worker(|shared, worker| {
        let _driver = worker.netpoll.try_driver();
        let timers = Timers::new(shared, 2, SOON);
        assert!(worker.wait());
        timers.assert_fired();
        assert!(this_thread::holds_core() && !worker.is_searching());
    });
}

/// Where the kernel tells how long a thread has run.
#[test]
fn who_waits_does_not_compute() {
    let this = probe::this_thread();
    for with_driver in [true, false] {
        worker(|shared, worker| {
            let _driver = (!with_driver).then(|| worker.netpoll.try_driver());
            let timers = Timers::new(shared, 1, 20 * SOON);
            let before = probe::cpu_time(this);
            assert!(worker.wait());
            let computed = probe::cpu_time(this).zip(before);
            timers.assert_fired();
            let most = 10 * SOON + probe::CPU_TIME_STEP;
            assert!(computed.is_none_or(|(after, before)| after - before < most));
        });
    }
}

/// The claim counts it as searching.
#[test]
fn a_core_that_was_handed_over_ends_any_wait() {
    for with_driver in [true, false] {
        spare(true, |shared, worker| {
            let driver = worker.netpoll.try_driver().unwrap();
            let core = shared.workers.idle.pop_idle(0).unwrap();
            shared.workers.idle.begin_search_anyway();
            worker.parked_worker.hand(core);
            let mut wakers = Vec::new();
            if with_driver {
                worker.park_on_driver(driver, &mut wakers);
            } else {
                worker.parked_worker.unpark();
                assert!(!worker.park_on_thread(&mut wakers));
                drop(driver);
            }
            assert!(worker.resume(None, wakers, false, false));
            assert!(this_thread::holds_core() && worker.is_searching());
        });
    }
}

/// Its keep-alive is none here.
#[test]
fn a_spare_ends_if_there_are_more_workers_than_processors() {
    for surplus in [false, true] {
        spare(false, |shared, worker| {
            let _driver = worker.netpoll.try_driver();
            let timers = Timers::new(shared, 1, SOON);
            if surplus {
                add_worker(shared);
            }
            assert_eq!(worker.wait(), !surplus);
            if !surplus {
                timers.assert_fired();
            }
            assert_eq!(shared.workers.idle.num_waiting_workers(), 0);
        });
    }
}

/// Though the first is at its end still when the other one's time has come.
#[test]
fn of_two_workers_of_one_processor_one_ends() {
    spare(false, |shared, worker| {
        let _driver = worker.netpoll.try_driver();
        let stage = Arc::new(AtomicUsize::new(0));
        let others = stage.clone();
        let wait_for = |stage: &AtomicUsize, number| {
            while stage.load(Ordering::SeqCst) != number {
                thread::yield_now();
            }
        };
        let other = thread::spawn(move || {
            run_as(shared, None, false, |worker| {
                others.store(1, Ordering::SeqCst);
                wait_for(&others, 2);
                let timers = Timers::new(shared, 1, SOON);
                assert!(worker.wait());
                timers.assert_fired();
            });
        });
        wait_for(&stage, 1);
        let ends = !worker.wait();
        stage.store(2, Ordering::SeqCst);
        assert!(ends);
        other.join().unwrap();
    });
}

/// The core stays for the next one.
#[test]
fn a_worker_beyond_the_processors_ends_though_it_held_a_core() {
    worker(|shared, worker| {
        let _driver = worker.netpoll.try_driver();
        add_worker(shared);
        assert!(!worker.wait());
        assert!(!this_thread::holds_core());
        assert_eq!(
            (
                shared.workers.idle.num_idle(),
                shared.workers.idle.num_waiting_workers()
            ),
            (1, 0)
        );
    });
}

#[test]
fn a_spare_that_a_timer_has_woken_goes_on() {
    spare(false, |shared, worker| {
        add_worker(shared);
        let timers = Timers::new(shared, 1, SOON);
        assert!(worker.wait());
        timers.assert_fired();
        assert!(!this_thread::holds_core());
    });
}

/// Whether the worker with the driver has been told to look again.
fn driver_is_told(worker: &Worker) -> bool {
    const TIME: Duration = Duration::from_millis(500);
    let mut driver = worker.netpoll.try_driver().unwrap();
    let begin = Instant::now();
    driver.poll(Some(TIME), &mut Vec::new());
    begin.elapsed() < TIME
}

/// It may have been the one that waited for the next deadline.
#[test]
fn a_worker_that_ends_tells_the_driver_of_timers_that_nobody_waits_for() {
    for (armed, surplus) in [(true, true), (false, true), (true, false)] {
        spare(false, |shared, worker| {
            let timers = armed.then(|| Timers::new(shared, 1, LATE));
            // Else this ends the wait.
            let soon = (!surplus).then(|| Timers::new(shared, 1, SOON));
            if surplus {
                add_worker(shared);
            }
            let driver = worker.netpoll.try_driver();
            assert_eq!(worker.wait(), !surplus);
            drop((driver, soon));
            assert_eq!(driver_is_told(worker), armed && surplus);
            drop(timers);
        });
    }
}
