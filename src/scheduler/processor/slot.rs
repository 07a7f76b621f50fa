//! The place of a processor, and the instances that take it.
//!
//! A runtime has places for as many processors as it may ever want; a place is filled when its
//! processor is wanted first, and never emptied. What stands in a place is an **instance**: a pair
//! of [`Processor`] and [`Core`]. Usually it is one for ever. When the monitor
//! retakes a processor from a stuck worker, the worker keeps its pair, which it may be using at
//! this very moment, and the place gets another pair, with an empty queue and a core for somebody
//! else. So nobody ever has to take a queue away from a thread that is pushing into it.
//!
//! Instances are never freed, since thieves look at them without asking; they wait in the **free
//! list** of their place for the next retake. There are as many as threads were ever stuck at once
//! in this place. Each stays with its place, so the counts of a processor are the sums over its
//! instances.

use std::{fmt, ptr};

use crossbeam_deque::Worker as LocalQueue;
use crossbeam_utils::CachePadded;

use super::{Core, Processor};
#[cfg(test)]
use crate::scheduler::mask::Mask;
use crate::scheduler::run_queues::marks::Mark;
#[cfg(test)]
use crate::sync::Arc;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

#[cfg(test)]
mod tests;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ProcessorSlot {
    /// The place's.
    mark: Mark,
    /// The instance in the place. The monitor writes it when it retakes; thieves and the monitor
    /// read it.
    current: ProcessorRef,
    instances: Mutex<Instances>,
    /// For the random numbers of its cores. Written at opening: `Relaxed`, no core is held then.
    seed: AtomicU64,
}

#[derive(Debug, Default)]
struct Instances {
    all: Vec<&'static Processor>,
    /// Cores of instances that nobody holds.
    #[expect(
        clippy::vec_box,
        reason = "a core moves from thread to thread as a box"
    )]
    free: Vec<Box<Core>>,
}

impl ProcessorSlot {
    /// An empty place, for [`ProcessorSlot::replace`] to fill.
    pub(crate) fn new(mark: Mark) -> ProcessorSlot {
        ProcessorSlot {
            mark,
            current: ProcessorRef::none(),
            instances: Mutex::default(),
            seed: AtomicU64::new(0),
        }
    }

    /// A place and the core of its first instance.
    #[cfg(test)]
    pub(crate) fn filled(index: usize) -> (ProcessorSlot, Box<Core>) {
        let mask = Arc::new(Mask::new(index + 1));
        let slot = ProcessorSlot::new(Mark::new(&mask, index));
        let core = slot.replace();
        (slot, core)
    }

    /// Which processor's place it is.
    pub(crate) fn index(&self) -> usize {
        self.mark.place()
    }

    /// The instance in this place, which must be filled.
    #[inline]
    pub(crate) fn current(&self) -> &'static Processor {
        self.current.get().expect("the place is filled")
    }

    /// Puts the first instance, or another one, in this place; gives its core.
    pub(crate) fn replace(&self) -> Box<Core> {
        let stocked = self.instances.lock().free.pop();
        let core = stocked.unwrap_or_else(|| self.fresh());
        self.current.set(Some(core.processor));
        core
    }

    fn fresh(&self) -> Box<Core> {
        let queue = LocalQueue::new_fifo();
        let processor: &'static CachePadded<Processor> =
            Box::leak(Box::new(Processor::new(&queue).into()));
        let mut instances = self.instances.lock();
        let number = instances.all.len() as u64;
        instances.all.push(processor);
        drop(instances);
        let seed = self.seed.load(Ordering::Relaxed).wrapping_add(number << 32);
        Core::new(self.mark.clone(), processor, queue, seed)
    }

    /// The core of an instance that is not in the place any more.
    pub(crate) fn put_free(&self, core: Box<Core>) {
        self.instances.lock().free.push(core);
    }

    /// Calls `f` on each core in the free list. It runs under a lock and must call no foreign code.
    pub(crate) fn each_free(&self, f: impl FnMut(&Core)) {
        self.instances
            .lock()
            .free
            .iter()
            .map(|core| &**core)
            .for_each(f);
    }

    /// Calls `f` on each instance there is at the moment. Not under the lock: `f` may copy
    /// megabytes, and the monitor needs the lock to retake.
    pub(crate) fn each(&self, f: impl FnMut(&'static Processor)) {
        let all = self.instances.lock().all.clone();
        all.into_iter().for_each(f);
    }

    /// Which of the instances it is, if it is one of this place.
    pub(crate) fn number_of(&self, processor: &Processor) -> Option<usize> {
        let instances = self.instances.lock();
        instances
            .all
            .iter()
            .position(|other| ptr::eq(*other, processor))
    }

    /// The sum of a figure over all instances.
    pub(crate) fn sum(&self, figure: impl Fn(&Processor) -> u64) -> u64 {
        self.instances
            .lock()
            .all
            .iter()
            .map(|processor| figure(processor))
            .sum()
    }

    /// All counts begin at zero again, and random numbers with this seed. Nobody may hold the
    /// processor.
    pub(crate) fn reset(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        let instances = self.instances.lock();
        instances.all.iter().for_each(|processor| processor.reset());
        for (number, core) in (1..).zip(&instances.free) {
            core.begin(seed.wrapping_add(number << 32));
        }
    }
}

/// An atomic reference to an instance, or to none, which anybody may follow at any time.
pub(crate) struct ProcessorRef(AtomicPtr<Processor>);

impl ProcessorRef {
    pub(crate) fn none() -> ProcessorRef {
        ProcessorRef(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'static Processor> {
        // Acquire pairs with the release in `set` and `fill`: an instance is seen as it was made.
        let pointer = self.0.load(Ordering::Acquire);
        // SAFETY: null, or made from a `&'static Processor` by `set` or `fill`; read through shared
        // references only.
        unsafe { pointer.as_ref() }
    }

    pub(crate) fn set(&self, processor: Option<&'static Processor>) {
        let pointer = processor.map_or(ptr::null(), ptr::from_ref);
        self.0.store(pointer.cast_mut(), Ordering::Release);
    }

    /// Sets it if it is nowhere.
    pub(crate) fn fill(&self, processor: &'static Processor) -> bool {
        let new = ptr::from_ref(processor).cast_mut();
        self.0
            .compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

impl fmt::Debug for ProcessorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorRef")
            .field(&self.get().is_some())
            .finish()
    }
}
