//! The queues of the classes `Interactive` and `Background`. What is `Normal` has the other queues.
//!
//! # What it guarantees
//!
//! * `Interactive`: one shared queue, first in first out, which each worker looks into before its
//!   own.
//! * `Background`: one shared queue, first in first out, and at most as many polls at once as
//!   [`Builder::background_limit`](crate::Builder::background_limit) says, except those that have
//!   given their permit up. A task whose class changes while it waits here is taken out.
//! * A runnable is polled as the class that its task has by then, wherever it was queued. A
//!   `Background` task that was aborted counts as `Normal` ([`Meta::polled_as`](crate::tasks::Meta)).
//!
//! # Which queue
//!
//! [`ByClass::push`] decides by the class at the moment of the push. The class of a task
//! can change at any time, so:
//!
//! 1. Who changes it to another one calls `Shared::reclassed` afterwards, which takes the task out of
//!    the `Background` queue if it is there ([`BackgroundQueue::extract`]) and pushes it anew.
//! 2. A push into the `Background` queue asks for the class once more, under the lock of the queue
//!    ([`BackgroundQueue::push_if`]). So either step 1 finds the runnable, or the push sees the
//!    change: the lock of step 1 came before that of the push, and the change before that.
//! 3. Who takes a runnable out of any queue asks for its class (`Worker::admit`). If it has become
//!    `Background` meanwhile, it needs a permit, or goes to the `Background` queue.
//!
//! The failure that step 2 prevents: somebody awaits a task of class `Background`, which is lifted by
//! that. The push has read the old class, and comes after the look of step 1. The task would wait
//! behind all others of its class, and who awaits it with it.
//!
//! What is in another queue than that of its class stays there until it is polled: a `Normal` task
//! in a worker's queue that becomes `Interactive`, an `Interactive` one that becomes anything else.
//!
//! # Permits
//!
//! The number of permits is the limit. A poll of class `Background` begins with one.
//!
//! 1. A worker reserves one ([`Permits::reserve`]) before it takes a runnable, by an exchange that
//!    fails at the limit. If the queue turns out to be empty, it gives the permit back, and looks
//!    once more whether anybody waits.
//! 2. When the poll begins, the worker writes the tick of the poll into the instance of its
//!    processor ([`Permits::mark`], `Processor::permit`).
//! 3. The permit ends when the poll returns (`Worker::poll_by_class`), when its thread gives its
//!    processor away (`enter_blocking`), and when the monitor finds that the poll blocks or has
//!    computed for 200 ms. Who ends it takes the mark away: the worker by a swap
//!    ([`Permits::end`]), the monitor by an exchange of the tick that it has seen
//!    ([`Permits::end_of`]). Both change the mark by a read-modify-write, so one of them ends it.
//!    The monitor may be late, and the mark that of a later poll on the same instance; then the tick
//!    is another one.
//! 4. Who ends it lowers `running`, fences, and looks whether anybody waits
//!    ([`ByClass::is_background_due`]): the monitor and a thread that is about to block wake a worker;
//!    a worker takes the next one itself, or wakes another if it finds something else first
//!    (`Worker::wake_for_the_rest`). A push raises the length of the queue, fences
//!    (`Idle::after_submit`) and reads `running`. A worker that parks fences (`Idle::park_worker`)
//!    and reads both. So of two that meet, one sees the other.
//!
//! The failure that step 4 prevents: the last permit ends while a runnable is pushed. The pusher
//! sees no permit, who ends it sees an empty queue, and the task waits beside an idle processor.
//!
//! # Why a permit is given up
//!
//! A poll that was detached because it computes keeps its permit: tasks of this class that compute
//! would otherwise get a thread each. A poll that blocks needs no CPU, and it may wait for another
//! task of its class. So may one that computes without end.

use crossbeam_deque::Injector;

use super::steal::steal_one;
use crate::tasks::{Priority, Runnable};

mod background;
mod permits;

pub(crate) use background::BackgroundQueue;
pub(crate) use permits::Permits;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct ByClass {
    pub(crate) interactive: Injector<Runnable>,
    background: BackgroundQueue<Runnable>,
    pub(crate) permits: Permits,
}

impl ByClass {
    /// Without a permit yet.
    pub(crate) fn new() -> ByClass {
        ByClass {
            interactive: Injector::new(),
            background: BackgroundQueue::new(),
            permits: Permits::new(0),
        }
    }

    /// Whether anything waits that an idle processor could take.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.is_background_due() || !self.interactive.is_empty()
    }

    /// Whether an idle processor has anything to do with what is queued in class `Background`.
    #[inline]
    pub(crate) fn is_background_due(&self) -> bool {
        is_due(&self.permits, &self.background)
    }

    /// How many runnables an idle processor could take.
    pub(crate) fn num_visible(&self) -> usize {
        self.interactive.len() + self.background.len().min(self.permits.num_free())
    }

    /// How many are queued.
    pub(crate) fn num_interactive(&self) -> usize {
        self.interactive.len()
    }

    /// Likewise.
    #[inline]
    pub(crate) fn num_background(&self) -> usize {
        self.background.len()
    }

    /// Queues it by its class, which it gives. If that is `Normal`, it comes back.
    pub(crate) fn push(&self, runnable: Runnable) -> Result<Priority, Runnable> {
        let mut runnable = runnable;
        loop {
            let class = class_of(&runnable);
            runnable = match class {
                Priority::Normal => return Err(runnable),
                Priority::Interactive => {
                    self.interactive.push(runnable);
                    return Ok(class);
                }
                Priority::Background => match self.push_background(runnable) {
                    Ok(()) => return Ok(class),
                    // It has changed meanwhile.
                    Err(runnable) => runnable,
                },
            }
        }
    }

    fn push_background(&self, runnable: Runnable) -> Result<(), Runnable> {
        let tag = runnable.metadata().tag();
        let belongs = |runnable: &Runnable| class_of(runnable) == Priority::Background;
        self.background.push_if(tag, runnable, belongs)
    }

    pub(crate) fn pop_interactive(&self) -> Option<Runnable> {
        if self.interactive.is_empty() {
            return None;
        }
        steal_one(|| self.interactive.steal())
    }

    /// One of class `Background`, with a permit that is reserved for it.
    pub(crate) fn pop_background(&self) -> Option<Runnable> {
        take_with(&self.permits, &self.background)
    }

    /// Takes the task with this tag out of the `Background` queue, if it is there.
    pub(crate) fn extract(&self, tag: u64) -> Option<Runnable> {
        self.background.extract(tag)
    }

    /// For whoever empties all queues.
    pub(crate) fn pop_any(&self) -> Option<Runnable> {
        (self.pop_interactive()).or_else(|| self.background.pop())
    }
}

pub(crate) fn is_due<T>(permits: &Permits, queue: &BackgroundQueue<T>) -> bool {
    queue.len() != 0 && permits.num_free() != 0
}

/// Step 1: the first of the queue, and a permit that is reserved for it.
pub(crate) fn take_with<T>(permits: &Permits, queue: &BackgroundQueue<T>) -> Option<T> {
    while is_due(permits, queue) && permits.reserve() {
        if let Some(runnable) = queue.pop() {
            return Some(runnable);
        }
        // Who has pushed meanwhile may have seen no permit.
        permits.give_back();
    }
    None
}

/// By default one processor is left to the others.
pub(crate) fn default_limit(processors: usize) -> usize {
    processors.saturating_sub(1).max(1)
}

/// What it is polled as.
pub(crate) fn class_of(runnable: &Runnable) -> Priority {
    runnable.metadata().polled_as()
}
