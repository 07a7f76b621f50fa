//! What happens in a run, as runs are compared.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// A step of the run, as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// In ns.
    pub(crate) time: u64,
    pub(crate) thread: usize,
    /// The number of the task that is polled, by the order in which they were polled first. `None`:
    /// the future of a `block_on`.
    pub(crate) task: Option<u32>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, thread) = (Duration::from_nanos(self.time), self.thread);
        match self.task {
            Some(task) => write!(f, "thread {thread} polls task {task} at {time:?}"),
            None => write!(f, "thread {thread} polls in a `block_on` at {time:?}"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Events {
    hash: Cell<u64>,
    /// The numbers of tasks, by their tags.
    tasks: RefCell<HashMap<u64, u32>>,
    count: Cell<usize>,
    last: Cell<Option<Event>>,
    kept: RefCell<Option<Vec<Event>>>,
    /// Those of the run that this one repeats.
    expected: RefCell<Option<Vec<Event>>>,
    stop_at: Cell<Option<usize>>,
}

impl Events {
    /// Keeps all, for a run that repeats this one.
    pub(super) fn keep(&self) {
        *self.kept.borrow_mut() = Some(Vec::new());
    }

    /// The run is over when it does something else than that one did.
    pub(super) fn expect(&self, events: Vec<Event>) {
        *self.expected.borrow_mut() = Some(events);
    }

    /// The run is over at this event, counted from 0.
    pub(super) fn stop_at(&self, event: usize) {
        self.stop_at.set(Some(event));
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.get()
    }

    pub(super) fn count(&self) -> usize {
        self.count.get()
    }

    pub(super) fn last(&self) -> Option<Event> {
        self.last.get()
    }

    pub(super) fn take_kept(&self) -> Vec<Event> {
        self.kept.take().unwrap_or_default()
    }

    pub(super) fn mix(&self, value: u64) {
        let mixed = (self.hash.get() ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.hash.set(mixed ^ (mixed >> 29));
    }

    /// A thread polls the task with this tag, or the future of a `block_on`. `Some`: the run is over
    /// at the event of that number.
    pub(super) fn poll(&self, time: u64, thread: usize, tag: Option<u64>) -> Option<usize> {
        let next = self.tasks.borrow().len() as u32;
        let task = tag.map(|tag| *self.tasks.borrow_mut().entry(tag).or_insert(next));
        let event = Event { time, thread, task };
        self.mix(time);
        let number = task.map_or(0, |task| u64::from(task) + 1);
        self.mix((thread as u64) << 32 | number);
        if let Some(kept) = &mut *self.kept.borrow_mut() {
            kept.push(event);
        }
        self.last.set(Some(event));
        let at = self.count.replace(self.count.get() + 1);
        let expected = self.expected.borrow();
        // One that comes when all of them have come differs, too.
        let differs = |expected: &Vec<Event>| expected.get(at) != Some(&event);
        let differs = expected.as_ref().is_some_and(differs);
        (differs || self.stop_at.get() == Some(at)).then_some(at)
    }
}
