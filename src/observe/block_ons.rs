//! Which `block_on`s of a runtime have waited, for who asks where they wait.
//!
//! A `block_on` enters when it parks for the first time, and leaves when it returns. One that is
//! never pending for long pays nothing, the others two short locks. Between two parks it is listed,
//! too, and does not wait.

use std::fmt;
use std::panic::Location;

use crossbeam_utils::CachePadded;

use crate::stacks::TaskStack;
use crate::sync::{Arc, Mutex};
use crate::tasks::collector::{Answer, Collector};
use crate::tasks::registry::{SHARDS, thread_shard};

/// A `block_on` that has parked.
pub(crate) trait Waits: Send + Sync {
    fn location(&self) -> &'static Location<'static>;

    /// Makes its thread poll the future once more, and answer with this key. `false`: it does not
    /// wait at the moment.
    fn ask(&self, collector: &Arc<Collector>, key: u64) -> bool;
}

type Shard = Mutex<Vec<Arc<dyn Waits>>>;

/// See the module's documentation.
#[derive(Default)]
pub(crate) struct BlockOns([CachePadded<Shard>; SHARDS]);

impl BlockOns {
    /// The calling thread's `block_on` parks for the first time.
    pub(crate) fn enter(&self, waits: Arc<dyn Waits>) {
        self.0[thread_shard()].lock().push(waits);
    }

    /// It returns.
    pub(crate) fn leave(&self, waits: &Arc<dyn Waits>) {
        let mut all = self.0[thread_shard()].lock();
        if let Some(place) = all.iter().rposition(|other| Arc::ptr_eq(other, waits)) {
            all.swap_remove(place);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<dyn Waits>> {
        let shards = self.0.iter();
        shards.flat_map(|shard| shard.lock().clone()).collect()
    }
}

impl fmt::Debug for BlockOns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockOns").finish_non_exhaustive()
    }
}

/// A `block_on` that waits, or that is being polled and has waited before, in a
/// [`TaskDump`](super::TaskDump).
#[derive(Clone, Debug)]
pub struct BlockOnInfo {
    location: &'static Location<'static>,
    future: Option<&'static str>,
    stacks: Vec<TaskStack>,
    is_polled: bool,
}

impl BlockOnInfo {
    /// `is_polled`: it did not wait when it was to be asked.
    pub(super) fn new(waits: &dyn Waits, answer: Answer, is_polled: bool) -> BlockOnInfo {
        BlockOnInfo {
            is_polled,
            location: waits.location(),
            future: answer.first_future(),
            stacks: answer.stacks,
        }
    }

    /// Where `block_on` was called.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The type of its future. `None`: it was not asked.
    pub fn future(&self) -> Option<&'static str> {
        self.future
    }

    /// Where it waits, once for each future that it waits for. Empty if that was not captured.
    pub fn stacks(&self) -> &[TaskStack] {
        &self.stacks
    }
}

/// `block_on at src/main.rs:5:5 waits`, or `is being polled`. One that could not be asked, as without
/// the feature `stacks`, is said to wait.
impl fmt::Display for BlockOnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.is_polled {
            true => "is being polled",
            false => "waits",
        };
        write!(f, "block_on at {} {doing}", self.location)
    }
}
