//! Rejects tasks that no queue accepts: spawned onto a runtime that has ended, or sent to a pool
//! without threads. They end at once, on the thread that spawned them.
//!
//! To end a task means to drop its future, and the future's destructor may spawn the next task. On
//! an open runtime a chain of such destructors needs no stack, since each spawn only pushes. Here
//! each task would end inside the end of the one before. So:
//!
//! 1. The first [`DEEPEST`] of them do end inside each other. A thread that spawns a task and then
//!    waits for it finds the task ended.
//! 2. A deeper one is put off. The call of [`reject`] at depth [`DEEPEST`] ends the put-off tasks
//!    one after the other, when its own task has ended.
//! 3. A destructor at that depth may call `block_on` to wait for a task that its own thread has put
//!    off. So `block_on` calls [`reject_next`] before it parks.
//!
//! If a destructor at that depth waits in another way for a task that it has spawned onto an ended
//! runtime, it waits for ever.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use super::{Purpose, Runnable};

/// Each level takes about half a kilobyte of stack besides what the destructor takes.
const DEEPEST: u32 = 32;

/// Called after a task has ended. It must not unwind.
pub(crate) type Afterwards = Box<dyn FnOnce()>;

/// A task to be ended.
struct Rejected {
    runnable: Runnable,
    /// What the system refused, if that is the reason.
    refused: Option<io::ErrorKind>,
    afterwards: Option<Afterwards>,
}

std::thread_local! {
    /// Calls of [`reject`] that have begun on this thread and not returned.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static PUT_OFF: RefCell<VecDeque<Rejected>> = const { RefCell::new(VecDeque::new()) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept {
    depth: u32,
    put_off: VecDeque<Rejected>,
}

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        self.depth = DEPTH.replace(self.depth);
        PUT_OFF.with_borrow_mut(|put_off| std::mem::swap(put_off, &mut self.put_off));
    }
}

/// Ends a task that was never queued. Its handle resolves to "cancelled", or to what the system
/// refused.
///
/// Calls `afterwards` when the task's future has been dropped, which may be after this function
/// returns.
pub(crate) fn reject(
    runnable: Runnable,
    refused: Option<io::ErrorKind>,
    afterwards: Option<Afterwards>,
) {
    let rejected = Rejected {
        runnable,
        refused,
        afterwards,
    };
    let depth = DEPTH.get();
    if depth == DEEPEST {
        return rejected.put_off();
    }
    DEPTH.set(depth + 1);
    rejected.end();
    if depth + 1 == DEEPEST {
        while reject_next() {}
    }
    DEPTH.set(depth);
}

/// Ends one task that was put off on this thread. `false`: there was none.
pub(crate) fn reject_next() -> bool {
    let next = PUT_OFF.try_with(|put_off| put_off.borrow_mut().pop_front());
    let next = next.ok().flatten();
    next.map(Rejected::end).is_some()
}

impl Rejected {
    fn put_off(self) {
        let mut rejected = Some(self);
        let _ = PUT_OFF.try_with(|put_off| put_off.borrow_mut().extend(rejected.take()));
        // The thread is exiting and its list has been destroyed, so end the task here.
        rejected.into_iter().for_each(Rejected::end);
    }

    /// Never unwinds: see [`super::run`].
    fn end(self) {
        let purpose = self.refused.map_or(Purpose::Cancel, Purpose::Reject);
        purpose.poll(self.runnable);
        if let Some(afterwards) = self.afterwards {
            afterwards();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::rc::Rc;

    use super::*;
    use crate::tasks::registry::Registry;
    use crate::tasks::tests::{ENDED, by_hand};

    /// How many rejections are nested now, how many were at most, and how many have ended.
    #[derive(Default)]
    struct Depth {
        now: Cell<u32>,
        deepest: Cell<u32>,
        ended: Cell<u32>,
    }

    impl Depth {
        /// Rejects a task; `next` runs after the task has ended.
        fn reject(self: &Rc<Depth>, registry: &'static Registry, next: impl FnOnce() + 'static) {
            let (runnable, handle) = by_hand(registry, pending::<()>());
            drop(handle);
            let depth = self.clone();
            let afterwards = move || {
                depth.ended.set(depth.ended.get() + 1);
                depth.now.set(depth.now.get() + 1);
                depth.deepest.set(depth.deepest.get().max(depth.now.get()));
                next();
                depth.now.set(depth.now.get() - 1);
            };
            reject(runnable, None, Some(Box::new(afterwards)));
        }

        /// Rejects `left` tasks, each from the end of the one before; the last one calls `last`.
        fn chain(self: &Rc<Depth>, registry: &'static Registry, left: u32, last: fn()) {
            let depth = self.clone();
            self.reject(registry, move || match left {
                1 => last(),
                left => depth.chain(registry, left - 1, last),
            });
        }
    }

    #[test]
    fn a_chain_ends_at_once_and_at_a_bounded_depth() {
        let registry = Registry::lease().unwrap();
        for length in [1, DEEPEST, DEEPEST + 1, 10 * DEEPEST] {
            let depth = Rc::new(Depth::default());
            depth.chain(registry, length, || ());
            assert_eq!(depth.ended.get(), length);
            assert_eq!(depth.deepest.get(), length.min(DEEPEST));
            assert!(!reject_next());
            assert_eq!(ENDED.take().len() as u32, length);
        }
        registry.release();
    }

    /// A destructor at the deepest level that waits for a task it has put off ends that task.
    #[test]
    fn what_was_put_off_can_be_ended_before_its_turn() {
        let registry = Registry::lease().unwrap();
        let depth = Rc::new(Depth::default());
        let (at_the_end, inner) = (depth.clone(), depth.clone());
        let down = move || {
            for _ in 0..2 {
                inner.reject(registry, || ());
            }
            let ended = inner.ended.get();
            assert!(reject_next());
            assert_eq!(inner.ended.get(), ended + 1);
            assert!(reject_next());
            assert!(!reject_next(), "there were two");
        };
        fn nest(
            depth: &Rc<Depth>,
            registry: &'static Registry,
            left: u32,
            down: Box<dyn FnOnce()>,
        ) {
            let inner = depth.clone();
            depth.reject(registry, move || match left {
                1 => down(),
                left => nest(&inner, registry, left - 1, down),
            });
        }
        nest(&depth, registry, DEEPEST, Box::new(down));
        assert_eq!(at_the_end.ended.get(), DEEPEST + 2);
        assert_eq!(ENDED.take().len() as u32, DEEPEST + 2);
        registry.release();
    }
}
