//! How a task comes back to its scheduler: when it is woken, when it ends.

use async_task::ScheduleInfo;

use super::lifecycle::runtimes::scheduler_of;
use crate::tasks::{Meta, Runnable, Schedule};

/// Ordinary tasks: workers poll them.
pub(crate) type OnWorkers = Scheduled<false>;
/// Blocking jobs: the pool runs them.
pub(crate) type OnPool = Scheduled<true>;

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
