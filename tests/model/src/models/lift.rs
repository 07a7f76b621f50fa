//! Tasks are lifted by who awaits them, and nobody sleeps through that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::DEADLOCK;
use super::model::{Model, Plan, Task, run};
use crate::checker::{explore, explore_twin_at_length};
use crate::runner::Check;
use crate::scheduler::submit::OnWorkers;
use crate::tasks::{self, JoinHandle, Priority, SpawnsAs};

pub(super) const CHECKS: &[Check] = &[
    Check::model("lift", || lift(None)),
    Check::twin("lift/first-wait-overlooks-it", DEADLOCK, || {
        lift(Some("lift-first-wait-overlooks-it"))
    })
    // Shuttle finds it now and then.
    .loom_only(),
    Check::twin("lift/looks-before-its-key", DEADLOCK, || {
        lift(Some("lift-looks-before-its-key"))
    })
    .loom_only(),
    Check::twin("lift/wakes-nobody", DEADLOCK, || {
        lift(Some("lift-wakes-nobody"))
    })
    .loom_only(),
    Check::model("class-set-twice", || set_twice(None)),
    Check::twin("class-set-twice/settled-late", DEADLOCK, || {
        set_twice(Some("class-is-settled-late"))
    }),
    // Of shuttle only: the state of a task orders its wakes and its polls, and loom does not know of that.
    Check::model("lift-chain", || chain(None)).shuttle_only(),
    Check::twin("lift-chain/first-wait-overlooks-it", DEADLOCK, || {
        chain(Some("lift-first-wait-overlooks-it"))
    })
    .shuttle_only(),
    Check::twin("lift-chain/wakes-nobody", DEADLOCK, || {
        chain(Some("lift-wakes-nobody"))
    })
    .shuttle_only(),
];

/// Ends when it is interactive. Nobody wakes it but its lift.
struct IsLifted(Task);

impl Future for IsLifted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Its poll lasts for a while.
        #[cfg(executor_shuttle)]
        crate::sync::thread::yield_now();
        match tasks::priority() {
            Priority::Interactive => Pin::new(&mut self.0).poll(cx),
            _ => Poll::Pending,
        }
    }
}

/// Awaits another task.
struct Awaits(JoinHandle<()>, Task);

impl Future for Awaits {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = Pin::new(&mut self.0).poll(cx);
        #[cfg(executor_shuttle)]
        crate::sync::thread::yield_now();
        match polled {
            Poll::Ready(_) => Pin::new(&mut self.1).poll(cx),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn spawn(model: &Model, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let (runnable, handle) = tasks::create::<_, OnWorkers>(future, 0, model.shared.registry);
    model.shared.submit_new(runnable);
    handle
}

/// The class of a task rises while the task is polled for the first time.
fn lift(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 1, twin), |model| {
            model.start_workers();
            let handle = spawn(model, IsLifted(model.future(0)));
            handle.set_priority(Priority::Interactive);
        });
    })
}

/// A class that was set before the first poll is settled by it, while another one is set: that one stays.
fn set_twice(twin: Option<&'static str>) -> usize {
    explore(2, move || {
        run(Plan::new(1, 1, twin), |model| {
            let future = IsLifted(model.future(0));
            let (runnable, handle) =
                tasks::create::<_, OnWorkers>(future, 0, model.shared.registry);
            handle.abort_handle().set_priority(Priority::Background);
            model.shared.submit_new(runnable);
            model.start_workers();
            handle.set_priority(Priority::Interactive);
        });
    })
}

/// An interactive task awaits one that awaits another, which ends when the lift has come to it.
fn chain(twin: Option<&'static str>) -> usize {
    explore_twin_at_length(twin.is_some(), 0, move || {
        run(Plan::new(2, 3, twin), |model| {
            model.start_workers();
            let last = spawn(model, IsLifted(model.future(0)));
            let middle = spawn(model, Awaits(last, model.future(1)));
            let _class = SpawnsAs::class(Priority::Interactive);
            drop(spawn(model, Awaits(middle, model.future(2))));
        });
    })
}
