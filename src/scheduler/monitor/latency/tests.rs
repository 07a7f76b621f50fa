//! One poll that computes, and rounds of the monitor that the test makes.

use super::*;
use crate::scheduler::monitor::probe;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::observer::NoObserver;
use crate::scheduler::processor::tests::token;
use crate::scheduler::run_queues::compute_limit::score_of;
use crate::scheduler::this_thread;
use crate::scheduler::worker::parked_worker::ParkedWorker;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{Arc, thread};
use crate::tasks::priority::Class;
use crate::tasks::{Id, Meta, Runnable};
use Priority::{Background, Interactive, Normal};

const MILLI: Duration = Duration::from_millis(1);

/// A poll of this class on the only processor, and somebody who could take that over.
struct Computes {
    shared: &'static Shared,
    rounds: Rounds,
    stop: Arc<AtomicBool>,
    worker: Option<thread::JoinHandle<()>>,
    thread: u64,
    /// The CPU time that the thread had used before the first round began, and when it had ended.
    before: Duration,
    after: Duration,
}

fn interactive() -> Runnable {
    let (runnable, task) = async_task::Builder::new()
        .metadata(Meta::new(Id::next(), 0, Class::of(Interactive).bits()))
        .spawn(|_| std::future::ready(()), |_| ());
    task.detach();
    Runnable::new(runnable)
}

impl Computes {
    fn new(class: Priority, waiting: usize) -> Computes {
        let shared = Shared::with_processors(1, Box::new(NoObserver)).unwrap();
        shared.workers.idle.reopen();
        shared.closed.store(false, Ordering::SeqCst);
        shared.reset_classes();
        shared.use_classes();
        let core = shared.workers.idle.pop_idle(0).unwrap();
        let spare = Arc::new(ParkedWorker::of_this_thread(Netpoll::new().unwrap()));
        shared.workers.idle.park_worker(None, &spare, false, false);
        for _ in 0..waiting {
            assert!(shared.queues.by_class.push(interactive()).is_ok());
        }
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
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
        let thread = thread.load(Ordering::Acquire);
        let mut rounds = Rounds::new(shared);
        rounds.retakes = true;
        let mut computes = Computes {
            shared,
            rounds,
            stop,
            worker: Some(worker),
            thread,
            before: Duration::ZERO,
            after: Duration::ZERO,
        };
        computes.before = computes.cpu();
        computes.round();
        computes.after = computes.cpu();
        computes
    }

    fn cpu(&self) -> Duration {
        probe::cpu_time(self.thread).unwrap()
    }

    fn round(&mut self) {
        self.rounds.last = clock::now();
        self.rounds.look_at_processors();
    }

    /// A round once the poll has used so much CPU time since it was seen.
    fn round_after(&mut self, time: Duration) {
        while self.cpu() < self.after + time {
            thread::yield_now();
        }
        self.round();
    }

    /// Whether it is certain that in the last round it had used less.
    fn has_used_less_than(&self, time: Duration) -> bool {
        self.cpu() < self.before + time
    }

    fn retakes(&self) -> u64 {
        self.shared.snapshot().retakes
    }
}

impl Drop for Computes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let worker = self.worker.take().unwrap();
        let _ = worker.join();
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
fn rounds_come_quickly_while_somebody_is_in_the_way() {
    for (class, waiting, period) in [
        (Background, 1, EAGER_PERIOD),
        (Normal, 1, EAGER_PERIOD),
        (Background, 0, ATTENTIVE_PERIOD),
        (Normal, 0, MILLI),
    ] {
        let mut computes = Computes::new(class, waiting);
        computes.round();
        assert_eq!(computes.rounds.period, period, "{class:?} {waiting}");
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
}
