//! Next slot and run queue against a model, and against a thief on another thread: nothing is lost,
//! nothing comes out twice, and what one hand put into the queue comes out in that order.

use std::mem::discriminant;

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;
use proptest::prelude::*;

use super::*;
use crate::scheduler::mask::Mask;
use crate::scheduler::run_queues::steal::{BATCH, steal_one};
use crate::sync::{Arc, Mutex, thread};
use crate::tasks::{Id, Meta};

/// A runnable that nobody runs, and its id.
pub(crate) fn token() -> (Id, Runnable) {
    let id = Id::next();
    let (runnable, task) = async_task::Builder::new()
        .metadata(Meta::new(id, 0, 0))
        .spawn(|_| std::future::ready(()), |_| ());
    task.detach();
    (id, Runnable::new(runnable))
}

fn id(runnable: &Runnable) -> Id {
    runnable.metadata().id()
}

fn core() -> Box<Core> {
    let queue = LocalQueue::new_fifo();
    let processor: &'static CachePadded<Processor> =
        Box::leak(Box::new(Processor::new(&queue).into()));
    keep(processor);
    let mask = Arc::new(Mask::new(1));
    Core::new(Mark::new(&mask, 0), processor, queue, 1)
}

/// Processors live for ever. In a runtime its place knows of them; here nobody would, and leak
/// checkers would ask.
pub(crate) fn keep(processor: &'static Processor) {
    static KEPT: Mutex<Vec<&'static Processor>> = Mutex::new(Vec::new());
    KEPT.lock().push(processor);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push { yielded: bool },
    Pop,
    EndStreak,
    EmptySlot,
    Batch(u8),
    Steal,
    StealBatch(usize),
    StealSlot,
    Retake,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<bool>().prop_map(|yielded| Step::Push { yielded }),
        8 => Just(Step::Pop),
        1 => Just(Step::EndStreak),
        1 => Just(Step::EmptySlot),
        1 => (0u8..5).prop_map(Step::Batch),
        2 => Just(Step::Steal),
        2 => (1usize..=BATCH).prop_map(Step::StealBatch),
        2 => Just(Step::StealSlot),
        1 => Just(Step::Retake),
    ]
}

#[derive(Default)]
struct Model {
    slot: Option<Id>,
    queue: VecDeque<Id>,
    streak: u8,
    retaken: bool,
}

impl Model {
    /// True: worth a wake.
    fn push(&mut self, id: Id, yielded: bool) -> bool {
        if yielded {
            self.queue.push_back(id);
            return self.slot.is_some();
        }
        let displaced = self.slot.replace(id);
        self.queue.extend(displaced);
        displaced.is_some()
    }

    fn pop(&mut self) -> Option<Id> {
        if self.streak < NEXT_SLOT_CAP {
            if let Some(id) = self.slot.take() {
                self.streak += 1;
                return Some(id);
            }
        }
        self.streak = 0;
        self.queue.pop_front().or_else(|| self.slot.take())
    }

    fn apply(&mut self, core: &Core, thief: &Core, step: Step) {
        match step {
            Step::Push { yielded } => {
                let (id, runnable) = token();
                let submitted = core.push(runnable, yielded);
                let expected = match (self.push(id, yielded), self.retaken) {
                    (_, true) => Submitted::Elsewhere,
                    (true, false) => Submitted::WakeOne,
                    (false, false) => Submitted::NoWake,
                };
                assert_eq!(discriminant(&submitted), discriminant(&expected));
            }
            Step::Pop => assert_eq!(core.pop().as_ref().map(id), self.pop()),
            Step::EndStreak => {
                core.end_streak();
                self.streak = NEXT_SLOT_CAP;
            }
            Step::EmptySlot => {
                core.empty_slot();
                self.queue.extend(self.slot.take());
            }
            Step::Batch(count) => {
                core.begin_batch();
                for _ in 0..count {
                    let (id, runnable) = token();
                    assert!(matches!(core.push(runnable, false), Submitted::NoWake));
                    self.queue.push_back(id);
                }
                assert_eq!(core.end_batch(), u32::from(count));
            }
            Step::Steal => {
                let stolen = steal_one(|| core.processor.stealer.steal());
                assert_eq!(stolen.as_ref().map(id), self.queue.pop_front());
            }
            Step::StealBatch(limit) => self.steal_batch(core, thief, limit),
            Step::StealSlot => {
                assert_eq!(
                    core.processor.next.steal().as_ref().map(id),
                    self.slot.take()
                );
            }
            Step::Retake => {
                if !self.retaken {
                    core.processor.ownership.acquire(1);
                    self.retaken = core.processor.ownership.retake();
                }
                assert!(self.retaken && core.wheel().is_none());
            }
        }
    }

    /// However many come, they are the oldest.
    fn steal_batch(&mut self, core: &Core, thief: &Core, limit: usize) {
        let stealer = &core.processor.stealer;
        let first = steal_one(|| stealer.steal_batch_with_limit_and_pop(&thief.queue, limit));
        assert_eq!(first.is_some(), !self.queue.is_empty());
        let mut count = 0;
        for runnable in first
            .into_iter()
            .chain(std::iter::from_fn(|| thief.queue.pop()))
        {
            assert_eq!(Some(id(&runnable)), self.queue.pop_front());
            count += 1;
        }
        assert!(count <= limit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_processor_runs_what_its_model_runs(steps in prop::collection::vec(step(), 1..200)) {
        let (core, thief) = (core(), core());
        let mut model = Model::default();
        for step in steps {
            model.apply(&core, &thief, step);
            let queued = model.queue.len() + usize::from(model.slot.is_some());
            prop_assert_eq!(core.processor.num_queued(), queued);
        }
        while let Some(expected) = model.pop() {
            prop_assert_eq!(core.pop().as_ref().map(id), Some(expected));
        }
        prop_assert!(core.pop().is_none() && thief.queue.is_empty());
    }
}

/// What the owner and a thief on another thread got, of what `push` has put in `rounds` times.
fn race(rounds: usize, push: impl Fn(&Core, usize) -> Id) -> (Vec<Id>, Vec<Id>, Vec<Id>) {
    let (core, thief) = (core(), core());
    let processor = core.processor;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        let stealing = scope.spawn(move || {
            let mut got = Vec::new();
            loop {
                // Looked at first: what was pushed before the end is found after it.
                let last = done.load(Ordering::Acquire);
                let stealer = &processor.stealer;
                let one = steal_one(|| stealer.steal_batch_with_limit_and_pop(&thief.queue, 8));
                let rest = std::iter::from_fn(|| thief.queue.pop());
                let before = got.len();
                got.extend(one.iter().chain(&rest.collect::<Vec<_>>()).map(id));
                got.extend(processor.next.steal().as_ref().map(id));
                if last && got.len() == before {
                    return got;
                }
            }
        });
        let (mut pushed, mut popped) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            pushed.push(push(&core, round));
            if round % 3 == 0 {
                popped.extend(core.pop().as_ref().map(id));
            }
        }
        done.store(true, Ordering::Release);
        let stolen = stealing.join().unwrap();
        assert!(core.pop().is_none(), "the thief left something");
        (pushed, popped, stolen)
    })
}

#[test]
fn a_thief_beside_the_owner_gets_nothing_twice_and_loses_nothing() {
    let (mut pushed, popped, stolen) = race(50_000, |core, round| {
        let (id, runnable) = token();
        core.push(runnable, round % 5 == 0);
        id
    });
    let mut out = [popped, stolen].concat();
    pushed.sort_unstable();
    out.sort_unstable();
    assert_eq!(out, pushed);
}

#[test]
fn owner_and_thief_each_see_the_order_of_the_queue() {
    let (pushed, popped, stolen) = race(50_000, |core, _| {
        let (id, runnable) = token();
        core.push(runnable, true);
        id
    });
    assert!(popped.is_sorted() && stolen.is_sorted());
    assert_eq!(popped.len() + stolen.len(), pushed.len());
}
