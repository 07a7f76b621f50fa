//! A paused clock moves by itself when its runtime has nothing to do.
//!
//! "Nothing to do" is: no driver is in a turn, no driver's future was woken, no task is runnable,
//! no blocking closure is queued or runs, and input or output that is ready has woken whoever waits
//! for it. All drivers (`current_thread.rs`) are asked, since tasks of one may wait for what
//! another does.
//!
//! # Protocol
//!
//! 1. A driver's turn is counted under the list's lock: as *current* when it begins, and, if
//!    anything was polled in it, as *past* when it ends. Without the first, time would pass while
//!    another thread polls; without the second, step 5 would not notice what began after the look
//!    of step 3.
//! 2. Only the first driver moves the clock: two of them would move it twice. Another one that
//!    ends a turn tells the first, which may have waited for that. Likewise whoever enters a sleep
//!    or ends a blocking closure outside all turns; in a turn, its end does that.
//! 3. If the clock may move, the driver notes the number of past turns, and has the executor's one
//!    worker *look* at the sockets: a task writes to a socket of its own and waits until that is
//!    readable. The system reports what is ready in the order in which it became so; so everything
//!    that was ready before the look has woken its waiters when the task runs again. Without it, a
//!    task would time out although its input is there. In a simulation there are no such sockets:
//!    the driver waits until no other simulated thread can run, or is in the middle of something
//!    that takes time. The simulation's clock may move meanwhile.
//! 4. A blocking closure has returned, but the thread that ran it has still to wake whoever waits
//!    for the result: it is not among the idle ones. The driver asks again after [`SOON`], as
//!    nobody tells when that is over. Without it, time would pass between the end of a closure and
//!    its being known.
//! 5. Under the list's lock, the driver makes sure that nobody has anything to do and that no turn
//!    has polled anything since step 3. No turn begins meanwhile, as that takes the lock. If it is
//!    so, the clock moves to the next deadline. Otherwise whoever has something to do will end a
//!    turn, and the driver begins again.
//! 6. The wakers due are called after the lock was released. Then the driver begins again: they may
//!    belong to tasks of other runtimes, after which no turn of this one comes.
//!
//! Whatever reaches the runtime from outside, as a message from another thread, can come before or
//! after a move of the clock.
//!
//! # What it does not do
//!
//! It does not see a waker that the executor's monitor has found due in the network and is about to
//! call, which happens when the worker was stuck for ten milliseconds.
//!
//! A task that calls the `block_on` of its own runtime, where the real tokio panics, is in a turn all
//! the while: the clock does not move for what it waits for there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use self::sockets::Sockets;
use super::drivers::{Drivers, Queue};
use super::shared::Shared;
use crate::simulated;

/// See step 4. Twice as long each time, up to [`MUCH_LATER`]: it may be a closure of somebody who
/// uses the executor without this package, and last.
const SOON: Duration = Duration::from_micros(100);
const MUCH_LATER: Duration = Duration::from_millis(10);

/// One driver's part.
pub(super) struct Look<'a> {
    shared: &'a Shared,
    /// The number of past turns when the last look began. `None`: it does not count any more.
    since: Option<u64>,
    sockets: Option<Arc<Sockets>>,
    /// A look that has begun. Also one that does not count is waited for: it uses the sockets.
    task: Option<executor::JoinHandle<()>>,
    /// Step 4.
    soon: Option<executor::time::Sleep>,
    /// How long the next one of those lasts.
    nap: Duration,
}

impl<'a> Look<'a> {
    pub(super) fn new(shared: &'a Shared) -> Look<'a> {
        Look {
            shared,
            since: None,
            sockets: None,
            task: None,
            soon: None,
            nap: SOON,
        }
    }

    /// The driver with this number has ended a turn.
    pub(super) fn after_turn(
        &mut self,
        drivers: &Drivers,
        number: u64,
        queue: &impl Queue,
        cx: &mut Context<'_>,
    ) {
        let Some(clock) = &self.shared.clock else {
            return;
        };
        if !clock.may_auto_advance() {
            self.since = None;
            return;
        }
        let list = drivers.list();
        let (first, past) = (list.first(), list.turns.past);
        drop(list);
        if first != Some(number) {
            drivers.wake_first();
            return;
        }
        if queue.has_runnable() || self.poll(past, cx).is_pending() {
            return;
        }
        let list = drivers.list();
        let has_work = list.turns.current > 0 || list.is_woken() || queue.has_runnable();
        if has_work || Some(list.turns.past) != self.since {
            // Step 5: another turn ends, or has ended since and told this driver.
            return;
        }
        let moved = clock.auto_advance();
        drop(list);
        self.since = None;
        let Some(wakers) = moved else {
            return;
        };
        for waker in wakers {
            waker.wake();
        }
        // Step 6.
        cx.waker().wake_by_ref();
    }

    /// Steps 3 and 4. Ready: this look has ended, and no blocking closure runs.
    fn poll(&mut self, past: u64, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(task) = &mut self.task {
                // An error: the runtime shuts down, and there is nothing to look for.
                drop(ready!(Pin::new(task).poll(cx)));
                self.task = None;
            }
            if let Some(soon) = &mut self.soon {
                ready!(Pin::new(soon).poll(cx));
                self.soon = None;
            }
            if self.since != Some(past) {
                self.since = Some(past);
                self.task = self.begin();
            } else if self.is_pool_busy() {
                // What runs there may make input ready.
                self.since = None;
                self.soon = Some(executor::time::sleep(self.nap));
                self.nap = MUCH_LATER.min(2 * self.nap);
            } else {
                self.nap = SOON;
                return Poll::Ready(());
            }
        }
    }

    /// `None`: there are no sockets in this runtime, or none to be had for a look.
    fn begin(&mut self) -> Option<executor::JoinHandle<()>> {
        if simulated::is_here() {
            simulated::settle();
            return None;
        }
        if !self.shared.io {
            return None;
        }
        if self.sockets.is_none() {
            self.sockets = Sockets::new().map(Arc::new);
        }
        let sockets = self.sockets.clone()?;
        Some(self.shared.executor().spawn(sockets.look()))
    }

    /// Step 4.
    fn is_pool_busy(&self) -> bool {
        let metrics = self.shared.executor().metrics();
        metrics.blocking_queue_depth() > 0
            || metrics.num_idle_blocking_threads() < metrics.num_blocking_threads()
    }
}

#[cfg(any(feature = "net", feature = "process", feature = "signal"))]
mod sockets {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::task::Poll;

    use executor::io::Async;

    /// Two ends of one connection.
    pub(super) struct Sockets {
        ours: UnixStream,
        theirs: Async<UnixStream>,
    }

    impl Sockets {
        /// On the runtime entered.
        pub(super) fn new() -> Option<Sockets> {
            let (ours, theirs) = UnixStream::pair().ok()?;
            let theirs = Async::new(theirs).ok()?;
            Some(Sockets { ours, theirs })
        }

        /// Waits for an event that is caused after the wait has begun. An error ends it, too: then
        /// the runtime shuts down.
        pub(super) async fn look(self: Arc<Self>) {
            let mut is_caused = false;
            poll_fn(|cx| {
                let read = |mut theirs: &UnixStream| theirs.read(&mut [0]);
                if self.theirs.poll_read_with(cx, read).is_ready() {
                    return Poll::Ready(());
                }
                if !is_caused {
                    is_caused = true;
                    if (&self.ours).write_all(&[0]).is_err() {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            })
            .await;
        }
    }
}

#[cfg(not(any(feature = "net", feature = "process", feature = "signal")))]
mod sockets {
    use std::sync::Arc;

    /// There is nothing to look for.
    pub(super) enum Sockets {}

    impl Sockets {
        pub(super) fn new() -> Option<Sockets> {
            None
        }

        pub(super) async fn look(self: Arc<Self>) {
            match *self {}
        }
    }
}
