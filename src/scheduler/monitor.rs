//! The reactor thread: the one that looks when nobody else does (Go's sysmon).
//!
//! It runs no tasks and holds no processor. Workers lend it nothing and wait for it never; it only guarantees that
//! progress does not hang on a worker that is in a long poll:
//!
//! * the network is looked at and due timers are fired if no worker has done so since its last round;
//! * work that lies hidden while a processor lies idle gets a worker: a next slot that stays full under an unmoved tick
//!   (a push into an empty slot wakes nobody), or a queue whose submission relied on a searcher that could not start;
//! * a queued blocking job gets its thread.
//!
//! # When it sleeps
//!
//! A round each [`PERIOD`] while anything is busy. When all processors lie idle and somebody sits in the netpoller's
//! seat, nothing can be overdue: after [`QUIET_ROUNDS`] longer rounds it sleeps until work begins.
//!
//! 1. The monitor sets `asleep`, fences, and looks once more whether all is quiet. Only then it parks.
//! 2. A worker picks its core up (a read-modify-write on the idle counts), fences, and reads `asleep`.
//!
//! So either the worker sees `asleep` and wakes the monitor, or the monitor sees the worker's core gone.
//!
//! When the scheduler closes, this thread is the janitor; see [`super::lifecycle`].
//!
//! What is not here yet, and has its place here: taking the processor from a worker whose poll blocks or runs on.

use std::time::Duration;

use super::{Shared, worker};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::thread::{self, Thread};

/// How late an event can be while every worker is in a long poll. A round costs about 5 µs: half a percent of a CPU.
const PERIOD: Duration = Duration::from_millis(1);

/// The rounds before it goes to sleep: long enough that a program which ticks every millisecond does not have to wake
/// it each time (12 µs), and does not have a thousand rounds either.
const QUIET_PERIOD: Duration = Duration::from_millis(10);
const QUIET_ROUNDS: u32 = 1;

#[derive(Debug, Default)]
pub(super) struct Monitor {
    /// Set by the monitor, cleared by whoever wakes it. See the protocol above.
    asleep: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Monitor {
    /// A worker has picked up a core: step 2.
    #[inline]
    pub(super) fn work_begins(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    pub(super) fn wake(&self) {
        if self.asleep.swap(false, Ordering::AcqRel) {
            if let Some(thread) = &*self.thread.lock() {
                thread.unpark();
            }
        }
    }

    /// The scheduler is closed and there may be something to clean up: ends the monitor's wait in any state. A monitor
    /// that has not begun yet, or has ended, needs no call.
    #[cold]
    pub(super) fn call_janitor(&self) {
        self.asleep.store(false, Ordering::Release);
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }
}

/// What the monitor remembers from one round to the next.
struct Rounds {
    shared: &'static Shared,
    polls: u64,
    ticks: Vec<u64>,
}

/// The body of the reactor thread.
pub(super) fn run(shared: &'static Shared) {
    *shared.monitor.thread.lock() = Some(thread::current());
    let mut rounds = Rounds {
        shared,
        polls: 0,
        ticks: vec![0; shared.processors.len()],
    };
    let mut quiet = 0;
    while !shared.is_closed() {
        if quiet > QUIET_ROUNDS {
            rounds.sleep();
            quiet = 0;
        } else {
            thread::park_timeout(if quiet > 0 { QUIET_PERIOD } else { PERIOD });
        }
        if shared.is_closed() {
            break;
        }
        rounds.look();
        quiet = if rounds.all_is_quiet() { quiet + 1 } else { 0 };
    }
    shared.clean_up();
    *shared.monitor.thread.lock() = None;
}

impl Rounds {
    fn look(&mut self) {
        let shared = self.shared;
        let mut ready = Vec::new();
        if std::mem::replace(&mut self.polls, shared.network_polls()) == shared.network_polls() {
            if let Some(netpoll) = shared.netpoll() {
                if let Some(mut seat) = netpoll.try_seat() {
                    shared.polled_network(seat.poll(Some(Duration::ZERO), &mut ready));
                    self.polls = shared.network_polls();
                }
            }
        }
        shared.timers.fire_all(&mut ready);
        worker::wake_contained(&mut ready);
        if shared.idle.num_lying() > 0 && (self.work_is_hidden() || self.is_unattended()) {
            shared.wake_one();
        }
        if let Some(pool) = shared.blocking() {
            pool.tick();
        }
    }

    fn work_is_hidden(&mut self) -> bool {
        let mut hidden = self.shared.work_is_visible();
        for (at, seen) in self.shared.processors.iter().zip(&mut self.ticks) {
            let tick = at.tick.get();
            hidden |= std::mem::replace(seen, tick) == tick && !at.next.is_empty();
        }
        hidden
    }

    /// All processors lie idle and nobody is with the network: the thread that was has blocked on something else.
    fn is_unattended(&self) -> bool {
        self.all_lie() && !self.shared.idle.is_attended()
    }

    fn all_lie(&self) -> bool {
        self.shared.idle.num_lying() == self.shared.processors.len()
    }

    fn all_is_quiet(&self) -> bool {
        self.all_lie()
            && self.shared.idle.is_attended()
            && self
                .shared
                .blocking()
                .is_none_or(|pool| pool.queue_depth() == 0)
    }

    fn sleep(&self) {
        let asleep = &self.shared.monitor.asleep;
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        while asleep.load(Ordering::Acquire) {
            if !self.all_is_quiet() || self.shared.is_closed() {
                asleep.store(false, Ordering::Relaxed);
                return;
            }
            thread::park();
        }
    }
}
