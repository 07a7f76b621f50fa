//! A million tasks, or as many as said, that wait for one event: the time to spawn and to release them, the memory of each.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use async_channel::Sender;

use crate::support::Scheduler;
use crate::support::process::{kernel_bytes, resident_bytes, virtual_bytes};

/// Nanoseconds to spawn and to release, and resident bytes, each per task. Once in a process only: a second run would find the heap of the first.
pub(crate) fn measure<R: Scheduler>(runtime: &R) -> Vec<f64> {
    let mut figures = so_many(runtime, 1_000_000);
    figures.truncate(3);
    figures
}

/// The same with as many tasks as said; then bytes of address space, and bytes that the kernel keeps beside the process.
pub(crate) fn so_many<R: Scheduler>(runtime: &R, tasks: usize) -> Vec<f64> {
    runtime.run(at_a_gate::<R>(tasks))
}

async fn at_a_gate<R: Scheduler>(tasks: usize) -> Vec<f64> {
    let (all_parked, parked) = async_channel::bounded(1);
    let (all_done, done) = async_channel::bounded(1);
    let gate: &'static Gate = Box::leak(Box::new(Gate {
        state: Mutex::new(State {
            wakers: Some(touched_list(tasks)),
            tasks,
            all_parked,
        }),
        left: AtomicUsize::new(tasks),
        all_done,
    }));
    R::spawn(async {}).await; // what the runtime allocates on first use is not the tasks'

    let sizes = || [resident_bytes(), virtual_bytes(), kernel_bytes()];
    let before = sizes();
    let begin = Instant::now();
    for _ in 0..tasks {
        R::detach(async move {
            poll_fn(|cx| gate.pass(cx)).await;
            gate.leave();
        });
    }
    parked.recv().await.expect("the last to park says so");
    let spawn = begin.elapsed();
    let after = sizes();

    let begin = Instant::now();
    gate.open();
    done.recv().await.expect("the last to leave says so");
    let release = begin.elapsed();

    let each = |total: f64| total / tasks as f64;
    let bytes = |size: usize| each(after[size] - before[size]);
    vec![
        each(spawn.as_nanos() as f64),
        each(release.as_nanos() as f64),
        bytes(0),
        bytes(1),
        bytes(2),
    ]
}

/// A broadcast made by hand, so that the runtimes' tasks are compared and not their channels.
struct Gate {
    state: Mutex<State>,
    /// Tasks that have not ended.
    left: AtomicUsize,
    all_done: Sender<()>,
}

struct State {
    /// `None` once the gate is open.
    wakers: Option<Vec<Waker>>,
    /// How many come.
    tasks: usize,
    all_parked: Sender<()>,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.state();
        let expected = state.tasks;
        let Some(wakers) = &mut state.wakers else {
            return Poll::Ready(());
        };
        wakers.push(waker);
        if wakers.len() == expected {
            state.all_parked.try_send(()).expect("room for one");
        }
        Poll::Pending
    }

    fn open(&self) {
        let wakers = self.state().wakers.take().unwrap_or_default();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn leave(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_done.try_send(()).expect("room for one");
        }
    }
}

/// An empty list with room for all wakers, its pages already in memory: they are the gate's and not the tasks'.
fn touched_list(tasks: usize) -> Vec<Waker> {
    let mut list = vec![Waker::noop().clone(); tasks];
    list.clear();
    list
}
