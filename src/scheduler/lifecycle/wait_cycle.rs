//! Which runtimes wait for which to end, so that none waits for itself.
//!
//! # What it guarantees
//!
//! A drop of a runtime, or a shutdown with a time-out, never waits for a thread that waits in such
//! a call itself, directly or round a circle of any length. The call that would close a circle goes
//! on without waiting, and its runtime ends in the background.
//!
//! # Protocol
//!
//! Who waits for a runtime waits for all its threads, and for all its tasks. So the calling thread
//! **holds up** the runtime that has started it, if one has, and any whose task it ends at the
//! moment ([`ends_task_of`]): a spawn onto a runtime that is shut down drops the future on the
//! spawner's thread, and the future may own another runtime. A wait is an edge from each runtime
//! that the thread holds up to the one that it waits for, and waits for each other are a circle of
//! edges.
//!
//! 1. Under one lock, a thread follows the edges from the runtime that it is about to wait for. If
//!    they lead to one that it holds up, it does not wait. Else it adds its edges.
//! 2. It waits.
//! 3. It takes its edges back.
//!
//! Looking and adding are one step, so the last edge of a circle is never added, and whoever would
//! have added it is the one that can still go on. Its poll or job returns, its thread ends, and
//! with that the waits of all the others.
//!
//! # What it does not do
//!
//! Other ways to wait (a join handle, a channel, `std::thread::join`) are not seen.

use std::cell::RefCell;
use std::ptr;
use std::time::Duration;

use crate::clock;
use crate::scheduler::{Shared, enter_blocking, this_thread};
use crate::sync::{Mutex, MutexGuard};

/// From who is held up, to whom that waits for. Of one runtime to another as many as threads wait.
type Edge = (&'static Shared, &'static Shared);

/// Held for as long as it takes to look through it.
static EDGES: Mutex<Vec<Edge>> = Mutex::new(Vec::new());

/// Takes the list of them, for a fork.
pub(crate) fn hold() -> MutexGuard<'static, Vec<Edge>> {
    EDGES.lock()
}

std::thread_local! {
    /// Whose tasks this thread ends at the moment, though it may be nobody's or another's: the
    /// innermost last.
    static ENDS: RefCell<Vec<&'static Shared>> = const { RefCell::new(Vec::new()) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept(Vec<&'static Shared>);

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        ENDS.with_borrow_mut(|ends| std::mem::swap(ends, &mut self.0));
    }
}

/// This thread ends a task of that runtime, which nobody takes, until the guard is dropped.
pub(crate) fn ends_task_of(shared: &'static Shared) -> EndsTask {
    // A thread that is ending has no list any more; then its wait is not seen.
    let _ = ENDS.try_with(|ends| ends.borrow_mut().push(shared));
    EndsTask(())
}

/// See [`ends_task_of`].
pub(crate) struct EndsTask(());

impl Drop for EndsTask {
    fn drop(&mut self) {
        let _ = ENDS.try_with(|ends| ends.borrow_mut().pop());
    }
}

/// The runtimes that cannot end while this thread waits.
fn held_up() -> Vec<&'static Shared> {
    let ends = ENDS.try_with(|ends| ends.borrow().clone());
    let mut held_up = ends.unwrap_or_default();
    held_up.extend(this_thread::member_of());
    held_up
}

/// A wait that goes on.
struct Waits(Vec<Edge>);

impl Waits {
    /// `None`: it would never end.
    fn begin(until_ended: &'static Shared) -> Option<Waits> {
        let held_up = held_up();
        let mut edges = EDGES.lock();
        if held_up.iter().any(|own| leads(&edges, until_ended, own)) {
            return None;
        }
        let own: Vec<Edge> = held_up.into_iter().map(|own| (own, until_ended)).collect();
        edges.extend_from_slice(&own);
        Some(Waits(own))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut edges = EDGES.lock();
        for own in &self.0 {
            let is_own = |edge: &Edge| ptr::eq(edge.0, own.0) && ptr::eq(edge.1, own.1);
            if let Some(index) = edges.iter().position(is_own) {
                edges.swap_remove(index);
            }
        }
    }
}

/// Whether `from` waits for `to`, by itself or through others. Everything waits for itself.
fn leads<T>(edges: &[(&'static T, &'static T)], from: &'static T, to: &'static T) -> bool {
    let mut reached = vec![from];
    let mut looked_at = 0;
    while let Some(&at) = reached.get(looked_at) {
        if ptr::eq(at, to) {
            return true;
        }
        looked_at += 1;
        for &(_, next) in edges.iter().filter(|edge| ptr::eq(edge.0, at)) {
            if !reached.iter().any(|&known| ptr::eq(known, next)) {
                reached.push(next);
            }
        }
    }
    false
}

impl Shared {
    /// After `close`: waits until all has ended, unless that would be waiting for itself. A
    /// worker's processor goes to another thread meanwhile.
    pub(crate) fn wait_ended(&'static self, timeout: Option<Duration>) {
        self.among_its_threads(|| {
            let now = clock::now();
            if self.wait_closed(Some(now)) || timeout.is_some_and(|timeout| timeout.is_zero()) {
                return;
            }
            if let Some(_waits) = Waits::begin(self) {
                let _blocking = enter_blocking();
                // `None`: beyond what the clock can express.
                self.wait_closed(timeout.and_then(|timeout| now.checked_add(timeout)));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_of_any_length_is_seen_and_nothing_else() {
        static AT: [u8; 5] = [0, 1, 2, 3, 4];
        let edge = |from: usize, to: usize| (&AT[from], &AT[to]);
        let leads = |edges: &[_], from: usize, to: usize| leads(edges, &AT[from], &AT[to]);
        assert!(leads(&[], 0, 0), "a thread that waits for its own runtime");
        assert!(!leads(&[], 0, 1));
        assert!(leads(&[edge(0, 1)], 0, 1));
        assert!(!leads(&[edge(0, 1)], 1, 0), "waiting has a direction");
        let chain = [edge(3, 4), edge(1, 2), edge(0, 1), edge(2, 3), edge(1, 2)];
        assert!(leads(&chain, 0, 4));
        assert!(!leads(&chain, 4, 0));
        // Others' circles end the search, and do not count.
        let apart = [edge(1, 2), edge(2, 1)];
        assert!(!leads(&apart, 1, 0));
    }
}
