//! Waits for a future on the calling thread.
//!
//! Only the calling thread polls the future, so the future need not be `Send`. Between polls the
//! thread runs the local tasks of this `block_on`, and then parks. It runs no tasks of the runtime:
//! a long poll of one would delay the future, which no other thread may poll.
//!
//! A worker first hands its processor over ([`enter_blocking`]), so any number of workers may call
//! `block_on` at once, nested to any depth. For each, another thread runs the tasks that its future
//! waits for.
//!
//! Where there are no threads, the thread runs the tasks of all runtimes between two polls: see
//! [`scheduler::single_thread`](crate::scheduler::single_thread).

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::local_set::Frame;
use super::signal::{Asker, Signal};
use super::{Handle, context, single_thread};
use crate::clock;
use crate::observe;
use crate::observe::deadlock::{self, CONFIRMED, PATIENCE, Waiting, tests_run};
use crate::scheduler::{Shared, enter_blocking};
use crate::sync::{Arc, HAS_THREADS};
use crate::tasks::capture::Capturing;
use crate::tasks::large::boxing;
use crate::tasks::nested::Nested;
use crate::tasks::observe::{Kind, observed};
use crate::tasks::{self, Priority, budget, wakers};

/// Runs a future to completion on the calling thread.
///
/// During the call the thread is in the current runtime, or in the default one of the process if it
/// was in none. A worker first hands its processor over, so the call neither deadlocks the runtime
/// nor panics, however deeply it is nested.
///
/// Where the target has no threads, as on WebAssembly, the call runs the tasks of all runtimes
/// meanwhile.
///
/// # Panics
///
/// With the future's own panic, and when the default runtime is needed and cannot be started. Where
/// there are no threads, also when all tasks are asleep and no timer is armed: nothing could wake it.
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

/// The part of one `block_on` in finding deadlocks, and in dumps, from its first park on: see
/// [`deadlock`] and [`block_ons`](crate::observe::block_ons).
struct Lookout {
    shared: &'static Shared,
    looks: bool,
    location: &'static Location<'static>,
    waiting: Option<Arc<Waiting>>,
    /// Listed for dumps.
    listed: Option<Arc<Signal>>,
    /// Who has asked in a park since the last poll. The next poll answers, or the drop of this.
    asked: Option<Asker>,
    /// The class of the task that this is in, when it began.
    begun: Priority,
    /// Of a `block_on` in a task, from its first park on.
    nested: Option<Nested>,
}

impl Lookout {
    /// The last poll was for a dump.
    #[cold]
    fn has_answered(&self) {
        if let Some(waiting) = &self.waiting {
            waiting.has_answered();
        }
    }

    /// Where dumps and rising classes find it, from its first wait on.
    fn list(&mut self, signal: &Arc<Signal>) {
        if self.listed.is_none() {
            observe::list_block_on(self.shared, signal.clone());
            self.listed = Some(signal.clone());
            self.nested = Nested::enter(&Waker::from(signal.clone()), self.begun);
        }
    }

    /// Does what is to be done until a wake, on the only thread: see [`single_thread`].
    ///
    /// Panics if there is nothing, and no timer to wait for.
    #[track_caller]
    fn wait_alone(&mut self, signal: &Arc<Signal>, frame: &Frame) {
        self.list(signal);
        loop {
            let has_run = frame.run_local_tasks() | single_thread::give_turns();
            if signal.take() {
                // What it has left of the clock is older than the poll that comes.
                return clock::keep_none();
            }
            let goes_on = has_run || !frame.queue().is_empty() || tasks::reject_next();
            if !goes_on && !single_thread::sleep_until_timer() {
                single_thread::all_are_asleep(self.shared);
            }
        }
    }

    /// Parks until a wake.
    ///
    /// Panics if the process is deadlocked and the runtime's builder has asked for that.
    #[track_caller]
    fn park(&mut self, signal: &Arc<Signal>, frame: &Frame) {
        self.list(signal);
        signal.set_parked(true);
        let verdict = self.park_looking(signal, frame);
        // A later park before the poll must not forget it.
        self.asked = signal.set_parked(false).or(self.asked.take());
        if let Some(verdict) = verdict {
            panic!("{verdict}");
        }
    }

    /// The text is what it shall panic with.
    fn park_looking(&mut self, signal: &Arc<Signal>, frame: &Frame) -> Option<Arc<str>> {
        if !self.looks {
            signal.park();
            return None;
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            let (signal, queue) = (signal.clone(), frame.queue());
            let has_work = move || signal.is_woken() || !queue.is_empty();
            deadlock::waits_in_block_on(self.shared, self.location, Box::new(has_work))
        });
        waiting.begin();
        while signal.park_for(PATIENCE) {
            if let Some(before) = deadlock::look() {
                if signal.park_for(CONFIRMED) && deadlock::look().as_ref() == Some(&before) {
                    // Elsewhere: this thread is asked where it waits.
                    deadlock::report_elsewhere(before);
                }
            }
            // The timed park may have consumed the thread's token. A thread that set the token has
            // pushed or woken before, and `must_go_on` sees that.
            if waiting.must_go_on() {
                break;
            }
            if !tests_run::are_running() {
                signal.park();
                break;
            }
        }
        waiting.end()
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if let Some(signal) = self.listed.take() {
            observe::unlist_block_on(self.shared, signal);
        }
        if let Some((collector, key)) = self.asked.take() {
            collector.has_ended(key);
        }
        if let Some(waiting) = &self.waiting {
            deadlock::has_waited(self.shared, waiting);
        }
    }
}

/// `bytes`: the size of the future before it was boxed, if it was.
#[track_caller]
pub(super) fn block_on_in<F: Future>(handle: Handle, future: F, bytes: usize) -> F::Output {
    block_on_for(handle, future, bytes, Location::caller())
}

/// On this runtime, for whoever called at that place.
#[cfg(any(feature = "macros", feature = "sim"))]
#[track_caller]
pub(crate) fn block_on_at<F: Future>(
    handle: Handle,
    future: F,
    location: &'static Location<'static>,
) -> F::Output {
    boxing!(on_stack F, future => block_on_for(handle, future, size_of::<F>(), location))
}

#[track_caller]
fn block_on_for<F: Future>(
    handle: Handle,
    future: F,
    bytes: usize,
    location: &'static Location<'static>,
) -> F::Output {
    let shared = handle.shared();
    shared.assert_not_forked();
    let foreign = handle.foreign.clone();
    let _in_foreign = foreign.enter();
    let _entered = context::enter(handle);
    let _blocking = enter_blocking();
    let _budget = budget::unlimited();
    let signal = Arc::new(Signal::of_this_thread(location));
    let waker = Waker::from(signal.clone());
    wakers::note_own(&waker);
    // Its drop ends the local tasks, even if the future panics. It comes after the future's drop,
    // since the future may own their handles.
    let frame = Frame::enter(signal.clone(), shared.registry.index());
    let mut lookout = Lookout {
        shared,
        looks: deadlock::is_looked_for(shared),
        location,
        waiting: None,
        listed: None,
        asked: None,
        begun: tasks::priority(),
        nested: None,
    };
    let mut future = pin!(observed(future, Kind::BlockOn, bytes, None, None));
    loop {
        if lookout.nested.is_some() {
            // The class of the task may have changed.
            context::tell_class();
        }
        #[cfg(feature = "sim")]
        crate::simulated::block_on_polls();
        let asked = lookout.asked.take();
        let capturing =
            asked.map(|asked| Capturing::begin(asked, std::any::type_name::<F>(), &waker));
        let waker = capturing.as_ref().map_or(&waker, Capturing::waker);
        let polled = future.as_mut().poll(&mut Context::from_waker(waker));
        if let Some(capturing) = capturing {
            capturing.end(polled.is_pending());
            lookout.has_answered();
        }
        if let Poll::Ready(output) = polled {
            return output;
        }
        #[cfg(feature = "sim")]
        crate::simulated::point_in_user_code();
        if !HAS_THREADS {
            lookout.wait_alone(&signal, &frame);
            continue;
        }
        while !signal.take() {
            if !frame.run_local_tasks() && !tasks::reject_next() {
                // In a forked child, the threads that would wake this one do not exist.
                shared.assert_not_forked();
                lookout.park(&signal, &frame);
            }
        }
        frame.run_local_tasks();
    }
}
