//! Long chains: tasks that own, await, abort, wake or spawn one another, one by one. None of it may take stack for each link,
//! neither in a poll nor at the end of the runtime: all threads here have small stacks.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use executor::runtime::Builder;
use executor::task::JoinSet;
use executor::{Handle, JoinHandle, Runtime, block_on};

use crate::common::{wait_until, within_patience};

/// A frame for each link would not fit into the stack ten times over.
const LENGTH: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};
const STACK: usize = 256 * 1024;

/// Runs the body on one and on two processors, on a thread with a small stack.
#[track_caller]
fn on_small_stacks(body: fn(Runtime)) {
    within_patience(move || {
        for processors in [1, 2] {
            let builder = Builder::new().worker_threads(processors);
            let runtime = builder.thread_stack_size(STACK).build().unwrap();
            let thread = thread::Builder::new().stack_size(STACK);
            let body = thread.spawn(move || body(runtime)).unwrap();
            body.join().unwrap();
        }
    });
}

#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

struct Counted(Drops);

impl Drops {
    fn counted(&self) -> Counted {
        Counted(self.clone())
    }

    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a task of a chain does with the handle of the next.
#[derive(Clone, Copy)]
enum Link {
    Owns,
    Awaits,
    Aborts,
}

/// The handle of the first, and what ends the last.
fn chain(runtime: &Runtime, link: Link, drops: &Drops) -> (JoinHandle<()>, impl Sized + use<>) {
    let (end, ended) = async_channel::bounded::<()>(1);
    let counted = drops.counted();
    let mut next = runtime.spawn(async move {
        let _counted = counted;
        let _ = ended.recv().await;
    });
    for _ in 1..LENGTH {
        let counted = drops.counted();
        if let Link::Aborts = link {
            // Made here: the task may be aborted before its first poll.
            let held = (counted, AbortOnDrop(next));
            next = runtime.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
            continue;
        }
        next = runtime.spawn(async move {
            let _counted = counted;
            match link {
                Link::Owns => {
                    let _next = next;
                    pending::<()>().await;
                }
                Link::Awaits => next.await.unwrap(),
                Link::Aborts => {}
            }
        });
    }
    (next, end)
}

#[test]
fn a_chain_of_handles_ends_with_the_runtime() {
    on_small_stacks(|runtime| {
        let drops = Drops::default();
        for link in [Link::Owns, Link::Awaits, Link::Aborts] {
            // The end waits for none of them.
            drop(chain(&runtime, link, &drops).0);
        }
        drop(runtime);
        assert_eq!(drops.get(), 3 * LENGTH);
    });
}

#[test]
fn a_chain_of_tasks_that_wait_for_each_other_ends_from_behind() {
    on_small_stacks(|runtime| {
        let drops = Drops::default();
        let (head, end) = chain(&runtime, Link::Awaits, &drops);
        drop(end);
        runtime.block_on(head).unwrap();
        assert_eq!(drops.get(), LENGTH);
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
    });
}

#[test]
fn a_chain_of_tasks_that_abort_each_other_ends_from_the_front() {
    on_small_stacks(|runtime| {
        let drops = Drops::default();
        let (head, end) = chain(&runtime, Link::Aborts, &drops);
        head.abort();
        assert!(runtime.block_on(head).unwrap_err().is_cancelled());
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
        assert_eq!(drops.get(), LENGTH);
        drop(end);
    });
}

/// Each end of a task wakes the next one, by the end of a channel.
#[test]
fn a_wake_goes_along_a_chain() {
    on_small_stacks(|runtime| {
        for ends_with_the_runtime in [false, true] {
            let (drops, wakes) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let (first, mut wait) = async_channel::bounded::<()>(1);
            for _ in 0..LENGTH {
                let (next, next_wait) = async_channel::bounded::<()>(1);
                let (counted, wakes) = (drops.counted(), wakes.clone());
                let before = std::mem::replace(&mut wait, next_wait);
                drop(runtime.spawn(async move {
                    let _held = (counted, next);
                    let _ = before.recv().await;
                    wakes.fetch_add(1, SeqCst);
                }));
            }
            if ends_with_the_runtime {
                drop(runtime);
                assert_eq!(drops.get(), LENGTH);
                return;
            }
            drop(first);
            assert!(runtime.block_on(wait.recv()).is_err());
            wait_until("all have ended", || drops.get() == LENGTH);
            assert_eq!(wakes.load(SeqCst), LENGTH);
        }
    });
}

/// Sets in sets: the task in each owns the next one. Gives the outermost.
fn nest(runtime: &Runtime, drops: &Drops) -> (JoinSet<()>, impl Sized + use<>) {
    let _entered = runtime.handle().enter();
    let (end, ended) = async_channel::bounded::<()>(1);
    let mut set = JoinSet::new();
    let counted = drops.counted();
    set.spawn(async move {
        let _counted = counted;
        let _ = ended.recv().await;
    });
    for _ in 1..LENGTH {
        let (counted, mut inner) = (drops.counted(), set);
        set = JoinSet::new();
        set.spawn(async move {
            let _counted = counted;
            inner.join_next().await.unwrap().unwrap();
        });
    }
    (set, end)
}

#[test]
fn sets_in_sets_end_from_inside() {
    on_small_stacks(|runtime| {
        let drops = Drops::default();
        let (mut set, end) = nest(&runtime, &drops);
        drop(end);
        runtime.block_on(set.join_next()).unwrap().unwrap();
        assert_eq!(drops.get(), LENGTH);
    });
}

#[test]
fn sets_in_sets_end_from_outside_and_with_the_runtime() {
    on_small_stacks(|runtime| {
        let drops = Drops::default();
        let (set, _end) = nest(&runtime, &drops);
        drop(set);
        wait_until("all have ended", || drops.get() == LENGTH);
        let (_set, _end) = nest(&runtime, &drops);
        drop(runtime);
        assert_eq!(drops.get(), 2 * LENGTH);
    });
}

/// Its destructor spawns the next one.
struct Respawns {
    left: usize,
    blocking: bool,
    handle: Handle,
    counted: Counted,
}

impl Drop for Respawns {
    fn drop(&mut self) {
        if self.left == 0 {
            return;
        }
        let next = Respawns {
            left: self.left - 1,
            blocking: self.blocking,
            handle: self.handle.clone(),
            counted: self.counted.0.counted(),
        };
        if self.blocking {
            drop(self.handle.spawn_blocking(move || drop(next)));
        } else {
            drop(self.handle.spawn(async move {
                let _next = next;
                pending::<()>().await;
            }));
        }
    }
}

#[test]
fn destructors_that_spawn_need_no_stack_on_an_ended_runtime() {
    on_small_stacks(|runtime| {
        let (drops, elsewhere) = (Drops::default(), Builder::new().build().unwrap());
        let first = |blocking| Respawns {
            left: LENGTH - 1,
            blocking,
            handle: runtime.handle().clone(),
            counted: drops.counted(),
        };
        let (outside, outside_job, inside) = (first(false), first(true), first(false));
        // These meet the end, of the runtime itself, and as jobs.
        let (own, own_job) = (first(false), first(true));
        drop(runtime.spawn(async move {
            let _held = (own, own_job);
            pending::<()>().await;
        }));
        drop(runtime);
        wait_until("the runtime's own have ended", || drops.get() == 2 * LENGTH);
        drop(outside);
        assert_eq!(drops.get(), 3 * LENGTH);
        drop(outside_job);
        assert_eq!(drops.get(), 4 * LENGTH);
        // On a worker of another one.
        elsewhere
            .block_on(elsewhere.spawn(async move { drop(inside) }))
            .unwrap();
        assert_eq!(drops.get(), 5 * LENGTH);
    });
}

/// Its destructor spawns the next one, and waits for it.
struct Awaited(usize, Handle, Counted);

impl Drop for Awaited {
    fn drop(&mut self) {
        let Awaited(left, handle, counted) = self;
        if *left > 0 {
            let next = Awaited(*left - 1, handle.clone(), counted.0.counted());
            let task = handle.spawn(async move { drop(next) });
            assert!(block_on(task).unwrap_err().is_cancelled());
        }
    }
}

#[test]
fn a_destructor_may_wait_for_what_it_spawns_on_an_ended_runtime_at_any_depth() {
    within_patience(|| {
        let runtime = crate::common::processors(1);
        let (handle, drops) = (runtime.handle().clone(), Drops::default());
        drop(runtime);
        drop(Awaited(100, handle, drops.counted()));
        assert_eq!(drops.get(), 101);
    });
}
