//! The reactor thread: the one that looks when nobody else does (Go's sysmon).
//!
//! It runs no tasks and holds no processor. Workers lend it nothing and wait for it never; it only guarantees that
//! progress does not hang on a worker that is in a long poll:
//!
//! * the network is looked at and due timers are fired if no worker has done so since its last round;
//! * work that lies hidden while a processor lies idle gets a worker: a next slot that stays full under an unmoved tick
//!   (a push into an empty slot wakes nobody), or a queue whose submission relied on a searcher that could not start;
//! * the watch over the timers goes to the worker in the seat, if it is not there;
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
//! When the scheduler closes, this thread is the janitor; see [`super::janitor`].
//!
//! What is not here yet, and has its place here: taking the processor from a worker whose poll blocks or runs on.

use std::time::Duration;

use super::{Shared, worker};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
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
    /// The monitor's thread, or the janitor's.
    thread: Mutex<Option<Thread>>,
    /// Somebody called the janitor. Set by callers, cleared by the janitor as it begins a round.
    called: AtomicBool,
    /// Counts janitors; the last one is in office. Written under the lock of `thread`.
    term: AtomicU64,
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
        self.called.store(true, Ordering::Release);
        self.asleep.store(false, Ordering::Release);
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }

    /// The calling thread is the janitor from now on; gives its term.
    pub(super) fn take_office(&self) -> u64 {
        let mut thread = self.thread.lock();
        *thread = Some(thread::current());
        // Under the lock: who is in office and whom calls reach change together.
        self.term.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn is_in_office(&self, term: u64) -> bool {
        self.term.load(Ordering::Acquire) == term
    }

    /// False: somebody else has taken over meanwhile.
    pub(super) fn leave_office(&self, term: u64) -> bool {
        let mut thread = self.thread.lock();
        let in_office = self.is_in_office(term);
        if in_office {
            *thread = None;
        }
        in_office
    }

    /// A round begins: what was called for before is seen by it.
    pub(super) fn answer_call(&self) {
        self.called.swap(false, Ordering::AcqRel);
    }

    /// Sleeps until there is a call that no round has answered. A flag and not the thread's token alone: a destructor
    /// that parks may have taken the token.
    pub(super) fn wait_for_call(&self, term: u64) {
        while self.is_in_office(term) && !self.called.load(Ordering::Acquire) {
            thread::park();
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
        if !shared.timers.are_watched() {
            // Somebody in bed waits for the next deadline, or somebody who did is gone: let the seat see to it.
            shared.call_seat();
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
            && self.shared.timers.are_watched()
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
