//! The classes of tasks, as the scheduler knows them: the switch that they are in use, and what a
//! push does by class.
//!
//! # What it costs while it is off
//!
//! Nothing: until a runtime has a task of another class than `Normal`, its word of switches
//! ([`super::observer`]) says so to nobody, and all goes the way of `Normal` tasks. The first such
//! task turns the switch [`CLASSES`] on, which stays on until the runtime ends. From then on each
//! push and each poll takes the way that an observer's switch makes it take, and
//! [`super::worker::by_class`] decides what is polled next.
//!
//! # Turning it on
//!
//! As any switch ([`super::observer`], steps 1 to 3): the change, a fence, and a request to each
//! processor that is held; who acquires one looks after a fence. What happens until a worker has
//! looked:
//!
//! 1. The task's creator calls [`Shared::use_classes`] before the first push, as does who gives it a
//!    class later ([`Shared::reclassed`]), and its own core knows from then on. So the first push
//!    goes by class.
//! 2. A worker that has not looked yet may push such a task as a `Normal` one. It stays in that
//!    queue, and who takes it out asks for its class.
//! 3. What it does not take out of the queues of the classes is visible work to it
//!    (`RunQueues::has_visible_work`): it does not park beside it, and looks at the switches before it
//!    goes on.
//!
//! # Who is woken
//!
//! The protocol is [`super::worker::idle`]'s: push, fence, look. Beyond that:
//!
//! * Nobody is woken for what the worker that pushes looks for next: an `Interactive` task that it
//!   pushes within an `Interactive` poll, if that is alone in the queue; what it pushes in a batch of
//!   wakers; a task that yields. If the worker's processor was retaken, it does not look, and
//!   somebody is woken. Between the push and that question lies a fence, as between the retake and
//!   the look of `Shared::pass_on`; so one of the two sees the other. If the poll lasts after such a
//!   push, the task that was pushed waits beside processors that may be idle: for the monitor's round,
//!   within a millisecond, as the push ends the monitor's doze (`Monitor::end_doze`: a wake per 20 ms
//!   at most).
//! * If there is more, the worker that takes the first one wakes the next
//!   (`Worker::wake_for_the_rest`), and so on.
//! * If no processor is idle and nobody searches, the monitor is called for an `Interactive` task, at
//!   most once per [`CALL_PERIOD`]: a long poll may have to lose its processor for it
//!   (`monitor::latency`).

use std::time::Duration;

use super::processor::{Core, Submitted};
use super::run_queues::by_class::{class_of, default_limit};
use super::worker::idle::Next;
use super::{Shared, this_thread};
use crate::clock;
use crate::sync::atomic::{Ordering, fence};
use crate::tasks::register::register_queued;
use crate::tasks::{Priority, Runnable};

/// Of [`Shared::all_switches`]: a task of another class than `Normal` exists, or did. The observer
/// does not see it.
pub(super) const CLASSES: u8 = 1 << 7;

/// A call costs who makes it up to 10 µs, and a round of the monitor 5. Nothing loses its processor
/// for less than 0.2 ms, so a call that comes later costs little.
const CALL_PERIOD: Duration = Duration::from_micros(500);

impl Shared {
    /// A task was created with another class than `Normal`, and is not pushed yet.
    pub(crate) fn use_classes(&'static self) {
        if self.is_closed_by_fork() {
            return;
        }
        if self.all_switches() & CLASSES == 0 {
            self.turn_switches(CLASSES, 0);
        }
        // Also if somebody else has turned it on: this thread may not have looked since.
        this_thread::with_core(self, Core::set_classed);
    }

    /// The class of the task with this tag has changed. If it waits in the queue of class
    /// `Background`, it moves to that of its class.
    ///
    /// A task that waits elsewhere keeps its place.
    pub(crate) fn reclassed(&'static self, tag: u64) {
        if self.is_closed_by_fork() {
            return;
        }
        self.use_classes();
        if let Some(runnable) = self.queues.by_class.extract(tag) {
            self.push_shared(runnable);
        }
    }

    /// A runtime begins, and no thread of it has.
    pub(super) fn reset_classes(&self) {
        self.turn_switches(0, CLASSES);
    }

    /// There are so many processors from now on. The caller looks afterwards whether anybody waits.
    pub(super) fn set_background_limit(&self, processors: usize) {
        let set = self
            .settings()
            .ok()
            .and_then(|settings| settings.background_limit);
        let limit = set.unwrap_or_else(|| default_limit(processors));
        self.queues.by_class.permits.set_limit(limit);
    }

    /// By class into a queue that all share, and wakes for it.
    pub(super) fn push_shared(&'static self, runnable: Runnable) {
        if class_of(&runnable) == Priority::Background {
            // It may have become that before its first poll.
            register_queued(&runnable);
        }
        match self.queues.by_class.push(runnable) {
            Ok(_) => self.wake_by_class(),
            Err(runnable) => self.push_to_all(runnable),
        }
    }

    pub(super) fn push_to_all(&'static self, runnable: Runnable) {
        self.queues.push_global(runnable);
        self.wake_for_shared_queue();
    }

    /// A push by a worker while tasks of several classes exist.
    pub(super) fn place_by_class(
        &'static self,
        core: &Core,
        runnable: Runnable,
        yielded: bool,
    ) -> Submitted {
        if self.is_closed_by_fork() {
            // Another thread may have been in the middle of a push when the process forked.
            std::mem::forget(runnable);
            return Submitted::NoWake;
        }
        let queues = &self.queues.by_class;
        let is_alone = queues.num_interactive() == 0;
        let class = match queues.push(runnable) {
            Ok(class) => class,
            Err(runnable) => return core.push(runnable, yielded),
        };
        let is_next = class == Priority::Interactive
            && is_alone
            && core.processor.class() == Priority::Interactive;
        // Before the question whether it was retaken: see the module's documentation.
        fence(Ordering::SeqCst);
        let looks_soon = core.is_in_batch() || yielded;
        match looks_soon || is_next {
            true if !core.processor.ownership.is_retaken() => {
                if !looks_soon {
                    self.workers.monitor.end_doze();
                }
                Submitted::NoWake
            }
            _ => Submitted::Elsewhere,
        }
    }

    /// The calling thread is about to give its processor away in the middle of a poll: that one shows
    /// the poll's class no more, and the permit of the poll ends. It goes on without one. True: it
    /// had one.
    pub(super) fn leave_class(&'static self) -> bool {
        let left = this_thread::with_core(self, |core| {
            core.processor.set_class(Priority::Normal);
            self.queues.by_class.permits.end(&core.processor.permit)
        });
        left == Some(true)
    }

    /// Steps 2 and 3 of submitting, for what is in the queue of its class.
    #[cold]
    pub(super) fn wake_by_class(&'static self) {
        if self.is_closed_by_fork() {
            return;
        }
        let queues = &self.queues.by_class;
        match self.workers.idle.after_submit() {
            Next::Drain => self.workers.monitor.notify_shutdown(),
            Next::Wake if queues.has_work() => self.wake_one(),
            Next::Wake => {}
            Next::Nothing => {
                let idle = &self.workers.idle;
                let nobody_comes = idle.num_idle() == 0 && idle.num_searching() == 0;
                let may_help = !self.queues.compute_limit.is_reached();
                if nobody_comes && may_help && queues.num_interactive() != 0 {
                    self.workers
                        .monitor
                        .call_for_latency(clock::now(), CALL_PERIOD);
                }
            }
        }
    }
}
