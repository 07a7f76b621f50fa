//! Which instance of a processor stands in a place: a pointer that anybody may follow at any time.

use std::fmt;
use std::ptr;

use super::Processor;
use crate::sync::atomic::{AtomicPtr, Ordering};

/// An atomic reference to an instance, or to none.
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
