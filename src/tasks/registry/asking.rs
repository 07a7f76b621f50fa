//! Who asks the tasks of a registry where they wait: see [`capture`](crate::tasks::capture).

use super::Registry;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::tasks::collector::Collector;
#[cfg(doc)]
use crate::tasks::registry::Member;

impl Registry {
    /// Who asks the tasks where they wait. Never missed by who has taken the flag of a task from
    /// [`Member::want_stack`] with acquire.
    pub(in crate::tasks) fn collector(&self) -> Option<Arc<Collector>> {
        if !self.is_collecting.load(Ordering::Relaxed) {
            return None;
        }
        self.collector.lock().clone()
    }

    /// From now on tasks answer this one. `false`: another one is at it.
    pub(crate) fn begin_collecting(&self, collector: &Arc<Collector>) -> bool {
        let mut current = self.collector.lock();
        let is_free = current.is_none();
        if is_free {
            *current = Some(collector.clone());
            self.is_collecting.store(true, Ordering::Relaxed);
        }
        is_free
    }

    /// The registry may be another user's meanwhile, with another collector.
    pub(crate) fn end_collecting(&self, collector: &Arc<Collector>) {
        let mut current = self.collector.lock();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, collector))
        {
            *current = None;
            self.is_collecting.store(false, Ordering::Relaxed);
        }
    }

    pub(in crate::tasks) fn count_captured(&self) {
        self.captured.fetch_add(1, Ordering::Relaxed);
    }

    /// How many polls of its tasks a dump has caused.
    pub(crate) fn num_captured(&self) -> u64 {
        self.captured.load(Ordering::Relaxed)
    }
}
