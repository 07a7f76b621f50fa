//! Tokens in place of tasks: real runnables whose future is never polled, with a number.

use async_task::Builder;

/// Where the real crate keeps a task's home and state.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) number: usize,
}

impl Meta {
    /// What a processor publishes of the task that it polls.
    pub(crate) fn tag(&self) -> u64 {
        self.number as u64
    }
}

pub(crate) type Runnable = async_task::Runnable<Meta>;

pub(crate) fn token(number: usize) -> Runnable {
    let (runnable, task) = Builder::new()
        .metadata(Meta { number })
        .spawn(|_| async {}, |_: Runnable| ());
    task.detach();
    runnable
}

/// Nothing panics in a model but its checks.
pub(crate) fn catch_panic(f: impl FnOnce()) {
    f();
}

pub(crate) fn drop_catching<T>(value: T) {
    drop(value);
}
