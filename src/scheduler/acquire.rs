//! How a worker acquires a processor, and how it releases or loses it: a thread that blocks keeps
//! none.
//!
//! | who | function | what becomes of the processor |
//! |---|---|---|
//! | a worker that was woken or started | [`Shared::acquire`] | held |
//! | a worker that is about to park | [`Shared::release`] | idle |
//! | a thread that is about to block, and says so | [`enter_blocking`] | handed to another worker, or idle |
//! | the monitor, of a worker that is stuck | [`Shared::retake`] | handed to another worker, or idle |
//! | a worker whose processor was retaken | [`Shared::release`], by way of `reclaim` | the detached one is free again |
//! | a thread that has blocked, and said so | `BlockingRegion::drop` | held, if one was idle |
//! | a worker that looks up and holds a processor that is to retire | `Worker::retire_processor` | retired ([`lifecycle::resize`]) |
//! | a worker that ends | [`Shared::give_back_emptied`] | idle, with nothing queued there |
//! | a thread that could not be started for a core | [`Shared::take_back`] | idle |
//!
//! # Three ways to block
//!
//! * **Announced.** `block_in_place` and a `block_on` inside a task say that they are about to
//!   block, so the thread gives its processor away itself ([`enter_blocking`]), as a goroutine does
//!   when it enters a system call that is known to block.
//! * **Unannounced.** A poll just blocks, or runs on. The monitor notices
//!   ([`super::monitor::watch`]) and takes the processor from it ([`Shared::retake`]), as Go's does
//!   from a system call that lasts.
//! * **In the pool.** `spawn_blocking` takes the blocking part to a thread that never had a
//!   processor; a `block_on` there finds nothing to hand over. Its threads are bounded by a limit
//!   of their own.
//!
//! # Protocol
//!
//! 1. Announced: what is in the next slot moves to the queue, where everybody can see it.
//!    Unannounced: the processor's slot gets another instance ([`super::processor::slot`]), and the
//!    old one is detached ([`super::run_queues::detached`]).
//!    Announced: the permit of a poll of class `Background` ends (`Shared::leave_class`).
//! 2. `pass_on` puts the core among the idle ones, and a fence separates that from what follows
//!    ([`Idle::push_idle`](super::worker::idle::Idle::push_idle)): a submission that comes after
//!    the fence finds the idle core, one that came before it is seen by `has_visible_work` in the
//!    next step.
//! 3. If there is anything to run, or if nobody is left to look at the network, `Shared::wake_one`
//!    wakes a worker for the core, unless one searches already; when no worker is parked, it starts
//!    a thread, up to `Builder::max_threads`. That thread is a spare later on. If this thread has
//!    armed a timer that the worker with the driver does not wait for, `Shared::wake_driver` tells
//!    that worker: this thread will not park and wait for it.
//! 4. The thread blocks. It holds no core, so whatever it wakes or spawns goes to the global queue;
//!    or it holds a detached processor, and what it wakes or spawns goes into that one's queue,
//!    where thieves look.
//! 5. Announced: afterwards it acquires an idle processor, if there is one
//!    (`BlockingRegion::drop`). If not, it finishes its poll without one, as a poll cannot be
//!    suspended, and parks as a spare. Unannounced: it finishes its poll, finds in
//!    `Worker::pop_local` that its processor was retaken, and `Worker::wait` releases what it
//!    holds: `reclaim`.
//!
//! A retake is these steps, in this order:
//!
//! | | who | function | what |
//! |---|---|---|---|
//! | a | monitor | `Rounds::stuck` | the processor is needed, and somebody can replace its worker |
//! | b | monitor | `DetachedPolls::begin` | a poll that computes is counted. Before c: after c its worker may end it |
//! | c | monitor | [`Ownership::retake`](super::processor::ownership::Ownership::retake) | decides. If the worker was first, `DetachedPolls::undo` |
//! | d | monitor | `RunQueues::replace_instance` | another instance takes the slot (step 1) |
//! | e | monitor | `RunQueues::check_detached` | what the old one has in next slot and queue can be found (step 1) |
//! | f | monitor | `Shared::pass_on`, `Shared::end_permit` | steps 2 and 3; if the poll blocks, its permit ends |
//! | g | monitor | `Rounds::check_all_detached` | its rounds look at the old one again, for a push that e did not see |
//! | h | worker | `Worker::pop_local`, `Worker::wait`, [`Shared::release`], `reclaim` | step 5 |
//!
//! Where workers are pinned, c also gives the stuck thread all CPUs again, before f puts somebody
//! else on its CPU ([`super::placement`]); so does the thread itself after step 2.
//!
//! The failure that step 3 prevents: all P threads block, waiting for something that only a queued
//! task, a timer or the network would bring. A fixed number of threads deadlocks there; this is why
//! their number is not fixed but by `max_threads`, where it happens again.

use super::monitor::probe;
use super::observer::Event;
use super::off_processor::OffProcessorGuard;
use super::processor::{Core, Processor};
use super::worker::idle::Look;
use super::{Shared, lifecycle, this_thread};
use crate::clock::{self, Instant};
use crate::sync::atomic::Ordering;
use crate::sync::step;
use crate::tasks;

impl Shared {
    /// The calling thread holds this core from now on, and with it the processor.
    pub(super) fn acquire(&'static self, core: Box<Core>, now: Instant) {
        let (index, processor) = (core.index, core.processor);
        processor.busy.begin(now);
        // What was polled there before, another thread may have gone on with.
        processor.begin_look();
        self.tell(Some(&core), Event::Acquired);
        self.placement.acquire(index, processor);
        processor.ownership.acquire(probe::this_thread());
        this_thread::put_core(core);
        // It fences. So the look at the number sees that the processor is to retire, or whoever has
        // changed the number sees that it is held, and asks: see `lifecycle::resize`.
        self.end_monitor_sleep();
        if index >= self.workers.idle.num_wanted() {
            processor.ownership.request_yield();
        }
        self.look_at_switches();
    }

    /// The calling thread holds no core any more. `None`: it held none, or a detached processor,
    /// which is reclaimed.
    pub(super) fn release(&'static self) -> Option<Box<Core>> {
        let core = this_thread::take_core()?;
        core.end_batch();
        self.tell(Some(&core), Event::Released);
        core.processor.busy.end(clock::now());
        step();
        if core.processor.ownership.release() {
            return Some(core);
        }
        self.reclaim(core);
        None
    }

    /// The poll of a detached processor has returned: step 5 of [`super::run_queues::detached`].
    #[cold]
    fn reclaim(&'static self, core: Box<Core>) {
        self.placement.reclaim();
        let moved = self.queues.empty_detached(&core);
        step();
        // Before `put_free`: `ProcessorSlot::replace` may take the core from there, and then
        // `counted` is another poll's.
        self.ends_computing(core.processor);
        step();
        self.queues.put_free(core);
        step();
        if moved {
            self.wake_for_shared_queue();
        }
    }

    /// Monitor: takes processor `index` from the worker that is stuck in this instance. False: the
    /// worker is not.
    pub(super) fn retake(&'static self, index: usize, stuck: &'static Processor) -> bool {
        if !self.placement.retake(stuck) {
            return false;
        }
        self.counters.retakes.fetch_add(1, Ordering::Relaxed);
        self.tell_retake(index, stuck);
        step();
        let core = self.queues.replace_instance(index);
        step();
        self.queues.check_detached(stuck);
        step();
        self.pass_on(core);
        true
    }

    /// The cluster that the calling thread is in, with a processor or without.
    #[inline]
    pub(super) fn cluster_here(&'static self) -> usize {
        if self.placement.is_uniform() {
            return 0;
        }
        this_thread::with_core(self, |core| core.processor.cluster.get())
            .unwrap_or_else(|| self.placement.cluster_here())
    }

    /// Steps 2 and 3.
    pub(super) fn pass_on(&'static self, core: Box<Core>) {
        // If somebody searches, nobody could be woken, and that one looks at the network, too.
        let look = self.workers.idle.push_idle(core);
        step();
        if look == Look::Due && (self.queues.has_visible_work() || !self.workers.idle.has_driver())
        {
            self.wake_one();
        }
        step();
        if !self.services.timers.are_watched() {
            self.wake_driver();
        }
        self.notify_shutdown_if_closed();
    }
}

/// Gives the calling thread's processor away, if it has one, until the guard is dropped.
pub(crate) fn enter_blocking() -> BlockingRegion {
    lifecycle::shutdown::hand_over();
    let shared = this_thread::worker_of().filter(|shared| {
        if shared.in_forked_child() {
            return false;
        }
        let had_permit = shared.leave_class();
        let holds = this_thread::holds_core();
        shared.tell_of_poll(|tag| Event::GivenAway { tag });
        if let Some(core) = shared.release() {
            core.empty_slot();
            step();
            shared.counters.handoffs.fetch_add(1, Ordering::Relaxed);
            shared.pass_on(core);
        }
        if had_permit {
            shared.wake_by_class();
        }
        shared.placement.unpin();
        holds
    });
    let listed = shared.and_then(|shared| {
        let tag = tasks::current_tag()?;
        Some(shared.workers.off_processor.enter(tag, false))
    });
    BlockingRegion {
        shared,
        _listed: listed,
    }
}

/// The calling thread has given its processor away, or had none. Dropping it is step 5.
#[derive(Debug)]
#[must_use = "the processor is taken back when this is dropped"]
pub(crate) struct BlockingRegion {
    shared: Option<&'static Shared>,
    /// For who asks what this thread is doing meanwhile.
    _listed: Option<OffProcessorGuard>,
}

impl Drop for BlockingRegion {
    fn drop(&mut self) {
        let Some(shared) = self.shared.filter(|shared| !shared.in_forked_child()) else {
            return;
        };
        step();
        if let Some(core) = shared.workers.idle.pop_idle(shared.cluster_here()) {
            step();
            shared.acquire(core, clock::now());
            step();
            if shared.all_switches() != 0 {
                // The core knows of them, but perhaps not the worker: one may have been turned on
                // while it held none. So it looks before its next poll.
                this_thread::with_core(shared, |core| core.processor.ownership.request_yield());
            }
            if let Some(task) = tasks::current_tag() {
                this_thread::with_core(shared, |core| {
                    core.processor.go_on(task);
                    core.processor.set_class(tasks::current_class().effective);
                });
            }
            shared.tell_of_poll(|tag| Event::TakenBack { tag });
        }
    }
}
