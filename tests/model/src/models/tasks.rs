//! A task's poll, beside who joins it, aborts it, or closes its scheduler.

use std::pin::Pin;
use std::sync::Arc as PlainArc;
use std::task::{Context, Poll, Wake, Waker};

use super::DEADLOCK;
use super::model::{Plan, run};
use crate::checker::{explore, explore_twin_at_length};
use crate::runner::Check;
use crate::sync::thread;
use crate::tasks::{JoinError, JoinHandle};

pub(super) const CHECKS: &[Check] = &[
    Check::model("join", join),
    Check::model("abort", || abort(None)),
    Check::twin("abort/register-ignores-it", DEADLOCK, || {
        abort(Some("register-ignores-abort"))
    })
    // Shuttle does not come by it in each 10,000 schedules.
    .loom_only(),
    // Of shuttle only: what orders the two is the state of the task, which belongs to `async_task` and which loom does not
    // know of.
    Check::model("closing-pending", || closing(None)).shuttle_only(),
    Check::twin("closing-pending/worker-looks-no-more", DEADLOCK, || {
        closing(Some("worker-wakes-none-after-its-poll"))
    })
    .shuttle_only(),
];

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: PlainArc<Self>) {
        self.0.unpark();
    }
}

fn wait_for(mut handle: JoinHandle<()>) -> Result<(), JoinError> {
    let waker = Waker::from(PlainArc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Future::poll(Pin::new(&mut handle), &mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

/// Somebody waits for a task that runs meanwhile.
fn join() -> usize {
    explore(3, || {
        let plan = Plan::new(1, 1, None);
        run(plan, |model| {
            model.start_workers();
            let handle = model.spawn_pending(0, 0);
            wait_for(handle).expect("nobody has aborted it");
        });
    })
}

/// Somebody aborts a task that nothing else would wake, while it is polled for the first time.
fn abort(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        let plan = Plan::new(1, 1, twin);
        run(plan, |model| {
            model.start_workers();
            let handle = model.spawn_pending(0, usize::MAX);
            handle.abort();
            assert!(wait_for(handle).is_err_and(|error| error.is_cancelled()));
        });
    })
}

/// Somebody wakes tasks, which go on to wait for what never comes, and closes.
fn closing(twin: Option<&'static str>) -> usize {
    const TASKS: usize = 20;
    explore_twin_at_length(twin.is_some(), 0, move || {
        let plan = Plan { stays_open: true, ..Plan::new(1, TASKS, twin) };
        run(plan, |model| {
            let wakers: Vec<_> = (0..TASKS)
                .map(|number| model.spawn_waiting(number, usize::MAX))
                .collect();
            model.start_monitor();
            model.start_workers();
            wakers.into_iter().for_each(Waker::wake);
            model.close();
        });
    })
}
