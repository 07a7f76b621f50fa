//! Model 1, 1:1: each task is a thread.
//!
//! The kernel schedules. Blocking and computing harm nobody else, and any code will do. What it lacks: room. A task costs
//! a stack, a kernel stack and a system call to be born, a switch goes through the kernel, and threads run out (at the
//! latest where the system says so) while a program still has tasks to start.

use std::future::Future;

use futures::channel::oneshot;
use futures::executor::block_on;

use super::{Model, start_thread};
use crate::support::{Joined, Scheduler};

pub(crate) struct ThreadPerTask;

impl Model for ThreadPerTask {
    const TITLE: &'static str = "1:1, a thread per task";
    const KEEPS_THREAD: bool = true;
}

impl Scheduler for ThreadPerTask {
    const NAME: &'static str = "thread_per_task";
    type Task<T: Send + 'static> = Joined<oneshot::Receiver<T>>;

    fn start() -> ThreadPerTask {
        ThreadPerTask
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
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
        start_thread(move || {
            // Nobody may be there to join it.
            let _ = end.send(block_on(future));
        });
        Joined(joined)
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(future: F) {
        start_thread(move || block_on(future));
    }

    async fn yield_now() {
        std::thread::yield_now();
    }
}
