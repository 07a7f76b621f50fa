//! Waiting for a future on the calling thread.
//!
//! The future is polled here and nowhere else, so it need not be `Send`. Between polls the thread runs the local tasks of
//! this `block_on`, then parks. It runs no tasks of the runtime: they could hold up its own future, which cannot move.
//!
//! On a worker the processor is handed over first ([`enter_blocking`]), so any number of workers may do this at once, nested
//! however deeply: for each, another thread runs the tasks that it waits for.

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::local_set::Frame;
use super::signal::Signal;
use super::{Handle, context};
use crate::observe::deadlock::{self, CONFIRMED, PATIENCE, Waiting};
use crate::scheduler::{Shared, enter_blocking};
use crate::sync::Arc;
use crate::tasks::large::boxing;
use crate::tasks::observe::{Kind, observed};
use crate::tasks::{self, budget, wakers};

/// Runs a future to completion on the calling thread.
///
/// The thread is in the current runtime meanwhile, else in the process-wide default one. On a worker the processor is
/// given away first, so it neither deadlocks the runtime nor panics, however deeply nested.
///
/// # Panics
///
/// With the future's own panic, and when the default runtime is needed and cannot be started.
///
/// # Examples
///
/// ```
/// let answer = executor::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let handle = context::current_handle_or_default();
    boxing!(on_stack F, future => block_on_in(handle, future, size_of::<F>()))
}

/// A `block_on`'s part in finding deadlocks: see [`deadlock`]. From its first parking on.
struct Lookout {
    shared: &'static Shared,
    looks: bool,
    location: &'static Location<'static>,
    waiting: Option<Arc<Waiting>>,
}

impl Lookout {
    /// Parks; `has_work` says whether there is no need to.
    ///
    /// Panics when all is deadlocked, and the runtime's builder has asked for that.
    #[track_caller]
    fn park(&mut self, signal: &Arc<Signal>, frame: &Frame) {
        if !self.looks {
            return signal.park();
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            let (signal, queue) = (signal.clone(), frame.queue());
            let has_work = move || signal.is_woken() || queue.has_tasks();
            deadlock::waits_in_block_on(self.shared, self.location, Box::new(has_work))
        });
        waiting.begin();
        if signal.park_for(PATIENCE) {
            if let Some(before) = deadlock::look() {
                if signal.park_for(CONFIRMED) && deadlock::look().as_ref() == Some(&before) {
                    deadlock::report(&before);
                }
            }
            // The end of a timed wait takes the thread's token: whatever has left one has pushed before, and is seen here.
            if !waiting.must_go_on() {
                signal.park();
            }
        }
        if let Some(verdict) = waiting.end() {
            panic!("{verdict}");
        }
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            deadlock::has_waited(self.shared, waiting);
        }
    }
}

/// `bytes`: the size of the future before it was boxed, if it was.
#[track_caller]
pub(super) fn block_on_in<F: Future>(handle: Handle, future: F, bytes: usize) -> F::Output {
    let shared = handle.shared();
    shared.assert_not_forked();
    let foreign = handle.foreign.clone();
    let _in_foreign = foreign.enter();
    let _entered = context::enter(handle);
    let _blocking = enter_blocking();
    let _budget = budget::unlimited();
    let signal = Arc::new(Signal::of_this_thread());
    let waker = Waker::from(signal.clone());
    wakers::note_own(&waker);
    // Ends the local tasks, also when the future panics; after the future, which may own their handles.
    let frame = Frame::enter(signal.clone());
    let mut lookout = Lookout {
        shared,
        looks: deadlock::is_looked_for(shared),
        location: Location::caller(),
        waiting: None,
    };
    let mut future = pin!(observed(future, Kind::BlockOn, bytes, None, None));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        while !signal.take() {
            if !frame.run_local_tasks() && !tasks::end_put_off() {
                // In a child that was forked meanwhile, who should wake it is not there.
                shared.assert_not_forked();
                lookout.park(&signal, &frame);
            }
        }
        frame.run_local_tasks();
    }
}
