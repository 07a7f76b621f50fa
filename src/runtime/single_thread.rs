//! The waiting of a `block_on` that does all work of the process meanwhile: see
//! [`scheduler::single_thread`](crate::scheduler::single_thread).

use super::foreign::Foreign;
use super::local_set::outside_of_frames;
use super::{Handle, context};
use crate::observe::dump::dump_tasks;
use crate::scheduler::Shared;
use crate::scheduler::single_thread::begins_slice;
use crate::scheduler::submit::each_scheduler;
use crate::sync::{HAS_THREADS, thread};
use crate::tasks;

/// Step 2, for all runtimes. False: no task was polled.
pub(super) fn give_turns() -> bool {
    let mut any = false;
    let asks = begins_slice();
    outside_of_frames(|| {
        each_scheduler(|shared| {
            if let Some(lease) = shared.lease() {
                let _entered = context::enter(Handle::new(lease, Foreign::default()));
                any |= shared.turn(asks);
            }
        });
    });
    any
}

/// Step 4. False: step 5.
pub(super) fn sleep_until_timer() -> bool {
    let (mut has_work, mut earliest) = (false, None);
    each_scheduler(|shared| {
        has_work |= shared.has_work();
        let until = shared.until_timer();
        earliest = earliest.into_iter().chain(until).min();
    });
    if let (false, Some(until)) = (has_work, earliest) {
        thread::sleep(until);
    }
    has_work || earliest.is_some()
}

/// Closes a runtime, and without threads step 7.
pub(super) fn close(handle: &Handle) {
    let shared = handle.shared();
    shared.close();
    if !HAS_THREADS && !shared.has_turn() {
        let _entered = context::enter(handle.clone());
        outside_of_frames(|| shared.cancel_queued());
    }
}

/// Step 5.
#[cold]
#[track_caller]
pub(super) fn all_are_asleep(shared: &'static Shared) -> ! {
    let nested = match tasks::try_id() {
        Some(_) => {
            "; it is in a task, and what waits further down the stack of this thread goes on after it"
        }
        None => "",
    };
    let dump = dump_tasks(shared).to_string();
    panic!(
        "all tasks are asleep, and no timer is armed: this `block_on` would wait for ever, as no \
         other thread can wake it{nested}\n{}",
        dump.trim_end()
    );
}
