//! A worker: a thread that looks for a runnable, polls it, and looks again.
//!
//! # Where it looks, in this order
//!
//! 1. `pop_local`: the next slot, at most six times in a row while the queue waits; the local
//!    queue.
//! 2. `maintenance`, before that: every eighth poll its own due timers, if any are armed; every
//!    61st poll, and when the monitor asks for it, foreign wakers ([`super::foreign_wakers`]),
//!    timers of all processors, one runnable that a stuck worker has queued, the network, and one
//!    of the global queue.
//! 3. `find_remote`, when its own queues are empty: foreign wakers; what was held back
//!    ([`super::run_queues::compute_limit`]), or a batch of the global queue; the network, without
//!    waiting, if nobody else is at it; timers of all processors.
//! 4. `search`, if not half of the busy processors search already: the global queue once more, then
//!    other processors' queues ([`super::run_queues::steal`]). While the compute limit is reached,
//!    3 leaves the queues out, and 4 takes one runnable at a time.
//! 5. `wait`: it releases its processor, and if nobody searches any more, looks at all queues once
//!    more ([`idle`]); then it waits, with the driver if that is free, else parked ([`wait`]).
//!
//! While tasks of several classes exist, [`by_class`] says the order.
//!
//! A worker calls wakers while it holds no runnable. A waker of another executor may block for
//! ever, and what is in a queue is found by others; what is in a local variable is not.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use self::by_class::Turns;
use self::parked_worker::ParkedWorker;
use self::wait::Staying;
use self::wake_heuristics::WakeHeuristics;
use self::wakers::Woken;
use super::classes::CLASSES;
use super::lifecycle::settings::ParkHooks;
use super::netpoll::Netpoll;
use super::observer::Purpose;
use super::processor::Core;
use super::processor::ownership::Answer;
use super::{Shared, this_thread};
use crate::clock;
use crate::sync::{Arc, step};
use crate::tasks::{self, Runnable};

mod by_class;
pub(crate) mod idle;
mod park_hooks;
pub(crate) mod parked_worker;
mod search;
#[cfg(test)]
mod tests;
pub(super) mod turn;
mod wait;
mod wake_heuristics;
mod wakers;

/// With timers armed, every so many polls the clock is read (23 ns) to see whether one is due;
/// where polls are long, the monitor looks.
const TIMER_TURNS: u32 = 8;

/// This worker is counted as searching in `Idle`.
const SEARCHING: u8 = 1;
/// A switch of the [`observer`](super::observer) is on.
const OBSERVED: u8 = 2;
/// Tasks of several classes exist ([`classes`](super::classes)).
const CLASSED: u8 = 4;

/// The worker is a thread of a simulation.
#[cfg(feature = "sim")]
const SIMULATED: u8 = 8;

/// These switches, as [`Worker::special`] has them.
fn special_of(switches: u8) -> u8 {
    let observed = if switches & !CLASSES != 0 {
        OBSERVED
    } else {
        0
    };
    let classed = if switches & CLASSES != 0 { CLASSED } else { 0 };
    observed | classed
}

pub(super) struct Worker {
    shared: &'static Shared,
    netpoll: Netpoll,
    parked_worker: Arc<ParkedWorker<Box<Core>>>,
    /// What is to be looked at before each poll, in one word: [`SEARCHING`], [`OBSERVED`] and
    /// [`CLASSED`]. Zero: nothing, as nearly always.
    special: Cell<u8>,
    /// When the last observed poll ended, if nothing was done since. Zero: something was.
    last_poll_end: Cell<u64>,
    /// Wakers that came out of the network or the timers, kept for its memory: a piece of each
    /// wheel at most, and the poller's events.
    wakers: RefCell<Vec<Waker>>,
    heuristics: WakeHeuristics,
    /// The tick of the processor at the last look at timers, and how many were due: they are looked
    /// at again as many polls later.
    timers_at: Cell<(u64, u64)>,
    /// The last wait with the driver ended with several timers at once.
    timers_are_dense: Cell<bool>,
    turns: Turns,
    park_hooks: Option<Arc<ParkHooks>>,
    staying: Staying,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Polled,
    /// The worker waits next.
    FoundNothing,
    /// The worker ends.
    Closed,
}

/// What a look at the worker's own processor gave.
enum Local {
    /// `Core::begin_poll` was called for it.
    Task(Runnable),
    /// Something else is to be looked at first.
    Maintenance {
        index: usize,
        /// Also the global queue and the network.
        everywhere: bool,
    },
    Nothing,
    /// This thread holds no core, or none whose processor is its own.
    NoCore,
}

/// Runs a worker on this thread until the scheduler closes or, for a spare, the keep-alive has
/// passed.
pub(super) fn run(shared: &'static Shared, core: Option<Box<Core>>, searching: bool) {
    run_as(shared, core, searching, Worker::work);
}

fn run_as(
    shared: &'static Shared,
    core: Option<Box<Core>>,
    searching: bool,
    work: impl FnOnce(&Worker),
) {
    this_thread::set_worker_of(Some(shared));
    shared.observer.worker_begins();
    let mut held = Held { shared, searching };
    if let Some(core) = core {
        shared.acquire(core, clock::now());
    }
    // None: the runtime ended while this thread began.
    if let Some(netpoll) = shared.netpoll() {
        let worker = Worker::new(shared, netpoll, std::mem::take(&mut held.searching));
        worker.look_at_switches();
        work(&worker);
    }
}

/// What a worker gives back when it ends, also by a panic.
struct Held {
    shared: &'static Shared,
    /// Counted as searching, until there is a [`Worker`] to know that.
    searching: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.searching {
            self.shared.workers.idle.end_search();
        }
        if let Some(core) = self.shared.release() {
            self.shared.give_back_emptied(core);
        }
        self.shared.placement.unpin();
        self.shared.observer.worker_ends();
        this_thread::set_worker_of(None);
    }
}

/// A worker that ends searches no more, also when it ends by a panic: counted for ever, it would be
/// relied on by each submission. Nor does it keep a permit.
impl Drop for Worker {
    fn drop(&mut self) {
        if self.turns.has_reserved() {
            self.shared.queues.by_class.permits.give_back();
        }
        if self.is_searching() {
            self.shared.workers.idle.end_search();
        }
    }
}

impl Worker {
    fn new(shared: &'static Shared, netpoll: Netpoll, searching: bool) -> Worker {
        let worker = Worker {
            shared,
            parked_worker: Arc::new(ParkedWorker::of_this_thread(netpoll.clone())),
            netpoll,
            special: Cell::new(0),
            last_poll_end: Cell::new(0),
            wakers: RefCell::new(Vec::new()),
            heuristics: WakeHeuristics::new(),
            timers_at: Cell::new((0, 0)),
            timers_are_dense: Cell::new(false),
            turns: Turns::new(),
            park_hooks: shared
                .settings()
                .ok()
                .and_then(|settings| settings.park_hooks.clone()),
            staying: Staying::new(shared),
        };
        worker.set_searching(searching);
        worker
    }

    fn is_searching(&self) -> bool {
        self.special.get() & SEARCHING != 0
    }

    fn set_searching(&self, searching: bool) {
        let others = self.special.get() & !SEARCHING;
        self.special
            .set(others | if searching { SEARCHING } else { 0 });
    }

    /// Which switches are on, copied to where polls see it. See [`super::observer`].
    fn look_at_switches(&self) {
        self.shared.workers.hold.wait();
        let special = special_of(self.shared.look_at_switches());
        #[cfg(feature = "sim")]
        let special = match crate::simulated::is_here() {
            true => special | SIMULATED,
            false => special,
        };
        self.special.set(self.special.get() & SEARCHING | special);
        if special & CLASSED != 0 {
            this_thread::with_core(self.shared, Core::look_beyond_next);
        }
    }

    fn work(&self) {
        loop {
            match self.step() {
                Step::Polled => {}
                Step::FoundNothing => {
                    let goes_on = match &self.park_hooks {
                        None => self.wait(),
                        Some(hooks) => self.wait_with_hooks(hooks),
                    };
                    if !goes_on {
                        return;
                    }
                }
                Step::Closed => return,
            }
        }
    }

    /// Looks for a runnable everywhere, and polls it.
    #[inline]
    fn step(&self) -> Step {
        let found = match self.pop_local() {
            Local::Task(runnable) => {
                self.poll(runnable);
                return Step::Polled;
            }
            _ if self.shared.is_closed() => return Step::Closed,
            Local::Maintenance { index, everywhere } => self.maintenance(index, everywhere),
            Local::Nothing => self.find_remote(),
            Local::NoCore => None,
        };
        match found {
            Some(runnable) => self.poll_found(runnable),
            None => return Step::FoundNothing,
        }
        Step::Polled
    }

    /// Polls what was found beyond the own queues, unless it has to wait for others of its class.
    #[inline]
    fn poll_found(&self, mut runnable: Runnable) {
        if self.shared.all_switches() != 0 {
            match self.catch_up(runnable) {
                Some(caught_up) => runnable = caught_up,
                None => return,
            }
        }
        this_thread::with_core(self.shared, |core| core.begin_poll(&runnable));
        self.poll(runnable);
    }

    /// Where nearly every runnable comes from: the own queues, in one visit to the core.
    #[inline]
    fn pop_local(&self) -> Local {
        this_thread::with_core(self.shared, |core| {
            let asked = core.processor.ownership.has_request();
            if asked {
                if core.processor.ownership.acknowledge() == Answer::Retaken {
                    return Local::NoCore;
                }
                core.end_streak();
            }
            let turn = core.turn();
            // One question for both: zero is one of the timers' turns.
            if asked || turn % TIMER_TURNS == 0 {
                let everywhere = asked || turn == 0;
                if everywhere || self.shared.services.timers.is_armed(core.index) {
                    return Local::Maintenance {
                        index: core.index,
                        everywhere,
                    };
                }
            }
            let Some(runnable) = core.pop() else {
                return Local::Nothing;
            };
            core.begin_poll(&runnable);
            Local::Task(runnable)
        })
        .unwrap_or(Local::NoCore)
    }

    /// The polls before which more is due than the own queues: `everywhere`, or only the own
    /// timers.
    #[cold]
    fn maintenance(&self, index: usize, everywhere: bool) -> Option<Runnable> {
        if index >= self.shared.workers.idle.num_wanted() {
            self.retire_processor();
            return None;
        }
        if self.special.get() & CLASSED != 0 {
            return self.find_by_class(index);
        }
        this_thread::with_core(self.shared, |core| core.processor.begin_look());
        if everywhere {
            self.look_at_switches();
            if self.special.get() & CLASSED != 0 {
                return self.find_by_class(index);
            }
        }
        self.do_what_is_due(index, everywhere).ok()?;
        let global = match everywhere {
            true => self.shared.queues.pop_fair(),
            false => None,
        };
        global
            .or_else(|| this_thread::with_core(self.shared, Core::pop).flatten())
            .or_else(|| self.find_remote())
    }

    /// Foreign wakers, timers, the network, and what stuck workers have queued. `Err`: this worker
    /// has lost its processor.
    fn do_what_is_due(&self, index: usize, everywhere: bool) -> Result<(), ()> {
        if everywhere && self.call_foreign_wakers() && !self.has_processor() {
            return Err(());
        }
        self.last_poll_end.set(0);
        let mut wakers = self.wakers.take();
        if self.timers_have_their_turn() {
            if self.shared.services.timers.is_armed(index) {
                self.shared
                    .services
                    .timers
                    .fire_own(index, clock::now(), &mut wakers);
            }
            if everywhere {
                self.shared.services.timers.fire_all(&mut wakers);
            }
            self.timers_brought(wakers.len());
        }
        if everywhere {
            self.steal_detached();
            self.poll_network(&mut wakers);
        }
        // Before a runnable is taken out of a queue: a foreign waker that blocks would keep it.
        match self.wake_all(wakers) {
            Woken::ProcessorLost => Err(()),
            Woken::Nothing | Woken::Some => Ok(()),
        }
    }

    /// Step 5 of [`resize`](super::lifecycle::resize).
    #[cold]
    fn retire_processor(&self) {
        self.last_poll_end.set(0);
        if let Some(core) = self.shared.release() {
            step();
            self.shared.queues.empty_core(&core);
            step();
            self.shared.pass_on(core);
        }
    }

    /// Asked after foreign wakers were called: one that has blocked may have cost this worker its
    /// processor, and it would poll without one. `wait` reclaims what is in its queue.
    fn has_processor(&self) -> bool {
        this_thread::with_core(self.shared, |core| !core.processor.ownership.is_retaken())
            == Some(true)
    }

    #[inline]
    fn poll(&self, runnable: Runnable) {
        if self.special.get() != 0 {
            return self.poll_specially(runnable);
        }
        self.poll_as::<false>(runnable);
    }

    /// While it searches or is observed, or tasks have classes.
    #[cold]
    fn poll_specially(&self, runnable: Runnable) {
        if self.is_searching() {
            self.stop_searching();
        }
        #[cfg(feature = "sim")]
        let _simulated = (self.special.get() & SIMULATED != 0)
            .then(|| crate::simulated::Poll::begin(runnable.metadata().tag()));
        if self.special.get() & CLASSED != 0 {
            return self.poll_by_class(runnable);
        }
        self.poll_as::<true>(runnable);
    }

    /// `IS_SPECIAL`: it may be observed, or in a simulation.
    #[inline]
    fn poll_as<const IS_SPECIAL: bool>(&self, runnable: Runnable) {
        clock::forget();
        // Asked after the runnable was taken: a task that the closing has woken is not polled once
        // more, it would go back to sleep for good.
        if self.shared.is_closed() {
            return self.shared.poll_off_processor(runnable, Purpose::Cancel);
        }
        if IS_SPECIAL {
            step();
        }
        if IS_SPECIAL && self.special.get() & OBSERVED != 0 {
            let (shared, last_poll_end) = (self.shared, self.last_poll_end.get());
            let last_poll_end =
                (shared.observer).poll(shared, runnable, Purpose::Run, last_poll_end);
            self.last_poll_end.set(last_poll_end);
        } else {
            tasks::run(runnable);
        }
        if IS_SPECIAL {
            step();
        }
        // Asked again: if the closing woke the task after the question above but before the poll
        // began, the wake was lost in that poll. The poll's beginning then saw the wake, so this
        // look sees the mark.
        if self.shared.is_closed() {
            self.shared.wake_the_waiting();
        }
    }

    /// What stuck workers have queued has its turn too.
    fn steal_detached(&self) {
        let retaken = this_thread::with_core(self.shared, |core| {
            self.shared.queues.take_turn_of_detached(core);
            core.processor.ownership.is_retaken()
        });
        if retaken == Some(true) {
            self.shared.publish_detached();
        }
    }
}
