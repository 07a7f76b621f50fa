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
    /// The thread waits, and would poll its future when it is woken. Written by the thread, under
    /// the lock of `asked`; read by who asks, under the lock.
    asked: Mutex<Asked>,
    /// There is somebody in `asked`. Set by [`Waits::ask`] before it wakes; read by the thread after
    /// it was woken, which orders the two. Relaxed.
    is_asked: AtomicBool,
}

/// Who wants to know where a `block_on` waits.
#[derive(Default)]
struct Asked {
    is_parked: bool,
    by: Option<(Arc<Collector>, u64)>,
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
            is_asked: AtomicBool::new(false),
        }
    }

    /// The thread is about to wait, or has waited.
    pub(super) fn set_parked(&self, is_parked: bool) {
        self.asked.lock().is_parked = is_parked;
    }

    /// Who has asked since the last call, and under which key.
    pub(super) fn take_asked(&self) -> Option<(Arc<Collector>, u64)> {
        if !self.is_asked.load(Ordering::Relaxed) {
            return None;
        }
        self.is_asked.store(false, Ordering::Relaxed);
        self.asked.lock().by.take()
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
        thread::park();
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
        thread::park_timeout(time);
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
        self.is_asked.store(true, Ordering::Relaxed);
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
