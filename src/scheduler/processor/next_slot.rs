//! The next slot of a processor: one runnable, the most recently woken one.
//!
//! Its data is still in the cache, and nobody else need know of it. Only the owner fills the slot;
//! the owner and thieves empty it. (The local queue beside it is a `crossbeam_deque::Worker`, first
//! in first out, growing: its owner pushes and pops, 12 ns for both; thieves take batches from the
//! other end.)
//!
//! 1. `put` on an empty slot is a plain store: nobody but the owner ever writes something other
//!    than null, so between its load and its store the slot cannot become occupied. On an occupied
//!    slot it is a swap, since a thief may be emptying it at the same moment; the displaced
//!    runnable belongs to whoever swapped it out.
//! 2. `take`, by the owner, is a swap with null; `steal`, by anybody else, an exchange of the very
//!    runnable it saw for null. A runnable is therefore handed out once. A thief writes nothing
//!    unless it gets something: a null written over a null, between the owner's look and its plain
//!    store, would be harmless, but only by a finer point of the memory model.

use std::fmt;
use std::ptr::{self, NonNull};

use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::tasks::Runnable;

/// See the module's documentation.
pub(crate) struct NextSlot {
    /// Null, or what `Runnable::into_raw` returned. Release on write pairs with acquire on take:
    /// the taker sees the task as its waker left it.
    runnable: AtomicPtr<()>,
}

impl NextSlot {
    pub(crate) fn new() -> NextSlot {
        NextSlot {
            runnable: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Owner only. Puts a runnable in, gives back the one it displaces.
    #[inline]
    pub(crate) fn put(&self, runnable: Runnable) -> Option<Runnable> {
        let new = runnable.into_raw().as_ptr();
        if self.is_empty() {
            self.runnable.store(new, Ordering::Release);
            return None;
        }
        from_raw(self.runnable.swap(new, Ordering::AcqRel))
    }

    /// Owner only.
    #[inline]
    pub(crate) fn take(&self) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        from_raw(self.runnable.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// Anybody else: `None` means that it was empty.
    pub(crate) fn steal(&self) -> Option<Runnable> {
        let mut seen = self.runnable.load(Ordering::Relaxed);
        while !seen.is_null() {
            // The address may have come back as another runnable's: then that one is stolen.
            match self.runnable.compare_exchange(
                seen,
                ptr::null_mut(),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(stolen) => return from_raw(stolen),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// A glance: may be outdated at once, for everybody but the owner that sees "empty".
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.runnable.load(Ordering::Relaxed).is_null()
    }
}

/// The runnable behind a pointer that was taken out of a slot.
#[inline]
fn from_raw(pointer: *mut ()) -> Option<Runnable> {
    let pointer = NonNull::new(pointer)?;
    // SAFETY: the pointer came out of a slot, and only `put` fills slots, with `into_raw` of this
    // very runnable type. Each such value leaves its slot by exactly one swap or exchange, so no
    // second `Runnable` is made from it.
    Some(unsafe { Runnable::from_raw(pointer) })
}

impl fmt::Debug for NextSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextSlot")
            .field("empty", &self.is_empty())
            .finish()
    }
}

impl Drop for NextSlot {
    fn drop(&mut self) {
        drop(self.take());
    }
}
