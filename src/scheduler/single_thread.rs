//! One thread that does everything, where none can be started
//! ([`HAS_THREADS`](crate::sync::HAS_THREADS) is false: on WebAssembly without its threads).
//!
//! There are no workers, no monitor, no shutdown thread and no blocking pool. The thread that waits
//! in a `block_on` does their work meanwhile, in **turns**. A turn is a worker that lives for a few
//! polls: it looks for runnables, polls them and fires timers by the code of all workers
//! ([`super::worker`]), so what that guarantees of fairness holds here as for one processor.
//!
//! # Protocol
//!
//! 1. A runtime has one processor. Its core is idle between turns, as that of a runtime whose worker
//!    is parked. A submission wakes nobody (`Shared::wake_one`): the runnable stays queued. So what is
//!    spawned before any `block_on` runs in the next one.
//! 2. `block_on` polls its future, if it was woken, runs its local tasks, and gives each runtime of
//!    the process a turn ([`Shared::turn`]), also those that the future is not in: nobody else would
//!    run their tasks. Then it begins anew. So the future waits for at most [`TURN`](turn::TURN) polls of each
//!    runtime, and the tasks of a runtime for one poll of the future in as many of their own.
//! 3. A turn takes the idle core, makes this thread the worker of that runtime, and steps: at most
//!    [`TURN`](turn::TURN) polls, and fewer when nothing is found, or when polls are long ([`SLICE`]). Then it
//!    empties the next slot into the queue, and the core is idle again. Once in a slice it asks its
//!    worker to look up first, as the monitor does elsewhere: the next slot waits for once, and one
//!    task of class `Background` has its turn.
//! 4. If no turn has done anything and nothing is queued ([`Shared::has_work`]), only a timer can
//!    wake anybody. The thread sleeps until the earliest one of all runtimes
//!    ([`Shared::until_timer`]); the next turn fires it.
//! 5. If there is none, nothing can happen any more: no other thread exists. Then `block_on` panics.
//! 6. A task that calls `block_on`, or `block_in_place`, first lets go of the core
//!    ([`super::enter_blocking`]). So the inner `block_on` gives turns as the outer one did, nested
//!    on its stack.
//! 7. Who closes a runtime cancels what is queued there ([`Shared::cancel_queued`]), on the calling
//!    thread. Closing has woken what waits, so that is everything. If the call comes out of a turn of
//!    that runtime ([`Shared::has_turn`]), a task there may hold a lock that a destructor takes: then
//!    the end of the turn cancels, and each turn of a `block_on` that comes before.
//!
//! # What cannot be
//!
//! * Tasks, and futures of a `block_on`, that are further down the stack of a nested `block_on` do
//!   not go on before that returns. If it waits for one of them, it panics by step 5.
//! * A poll is not interrupted, and delays everything else. Nobody takes its processor or reports
//!   it.
//! * A blocking job is refused: its handle says [`Unsupported`](std::io::ErrorKind::Unsupported).

use std::cell::Cell;
use std::time::Duration;

use crossbeam_deque::Steal;

use super::lifecycle::settings::Lease;
use super::observer::Purpose;
use super::processor::Core;
use super::worker::turn::{self, Limits, SLICE};
use super::{Shared, this_thread};
use crate::clock::{self, Instant};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::tasks;

/// Where there is no clock, every so many rounds of turns take a slice.
const ROUNDS: u32 = 16;

/// For a timer later than the clock can express.
const LATER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

std::thread_local! {
    /// When the present slice has begun, and rounds since.
    static SINCE: Cell<(Option<Instant>, u32)> = const { Cell::new((None, 0)) };
}

/// A round of turns begins. True: so does a slice.
pub(crate) fn begins_slice() -> bool {
    let (since, rounds) = SINCE.get();
    let now = clock::now();
    let is_over = match since {
        _ if !clock::HAS_CLOCK => rounds + 1 >= ROUNDS,
        Some(since) => now.saturating_duration_since(since) >= SLICE,
        None => true,
    };
    SINCE.set(match is_over {
        true => (Some(now), 0),
        false => (since, rounds.saturating_add(1)),
    });
    is_over
}

impl Shared {
    /// What keeps the scheduler from being used again. `None`: it has ended.
    pub(crate) fn lease(&self) -> Option<Arc<Lease>> {
        self.services.leased.lock().lease.upgrade()
    }

    /// Step 3, on a thread that holds no core and has entered the runtime. False: there was nothing
    /// to do. `asks`: a slice begins.
    pub(crate) fn turn(&'static self, asks: bool) -> bool {
        if self.is_closed() {
            return self.cancel_queued();
        }
        let Some(core) = self.workers.idle.pop_idle(0) else {
            return false;
        };
        let counted = self.count_turn();
        let outer = this_thread::worker_of();
        let limits = Limits::begin(asks);
        let polled = tasks::keeping_current(|| turn::turn(self, core, &limits));
        this_thread::set_worker_of(outer);
        clock::keep_none();
        drop(counted);
        if self.is_closed() {
            self.cancel_queued();
        }
        polled > 0
    }

    /// The turn's worker has released its core.
    pub(super) fn end_turn(&'static self, core: Box<Core>) {
        core.empty_slot();
        // Who looks for work next begins with a turn.
        self.workers.idle.push_idle(core);
    }

    /// Whether a turn would find something.
    pub(crate) fn has_work(&self) -> bool {
        !self.is_closed() && self.queues.has_visible_work()
    }

    /// How long it is until a timer is due. `None`: none is armed.
    pub(crate) fn until_timer(&self) -> Option<Duration> {
        let timers = &self.services.timers;
        (!self.is_closed() && timers.is_any_armed())
            .then(|| timers.until_earliest().unwrap_or(LATER))
    }

    /// Whether a turn of this runtime is on the stack.
    pub(crate) fn has_turn(&self) -> bool {
        self.workers.count.load(Ordering::Relaxed) != 0
    }

    /// Step 7, of a closed scheduler. False: there was nothing.
    pub(crate) fn cancel_queued(&'static self) -> bool {
        let mut any = false;
        loop {
            for core in self.workers.idle.take_cores() {
                self.give_back_emptied(core);
            }
            self.queues.drain_all();
            self.queues.release_held_back();
            self.queues.release_by_class();
            let mut cancelled = false;
            while let Steal::Success(runnable) = self.queues.global.steal() {
                self.poll_off_processor(runnable, Purpose::Cancel);
                cancelled = true;
            }
            if !cancelled {
                return any;
            }
            any = true;
        }
    }
}
