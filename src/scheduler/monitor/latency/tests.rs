//! One poll that computes, and rounds of the monitor that the test makes.

use super::*;
use crate::scheduler::monitor::probe;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::observer::NoObserver;
use crate::scheduler::processor::tests::token;
use crate::scheduler::run_queues::compute_limit::score_of;
use crate::scheduler::tests::working::task_of;
use crate::scheduler::this_thread;
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Arc, thread};
use crate::tasks::class::Class;
use crate::tasks::{Id, Meta, Runnable};
use Priority::{Background, Interactive, Normal};

const MILLI: Duration = Duration::from_millis(1);

/// A poll of this class on each processor, and for each somebody who could take that over.
struct Computes {
    shared: &'static Shared,
    rounds: Rounds,
    stop: Arc<AtomicBool>,
    polls: Vec<Poll>,
}

struct Poll {
    worker: Option<thread::JoinHandle<()>>,
    thread: u64,
    /// The CPU time that the thread had used before the first round began, and when it had ended.
    before: Duration,
    after: Duration,
}

impl Poll {
    fn begin(shared: &'static Shared, class: Priority, until: Arc<AtomicBool>) -> Poll {
        let core = shared.workers.idle.pop_idle(0).unwrap();
        let thread = Arc::new(AtomicU64::new(0));
        let tell = thread.clone();
        let worker = thread::spawn(move || {
            this_thread::set_worker_of(Some(shared));
            shared.acquire(core, clock::now());
            let (_, runnable) = token();
            this_thread::with_core(shared, |core| {
                core.begin_poll(&runnable);
                core.processor.set_class(class);
            });
            tell.store(probe::this_thread(), Ordering::Release);
            while !until.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            drop(this_thread::take_core());
            this_thread::set_worker_of(None);
        });
        while thread.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        Poll {
            worker: Some(worker),
            thread: thread.load(Ordering::Acquire),
            before: Duration::ZERO,
            after: Duration::ZERO,
        }
    }

    fn cpu(&self) -> Duration {
        probe::cpu_time(self.thread).unwrap()
    }
}

fn interactive() -> Runnable {
    task_of(
        Meta::new(Id::next(), 0, Class::of(Interactive).bits()),
        || (),
    )
}

fn open(processors: usize) -> &'static Shared {
    let shared = Shared::with_processors(processors, Box::new(NoObserver)).unwrap();
    shared.workers.idle.reopen();
    shared.closed.store(false, Ordering::SeqCst);
    shared.reset_classes();
    shared.use_classes();
    shared
}

impl Computes {
    fn new(class: Priority, waiting: usize) -> Computes {
        Computes::of([class], waiting)
    }

    fn of<const P: usize>(classes: [Priority; P], waiting: usize) -> Computes {
        let shared = open(P);
        for _ in 0..P {
            let spare = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
            shared.workers.idle.park_worker(None, &spare, false, false);
        }
        for _ in 0..waiting {
            assert!(shared.queues.by_class.push(interactive()).is_ok());
        }
        Computes::begin(shared, classes)
    }

    fn begin<const P: usize>(shared: &'static Shared, classes: [Priority; P]) -> Computes {
        let stop = Arc::new(AtomicBool::new(false));
        let polls = classes.map(|class| Poll::begin(shared, class, stop.clone()));
        let mut rounds = Rounds::new(shared);
        rounds.retakes = true;
        let polls = Vec::from(polls);
        let mut computes = Computes {
            shared,
            rounds,
            stop,
            polls,
        };
        computes
            .polls
            .iter_mut()
            .for_each(|poll| poll.before = poll.cpu());
        computes.round();
        computes
            .polls
            .iter_mut()
            .for_each(|poll| poll.after = poll.cpu());
        computes
    }

    fn round(&mut self) {
        self.round_at(clock::now());
    }

    fn round_at(&mut self, time: Instant) {
        self.rounds.last = time;
        self.rounds.look_at_processors();
    }

    /// A round once the polls have used so much CPU time since they were seen.
    fn round_after(&mut self, time: Duration) {
        while self.polls.iter().any(|poll| poll.cpu() < poll.after + time) {
            thread::yield_now();
        }
        self.round();
    }

    /// Whether it is certain that in the last round they had used less.
    fn has_used_less_than(&self, time: Duration) -> bool {
        self.polls
            .iter()
            .all(|poll| poll.cpu() < poll.before + time)
    }

    fn retakes(&self) -> u64 {
        self.shared.snapshot().retakes
    }
}

impl Drop for Computes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for poll in &mut self.polls {
            let worker = poll.worker.take().unwrap();
            let _ = worker.join();
        }
        while let Some(runnable) = self.shared.queues.by_class.pop_any() {
            drop(runnable);
        }
    }
}

/// Repeats what a busy machine has spoilt.
fn undisturbed(attempt: impl Fn() -> bool) {
    assert!((0..200).any(|_| attempt()), "the machine is too busy");
}

#[test]
fn a_poll_in_the_way_is_retaken_after_a_time_that_depends_on_its_class() {
    for (class, patience) in [(Background, MILLI / 5), (Normal, MILLI)] {
        let mut computes = Computes::new(class, 1);
        assert_eq!(computes.retakes(), 0, "it was seen for the first time");
        computes.round_after(patience);
        assert_eq!(computes.retakes(), 1, "{class:?}");
    }
    for (class, patience) in [
        (Background, MILLI / 5),
        (Normal, MILLI),
        (Interactive, 8 * MILLI),
    ] {
        undisturbed(|| {
            let mut computes = Computes::new(class, 1);
            computes.round_after(patience / 4);
            let retakes = computes.retakes();
            let is_certain = computes.has_used_less_than(patience);
            assert!(!is_certain || retakes == 0, "{class:?}");
            is_certain
        });
    }
}

#[test]
fn without_interactive_work_or_beside_as_many_that_compute_nothing_is_retaken_early() {
    for (waiting, computing) in [(0, false), (1, true)] {
        undisturbed(|| {
            let counted = AtomicBool::new(false);
            let mut computes = Computes::new(Background, waiting);
            if computing {
                let limit = &computes.shared.queues.compute_limit;
                limit.begin_computing(&counted);
            }
            computes.round_after(2 * MILLI);
            let retakes = computes.retakes();
            let is_certain = computes.has_used_less_than(RUNNING);
            assert!(!is_certain || retakes == 0);
            is_certain
        });
    }
}

#[test]
fn an_early_retake_counts_among_those_that_compute_and_not_against_the_spawn_site() {
    undisturbed(|| {
        let mut computes = Computes::new(Background, 1);
        let processor = computes.shared.queues.slots()[0].current();
        let score = score_of(processor.task(), Background);
        computes.round_after(MILLI / 5);
        assert_eq!(computes.retakes(), 1);
        let limit = &computes.shared.queues.compute_limit;
        assert!(limit.is_reached() && processor.counted.load(Ordering::Relaxed));
        let is_certain = computes.has_used_less_than(RUNNING);
        // False: it was not.
        let was_heavy = limit.set_heavy(score, false);
        assert!(!is_certain || !was_heavy);
        is_certain
    });
}

#[test]
fn when_as_many_are_retaken_in_one_round_as_may_compute_the_others_stay() {
    undisturbed(|| {
        let counted = AtomicBool::new(false);
        let mut computes = Computes::of([Background, Background], 2);
        let limit = &computes.shared.queues.compute_limit;
        limit.begin_computing(&counted);
        computes.round_after(MILLI / 5);
        let is_certain = computes.has_used_less_than(RUNNING);
        assert!(!is_certain || computes.retakes() == 1);
        is_certain
    });
}

/// So soon as the poll that was seen may be retaken, and no sooner; never while all are of its class.
#[test]
fn the_next_round_comes_when_a_poll_that_was_seen_may_be_retaken() {
    for (class, waiting, period) in [
        (Background, 1, MILLI / 5),
        (Normal, 1, MILLI),
        (Interactive, 1, MILLI),
        (Background, 0, MILLI),
        (Normal, 0, MILLI),
    ] {
        undisturbed(|| {
            let mut computes = Computes::new(class, waiting);
            assert_eq!(computes.rounds.period, period, "{class:?} {waiting}");
            computes.round();
            let again = computes.rounds.period;
            let is_certain = computes.has_used_less_than(RUNNING - MILLI);
            let is_in_the_way = waiting != 0 && class != Interactive;
            let is_as_before = again == period || is_in_the_way && again < period;
            assert!(!is_certain || is_as_before, "{class:?} {waiting}");
            is_certain
        });
    }
}

#[test]
fn background_polls_are_attended_to_for_a_while_after_somebody_has_waited() {
    for (waiting, after, computing, period) in [
        (1, 99, false, MILLI / 5),
        (1, 99, true, MILLI),
        (1, 101, false, MILLI),
        (0, 1, false, MILLI),
    ] {
        undisturbed(|| {
            let counted = AtomicBool::new(false);
            let mut computes = Computes::new(Background, waiting);
            let queues = &computes.shared.queues;
            drop(queues.by_class.pop_interactive());
            if computing {
                queues.compute_limit.begin_computing(&counted);
            }
            computes.round_at(computes.rounds.last + after * MILLI);
            let seen = computes.rounds.period;
            let is_certain = computes.has_used_less_than(RUNNING - MILLI);
            let case = (waiting, after, computing);
            assert!(!is_certain || seen == period, "{case:?}");
            is_certain
        });
    }
}

/// Nobody comes in its place.
#[test]
fn a_processor_that_is_to_retire_is_retaken_also_if_there_may_be_no_more_threads() {
    let shared = open(2);
    let mut computes = Computes::begin(shared, [Normal, Normal]);
    assert!(!shared.can_replace_worker());
    shared.workers.idle.set_wanted(1);
    computes.round_after(RUNNING);
    assert_eq!(computes.retakes(), 1);
}

/// It is next for the worker that has pushed it, if its poll ends soon.
#[test]
fn what_an_interactive_poll_hides_beside_an_idle_processor_ends_a_doze() {
    for (class, yielded) in [(Interactive, false), (Interactive, true)] {
        let shared = open(2);
        let monitor = &shared.workers.monitor;
        let core = shared.workers.idle.pop_idle(0).unwrap();
        let processor = core.processor;
        this_thread::set_worker_of(Some(shared));
        shared.acquire(core, clock::now());
        processor.set_class(class);
        monitor
            .sleep_state
            .store(super::super::DOZING, Ordering::SeqCst);
        shared.submit(interactive(), yielded);
        assert_eq!(monitor.is_sleeping(), yielded, "it goes to sleep over it");
        drop(this_thread::take_core());
        this_thread::set_worker_of(None);
        drop(shared.queues.by_class.pop_any());
    }
}

#[test]
fn the_monitor_is_called_at_most_once_per_period() {
    let monitor = Monitor::default();
    let period = MILLI / 2;
    let last = || monitor.called_for_latency.load(Ordering::Relaxed);
    let now = clock::now() + MILLI;
    monitor.call_for_latency(now, period);
    let first = last();
    assert_eq!(first, clock::nanos(now));
    monitor.call_for_latency(now + period / 2, period);
    assert_eq!(last(), first);
    monitor.call_for_latency(now + period, period);
    assert_eq!(last(), clock::nanos(now + period));
    let shared = open(1);
    assert!(!Rounds::new(shared).retakes, "it has no settings");
    let monitor = &shared.workers.monitor;
    let before = monitor.called_for_latency.load(Ordering::Relaxed);
    monitor.call_for_latency(now + period, period);
    let after = monitor.called_for_latency.load(Ordering::Relaxed);
    assert_eq!(before, after, "it would be in vain");
}
