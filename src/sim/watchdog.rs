//! Tells when a simulation stands still: what runs in it blocks on something that is not simulated,
//! or computes for long.
//!
//! No limit of a run can end that, since the simulation has one thread of the system, which does not
//! come back. So another one looks at all runs of the process, each [`LOOK`] of real time, while there
//! are some. A run that has made no step between two looks is reported once, with the stack of its
//! thread if that blocks.

use std::time::Duration;

use crate::machine::pinned;
use crate::observe::deadlock::NUM_WATCHDOGS;
use crate::scheduler::probe;
use crate::stacks::BlockedStacks;
use crate::stderr;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, thread};

const LOOK: Duration = Duration::from_secs(10);

struct Run {
    /// By its address it is known.
    steps: Arc<AtomicU64>,
    replay: String,
    /// The system's number of its thread.
    thread: u64,
    /// Its steps at the last look.
    seen: Option<u64>,
    is_told: bool,
}

struct State {
    runs: Vec<Run>,
    has_thread: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    runs: Vec::new(),
    has_thread: false,
});

/// Watched while this exists.
pub(super) struct Watched(Arc<AtomicU64>);

/// A run begins, which is repeated by this and counts its steps there.
pub(super) fn watch(replay: String, steps: Arc<AtomicU64>) -> Watched {
    // Not waited for: in the child of a fork nobody may be left to release it.
    let Some(mut state) = STATE.try_lock() else {
        return Watched(steps);
    };
    state.runs.push(Run {
        steps: steps.clone(),
        replay,
        thread: probe::number(probe::this_thread_of_system()),
        seen: None,
        is_told: false,
    });
    if !state.has_thread {
        let builder = thread::Builder::new().name("executor-sim".to_owned());
        NUM_WATCHDOGS.fetch_add(1, Ordering::Relaxed);
        // An error: then nobody watches.
        state.has_thread = thread::spawn_on_system(builder, pinned::unpinned(look)).is_ok();
        if !state.has_thread {
            NUM_WATCHDOGS.fetch_sub(1, Ordering::Relaxed);
        }
    }
    Watched(steps)
}

impl Drop for Watched {
    fn drop(&mut self) {
        let is_other = |run: &Run| !Arc::ptr_eq(&run.steps, &self.0);
        STATE.lock().runs.retain(is_other);
    }
}

fn look() {
    loop {
        thread::park_timeout(LOOK);
        let mut state = STATE.lock();
        if state.runs.is_empty() {
            state.has_thread = false;
            NUM_WATCHDOGS.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let still = state.find_still();
        drop(state);
        for (replay, thread) in still {
            tell(&replay, thread);
        }
    }
}

impl State {
    /// Those that have made no step since the last call, each once.
    fn find_still(&mut self) -> Vec<(String, u64)> {
        let mut still = Vec::new();
        for run in &mut self.runs {
            let steps = run.steps.load(Ordering::Relaxed);
            if run.seen.replace(steps) == Some(steps) && !run.is_told {
                run.is_told = true;
                still.push((run.replay.clone(), run.thread));
            }
        }
        still
    }
}

fn tell(replay: &str, thread: u64) {
    let stack = BlockedStacks::default().read(thread);
    let stack = stack.map(|stack| format!(":\n{stack}")).unwrap_or_default();
    stderr::say(format_args!(
        "a simulation ({replay}) has made no step for {LOOK:?}: what runs in it blocks on something \
         that is not simulated, or computes for long{stack}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stands_still_is_told_of_once() {
        let steps = Arc::new(AtomicU64::new(0));
        let run = |steps: &Arc<AtomicU64>, replay: &str| Run {
            steps: steps.clone(),
            replay: replay.to_owned(),
            thread: 7,
            seen: None,
            is_told: false,
        };
        let mut state = State {
            runs: vec![run(&steps, "goes on"), run(&Arc::default(), "stands")],
            has_thread: false,
        };
        let mut told = Vec::new();
        for _ in 0..4 {
            told.extend(state.find_still());
            steps.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(told, [("stands".to_owned(), 7)]);
    }
}
