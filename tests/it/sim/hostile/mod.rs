//! Programs that make it hard for the simulation: it neither hangs nor leaks, and repeats itself.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use executor::sim::{self, FailureKind};
use executor::task::{self, JoinSet, Priority};
use executor::time::{now, sleep, timeout};

mod endless;
mod ends;

const SEEDS: u64 = if cfg!(debug_assertions) { 40 } else { 300 };

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn builder() -> sim::Builder {
    let limit = Duration::from_secs(1_000 * 24 * 60 * 60);
    sim::Builder::new()
        .processors(3)
        .time_limit(limit)
        .allow_leftover_tasks(true)
        .allow_task_panics(true)
}

/// Each seed twice, and both runs are the same.
fn repeats<F: Future>(make: impl Fn() -> F) {
    for seed in 0..SEEDS {
        let run = builder().seed(seed).build().run_twice(&make);
        run.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// Each seed fails so.
fn fails<F: Future>(kind: FailureKind, make: impl Fn() -> F) {
    for seed in 0..SEEDS {
        let run = || builder().seed(seed).build().run_and_report(make());
        let ((first, report), (second, again)) = (run(), run());
        let failure = first.err().expect("a failure");
        assert_eq!(failure.kind(), kind, "{failure}");
        assert_eq!(
            second.err().map(|failure| failure.kind()),
            Some(kind),
            "{failure}"
        );
        assert_eq!(report.hash(), again.hash(), "{failure}");
    }
}

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn drops_panic() {
    repeats(|| async {
        for count in 0..5 {
            let task = executor::spawn(async move {
                let _guard = OnDrop(|| panic!("in a drop"));
                sleep(millis(count)).await;
            });
            sleep(millis(2)).await;
            task.abort();
            assert!(task.await.is_err());
            let _left = executor::spawn(async {
                let _guard = OnDrop(|| panic!("in a drop"));
                pending::<()>().await
            });
        }
    });
}

#[test]
fn drops_wait() {
    repeats(|| async {
        for count in 0..5 {
            let wait = move || executor::block_on(sleep(millis(count)));
            let task = executor::spawn(async move {
                let _guard = OnDrop(wait);
                sleep(millis(2)).await;
            });
            sleep(millis(count)).await;
            task.abort();
            let _ = task.await;
            // Dropped at the end of the run.
            let _left = executor::spawn(async move {
                let _guard = OnDrop(wait);
                pending::<()>().await
            });
        }
    });
}

#[test]
fn drops_block_while_a_panic_unwinds() {
    repeats(|| async {
        let tasks: Vec<_> = (0..6)
            .map(|count| {
                executor::spawn(async move {
                    let _block = OnDrop(|| sim::block(millis(3)));
                    let _wait = OnDrop(|| executor::block_on(sleep(millis(2))));
                    let _spawn = OnDrop(|| drop(executor::spawn(sleep(millis(1)))));
                    sleep(millis(count)).await;
                    panic!("others run meanwhile")
                })
            })
            .collect();
        let others: Vec<_> = (0..6)
            .map(|count| {
                executor::spawn(async move {
                    for _ in 0..5 {
                        sleep(millis(count)).await;
                        sim::interleave();
                    }
                })
            })
            .collect();
        for task in tasks {
            let task: executor::JoinHandle<()> = task;
            assert!(task.await.is_err_and(|error| error.is_panic()));
        }
        for task in others {
            task.await.unwrap();
        }
    });
}

#[test]
fn local_tasks_come_and_go() {
    repeats(|| async {
        let sum = std::rc::Rc::new(std::cell::Cell::new(0));
        let tasks: Vec<_> = (0..10)
            .map(|count| {
                let sum = sum.clone();
                executor::spawn_local(async move {
                    sleep(millis(count % 3)).await;
                    sum.set(sum.get() + count);
                    executor::spawn(async move { sim::block(millis(count)) })
                        .await
                        .unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(sum.get(), 45);
    });
}

#[test]
fn tasks_are_aborted_while_they_are_polled() {
    repeats(|| async {
        let dropped = Arc::new(AtomicU32::new(0));
        for count in 0..10 {
            let dropped = dropped.clone();
            let guard = OnDrop(move || {
                dropped.fetch_add(1, Ordering::Relaxed);
            });
            let task = executor::spawn(async move {
                let _guard = guard;
                sim::block(millis(2));
                sim::interleave();
                sleep(millis(1)).await;
                sim::compute(millis(30));
            });
            sleep(millis(count)).await;
            task.abort();
            let _ = task.await;
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn runtimes_are_built_and_dropped() {
    repeats(|| async {
        for workers in 1..4 {
            let job = executor::spawn_blocking(move || {
                let runtime = executor::Builder::new()
                    .worker_threads(workers)
                    .build()
                    .unwrap();
                let task = runtime.spawn(async {
                    sleep(millis(3)).await;
                    executor::spawn_blocking(|| sim::block(millis(2)))
                        .await
                        .unwrap();
                    7
                });
                drop(runtime.spawn(pending::<()>()));
                assert_eq!(runtime.block_on(task).unwrap(), 7);
                match workers {
                    1 => drop(runtime),
                    2 => drop(runtime.shutdown_timeout(millis(5))),
                    _ => runtime.shutdown_background(),
                }
            });
            job.await.unwrap();
        }
    });
}

#[test]
fn processors_come_and_go() {
    repeats(|| async {
        let handle = executor::Handle::current();
        let tasks: Vec<_> = (0..20_u64)
            .map(|count| {
                executor::spawn(async move {
                    for _ in 0..5 {
                        sleep(millis(count % 4)).await;
                        sim::compute(millis(count % 5));
                        task::yield_now().await;
                    }
                })
            })
            .collect();
        for count in [1, 5, 2, 8, 1, 3] {
            handle.set_worker_threads(count).unwrap();
            sleep(millis(2)).await;
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn classes_are_mixed() {
    repeats(|| async {
        let classes = [
            Priority::Background,
            Priority::Normal,
            Priority::Interactive,
        ];
        let tasks: Vec<_> = (0..30)
            .map(|count| {
                let work = async move {
                    for _ in 0..4 {
                        sim::compute(millis(count as u64 % 7));
                        task::yield_now().await;
                    }
                    let class = classes[(count + 1) % 3];
                    let inner = task::Builder::new().priority(class).spawn(sleep(millis(1)));
                    inner.await.unwrap();
                };
                task::Builder::new()
                    .priority(classes[count % 3])
                    .spawn(work)
            })
            .collect();
        for (count, task) in tasks.into_iter().enumerate() {
            task.set_priority(classes[count / 10]);
            task.await.unwrap();
        }
    });
}

#[test]
fn timers_take_days() {
    repeats(|| async {
        let start = now();
        let days = |count: u64| Duration::from_secs(count * 24 * 60 * 60);
        let tasks: Vec<_> = (1..40)
            .map(|count| executor::spawn(sleep(days(count))))
            .collect();
        for (count, task) in (1..40).zip(tasks) {
            task.await.unwrap();
            assert!(now() - start >= days(count));
        }
        assert!(timeout(days(2), sleep(Duration::MAX)).await.is_err());
    });
}

#[test]
fn a_thousand_jobs_block() {
    for seed in 0..5 {
        let run = builder().seed(seed).build().run_twice(|| async {
            let jobs: Vec<_> = (0..1_200)
                .map(|count| executor::spawn_blocking(move || sim::block(millis(count % 50))))
                .collect();
            for job in jobs {
                job.await.unwrap();
            }
        });
        run.unwrap();
    }
}

#[test]
fn processors_are_given_away_in_place() {
    repeats(|| async {
        let tasks: Vec<_> = (0..10)
            .map(|count| {
                executor::spawn(async move {
                    executor::block_in_place(|| {
                        sim::block(millis(count));
                        executor::block_on(async {
                            let inner = executor::spawn(async { sim::block(millis(1)) });
                            inner.await.unwrap();
                            executor::block_in_place(|| sim::block(millis(1)));
                        });
                    });
                    task::yield_now().await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(executor::run(async { 5 }), 5);
    });
}

#[test]
fn stacks_are_dumped() {
    repeats(|| async {
        let mut set = JoinSet::new();
        for count in 0..5 {
            set.spawn(sleep(millis(50 * count)));
        }
        for _ in 0..3 {
            let dump = executor::Handle::current().dump_stacks(Duration::from_secs(1));
            assert!(dump.tasks().len() <= 6);
            sleep(millis(30)).await;
        }
        let dumping = executor::spawn(async {
            executor::Handle::current()
                .dump_stacks(Duration::from_secs(1))
                .tasks()
                .len()
        });
        dumping.await.unwrap();
    });
}

#[test]
fn calls_are_deep() {
    fn deep(depth: u32) -> u32 {
        let room = std::hint::black_box([depth; 64]);
        match depth {
            0 => room[0],
            _ => deep(depth - 1) + room[1] - room[2] + 1,
        }
    }
    repeats(|| async {
        let task = executor::spawn(async { deep(2_000) });
        let job = executor::spawn_blocking(|| {
            let depth = deep(2_000);
            executor::block_on(async move {
                sleep(millis(1)).await;
                depth
            })
        });
        assert_eq!(task.await.unwrap() + job.await.unwrap(), 4_000);
    });
}

#[test]
fn stacks_are_as_large_as_the_builder_says() {
    #[inline(never)]
    fn deep(depth: u32) -> u8 {
        let room = std::hint::black_box([depth as u8; 1024]);
        match depth {
            0 => room[0],
            _ => deep(depth - 1) ^ room[1],
        }
    }
    let sim = builder().build();
    let run = sim.run(async {
        let runtime = executor::Builder::new().thread_stack_size(64 << 20);
        let runtime = runtime.worker_threads(1).build().unwrap();
        // 16 MiB at least.
        let task = runtime.spawn(async { deep(16 << 10) });
        runtime.block_on(task).unwrap();
        let worker = runtime.spawn(async { executor::Handle::current().metrics().num_workers() });
        assert_eq!(worker.await.unwrap(), 1);
    });
    run.unwrap();
}

#[test]
fn many_simulate_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                repeats(|| async {
                    let tasks: Vec<_> = (0..10)
                        .map(|count| {
                            executor::spawn(async move {
                                sleep(millis(count)).await;
                                executor::spawn_blocking(|| sim::block(millis(1)))
                                    .await
                                    .unwrap();
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            });
        }
    });
}

#[test]
fn guards_are_held_over_what_blocks() {
    repeats(|| async {
        let lock = Arc::new(Mutex::new(0));
        let own = lock.clone();
        let task = executor::spawn(async move {
            let mut guard = own.lock().unwrap();
            sim::block(millis(5));
            *guard += 1;
        });
        sleep(millis(100)).await;
        task.await.unwrap();
        assert_eq!(*lock.lock().unwrap(), 1);
    });
}

/// A future that is polled once more than it was woken for, and by another task.
#[test]
fn futures_move_between_tasks() {
    type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Once(Option<Boxed>);
    impl Future for Once {
        type Output = Boxed;
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Boxed> {
            let mut future = self.0.take().expect("polled once");
            let _ = future.as_mut().poll(cx);
            Poll::Ready(future)
        }
    }
    repeats(|| async {
        let mut future: Boxed = Box::pin(sleep(millis(20)));
        for _ in 0..5 {
            future = executor::spawn(Once(Some(future))).await.unwrap();
            sleep(millis(3)).await;
        }
        future.await;
    });
}
