//! How a thread in `block_on` is woken.

use std::task::Wake;
use std::time::Duration;

use crate::clock;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, Thread};

/// The waker of one `block_on`.
pub(super) struct Signal {
    thread: Thread,
    /// Set by wakers (release), taken by the waiting thread (acquire): what was done before the wake is seen after it.
    woken: AtomicBool,
}

/// How often a waiting thread looks before it parks: about 1 µs. A wake-up costs the waker 12 µs and arrives 25 µs later,
/// so answers that come at once are worth a short wait; longer ones only burn the other worker's CPU.
const SPINS: u32 = 50;

impl Signal {
    pub(super) fn of_this_thread() -> Signal {
        Signal {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        }
    }

    /// Whether there was a wake since the last call.
    pub(super) fn take(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::Acquire)
    }

    /// Waits for a wake that [`Signal::take`] has not taken. May return early.
    pub(super) fn park(&self) {
        for _ in 0..SPINS {
            if self.woken.load(Ordering::Relaxed) {
                return;
            }
            std::hint::spin_loop();
        }
        // A wake between the look and the park leaves the thread's token set: no wake is lost.
        thread::park();
    }

    /// Whether there was a wake that [`Signal::take`] has not taken.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed)
    }

    /// Waits, at most for so long. False: something may have happened.
    pub(super) fn park_for(&self, time: Duration) -> bool {
        let begin = clock::now();
        for _ in 0..SPINS {
            if self.is_woken() {
                return false;
            }
            std::hint::spin_loop();
        }
        thread::park_timeout(time);
        clock::elapsed(begin) >= time && !self.is_woken()
    }

    /// Ends the thread's wait without waking its future: there is a local task to run. Whoever waits looks for one after
    /// each wait, and the thread's token makes a nudge that comes before it count.
    pub(super) fn nudge(&self) {
        self.thread.unpark();
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}
