//! Futures that were woken and are not polled: of those that
//! [`tasks::leaves`](crate::tasks::leaves) has found, the ones that are no false alarm.
//!
//! # Which futures take their waker along
//!
//! A future that was dropped may have left its waker behind, in an object that lives on. If that
//! wakes, nothing is wrong. So a future is told only if its innermost frames are those of a library
//! whose futures take the waker away when they are dropped, as was read in its source:
//!
//! | library | the waker is | a drop of the future |
//! |---|---|---|
//! | `async-lock`, `async-channel` (on `event-listener`) | in the listener, a part of the future | takes the listener out of the list, under its lock |
//! | tokio's `Semaphore`, `Mutex`, `RwLock`, `OnceCell`, bounded `send` | in a node, a part of the future | takes the node out of the list, under its lock |
//! | tokio's `Notify`, `watch` | the same | the same |
//! | `futures::lock` | in the lock's slab | takes it out of the slab, under the lock |
//! | `FuturesUnordered` (`join_all`, `buffered`) | in its ready queue, to which its children's wakers have weak references | drops the queue |
//!
//! Not among them:
//!
//! * `async_channel::Receiver` as a stream, and the streams of `tokio-stream` and `tokio-util`:
//!   what waits is a part of the stream, which outlives the `next()` that was dropped.
//! * Receivers of tokio and `futures`, oneshots, sockets, timers, join handles: the waker lies in
//!   what they share with the sender.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::clock::Instant;
use crate::stacks::{Frame, TaskStack};
use crate::tasks::leaves::{LASTING, Snoozed};

/// A future that was woken, and that its task does not poll any more, although it waits for
/// something else: see [`TaskInfo::futurelocks`](super::TaskInfo::futurelocks).
///
/// If what it was woken for is a lock, nobody else gets that lock. A task that waits in the body of
/// a `select!` does not poll the futures that the `select!` has borrowed, and one that waits between
/// two items of a `FuturesUnordered` or of a buffered stream does not poll the others.
#[derive(Clone, Debug)]
pub struct Futurelock {
    stack: TaskStack,
    since: Duration,
}

/// Looks at the futures of one list of tasks.
pub(super) struct Judge {
    now: Instant,
    /// Which stacks are those of futures that take their waker along. Each is looked at once: its
    /// symbols take some microseconds a frame, and many tasks may have it.
    known: HashMap<TaskStack, bool>,
}

impl Judge {
    pub(super) fn new(now: Instant) -> Judge {
        let known = HashMap::new();
        Judge { now, known }
    }

    /// `None`: it is perhaps no fault, see the module's documentation.
    pub(super) fn futurelock(&mut self, snoozed: Snoozed) -> Option<Futurelock> {
        let since = self.now.saturating_duration_since(snoozed.woken);
        if since < LASTING {
            return None;
        }
        let stack = snoozed.stack;
        let known = self.known.get(&stack).copied();
        let is_told = known.unwrap_or_else(|| {
            let is_told = takes_its_waker_along(&stack);
            self.known.insert(stack.clone(), is_told);
            is_told
        });
        is_told.then_some(Futurelock { stack, since })
    }
}

impl Futurelock {
    #[cfg(test)]
    pub(super) fn made_up(stack: TaskStack, since: Duration) -> Futurelock {
        Futurelock { stack, since }
    }

    /// Where the future waited when it was polled last.
    pub fn stack(&self) -> &TaskStack {
        &self.stack
    }

    /// How long ago it was woken.
    pub fn since(&self) -> Duration {
        self.since
    }
}

/// `woken 3.2s ago, and not polled since:`, then a frame a line.
impl fmt::Display for Futurelock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "woken {:.1?} ago, and not polled since:", self.since)?;
        write!(f, "\n{}", self.stack)
    }
}

/// See the module's documentation.
fn takes_its_waker_along(stack: &TaskStack) -> bool {
    let frames: Vec<Frame> = stack.frames().collect();
    let outlives = |frame: &Frame| {
        ["tokio-stream", "tokio-util"]
            .iter()
            .any(|package| frame.is_of_package(package))
    };
    if frames.iter().any(outlives) {
        return false;
    }
    let is_part = |frame: &&Frame| {
        let parts = ["event-listener", "event-listener-strategy", "futures-core"];
        parts.iter().any(|package| frame.is_of_package(package))
    };
    let Some(leaf) = frames.iter().find(|frame| !is_part(frame)) else {
        return false;
    };
    let is_in = |module: &str| {
        let file = leaf
            .file()
            .map(|file| file.to_string_lossy().replace('\\', "/"));
        let path = module.replace('/', "::");
        file.is_some_and(|file| file.contains(module))
            || leaf.name().is_some_and(|name| name.contains(&path))
    };
    if leaf.is_of_package("async-lock") {
        true
    } else if leaf.is_of_package("async-channel") {
        !leaf.name().is_some_and(|name| name.contains("poll_next"))
    } else if leaf.is_of_package("tokio") {
        is_in("sync/batch_semaphore") || is_in("sync/notify")
    } else if leaf.is_of_package("futures-util") {
        is_in("lock/mutex") || is_in("stream/futures_unordered")
    } else {
        false
    }
}
