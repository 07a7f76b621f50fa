//! How runnables come into a queue, and whoever is needed for them to work.
//!
//! The protocol is [`super::idle`]'s: push, fence, look. On a worker of this scheduler the push goes into its own queue
//! ([`super::processor`]), elsewhere into the global one.

use super::Shared;
use super::idle::{Claim, Next};
use super::instruments::Push;
use super::local;
use super::processor::{Core, Submitted};
use crate::sync::atomic::{Ordering, fence};
use crate::tasks::Runnable;
use crate::tasks::registry::thread_shard;

/// So many runnables of a batch are worth a worker of their own: at about 1 µs each, what waking it costs (12 µs).
const BATCH_SHARE: u32 = 16;

impl Shared {
    /// A task is ready to be polled. `yielded`: it was woken while it ran.
    #[inline]
    pub(crate) fn submit(&'static self, runnable: Runnable, yielded: bool) {
        let mut runnable = Some(runnable);
        let submitted = local::with_core(self, |core| {
            if core.is_plain() || yielded && core.ignores_yields() {
                runnable
                    .take()
                    .map(|runnable| core.place(runnable, yielded))
            } else {
                runnable
                    .take()
                    .map(|runnable| self.push_specially(core, runnable, yielded))
            }
        });
        let push = if yielded { Push::Yielded } else { Push::Woken };
        match submitted.flatten() {
            Some(submitted) => self.follow_push(submitted, runnable),
            None => runnable
                .into_iter()
                .for_each(|runnable| self.submit_global(runnable, push)),
        }
    }

    /// Steps 2 and 3 of submitting, after a push into a worker's own queue; or first the push itself.
    #[inline(always)]
    pub(super) fn follow_push(&'static self, submitted: Submitted, runnable: Option<Runnable>) {
        match submitted {
            Submitted::NoWake => {}
            Submitted::WakeOne => {
                if self.idle.after_submit() == Next::Wake {
                    self.wake_one();
                }
            }
            Submitted::Detached => self.pushed_detached(),
            Submitted::Deferred => self.push_new_specially(runnable),
        }
    }

    /// A push by a worker while instruments are on or a batch is collected.
    #[inline(never)]
    fn push_specially(&self, core: &Core, runnable: Runnable, yielded: bool) -> Submitted {
        if core.is_observed(yielded) {
            let push = if yielded { Push::Yielded } else { Push::Woken };
            self.note_push(Some(core), runnable.metadata().tag(), push);
        }
        core.push(runnable, yielded)
    }

    /// [`Shared::push_specially`] for a new task: the user's hook is called first, and no core may be borrowed then.
    #[cold]
    fn push_new_specially(&'static self, runnable: Option<Runnable>) {
        let Some(runnable) = runnable else {
            return;
        };
        let (tag, push) = (runnable.metadata().tag(), Push::New);
        self.call_spawn_hook(tag);
        let mut runnable = Some(runnable);
        let submitted = local::with_core(self, |core| {
            self.note_push(Some(core), tag, push);
            (runnable.take()).map(|runnable| core.push(runnable, false))
        });
        match submitted.flatten() {
            Some(submitted) => self.follow_push(submitted, None),
            // The hook has blocked, and the processor is gone.
            None => runnable
                .into_iter()
                .for_each(|runnable| self.submit_global(runnable, push)),
        }
    }

    /// A new task: [`Shared::submit`], counted.
    #[inline]
    pub(crate) fn submit_new(&'static self, runnable: Runnable) {
        let mut runnable = Some(runnable);
        let submitted = local::with_core(self, |core| {
            core.processor.counters.spawned.add(1);
            match core.is_plain() {
                true => runnable.take().map(|runnable| core.place(runnable, false)),
                false => Some(Submitted::Deferred),
            }
        });
        match (submitted.flatten(), runnable) {
            // This worker sees for itself, after the poll, whether the scheduler is closed.
            (Some(submitted), runnable) => self.follow_push(submitted, runnable),
            (None, Some(runnable)) => self.submit_remote(runnable),
            (None, None) => {}
        }
    }

    /// A new task, spawned by a thread without a core.
    fn submit_remote(&'static self, runnable: Runnable) {
        if !self.count_remote_spawn() {
            return self.refuse(runnable);
        }
        if self.instruments.on() != 0 {
            self.call_spawn_hook(runnable.metadata().tag());
        }
        self.submit_global(runnable, Push::New);
    }

    /// A new job for the blocking pool.
    pub(crate) fn submit_new_blocking(&'static self, runnable: Runnable) {
        local::with_core(self, Core::send_job);
        if !self.count_remote_spawn() {
            return self.refuse(runnable);
        }
        if self.instruments.on() != 0 {
            let tag = runnable.metadata().tag();
            self.call_spawn_hook(tag);
            self.note_job(tag);
        }
        self.submit_blocking(runnable);
    }

    /// A job is about to be pushed, by a worker perhaps.
    fn note_job(&'static self, tag: u64) {
        if local::with_core(self, |core| self.note_push(Some(core), tag, Push::New)).is_none() {
            self.note_push(None, tag, Push::New);
        }
    }

    /// Counts a task that is not spawned by a worker onto its own queue. False: the scheduler is closed.
    fn count_remote_spawn(&self) -> bool {
        self.remote_tasks[thread_shard()]
            .spawned
            .fetch_add(1, Ordering::Relaxed);
        // Pairs with the shutdown thread's fence; see `lifecycle`.
        fence(Ordering::SeqCst);
        !self.is_closed()
    }

    fn submit_global(&'static self, runnable: Runnable, push: Push) {
        if self.is_closed_by_fork() {
            return std::mem::forget(runnable);
        }
        if self.instruments.on() != 0 {
            self.note_push(None, runnable.metadata().tag(), push);
        }
        self.global.push(runnable);
        self.follow_submit();
    }

    /// Steps 2 and 3 of submitting, for what is in a queue that no worker looks into after its poll.
    pub(super) fn follow_submit(&'static self) {
        if self.is_closed_by_fork() {
            return;
        }
        match self.idle.after_submit() {
            Next::Nothing => {}
            Next::Wake => self.wake_one(),
            Next::Drain => self.monitor.notify_shutdown(),
        }
    }

    /// A task was cancelled, and its future is about to be dropped.
    #[cold]
    pub(crate) fn task_cancelled(&self) {
        self.counters.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    /// A task's future has been dropped.
    #[inline]
    pub(crate) fn task_finished(&'static self) {
        if local::with_core(self, |core| core.processor.counters.finished.add(1)).is_none() {
            self.remote_tasks[thread_shard()]
                .finished
                .fetch_add(1, Ordering::Release);
            // A worker's counts are seen when it ends. This one the shutdown thread may be waiting for.
            self.notify_shutdown_if_closed();
        }
    }

    /// Puts one more worker to work, if a processor is idle and nobody searches.
    #[cold]
    pub(super) fn wake_one(&'static self) {
        if self.is_closed_by_fork() {
            return;
        }
        match self.idle.claim() {
            Some(claim) => self.put_to_work(claim),
            // The shutdown thread waits until no claim is being made.
            None if self.is_closed() => self.monitor.notify_shutdown(),
            None => {}
        }
    }

    /// A batch of this many runnables has come into this worker's queue at once: wakes as many as it can feed. The
    /// worker itself is one of them; beyond [`BATCH_SHARE`] each, another is woken without waiting for the chain.
    pub(super) fn wake_for_batch(&'static self, count: u32) {
        if self.idle.after_submit() != Next::Wake {
            return;
        }
        self.wake_one();
        for _ in 0..(count / BATCH_SHARE).min(self.processors.len() as u32) {
            let Some(claim) = self.idle.claim_another() else {
                self.notify_shutdown_if_closed();
                break;
            };
            self.put_to_work(claim);
        }
    }

    fn put_to_work(&'static self, claim: Claim<Box<Core>>) {
        match claim {
            Claim::Worker(parked_worker) => parked_worker.unpark(),
            Claim::Thread(core) => {
                if let Err((core, _)) = self.start_worker(core, true) {
                    self.take_back(core, true);
                }
            }
        }
    }

    /// No thread has come to life for this core. The work stays queued: a worker that parks or the monitor's next round tries
    /// again. `searching`: its worker was counted so.
    pub(super) fn take_back(&self, core: Box<Core>, searching: bool) {
        match searching {
            true => self.idle.unclaim(core),
            false => self.idle.push_idle(core),
        }
        self.notify_shutdown_if_closed();
    }
}
