//! Wakes a thread in `block_on`.

use std::panic::Location;
use std::task::Wake;
use std::time::Duration;

use crate::clock;
use crate::observe::block_ons::Waits;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, Mutex};
use crate::tasks::collector::Collector;
use crate::tasks::registry::thread_number;

/// The waker of one `block_on`.
pub(super) struct Signal {
    thread: Thread,
    /// Number of the thread.
    number: u64,
    location: &'static Location<'static>,
    /// Set by wakers (`wake_by_ref`, release), taken by the waiting thread ([`Signal::take`],
    /// acquire): after a `take` that returns true, the thread sees what the waker wrote before the
    /// wake.
    woken: AtomicBool,
    /// Its lock orders the thread's parking and who asks.
    asked: Mutex<Asked>,
}

/// Who wants to know where a `block_on` waits, and under which key.
pub(super) type Asker = (Arc<Collector>, u64);

#[derive(Default)]
struct Asked {
    /// The thread waits, and would poll its future when it is woken. Otherwise nobody can ask.
    is_parked: bool,
    by: Option<Asker>,
}

/// How often a waiting thread looks before it parks: about 1 µs. A wake-up costs the waker 12 µs
/// and arrives 25 µs later, so a short wait pays for answers that come at once. A longer one would
/// only take CPU from the worker that computes the answer.
const SPINS: u32 = 50;

impl Signal {
    pub(super) fn of_this_thread(location: &'static Location<'static>) -> Signal {
        Signal {
            thread: thread::current(),
            number: thread_number(),
            location,
            woken: AtomicBool::new(false),
            asked: Mutex::default(),
        }
    }

    /// The thread is about to wait, or has waited. Gives who has asked meanwhile.
    pub(super) fn set_parked(&self, is_parked: bool) -> Option<Asker> {
        let mut asked = self.asked.lock();
        asked.is_parked = is_parked;
        asked.by.take()
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
        // A wake between the last look and the park leaves the thread's token set, so it is not
        // lost.
        thread::park_in_user_code();
    }

    /// Whether there was a wake that [`Signal::take`] has not taken.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed)
    }

    /// Waits for at most `time`. `false`: there may have been a wake or a nudge.
    pub(super) fn park_for(&self, time: Duration) -> bool {
        let begin = clock::now();
        for _ in 0..SPINS {
            if self.is_woken() {
                return false;
            }
            std::hint::spin_loop();
        }
        thread::park_timeout_in_user_code(time);
        clock::elapsed(begin) >= time && !self.is_woken()
    }

    /// Ends the thread's wait without a poll of its future, because there is a local task to run.
    /// The waiting thread looks for local tasks after each wait. A nudge that comes before the wait
    /// sets the thread's token, so it counts too.
    pub(super) fn nudge(&self) {
        self.thread.unpark();
    }
}

impl Waits for Signal {
    fn location(&self) -> &'static Location<'static> {
        self.location
    }

    fn ask(&self, collector: &Arc<Collector>, key: u64) -> bool {
        let mut asked = self.asked.lock();
        // A thread that asks does not wait.
        if !asked.is_parked || self.number == thread_number() {
            return false;
        }
        // A dump that was there before is over: one at a time asks.
        asked.by = Some((collector.clone(), key));
        drop(asked);
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
        true
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
