//! How runnables come into a queue, and how somebody is woken for them.
//!
//! A new task comes by [`Shared::submit_new`], one that is woken by [`Scheduled::schedule`]. A task
//! has a number and no reference to its scheduler, so a wake counts nothing; a table leads from the
//! one to the other ([`scheduler_of`]).
//!
//! The protocol is [`super::worker::idle`]'s: push, fence, look. On a worker of this scheduler the
//! push goes into its own queues ([`Core::push`]), elsewhere into the global one.

use std::ptr;

use async_task::ScheduleInfo;

use super::classes::CLASSES;
use super::observer::Push;
use super::processor::{Core, Submitted};
use super::worker::idle::{Claim, Look, Next};
use super::{Shared, this_thread};
use crate::sync::HAS_THREADS;
use crate::sync::atomic::{AtomicPtr, Ordering, fence};
use crate::tasks::registry::{self, thread_shard};
use crate::tasks::spawn_site::{self, SPAWN_SITE_BITS};
use crate::tasks::{Meta, Runnable, Schedule};

/// So many runnables of a batch are worth a worker of their own: at about 1 µs each, what waking it
/// costs (12 µs).
const BATCH_SHARE: u32 = 16;

/// Ordinary tasks: workers poll them.
pub(crate) type OnWorkers = Scheduled<false>;
/// Blocking jobs: the pool runs them.
pub(crate) type OnPool = Scheduled<true>;

/// How a task comes back to its scheduler: when it is woken, when it ends.
pub(crate) struct Scheduled<const IS_JOB: bool>;

impl<const IS_JOB: bool> Schedule for Scheduled<IS_JOB> {
    #[inline]
    fn schedule(runnable: Runnable, info: ScheduleInfo) {
        let shared = scheduler_of(runnable.metadata());
        match IS_JOB {
            true => shared.submit_blocking(runnable),
            false => shared.submit(runnable, info.woken_while_running),
        }
    }

    fn is_queued_by_class(meta: &Meta) -> bool {
        !IS_JOB && !scheduler_of(meta).is_closed_by_fork()
    }

    fn spawned_with_class(meta: &Meta) {
        if !IS_JOB {
            scheduler_of(meta).use_classes();
        }
    }

    fn reclassed(meta: &Meta) {
        if !IS_JOB {
            scheduler_of(meta).reclassed(meta.tag());
        }
    }

    fn panicked(meta: &Meta) {
        scheduler_of(meta).task_panicked(meta.tag());
    }

    fn cancelled(meta: &Meta) {
        scheduler_of(meta).task_cancelled();
    }

    #[inline]
    fn finished(meta: &Meta) {
        scheduler_of(meta).task_finished();
    }
}

/// All schedulers, by the spawn sites of their tasks, so that a wake need not look up the runtime
/// first. The entry of a runtime is written when its scheduler is made, by [`add_scheduler`]; that
/// of any other spawn site when the first wake asks for it.
static SCHEDULERS: [AtomicPtr<Shared>; 1 << SPAWN_SITE_BITS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; 1 << SPAWN_SITE_BITS];

/// The scheduler that this task belongs to.
#[inline]
pub(super) fn scheduler_of(meta: &Meta) -> &'static Shared {
    at(meta.spawn_site()).unwrap_or_else(|| learn_runtime(meta.spawn_site()))
}

#[inline]
fn at(spawn_site: usize) -> Option<&'static Shared> {
    let shared = SCHEDULERS[spawn_site].load(Ordering::Acquire);
    // SAFETY: entries are null or point to a leaked, hence immortal, scheduler, and are read
    // through shared references.
    unsafe { shared.as_ref() }
}

/// The scheduler of this runtime has been made.
pub(super) fn add_scheduler(runtime: u16, shared: &'static Shared) {
    // Release pairs with the load in `at`.
    SCHEDULERS[usize::from(runtime)].store(ptr::from_ref(shared).cast_mut(), Ordering::Release);
}

/// Calls `f` with every scheduler there is.
pub(crate) fn each_scheduler(f: impl FnMut(&'static Shared)) {
    (0..registry::made()).filter_map(at).for_each(f);
}

#[cold]
fn learn_runtime(spawn_site: usize) -> &'static Shared {
    // Not null: a task of a runtime carries a spawn site of the runtime that its scheduler was
    // stored under before.
    let shared = at(spawn_site::runtime_of(spawn_site))
        .expect("a task names a scheduler that was never made");
    SCHEDULERS[spawn_site].store(ptr::from_ref(shared).cast_mut(), Ordering::Release);
    shared
}

impl Shared {
    /// A new task.
    #[inline(always)]
    pub(crate) fn submit_new(&'static self, runnable: Runnable) {
        self.submit_as::<true>(runnable, false);
    }

    /// A task is ready to be polled. `yielded`: it was woken while it ran.
    #[inline]
    pub(crate) fn submit(&'static self, runnable: Runnable, yielded: bool) {
        self.submit_as::<false>(runnable, yielded);
    }

    #[inline(always)]
    fn submit_as<const IS_NEW: bool>(&'static self, runnable: Runnable, yielded: bool) {
        let mut runnable = Some(runnable);
        let submitted = this_thread::with_core(self, |core| {
            if IS_NEW {
                core.processor.counters.spawned.add(1);
            }
            if core.is_plain() || yielded && core.ignores_yields() {
                runnable
                    .take()
                    .map(|runnable| core.place(runnable, yielded))
            } else if IS_NEW {
                None
            } else {
                (runnable.take()).map(|runnable| self.push_specially(core, runnable, yielded))
            }
        });
        match (submitted.flatten(), runnable) {
            // This worker sees for itself, after the poll, whether the scheduler is closed.
            (Some(submitted), _) => self.follow_push(submitted),
            (None, Some(runnable)) => match IS_NEW {
                true => self.submit_new_specially(runnable),
                false => self.submit_global(runnable, Push::woken(yielded)),
            },
            (None, None) => {}
        }
    }

    /// Steps 2 and 3 of submitting, after a push into a worker's own queue.
    #[inline(always)]
    pub(super) fn follow_push(&'static self, submitted: Submitted) {
        match submitted {
            Submitted::NoWake => {}
            Submitted::WakeOne => {
                if self.workers.idle.after_submit() == Next::Wake {
                    self.wake_one();
                }
            }
            Submitted::Elsewhere => self.follow_elsewhere(),
        }
    }

    #[cold]
    fn follow_elsewhere(&'static self) {
        let is_retaken = |core: &Core| core.processor.ownership.is_retaken();
        match this_thread::with_core(self, is_retaken) {
            // The rest of what it has pushed by class is woken for, too.
            Some(true) => self.publish_detached(),
            _ => self.wake_by_class(),
        }
    }

    /// This worker's last push went into a detached processor's queue.
    #[cold]
    pub(super) fn publish_detached(&'static self) {
        this_thread::with_core(self, |core| self.queues.publish_detached(core));
        self.wake_for_shared_queue();
    }

    /// A push by a worker while it is observed, tasks have classes, or a batch is collected.
    #[inline(never)]
    fn push_specially(&'static self, core: &Core, runnable: Runnable, yielded: bool) -> Submitted {
        if core.is_observed(yielded) {
            let (tag, push) = (runnable.metadata().tag(), Push::woken(yielded));
            self.tell_push(Some(&core.processor.records), tag, push);
        }
        self.place_specially(core, runnable, yielded)
    }

    #[inline]
    fn place_specially(&'static self, core: &Core, runnable: Runnable, yielded: bool) -> Submitted {
        match core.is_classed() {
            true => self.place_by_class(core, runnable, yielded),
            false => core.push(runnable, yielded),
        }
    }

    /// A new task, spawned by a thread without a core, or by a worker that is observed or whose
    /// tasks have classes. The user's hook is called first, and no core may be borrowed then.
    #[cold]
    fn submit_new_specially(&'static self, runnable: Runnable) {
        if this_thread::with_core(self, |_| ()).is_none() {
            return self.submit_remote(runnable);
        }
        let tag = runnable.metadata().tag();
        self.tell_spawn(tag);
        let mut runnable = Some(runnable);
        let submitted = this_thread::with_core(self, |core| {
            if self.is_observed() {
                self.tell_push(Some(&core.processor.records), tag, Push::New);
            }
            let runnable = runnable.take()?;
            Some(self.place_specially(core, runnable, false))
        });
        match (submitted.flatten(), runnable) {
            (Some(submitted), _) => self.follow_push(submitted),
            // The hook has blocked, and the processor is gone.
            (None, Some(runnable)) => self.submit_global(runnable, Push::New),
            (None, None) => {}
        }
    }

    /// A new task, spawned by a thread without a core.
    fn submit_remote(&'static self, runnable: Runnable) {
        if !self.count_remote_spawn() {
            return self.reject(runnable, None, true);
        }
        if self.is_observed() {
            self.tell_spawn(runnable.metadata().tag());
        }
        self.submit_global(runnable, Push::New);
    }

    /// A new job for the blocking pool.
    pub(crate) fn submit_new_blocking(&'static self, runnable: Runnable) {
        this_thread::with_core(self, Core::send_job);
        if !self.count_remote_spawn() {
            return self.reject(runnable, None, true);
        }
        if self.is_observed() {
            let tag = runnable.metadata().tag();
            self.tell_spawn(tag);
            self.tell_push(self.records_here(), tag, Push::New);
        }
        self.submit_blocking(runnable);
    }

    /// Counts a task that is not spawned by a worker onto its own queue. False: the scheduler is
    /// closed.
    fn count_remote_spawn(&self) -> bool {
        self.remote_tasks[thread_shard()]
            .spawned
            .fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence in `shut_down`; see `lifecycle::shutdown`.
        fence(Ordering::SeqCst);
        !self.is_closed()
    }

    fn submit_global(&'static self, runnable: Runnable, push: Push) {
        if self.is_closed_by_fork() {
            return std::mem::forget(runnable);
        }
        if self.all_switches() != 0 {
            return self.submit_global_specially(runnable, push);
        }
        self.queues.push_global(runnable);
        self.wake_for_shared_queue();
    }

    /// Of a thread without a core, while any switch is on.
    #[cold]
    fn submit_global_specially(&'static self, runnable: Runnable, push: Push) {
        if self.is_observed() {
            self.tell_push(None, runnable.metadata().tag(), push);
        }
        match self.all_switches() & CLASSES {
            0 => self.push_to_all(runnable),
            _ => self.push_shared(runnable),
        }
    }

    /// Steps 2 and 3 of submitting, for what is in a queue that no worker looks into after its
    /// poll.
    pub(super) fn wake_for_shared_queue(&'static self) {
        if self.is_closed_by_fork() {
            return;
        }
        match self.workers.idle.after_submit() {
            Next::Nothing => {}
            Next::Wake => self.wake_one(),
            Next::Drain => self.workers.monitor.notify_shutdown(),
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
        let count = |core: &Core| core.processor.counters.finished.add(1);
        if this_thread::with_core(self, count).is_none() {
            self.remote_tasks[thread_shard()]
                .finished
                .fetch_add(1, Ordering::Release);
            // A worker's counts are seen when it ends. This one the shutdown thread may be waiting
            // for.
            self.notify_shutdown_if_closed();
        }
    }

    /// Step 4 of [`super::run_queues::compute_limit`]: the poll of a detached processor has
    /// returned, or counts no more.
    pub(super) fn ends_computing(&'static self, processor: &super::processor::Processor) {
        if (self.queues.compute_limit).end_computing(&processor.counted) {
            self.wake_one();
        }
    }

    /// Puts one more worker to work, if a processor is idle and nobody searches.
    #[cold]
    pub(super) fn wake_one(&'static self) {
        if !HAS_THREADS || self.is_closed_by_fork() {
            return;
        }
        match self.workers.idle.claim(self.cluster_here()) {
            Some(claim) => self.put_to_work(claim),
            // The shutdown thread waits until no claim is being made.
            None if self.is_closed() => self.workers.monitor.notify_shutdown(),
            None => {}
        }
    }

    /// A batch of this many runnables has come into this worker's queue at once: wakes as many as
    /// it can feed. The worker itself is one of them; beyond [`BATCH_SHARE`] each, another is woken
    /// without waiting for the chain.
    pub(super) fn wake_for_batch(&'static self, count: u32) {
        if self.workers.idle.after_submit() != Next::Wake {
            return;
        }
        self.wake_one();
        let near = self.cluster_here();
        for _ in 0..(count / BATCH_SHARE).min(self.queues.num_processors() as u32) {
            let Some(claim) = self.workers.idle.claim_another(near) else {
                self.notify_shutdown_if_closed();
                break;
            };
            self.put_to_work(claim);
        }
    }

    fn put_to_work(&'static self, claim: Claim<Box<Core>>) {
        match claim {
            Claim::Worker(worker) => worker.unpark(),
            Claim::Thread(core) => self.start_claimed(core),
        }
    }

    /// Starts a worker for a core that was claimed, whose search is counted already.
    ///
    /// Where the user's code comes before that search, it may block. So the search ends here, as any
    /// does: whoever submits from now on claims another processor, and for what was left to this
    /// claim there is a look. The worker begins a search of its own when it begins to work.
    fn start_claimed(&'static self, core: Box<Core>) {
        let calls_user = (self.settings()).is_ok_and(|settings| settings.calls_user_at_start());
        let look = match calls_user {
            true => self.workers.idle.end_search(),
            false => Look::Left,
        };
        if let Err((core, _)) = self.start_worker(core, !calls_user) {
            return self.take_back(core, !calls_user);
        }
        if look == Look::Due && self.queues.has_visible_work() {
            self.wake_one();
        }
    }

    /// No thread was started for this core. The work stays queued: a worker that parks or the
    /// monitor's next round tries again. `searching`: its worker was counted so.
    pub(super) fn take_back(&self, core: Box<Core>, searching: bool) {
        match searching {
            true => self.workers.idle.unclaim(core),
            // The look is left to those that the work stays queued for.
            false => {
                self.workers.idle.push_idle(core);
            }
        }
        self.notify_shutdown_if_closed();
    }
}
