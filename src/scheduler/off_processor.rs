//! Polls on threads without a processor: blocking jobs, and what has given its processor away to
//! block.
//!
//! They are kept for whoever asks what a runtime is doing. Sharded by thread; entered and left by
//! the thread itself.
//!
//! The thread of a poll that has *lost* its processor does not know of the loss, and goes on showing
//! the poll in its `Processor`. The monitor notes here when that poll began (`retaken`), after the
//! retake: a dump between the two finds the poll without its begin.

use std::collections::HashMap;
use std::ptr;

use crossbeam_utils::CachePadded;

use super::monitor::probe;
use super::processor::Processor;
use crate::clock::{self, Instant};
use crate::sync::Mutex;
use crate::sync::fork::Birth;
use crate::tasks::registry::{SHARDS, thread_shard};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct OffProcessor {
    polls: [CachePadded<Mutex<Vec<OffProcessorPoll>>>; SHARDS],
    /// By address of the instance: its tick, and when the poll was seen first. One for each that
    /// was ever retaken, as instances are used again.
    retaken: Mutex<HashMap<usize, (u64, Instant)>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct OffProcessorPoll {
    /// The task's tag.
    pub(crate) tag: u64,
    /// A [probe]'s name of the thread.
    pub(crate) thread: u64,
    pub(crate) since: Instant,
    pub(crate) is_job: bool,
}

impl OffProcessor {
    /// The calling thread polls this task without a processor, until the guard is dropped.
    pub(crate) fn enter(&'static self, tag: u64, is_job: bool) -> OffProcessorGuard {
        let list = &self.polls[thread_shard()];
        list.lock().push(OffProcessorPoll {
            tag,
            thread: probe::this_thread(),
            since: clock::now(),
            is_job,
        });
        OffProcessorGuard {
            list,
            tag,
            birth: Birth::here(),
        }
    }

    pub(crate) fn all(&self) -> Vec<OffProcessorPoll> {
        let lists = self.polls.iter();
        lists.flat_map(|list| list.lock().clone()).collect()
    }

    /// Monitor: the poll with this tick has lost its processor, and holds this instance still.
    pub(super) fn retaken(&self, instance: &Processor, tick: u64, since: Instant) {
        let place = ptr::from_ref(instance).addr();
        self.retaken.lock().insert(place, (tick, since));
    }

    /// When the poll with this tick was seen first, up to a round of the monitor after it began, if
    /// it has lost its processor.
    pub(super) fn begin_of(&self, instance: &Processor, tick: u64) -> Option<Instant> {
        let place = ptr::from_ref(instance).addr();
        let retaken = self.retaken.lock().get(&place).copied();
        retaken
            .filter(|(other, _)| *other == tick)
            .map(|(_, since)| since)
    }
}

/// See [`OffProcessor::enter`].
#[derive(Debug)]
pub(crate) struct OffProcessorGuard {
    list: &'static Mutex<Vec<OffProcessorPoll>>,
    tag: u64,
    birth: Birth,
}

impl Drop for OffProcessorGuard {
    fn drop(&mut self) {
        if self.birth.in_forked_child() {
            // Another thread may have held the lock when the process forked.
            return;
        }
        let mut list = self.list.lock();
        if let Some(place) = list.iter().rposition(|poll| poll.tag == self.tag) {
            list.swap_remove(place);
        }
    }
}
