//! Model 2, N:1: all tasks on one thread.
//!
//! Tasks are cheap, a switch is a function call, and with one thread there is little to synchronise. What it lacks: a second
//! core, and a way out when a task blocks or computes: all others wait for it.

use std::future::Future;
use std::sync::OnceLock;
use std::thread::{self, Thread, ThreadId};

use async_task::{Runnable, Task};
use concurrent_queue::ConcurrentQueue;

use super::{Model, create, outside, start_thread, yield_to_queue};
use crate::support::Scheduler;

static EXECUTOR: OnceLock<Executor> = OnceLock::new();

struct Executor {
    queue: ConcurrentQueue<Runnable>,
    thread: OnceLock<(Thread, ThreadId)>,
}

fn executor() -> &'static Executor {
    EXECUTOR.get_or_init(|| Executor {
        queue: ConcurrentQueue::unbounded(),
        thread: OnceLock::new(),
    })
}

impl Executor {
    /// Pushes, then unparks; [`run`](Self::run) parks, then pops. `park` returns at once if the unpark came before.
    fn submit(&self, runnable: Runnable) {
        if self.queue.push(runnable).is_err() {
            unreachable!("the queue is never closed");
        }
        let (thread, id) = self.thread.wait();
        if thread::current().id() != *id {
            thread.unpark();
        }
    }

    fn run(&self) {
        loop {
            while let Ok(runnable) = self.queue.pop() {
                runnable.run();
            }
            thread::park();
        }
    }
}

pub(crate) struct OneThread;

impl Model for OneThread {
    const TITLE: &'static str = "N:1, all on one thread";
    const KEEPS_THREAD: bool = false;
}

impl Scheduler for OneThread {
    const NAME: &'static str = "one_thread";
    type Task<T: Send + 'static> = Task<T>;

    fn start() -> OneThread {
        start_thread(|| {
            let this = thread::current();
            let id = this.id();
            let known = executor().thread.set((this, id));
            assert!(known.is_ok(), "one executor in a process");
            executor().run();
        });
        OneThread
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
