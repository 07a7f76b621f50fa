//! Parallelism: P tasks run at once, and no processor stays idle beside work, also beside work that a long poll hides.
//!
//! Tasks spin until all of them have arrived, so one that is not run while the others are is a hang; that is what the
//! watch is for. Nothing else here depends on time.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use executor::task::yield_now;
use executor::{JoinHandle, spawn, spawn_blocking};

use crate::common::{hold_without_retakes, processors, within_patience};

const ROUNDS: usize = 10;

/// Where tasks spin, inside one poll, until all are there.
#[derive(Clone)]
struct Spin {
    arrived: Arc<AtomicUsize>,
    all: usize,
}

impl Spin {
    fn new(all: usize) -> Spin {
        let arrived = Arc::default();
        Spin { arrived, all }
    }

    fn arrive(&self) {
        self.arrived.fetch_add(1, SeqCst);
        while self.arrived.load(SeqCst) < self.all {
            // There may be fewer CPUs than processors.
            thread::yield_now();
        }
    }
}

async fn join_all(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        handle.await.unwrap();
    }
}

/// Several rounds on several numbers of processors: `before`, then all processors at once.
fn all_at_once_after<F>(before: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    within_patience(move || {
        for count in [1, 2, 4] {
            let runtime = processors(count);
            for _ in 0..ROUNDS {
                let spin = Spin::new(count);
                let tasks = (0..count).map(|_| {
                    let spin = spin.clone();
                    runtime.spawn(async move {
                        before().await;
                        spin.arrive();
                    })
                });
                runtime.block_on(join_all(tasks.collect()));
                assert_eq!(spin.arrived.load(SeqCst), count);
            }
        }
    });
}

#[test]
fn p_tasks_run_at_once() {
    all_at_once_after(|| async {});
}

#[test]
fn p_tasks_run_at_once_after_a_yield() {
    all_at_once_after(yield_now_twice);
}

async fn yield_now_twice() {
    yield_now().await;
    yield_now().await;
}

#[test]
fn p_tasks_run_at_once_after_a_blocking_job() {
    all_at_once_after(|| async { spawn_blocking(|| ()).await.unwrap() });
}

#[test]
fn p_tasks_run_at_once_after_block_in_place() {
    all_at_once_after(|| async { executor::block_in_place(thread::yield_now) });
}

/// The monitor has taken their processors meanwhile, or not.
#[test]
fn p_tasks_run_at_once_after_blocking_unannounced() {
    all_at_once_after(|| async { thread::sleep(Duration::from_micros(300)) });
}

#[cfg(feature = "time")]
#[test]
fn p_tasks_run_at_once_after_a_sleep() {
    all_at_once_after(|| executor::time::sleep(Duration::from_micros(200)));
}

#[cfg(feature = "net")]
#[test]
fn p_tasks_run_at_once_after_io() {
    use crate::common::streams::pair;
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    all_at_once_after(|| async {
        let (mut near, mut far) = pair();
        let sender = spawn(async move { near.write_all(b"x").await.unwrap() });
        let mut byte = [0];
        far.read_exact(&mut byte).await.unwrap();
        sender.await.unwrap();
    });
}

#[test]
fn p_tasks_spawned_by_one_run_at_once() {
    within_patience(|| {
        for count in [1, 2, 4] {
            let runtime = processors(count);
            for _ in 0..ROUNDS {
                let spin = Spin::new(count);
                let main = runtime.spawn(async move {
                    let task = |_| {
                        let spin = spin.clone();
                        spawn(async move { spin.arrive() })
                    };
                    join_all((0..count).map(task).collect()).await;
                });
                runtime.block_on(main).unwrap();
            }
        }
    });
}

/// The one that wakes the others spins with them, over a full next slot.
#[test]
fn p_tasks_woken_by_one_of_them_run_at_once() {
    within_patience(|| {
        for count in [2, 4] {
            let runtime = processors(count);
            for _ in 0..ROUNDS {
                let spin = Spin::new(count);
                let (go, gate) = async_channel::bounded::<()>(1);
                let (ready, waiting) = mpsc::channel();
                let others = (1..count).map(|_| {
                    let (spin, gate, ready) = (spin.clone(), gate.clone(), ready.clone());
                    runtime.spawn(async move {
                        ready.send(()).unwrap();
                        gate.recv().await.unwrap_err();
                        spin.arrive();
                    })
                });
                let mut tasks: Vec<JoinHandle<()>> = others.collect();
                waiting.iter().take(count - 1).for_each(drop);
                tasks.push(runtime.spawn(async move {
                    drop(go);
                    spin.arrive();
                }));
                runtime.block_on(join_all(tasks));
            }
        }
    });
}

#[test]
fn tasks_woken_from_foreign_threads_run_at_once() {
    within_patience(|| {
        let count = 4;
        let runtime = processors(count);
        for _ in 0..ROUNDS {
            let spin = Spin::new(count);
            let (senders, tasks): (Vec<_>, Vec<_>) = (0..count)
                .map(|_| {
                    let spin = spin.clone();
                    let (sender, receiver) = async_channel::bounded::<()>(1);
                    let task = runtime.spawn(async move {
                        receiver.recv().await.unwrap();
                        spin.arrive();
                    });
                    (sender, task)
                })
                .unzip();
            let wakers = senders
                .into_iter()
                .map(|sender| thread::spawn(move || sender.try_send(()).unwrap()));
            wakers
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|waker| waker.join().unwrap());
            runtime.block_on(join_all(tasks));
        }
    });
}

/// On two processors: a task whose poll blocks until what `begin` has started says that it ran.
fn behind_a_long_poll<F>(begin: fn(mpsc::Sender<()>) -> F, times: usize)
where
    F: Future<Output = ()> + Send + 'static,
{
    within_patience(move || {
        let runtime = processors(2);
        for _ in 0..ROUNDS {
            let long = runtime.spawn(async move {
                let (ran, wait) = mpsc::channel();
                begin(ran).await;
                assert_eq!(wait.iter().count(), times);
            });
            runtime.block_on(long).unwrap();
        }
    });
}

#[test]
fn work_in_the_next_slot_behind_a_long_poll_is_run_elsewhere() {
    behind_a_long_poll(
        |ran| async move { drop(spawn(async move { ran.send(()).unwrap() })) },
        1,
    );
}

#[test]
fn work_queued_behind_a_long_poll_is_stolen() {
    behind_a_long_poll(
        |ran| async move {
            for _ in 0..300 {
                let ran = ran.clone();
                drop(spawn(async move { ran.send(()).unwrap() }));
            }
        },
        300,
    );
}

/// A task that yields is put behind a poll that does not end, and nobody was told of it.
#[test]
fn a_task_that_yielded_behind_a_long_poll_is_run_elsewhere() {
    behind_a_long_poll(
        |ran| async move {
            drop(spawn(async move {
                for _ in 0..10 {
                    yield_now().await;
                    ran.send(()).unwrap();
                }
            }));
            yield_now().await;
        },
        10,
    );
}

#[cfg(feature = "time")]
#[test]
fn a_timer_of_a_processor_in_a_long_poll_fires() {
    behind_a_long_poll(
        |ran| async move {
            drop(spawn(async move {
                executor::time::sleep(Duration::from_micros(200)).await;
                ran.send(()).unwrap();
            }));
            // It arms its timer on this processor, unless it was stolen.
            yield_now().await;
        },
        1,
    );
}

#[cfg(feature = "net")]
#[test]
fn a_socket_of_a_processor_in_a_long_poll_is_served() {
    use crate::common::streams::pair;
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    behind_a_long_poll(
        |ran| async move {
            let (mut near, mut far) = pair();
            drop(spawn(async move {
                let mut byte = [0];
                far.read_exact(&mut byte).await.unwrap();
                ran.send(()).unwrap();
            }));
            yield_now().await;
            near.write_all(b"x").await.unwrap();
            // The socket stays open beyond the poll that blocks.
            drop(spawn(async move {
                yield_now().await;
                drop(near);
            }));
        },
        1,
    );
}

#[test]
fn many_workers_start_and_stop() {
    within_patience(|| {
        const MANY: usize = 256;
        let runtime = processors(MANY);
        assert_eq!(runtime.metrics().num_workers(), MANY);
        let barrier = Arc::new(Barrier::new(MANY));
        let tasks = (0..MANY).map(|_| {
            let barrier = barrier.clone();
            runtime.spawn(async move {
                let _ = barrier.wait();
            })
        });
        runtime.block_on(join_all(tasks.collect()));
    });
}

#[test]
fn all_of_this_holds_without_retakes() {
    hold_without_retakes(module_path!(), "all_of_this_holds_without_retakes");
}
