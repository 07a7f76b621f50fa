//! What works without a clock as well: the program runs these, and so does `examples/called.rs` for a host
//! on `wasm32-unknown-unknown`.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use executor::task::{self, JoinSet, Priority};
use executor::{Builder, Handle, Runtime};

#[cfg(feature = "old-libc")]
mod old_libc;

/// The tests, and their names.
pub const TESTS: &[(&str, fn())] = &[
    (
        "ten thousand tasks are joined",
        ten_thousand_tasks_are_joined,
    ),
    ("what yields goes to the back", what_yields_goes_to_the_back),
    ("tasks talk through channels", tasks_talk_through_channels),
    (
        "what was spawned before runs in the next block_on",
        what_was_spawned_before_runs_in_the_next_block_on,
    ),
    (
        "the main future and tasks take turns",
        the_main_future_and_tasks_take_turns,
    ),
    ("a task starves no other", a_task_starves_no_other),
    ("classes have their order", classes_have_their_order),
    (
        "no flood starves another class",
        no_flood_starves_another_class,
    ),
    (
        "an aborted task is dropped once",
        an_aborted_task_is_dropped_once,
    ),
    ("block_on nests", block_on_nests),
    (
        "a nested block_on runs local tasks",
        a_nested_block_on_runs_local_tasks,
    ),
    (
        "block_on drives other runtimes",
        block_on_drives_other_runtimes,
    ),
    ("local tasks run", local_tasks_run),
    #[cfg(panic = "unwind")]
    ("a task spawns no local tasks", a_task_spawns_no_local_tasks),
    #[cfg(panic = "unwind")]
    (
        "a panic ends its task and nothing else",
        a_panic_ends_its_task_and_nothing_else,
    ),
    ("a set joins its tasks", a_set_joins_its_tasks),
    ("block_in_place calls", block_in_place_calls),
    ("a blocking job is refused", a_blocking_job_is_refused),
    ("more workers are refused", more_workers_are_refused),
    (
        "a shutdown drops each future once",
        a_shutdown_drops_each_future_once,
    ),
    (
        "a runtime is dropped in its own task",
        a_runtime_is_dropped_in_its_own_task,
    ),
    (
        "a runtime is dropped in its own nested block_on",
        a_runtime_is_dropped_in_its_own_nested_block_on,
    ),
    (
        "a destructor waits for another task",
        a_destructor_waits_for_another_task,
    ),
    (
        "a spawn after the shutdown is cancelled",
        a_spawn_after_the_shutdown_is_cancelled,
    ),
    ("runtimes are used again", runtimes_are_used_again),
    ("figures and dumps are told", figures_and_dumps_are_told),
    ("a queue is run by its owner", a_queue_is_run_by_its_owner),
    (
        "run returns what the task does",
        run_returns_what_the_task_does,
    ),
    ("main runs", main_runs),
];

fn runtime() -> Runtime {
    Builder::new().build().unwrap()
}

/// Counts how often it was dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[track_caller]
fn assert_count(count: &AtomicUsize, expected: usize) {
    let count = count.load(Ordering::Relaxed);
    assert_eq!(count, expected, "{}", Location::caller());
}

fn ten_thousand_tasks_are_joined() {
    let sum = executor::block_on(async {
        let tasks: Vec<_> = (0..10_000u64)
            .map(|n| executor::spawn(async move { n }))
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 49_995_000);
}

fn what_yields_goes_to_the_back() {
    executor::block_on(async {
        let turns = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..3)
            .map(|name| {
                let turns = turns.clone();
                executor::spawn(async move {
                    for _ in 0..100 {
                        turns.lock().unwrap().push(name);
                        task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let turns = turns.lock().unwrap();
        assert_eq!(turns.len(), 300);
        // One may wait in the global queue while others go on. Once all have begun, each has its turn.
        let begun = (0..3).map(|name| turns.iter().position(|&turn| turn == name).unwrap());
        let (first, last) = (begun.max().unwrap(), 3 * 100 - 61);
        let mut counts = [0, 0, 0];
        for &name in &turns[first..last] {
            counts[name as usize] += 1;
            let most = counts.iter().max().unwrap();
            assert!(counts.iter().all(|count| most - count <= 2), "{counts:?}");
        }
    });
}

fn tasks_talk_through_channels() {
    let sum = executor::block_on(async {
        let (sender, receiver) = async_channel::bounded(1);
        let producers: Vec<_> = (0..10)
            .map(|_| {
                let sender = sender.clone();
                executor::spawn(async move {
                    for n in 0..100u64 {
                        sender.send(n).await.unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        let mut sum = 0;
        while let Ok(n) = receiver.recv().await {
            sum += n;
        }
        for producer in producers {
            producer.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 49_500);
}

fn what_was_spawned_before_runs_in_the_next_block_on() {
    let runtime = runtime();
    let ran = Arc::new(AtomicUsize::new(0));
    let in_task = ran.clone();
    let task = runtime.spawn(async move { in_task.fetch_add(1, Ordering::Relaxed) });
    assert_count(&ran, 0);
    runtime.block_on(task).unwrap();
    assert_count(&ran, 1);
}

/// A future that is always woken keeps no task from running, and a task that is keeps no future.
fn the_main_future_and_tasks_take_turns() {
    executor::block_on(async {
        let polls = Arc::new(AtomicUsize::new(0));
        let in_task = polls.clone();
        let task = executor::spawn(async move {
            loop {
                in_task.fetch_add(1, Ordering::Relaxed);
                task::yield_now().await;
            }
        });
        for n in 1..=100 {
            task::yield_now().await;
            let polls = polls.load(Ordering::Relaxed);
            assert!((n..=61 * n).contains(&polls), "{polls} polls in {n} turns");
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
}

/// Two tasks that wake each other share the next slot; others wait for seven polls each at most.
fn a_task_starves_no_other() {
    executor::block_on(async {
        let polls = Arc::new(AtomicUsize::new(0));
        let (ping, pinged) = async_channel::bounded::<()>(1);
        let (pong, ponged) = async_channel::bounded::<()>(1);
        let counted = polls.clone();
        let one = executor::spawn(async move {
            while ping.send(()).await.is_ok() && ponged.recv().await.is_ok() {
                counted.fetch_add(2, Ordering::Relaxed);
            }
        });
        let two = executor::spawn(async move {
            while pinged.recv().await.is_ok() && pong.send(()).await.is_ok() {}
        });
        let seen = polls.clone();
        let third = executor::spawn(async move {
            task::yield_now().await;
            let before = seen.load(Ordering::Relaxed);
            for _ in 0..10 {
                task::yield_now().await;
            }
            seen.load(Ordering::Relaxed) - before
        });
        let waited = third.await.unwrap();
        assert!(waited <= 10 * 2 * 7, "{waited}");
        one.abort();
        two.abort();
        let _ = (one.await, two.await);
    });
}

fn classes_have_their_order() {
    executor::block_on(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let classes = [
            Priority::Background,
            Priority::Normal,
            Priority::Interactive,
        ];
        let tasks: Vec<_> = classes
            .into_iter()
            .map(|class| {
                let order = order.clone();
                task::Builder::new().priority(class).spawn(async move {
                    order.lock().unwrap().push(task::priority());
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().unwrap();
        assert_eq!(order.len(), 3);
        assert_eq!(order[0], Priority::Interactive, "{order:?}");
    });
}

/// Of class `Background`, beside a flood of the others; and of the main future, which yields.
fn no_flood_starves_another_class() {
    executor::block_on(async {
        let flood = |class| {
            task::Builder::new().priority(class).spawn(async {
                loop {
                    task::yield_now().await;
                }
            })
        };
        let floods = [flood(Priority::Interactive), flood(Priority::Normal)];
        let starved = [Priority::Normal, Priority::Background].map(|class| {
            task::Builder::new().priority(class).spawn(async {
                for _ in 0..5 {
                    task::yield_now().await;
                }
            })
        });
        for task in starved {
            task.await.unwrap();
        }
        for flood in floods {
            flood.abort();
            assert!(flood.await.unwrap_err().is_cancelled());
        }
    });
}

fn an_aborted_task_is_dropped_once() {
    let count = Arc::new(AtomicUsize::new(0));
    executor::block_on(async {
        let dropped = Dropped(count.clone());
        let task = executor::spawn(async move {
            let _dropped = dropped;
            pending::<()>().await;
        });
        task::yield_now().await;
        assert_count(&count, 0);
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_count(&count, 1);
    });
}

fn block_on_nests() {
    let depth = executor::block_on(async {
        executor::spawn(async {
            let inner = executor::spawn(async {
                executor::block_on(async {
                    let innermost = executor::spawn(async { 1 });
                    innermost.await.unwrap() + executor::block_on(async { 1 })
                })
            });
            let name = task::id();
            let inner = executor::block_on(inner).unwrap();
            // It is the same task as before, on its processor again.
            assert_eq!(task::id(), name);
            assert_eq!(executor::runtime::worker_index(), Some(0));
            inner + 1
        })
        .await
        .unwrap()
    });
    assert_eq!(depth, 3);
}

fn a_nested_block_on_runs_local_tasks() {
    let sum = executor::block_on(async {
        let outer = executor::spawn_local(async { 1 });
        let inner = executor::spawn(async {
            executor::block_on(async {
                let local = executor::spawn_local(async { 2 });
                local.await.unwrap()
            })
        });
        inner.await.unwrap() + outer.await.unwrap()
    });
    assert_eq!(sum, 3);
}

/// Nobody else would run their tasks.
fn block_on_drives_other_runtimes() {
    let (one, two) = (runtime(), runtime());
    let on_two = two.handle().clone();
    let on_default = executor::spawn(async { 1 });
    let sum = one.block_on(async move {
        let there = on_two.spawn(async { executor::spawn(async { 2 }).await.unwrap() });
        there.await.unwrap() + on_default.await.unwrap()
    });
    assert_eq!(sum, 3);
}

fn local_tasks_run() {
    let sum = executor::block_on(async {
        let shared = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                let shared = shared.clone();
                executor::spawn_local(async move {
                    task::yield_now().await;
                    shared.set(shared.get() + n);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        shared.get()
    });
    assert_eq!(sum, 499_500);
}

/// A task is in no `block_on` of the thread that happens to poll it.
#[cfg(panic = "unwind")]
fn a_task_spawns_no_local_tasks() {
    let error = executor::block_on(executor::spawn(async {
        drop(executor::spawn_local(async {}))
    }));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no block_on is running")
    );
}

/// The others go on.
#[cfg(panic = "unwind")]
fn a_panic_ends_its_task_and_nothing_else() {
    executor::block_on(async {
        let panics = executor::spawn(async { panic!("no luck") });
        let error = panics.await.unwrap_err();
        assert!(error.to_string().contains("no luck"), "{error}");
        // Of a `block_on` in it, that nobody will ever wake.
        let waits = executor::spawn(async { executor::block_on(pending::<()>()) });
        let error = waits.await.unwrap_err();
        assert!(
            error.to_string().contains("all tasks are asleep"),
            "{error}"
        );
        assert_eq!(executor::spawn(async { 5 }).await.unwrap(), 5);
    });
    let waits = std::panic::catch_unwind(|| executor::block_on(pending::<()>()));
    assert!(waits.is_err());
    assert_eq!(executor::block_on(executor::spawn(async { 5 })).unwrap(), 5);
}

fn a_set_joins_its_tasks() {
    executor::block_on(async {
        let mut set = JoinSet::new();
        (0..100u32).for_each(|n| drop(set.spawn(async move { n })));
        let mut sum = 0;
        while let Some(result) = set.join_next().await {
            sum += result.unwrap();
        }
        assert_eq!(sum, 4950);
        drop(set.spawn(pending::<u32>()));
        set.abort_all();
        assert!(set.join_next().await.unwrap().is_err());
    });
}

fn block_in_place_calls() {
    let answer = executor::block_on(async {
        let task = executor::spawn(async {
            executor::block_in_place(|| executor::block_on(executor::spawn(async { 5 })).unwrap())
        });
        task.await.unwrap() + executor::block_in_place(|| 1)
    });
    assert_eq!(answer, 6);
}

fn a_blocking_job_is_refused() {
    let error = executor::block_on(executor::spawn_blocking(|| 1)).unwrap_err();
    assert!(error.is_cancelled());
    assert!(
        error
            .to_string()
            .ends_with("could not go on: this target has no threads"),
        "{error}"
    );
    let error = std::io::Error::from(error);
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}

fn more_workers_are_refused() {
    let error = Builder::new().worker_threads(2).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("no threads"), "{error}");
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    assert_eq!(runtime.handle().worker_threads(), 1);
    let error = runtime.handle().set_worker_threads(2).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}

/// Of tasks that have not begun, that wait, and that are queued.
fn a_shutdown_drops_each_future_once() {
    for timeout in [false, true] {
        let runtime = runtime();
        let count = Arc::new(AtomicUsize::new(0));
        let spawn = |runtime: &Runtime, yields: bool| {
            let dropped = Dropped(count.clone());
            runtime.spawn(async move {
                let _dropped = dropped;
                while yields {
                    task::yield_now().await;
                }
                pending::<()>().await;
            })
        };
        let waits: Vec<_> = (0..10).map(|n| spawn(&runtime, n % 2 == 0)).collect();
        runtime.block_on(async {
            for _ in 0..10 {
                task::yield_now().await;
            }
        });
        let new: Vec<_> = (0..10).map(|_| spawn(&runtime, false)).collect();
        assert_count(&count, 0);
        match timeout {
            false => drop(runtime),
            true => {
                let report = runtime.shutdown_timeout(std::time::Duration::from_secs(1));
                assert!(report.is_complete(), "{report}");
                assert_eq!(report.cancelled(), 20);
            }
        }
        assert_count(&count, 20);
        for task in waits.into_iter().chain(new) {
            assert!(executor::block_on(task).unwrap_err().is_cancelled());
        }
    }
}

/// That does not wait: the task may hold what a destructor wants.
fn a_runtime_is_dropped_in_its_own_task() {
    struct Locks(Arc<Mutex<()>>);

    impl Drop for Locks {
        fn drop(&mut self) {
            drop(self.0.lock().unwrap());
        }
    }

    let count = Arc::new(AtomicUsize::new(0));
    let lock = Arc::new(Mutex::new(()));
    let runtime = runtime();
    let handle = runtime.handle().clone();
    let dropped = (Dropped(count.clone()), Locks(lock.clone()));
    let waits = handle.spawn(async move {
        let _dropped = dropped;
        pending::<()>().await;
    });
    let in_task = count.clone();
    let drops = handle.spawn(async move {
        task::yield_now().await;
        let locked = lock.lock().unwrap();
        drop(runtime);
        assert_count(&in_task, 0);
        drop(locked);
        1
    });
    assert_eq!(executor::block_on(drops).unwrap(), 1);
    assert!(executor::block_on(waits).unwrap_err().is_cancelled());
    assert_count(&count, 1);
    assert!(
        executor::block_on(handle.spawn(async {}))
            .unwrap_err()
            .is_cancelled()
    );
}

/// The task that waits further down the stack ends by itself.
fn a_runtime_is_dropped_in_its_own_nested_block_on() {
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    let handle = runtime.handle().clone();
    let dropped = Dropped(count.clone());
    let waits = handle.spawn(async move {
        let _dropped = dropped;
        pending::<()>().await;
    });
    let outer = handle.clone().spawn(async move {
        task::yield_now().await;
        let drops = handle.spawn(async move { drop(runtime) });
        executor::block_on(drops).unwrap();
        assert!(executor::block_on(waits).unwrap_err().is_cancelled());
        pending::<()>().await;
    });
    assert!(executor::block_on(outer).unwrap_err().is_cancelled());
    assert_count(&count, 1);
}

/// It waits while the runtime ends, on the thread that ends it.
fn a_destructor_waits_for_another_task() {
    struct Waits(Option<executor::JoinHandle<()>>, Arc<AtomicUsize>);

    impl Drop for Waits {
        fn drop(&mut self) {
            let waits_for = self.0.take().unwrap();
            assert!(executor::block_on(waits_for).unwrap_err().is_cancelled());
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    let count = Arc::new(AtomicUsize::new(0));
    let runtime = runtime();
    for _ in 0..3 {
        let waits_for = runtime.spawn(pending());
        let waits = Waits(Some(waits_for), count.clone());
        drop(runtime.spawn(async move {
            let _waits = waits;
            pending::<()>().await;
        }));
    }
    runtime.block_on(task::yield_now());
    drop(runtime);
    assert_count(&count, 3);
}

fn a_spawn_after_the_shutdown_is_cancelled() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    runtime.shutdown_background();
    let task = handle.spawn(async {});
    assert!(executor::block_on(task).unwrap_err().is_cancelled());
    let job = handle.spawn_blocking(|| {});
    assert!(executor::block_on(job).unwrap_err().is_cancelled());
}

/// More than there may be at once.
fn runtimes_are_used_again() {
    for n in 0..20_000 {
        let runtime = runtime();
        if n % 100 == 0 {
            drop(runtime.spawn(pending::<()>()));
            assert_eq!(runtime.block_on(runtime.spawn(async { 3 })).unwrap(), 3);
        }
    }
}

fn figures_and_dumps_are_told() {
    let runtime = Builder::new()
        .task_details(true)
        .histograms(true)
        .build()
        .unwrap();
    let dump = runtime.block_on(async {
        drop(executor::spawn(pending::<()>()));
        task::yield_now().await;
        let metrics = Handle::current().metrics();
        assert_eq!(metrics.num_alive_tasks(), 1);
        assert_eq!(metrics.worker_threads(), 1);
        let asks = executor::spawn(async { Handle::current().dump_tasks() });
        asks.await.unwrap()
    });
    assert_eq!(dump.tasks().len(), 2, "{dump}");
    let stacks = runtime
        .handle()
        .dump_stacks(std::time::Duration::from_secs(1));
    assert_eq!(stacks.tasks().len(), 1, "{stacks}");
}

/// How a page runs tasks: the closure would ask the event loop to call `run`.
fn a_queue_is_run_by_its_owner() {
    let notified = Arc::new(AtomicUsize::new(0));
    let in_queue = notified.clone();
    let queue = task::LocalTaskQueue::new(move || {
        in_queue.fetch_add(1, Ordering::Relaxed);
    });
    let mut first = true;
    let task = queue.spawn_local(poll_fn(move |context| match std::mem::take(&mut first) {
        true => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(5),
    }));
    while notified.swap(0, Ordering::Relaxed) > 0 {
        queue.run(usize::MAX);
    }
    assert_eq!(executor::block_on(task).unwrap(), 5);
}

fn run_returns_what_the_task_does() {
    let index = executor::run(async { executor::runtime::worker_index() });
    assert_eq!(index, Some(0));
}

fn main_runs() {
    #[executor::main]
    async fn answer() -> u32 {
        executor::spawn(async { 42 }).await.unwrap()
    }

    assert_eq!(answer(), 42);
}
