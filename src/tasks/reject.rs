//! Tasks that nobody takes: spawned onto a runtime that has ended, or refused by a pool without threads. They end at once, on
//! the thread that spawned them.
//!
//! To end is to drop the future, and its destructor may spawn the next one. A chain of such destructors needs no stack on a
//! runtime that is open, where each only pushes; here each would end inside the one before. So:
//!
//! 1. The first [`DEEPEST`] of them do end inside each other: whoever spawns and then waits finds the task ended.
//! 2. What comes deeper is put off. The frame at that depth ends it, one after the other, when its own has ended.
//! 3. A destructor down there may wait, in `block_on`, for what was put off on its own thread: so `block_on` ends it before
//!    it parks ([`end_put_off`]).
//!
//! A destructor that deep which waits in another way for a task that it has spawned onto an ended runtime waits for ever.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use super::{Runnable, current};

/// A level takes about half a kilobyte of stack besides what the destructor takes.
const DEEPEST: u32 = 32;

/// What is to be done when a task has ended. It must not unwind.
pub(crate) type Afterwards = Box<dyn FnOnce()>;

/// A task to be ended.
struct Rejected {
    runnable: Runnable,
    /// What the system refused, if that is why.
    refused: Option<io::ErrorKind>,
    afterwards: Option<Afterwards>,
}

std::thread_local! {
    /// Rejections that have begun on this thread and not returned.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static PUT_OFF: RefCell<VecDeque<Rejected>> = const { RefCell::new(VecDeque::new()) };
}

/// Ends a task that was never queued: its handle resolves to "cancelled", or to what the system refused.
///
/// What is to be done afterwards is done when the task's future has been dropped, which may be after this returns.
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
        return put_off(rejected);
    }
    DEPTH.set(depth + 1);
    end(rejected);
    if depth + 1 == DEEPEST {
        while end_put_off() {}
    }
    DEPTH.set(depth);
}

/// Ends one task that was put off on this thread. False: there is none.
pub(crate) fn end_put_off() -> bool {
    let next = PUT_OFF.try_with(|put_off| put_off.borrow_mut().pop_front());
    match next {
        Ok(Some(rejected)) => {
            end(rejected);
            true
        }
        Ok(None) | Err(_) => false,
    }
}

fn put_off(rejected: Rejected) {
    let mut rejected = Some(rejected);
    let _ = PUT_OFF.try_with(|put_off| put_off.borrow_mut().extend(rejected.take()));
    // The thread is ending and has no list any more.
    rejected.into_iter().for_each(end);
}

/// Never unwinds: see [`current::cancel`].
fn end(rejected: Rejected) {
    match rejected.refused {
        Some(reason) => current::refuse(rejected.runnable, reason),
        None => {
            current::cancel(rejected.runnable);
        }
    }
    if let Some(afterwards) = rejected.afterwards {
        afterwards();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::rc::Rc;

    use super::*;
    use crate::tasks::registry::Registry;
    use crate::tasks::tests::{ENDED, by_hand};

    /// How many rejections are inside each other, at most so many so far, and how many have come.
    #[derive(Default)]
    struct Depth {
        now: Cell<u32>,
        deepest: Cell<u32>,
        ended: Cell<u32>,
    }

    impl Depth {
        /// Rejects a task, after whose end `next` is called.
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

        /// Each rejects the next one.
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
            assert!(!end_put_off());
            assert_eq!(ENDED.take().len() as u32, length);
        }
        registry.release();
    }

    /// Who waits down there for what it has put off ends it.
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
            assert!(end_put_off());
            assert_eq!(inner.ended.get(), ended + 1);
            assert!(end_put_off());
            assert!(!end_put_off(), "there were two");
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
