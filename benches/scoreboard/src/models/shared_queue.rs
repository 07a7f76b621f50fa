//! Model 4, M:N with one run queue: threads take tasks from one queue behind one mutex.
//!
//! Tasks are cheap, all cores work, and a call that blocks is made up for by another thread ([`Places`]). What it lacks: any
//! growth. Each spawn, wake and yield, and each look for work, goes through that mutex, so threads mostly wait for each other.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use async_task::{Runnable, Task};

use super::places::Places;
use super::{Model, create, outside, start_thread, yield_to_queue};
use crate::support::{Scheduler, workers};

static EXECUTOR: OnceLock<Executor> = OnceLock::new();

struct Executor {
    state: Mutex<State>,
    work: Condvar,
    places: Places,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Runnable>,
    /// Threads that wait for work and have not been notified.
    asleep: usize,
    /// Those that have been, and do not know it yet.
    called: usize,
}

fn executor() -> &'static Executor {
    EXECUTOR.get_or_init(|| Executor {
        state: Mutex::default(),
        work: Condvar::new(),
        places: Places::new(workers(), || executor().run()),
    })
}

impl Executor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, runnable: Runnable) {
        let mut state = self.state();
        state.queue.push_back(runnable);
        if state.asleep > 0 {
            state.asleep -= 1;
            state.called += 1;
            drop(state);
            self.work.notify_one();
        }
    }

    fn next(&self) -> Runnable {
        let mut state = self.state();
        loop {
            if let Some(runnable) = state.queue.pop_front() {
                return runnable;
            }
            state.asleep += 1;
            let waited = self.work.wait_while(state, |state| state.called == 0);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.called -= 1;
        }
    }

    fn run(&self) {
        loop {
            self.places.take();
            self.next().run();
        }
    }
}

pub(crate) struct SharedQueue;

impl Model for SharedQueue {
    const TITLE: &'static str = "M:N, one shared queue";
    const KEEPS_THREAD: bool = false;

    fn blocking(call: impl FnOnce()) {
        executor().places.lend_during(call);
    }

    fn searches() -> [f64; 2] {
        [1.0, f64::NAN]
    }
}

impl Scheduler for SharedQueue {
    const NAME: &'static str = "shared_queue";
    type Task<T: Send + 'static> = Task<T>;

    fn start() -> SharedQueue {
        (0..workers()).for_each(|_| start_thread(|| executor().run()));
        SharedQueue
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        outside(future)
    }

    fn spawn_from_outside<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        Self::detach(future);
    }

    fn spawn<F>(future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        create(future, |runnable| executor().submit(runnable))
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        Self::spawn(future).detach();
    }

    async fn yield_now() {
        yield_to_queue().await;
    }
}
