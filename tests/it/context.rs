//! Which runtime a thread is in: inside and outside of one, at the thread's end, after the runtime's.

use std::cell::RefCell;
use std::panic::{catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use executor::runtime::Builder;
use executor::{Handle, block_on, run, spawn, spawn_blocking, spawn_local};

use crate::common::homed::{Drops, Homed};
use crate::common::{alone, message, processors, rounds, within_patience};

#[test]
fn outside_a_runtime_there_is_no_current_handle() {
    within_patience(|| {
        assert!(Handle::try_current().is_err());
        let text = message(|| drop(Handle::current()));
        assert!(text.contains("Handle::current") && text.contains("in no runtime"));
        let runtime = processors(1);
        {
            let _guard = runtime.handle().enter();
            assert!(Handle::try_current().is_ok());
        }
        assert!(Handle::try_current().is_err());
        runtime.block_on(async { drop(Handle::current()) });
        let current = async { Handle::try_current().is_ok() };
        assert!(runtime.block_on(runtime.spawn(current)).unwrap());
        let current = || Handle::try_current().is_ok();
        let job = runtime.spawn_blocking(current);
        assert!(runtime.block_on(job).unwrap());
        assert!(Handle::try_current().is_err());
    });
}

#[test]
fn the_innermost_entered_runtime_gets_the_task() {
    async fn name() -> Option<String> {
        thread::current().name().map(str::to_owned)
    }
    within_patience(|| {
        let make = |name| Builder::new().worker_threads(1).thread_name(name).build();
        let (one, two) = (make("one").unwrap(), make("two").unwrap());
        let outer = one.handle().enter();
        let before = spawn(name());
        let inner = two.handle().enter();
        let within = spawn(name());
        let job = spawn_blocking(|| thread::current().name().map(str::to_owned));
        let deep = one.block_on(async { spawn(name()).await.unwrap() });
        drop(inner);
        let after = spawn(name());
        for (handle, name) in [
            (before, "one"),
            (within, "two"),
            (job, "two"),
            (after, "one"),
        ] {
            assert_eq!(block_on(handle).unwrap().as_deref(), Some(name));
        }
        assert_eq!(deep.as_deref(), Some("one"));
        assert_eq!(run(name()).as_deref(), Some("one"));
        drop(outer);
        // A runtime's task is in its own runtime, whoever waits for it.
        let nested = two.spawn(async { spawn(name()).await.unwrap() });
        assert_eq!(one.block_on(nested).unwrap().as_deref(), Some("two"));
    });
}

/// In any order of any number: the current one is that of the last guard made among those that are left.
#[test]
fn guards_dropped_out_of_order_leave_the_thread_where_it_was() {
    within_patience(|| {
        let runtimes: Vec<_> = (1..=4).map(processors).collect();
        let current = || Handle::try_current().map_or(0, |handle| handle.metrics().num_workers());
        for order in permutations(runtimes.len()) {
            let mut guards: Vec<_> = runtimes
                .iter()
                .map(|runtime| Some(runtime.handle().enter()))
                .collect();
            for index in order {
                // A block_on that ends in between changes nothing.
                let before = current();
                runtimes[0].block_on(async { assert_eq!(current(), 1) });
                assert_eq!(current(), before);
                guards[index] = None;
                let innermost = guards.iter().rposition(Option::is_some);
                assert_eq!(current(), innermost.map_or(0, |index| index + 1));
            }
        }
        assert!(Handle::try_current().is_err());
    });
}

/// All orders of so many.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(count - 1);
    let longer = |order: Vec<usize>| {
        (0..count).map(move |at| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
    };
    shorter.into_iter().flat_map(longer).collect()
}

/// A guard that is made inside a block_on and outlives it, or is dropped inside it.
#[test]
fn a_guard_that_crosses_the_end_of_a_block_on_counts_until_it_is_dropped() {
    within_patience(|| {
        let (one, two) = (processors(1), processors(2));
        let current = || Handle::try_current().map_or(0, |handle| handle.metrics().num_workers());
        let outer = two.handle().enter();
        one.block_on(async {
            drop(outer);
            assert_eq!(current(), 1);
        });
        assert_eq!(current(), 0);
        let handle = two.handle().clone();
        let inner = one.block_on(async { handle.enter() });
        assert_eq!(current(), 2);
        drop(inner);
        assert_eq!(current(), 0);
    });
}

#[test]
fn two_runtimes_wake_each_others_tasks() {
    within_patience(|| {
        let (one, two) = (processors(1), processors(2));
        let (there, here) = (async_channel::bounded(1), async_channel::bounded(1));
        let near = one.spawn(async move {
            for n in 0..1000 {
                there.0.send(n).await.unwrap();
                assert_eq!(here.1.recv().await.unwrap(), n);
            }
            drop(there.0);
            here.1.recv().await.is_err()
        });
        let far = two.spawn(async move {
            let mut count = 0;
            while let Ok(n) = there.1.recv().await {
                here.0.send(n).await.unwrap();
                count += 1;
            }
            count
        });
        assert_eq!(one.block_on(far).unwrap(), 1000);
        assert!(two.block_on(near).unwrap());
    });
}

#[test]
fn run_passes_a_panic_on() {
    within_patience(|| {
        let payload = catch_unwind(|| run(async { panic_any(7u32) })).unwrap_err();
        assert_eq!(*payload.downcast::<u32>().unwrap(), 7);
        assert_eq!(run(async { run(async { 1 }) + 1 }), 2);
    });
}

/// What a thread does at its very end.
struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|body| body());
    }
}

fn at_thread_end(body: impl FnOnce() + 'static) {
    thread_local! {
        static AT_END: RefCell<Option<AtEnd>> = const { RefCell::new(None) };
    }
    AT_END.set(Some(AtEnd(Some(Box::new(body)))));
}

/// Runs it at the end of a thread whose own destructors are registered before, or after, those of the library.
fn at_the_end_of_a_thread(first: bool, body: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(move || {
        if !first {
            block_on(async { spawn_local(async {}).await.unwrap() });
        }
        at_thread_end(body);
        block_on(async { spawn_local(async {}).await.unwrap() });
    });
    thread.join().unwrap();
}

#[test]
fn a_thread_local_destructor_may_wake_and_spawn() {
    within_patience(|| {
        let runtime = processors(1);
        let (wakers, receiver) = mpsc::channel();
        let task = runtime.spawn(rounds(4, wakers));
        let work = || {
            let (waker, handle) = (receiver.recv().unwrap(), runtime.handle().clone());
            move || {
                waker.wake();
                drop(handle.spawn(async {}));
                drop(spawn(async {}));
            }
        };
        at_the_end_of_a_thread(true, work());
        at_the_end_of_a_thread(false, work());
        let (other, last) = (processors(1), work());
        let there = other.spawn(async { at_thread_end(last) });
        other.block_on(there).unwrap();
        drop(other);
        let (other, last) = (processors(1), work());
        let there = other.spawn_blocking(|| at_thread_end(last));
        other.block_on(there).unwrap();
        drop(other);
        assert_eq!(runtime.block_on(task).unwrap(), 5);
    });
}

#[test]
fn a_thread_local_destructor_may_block_on() {
    // A panic there ends the process.
    if !alone(module_path!(), "a_thread_local_destructor_may_block_on") {
        return;
    }
    within_patience(|| {
        for first in [true, false] {
            let (sender, receiver) = mpsc::channel();
            at_the_end_of_a_thread(first, move || {
                sender.send(block_on(spawn(async { 5 })).unwrap()).unwrap();
            });
            assert_eq!(receiver.recv().unwrap(), 5);
        }
    });
}

#[test]
fn a_handle_outlives_its_runtime() {
    within_patience(|| {
        let runtime = processors(2);
        let handle = runtime.handle().clone();
        drop(runtime);
        assert_eq!(handle.block_on(async { 5 }), 5);
        let drops = Arc::new(Drops::default());
        let local = handle.block_on(async {
            drop(spawn_local(Homed::new(&drops).for_ever()));
            spawn_local(async { 6 }).await
        });
        assert_eq!((local.unwrap(), drops.counts()), (6, (1, 0)));
        let _guard = handle.enter();
        assert!(Handle::try_current().is_ok());
        let (task, job) = (spawn(async {}), spawn_blocking(|| ()));
        assert!(block_on(task).unwrap_err().is_cancelled());
        assert!(block_on(job).unwrap_err().is_cancelled());
        assert!(catch_unwind(|| run(async {})).is_err());
        assert_eq!(handle.metrics().num_alive_tasks(), 0);
        let other = processors(1);
        let theirs = other.spawn(async move { handle.spawn(async {}).await.is_err() });
        assert!(other.block_on(theirs).unwrap());
    });
}
