//! A runnable whose destructor ends its task.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::{Meta, current};

/// A task that is ready to be polled.
///
/// Dropping it ends the task as [`current::cancel`] does. `async-task` alone would drop the future
/// outside a poll. The thread would then know no current task, or another one, which it would take
/// for the one that has ended.
#[derive(Debug)]
pub(crate) struct Runnable(
    /// Not an `Option`: `Option<Runnable>` would have no niche then, which made a poll 7 % slower.
    ManuallyDrop<async_task::Runnable<Meta>>,
);

impl Runnable {
    #[inline]
    pub(crate) fn new(runnable: async_task::Runnable<Meta>) -> Runnable {
        Runnable(ManuallyDrop::new(runnable))
    }

    #[inline]
    pub(crate) fn metadata(&self) -> &Meta {
        self.0.metadata()
    }

    /// Passes it to its schedule function.
    pub(crate) fn schedule(self) {
        self.into_inner().schedule();
    }

    /// Only [`current`] may call this, after it has set the current task. `true`: the task was
    /// woken meanwhile.
    #[inline]
    pub(super) fn run(self) -> bool {
        self.into_inner().run()
    }

    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        self.into_inner().into_raw()
    }

    /// Turns the pointer of [`Runnable::into_raw`] back into the runnable.
    ///
    /// # Safety
    ///
    /// The pointer came from [`Runnable::into_raw`], and no other runnable is made from it.
    #[inline]
    pub(crate) unsafe fn from_raw(pointer: NonNull<()>) -> Runnable {
        // SAFETY: the caller upholds the condition.
        Runnable::new(unsafe { async_task::Runnable::from_raw(pointer) })
    }

    #[inline]
    fn into_inner(self) -> async_task::Runnable<Meta> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, and its destructor does not run.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl Drop for Runnable {
    // Not inlined, and not `cold` either: with `cold` each poll took five instructions more.
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: the destructor runs once, and nothing uses `self.0` after it.
        let inner = unsafe { ManuallyDrop::take(&mut self.0) };
        current::cancel(Runnable::new(inner));
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::task::Poll;

    use crate::tasks::registry::Registry;
    use crate::tasks::tests::{ENDED, by_hand, result, woken};
    use crate::tasks::{cancel, run};

    #[test]
    fn a_runnable_that_is_scheduled_comes_to_its_scheduler() {
        let registry = Registry::lease().unwrap();
        let (runnable, handle) = by_hand(registry, async { 7 });
        runnable.schedule();
        run(woken().unwrap());
        assert_eq!(result(handle).unwrap(), 7);
        assert_eq!(ENDED.take().len(), 1);
        registry.release();
    }

    #[test]
    fn a_runnable_that_is_dropped_ends_its_task_once() {
        let registry = Registry::lease().unwrap();
        let (runnable, new) = by_hand(registry, async { 5 });
        let (waiting, polled) = by_hand(registry, pending::<()>());
        let ids = [new.id(), polled.id()];
        run(waiting);
        polled.abort();
        drop(runnable);
        drop(woken().expect("the abort wakes the task that waits"));
        assert_eq!(ENDED.take(), ids);
        assert!(result(new).unwrap_err().is_cancelled());
        assert!(result(polled).unwrap_err().is_cancelled());
        assert_eq!(registry.len(), 0);
        registry.release();
    }

    #[test]
    fn a_runnable_dropped_in_another_task_s_poll_ends_its_own_task_and_not_that_one() {
        let registry = Registry::lease().unwrap();
        let (inner, inner_handle) = by_hand(registry, pending::<()>());
        let mut inner = Some(inner);
        let outer = poll_fn(move |_| match inner.take() {
            Some(inner) => {
                drop(inner);
                Poll::Pending
            }
            None => Poll::Ready(crate::tasks::id()),
        });
        let (outer, outer_handle) = by_hand(registry, outer);
        assert!(!run(outer).has_ended);
        assert_eq!(ENDED.take(), [inner_handle.id()]);
        assert!(result(inner_handle).unwrap_err().is_cancelled());
        assert_eq!(registry.len(), 1, "the outer task is still there");
        let id = outer_handle.id();
        registry.close();
        assert!(run(woken().unwrap()).has_ended);
        assert_eq!(ENDED.take(), [id]);
        assert_eq!(result(outer_handle).unwrap(), id);
        registry.release();
    }

    #[test]
    fn a_runnable_dropped_while_its_thread_unwinds_ends_its_task() {
        struct Throws;
        impl Drop for Throws {
            fn drop(&mut self) {
                panic!("thrown by a destructor");
            }
        }
        let registry = Registry::lease().unwrap();
        let throws = Throws;
        let (runnable, handle) = by_hand(registry, async move { drop(throws) });
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _runnable = runnable;
            panic!("thrown by the thread");
        }));
        assert!(unwound.is_err());
        assert_eq!(ENDED.take(), [handle.id()]);
        assert!(result(handle).is_err());
        cancel(by_hand(registry, async {}).0);
        registry.release();
    }
}
