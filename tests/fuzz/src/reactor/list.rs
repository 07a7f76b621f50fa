//! What a source must know, written down as plainly as possible.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Wake;

use super::state::{Direction, Readiness, State};
use super::waiters::{Handle, Name};

/// A task, as far as its waker goes.
#[derive(Default)]
pub(super) struct Task {
    pub(super) wakes: AtomicU32,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
    }
}

/// On whose behalf a task waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Future(Name),
    /// By its place in the list of handles.
    Handle(usize),
}

pub(super) struct Waiter {
    pub(super) owner: For,
    pub(super) task: usize,
}

/// What an operation saw.
pub(super) struct Seen {
    pub(super) readiness: Readiness,
    pub(super) events: u64,
    pub(super) more: bool,
}

pub(super) struct Source {
    pub(super) key: usize,
    pub(super) state: Arc<State>,
    /// Removed from the registry; operations of its owner may still go on.
    pub(super) gone: bool,
    /// It has failed, or its registry was closed.
    pub(super) closed: bool,
    /// By direction.
    pub(super) ready: [bool; 2],
    pub(super) more: bool,
    pub(super) events: u64,
    /// Whether somebody was told since the last event of each direction.
    pub(super) told: [bool; 2],
    /// The object itself, and others.
    pub(super) handles: Vec<Handle>,
    /// Those of a handle in the order in which they came.
    pub(super) waiters: [Vec<Waiter>; 2],
    pub(super) seen: Vec<Seen>,
    /// Names of futures, by direction; also of those that wait no more.
    pub(super) names: [Vec<Option<Name>>; 2],
}

pub(super) const DIRECTIONS: [Direction; 2] = [Direction::Read, Direction::Write];

impl Source {
    pub(super) fn new(key: usize, state: Arc<State>) -> Source {
        Source {
            key,
            state,
            gone: false,
            closed: false,
            ready: [true; 2],
            more: false,
            events: 0,
            told: [false; 2],
            handles: vec![Handle::OBJECT],
            waiters: Default::default(),
            seen: Vec::new(),
            names: Default::default(),
        }
    }

    /// What the poller is to be asked for.
    pub(super) fn wants(&self) -> Option<(usize, bool, bool)> {
        let [read, write] = [0, 1].map(|direction: usize| !self.waiters[direction].is_empty());
        (read || write).then_some((self.key, read, write))
    }

    /// Everybody who waits in these directions, who now waits no more.
    pub(super) fn take(&mut self, directions: [bool; 2]) -> Vec<usize> {
        let mut tasks = Vec::new();
        for (list, take) in self.waiters.iter_mut().zip(directions) {
            if take {
                tasks.extend(list.drain(..).map(|waiter| waiter.task));
            }
        }
        tasks
    }
}
