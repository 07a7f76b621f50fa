//! Blocking calls in the two M:N models: as many threads run tasks as there are workers, and any number may block beside them.
//!
//! 1. A thread that is about to block says so, and its place is vacant: a spare thread takes it, or a new one is started.
//! 2. When the call returns, the thread finishes its poll without a place (a poll cannot be suspended).
//! 3. Before it looks for the next task it needs a place again. If there is none, it is a spare.
//!
//! Whoever blocks without saying so keeps the place: nobody watches.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::start_thread;

std::thread_local! {
    /// This thread runs tasks, with a place; or it has given its place away; or it belongs to no model.
    static STANDING: Cell<Standing> = const { Cell::new(Standing::Foreign) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Foreign,
    Placed,
    Displaced,
}

pub(super) struct Places {
    state: Mutex<State>,
    vacancy: Condvar,
    /// What a thread does.
    work: fn(),
}

struct State {
    vacant: usize,
    spares: usize,
}

impl Places {
    pub(super) fn new(places: usize, work: fn()) -> Places {
        Places {
            state: Mutex::new(State {
                vacant: places,
                spares: 0,
            }),
            vacancy: Condvar::new(),
            work,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before each task: this thread has a place, or waits for one.
    pub(super) fn take(&self) {
        if STANDING.get() == Standing::Placed {
            return;
        }
        let mut state = self.state();
        state.spares += 1;
        let waited = self.vacancy.wait_while(state, |state| state.vacant == 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.spares -= 1;
        state.vacant -= 1;
        STANDING.set(Standing::Placed);
    }

    /// Makes a call that blocks the thread.
    pub(super) fn lend_during(&self, call: impl FnOnce()) {
        if STANDING.get() == Standing::Placed {
            STANDING.set(Standing::Displaced);
            let mut state = self.state();
            state.vacant += 1;
            // A spare that has been notified and has not run yet still counts, hence the comparison.
            match state.spares >= state.vacant {
                true => self.vacancy.notify_one(),
                false => {
                    drop(state);
                    start_thread(self.work);
                }
            }
        }
        call();
    }
}
