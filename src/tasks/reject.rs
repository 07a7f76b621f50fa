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
