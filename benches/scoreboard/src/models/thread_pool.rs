//! Model 3: a pool of threads, each of which takes a task and stays with it to its end.
//!
//! Threads are reused, so a task that never waits is cheaper than a thread of its own. What it lacks: a task that waits keeps its
//! thread, so whatever waits costs what a thread costs; and tasks that block, with nothing said, keep new ones from
//! beginning.
//!
//! A pool whose size is fixed deadlocks as soon as all of its threads hold tasks that wait for tasks in the queue, and most of our
//! workloads do that. So this one grows as it has to:
//!
//! 1. As many threads as there are workers are *running*: they hold a task that does not wait for another one.
//! 2. A task that is about to wait takes its thread off that number, and if there is a job and no idle thread, one is started.
//! 3. When it goes on, it counts again, whether or not the number is exceeded for a while: its thread cannot do anything else.
//! 4. A thread whose task has ended takes the next job if fewer than that number run. Threads are kept.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures::channel::oneshot;

use super::{Model, outside, start_thread};
use crate::support::{Joined, Scheduler, workers};

static POOL: OnceLock<Pool> = OnceLock::new();

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    /// Something to do for an idle thread.
    work: Condvar,
    workers: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    running: usize,
    idle: usize,
    /// Threads that were idle and have been notified, and do not know it yet.
    called: usize,
    /// Threads that are being started.
    starting: usize,
}

fn pool() -> &'static Pool {
    POOL.get_or_init(|| Pool {
        state: Mutex::default(),
        work: Condvar::new(),
        workers: workers(),
    })
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, job: Job) {
        let mut state = self.state();
        state.jobs.push_back(job);
        self.call_one(state);
    }

    /// Sees to it that somebody takes the next job, if there is one and few enough run.
    fn call_one(&self, mut state: MutexGuard<'_, State>) {
        let wanted = self.workers.saturating_sub(state.running);
        if state.called + state.starting >= wanted.min(state.jobs.len()) {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.called += 1;
            self.work.notify_one();
        } else {
            state.starting += 1;
            drop(state);
            start_thread(|| pool().run());
        }
    }

    /// What a thread does.
    fn run(&self) {
        let mut state = self.state();
        state.starting -= 1;
        loop {
            while state.running < self.workers {
                let Some(job) = state.jobs.pop_front() else {
                    break;
                };
                state.running += 1;
                self.call_one(state);
                job();
                state = self.state();
                state.running -= 1;
            }
            state.idle += 1;
            let waited = self.work.wait_while(state, |state| state.called == 0);
            state = waited.unwrap_or_else(PoisonError::into_inner);
            state.called -= 1;
        }
    }

    /// Runs a task to its end on this thread.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            let mut state = self.state();
            state.running -= 1;
            self.call_one(state);
            // Returns at once if it has been woken meanwhile.
            thread::park();
            self.state().running += 1;
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) struct ThreadPool;

impl Model for ThreadPool {
    const TITLE: &'static str = "thread pool";
    const KEEPS_THREAD: bool = true;
}

impl Scheduler for ThreadPool {
    const NAME: &'static str = "thread_pool";
    type Task<T: Send + 'static> = Joined<oneshot::Receiver<T>>;

    fn start() -> ThreadPool {
        ThreadPool
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
        let (end, joined) = oneshot::channel();
        pool().submit(Box::new(move || {
            // Nobody may be there to join it.
            let _ = end.send(pool().block_on(future));
        }));
        Joined(joined)
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        pool().submit(Box::new(move || pool().block_on(future)));
    }

    async fn yield_now() {
        thread::yield_now();
    }
}
