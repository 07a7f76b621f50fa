//! Hand-over: threads that block in `block_in_place` or in a nested `block_on` take no processor with them.
//!
//! The failure that these tests look for is a deadlock: every thread waits for something that only a queued task, a timer
//! or a socket could bring.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use executor::runtime::{Builder, Handle};
use executor::task::{consume_budget, yield_now};
use executor::{JoinHandle, Runtime, block_in_place, block_on, spawn, spawn_blocking};

#[cfg(target_os = "linux")]
use crate::common::alone;
use crate::common::{
    assert_all_usable, hold_without_retakes, on_runtimes, processors, within_patience,
};

/// Runs `count` tasks and waits for them.
fn run_tasks<F>(runtime: &Runtime, count: usize, mut task: impl FnMut(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let handles: Vec<JoinHandle<()>> = (0..count).map(|n| runtime.spawn(task(n))).collect();
    runtime.block_on(async {
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[test]
fn all_workers_block_in_place_before_the_tasks_they_wait_for() {
    on_runtimes(|runtime| {
        let count = 3 * runtime.metrics().num_workers();
        run_tasks(&runtime, count, |_| async {
            let (sender, receiver) = mpsc::channel();
            drop(spawn(async move { sender.send(()).unwrap() }));
            block_in_place(|| receiver.recv().unwrap());
        });
        assert_all_usable(&runtime);
    });
}

#[test]
fn the_idle_are_told_of_what_a_blocking_task_has_in_its_slot() {
    on_runtimes(|runtime| {
        for _ in 0..20 {
            // By then the other workers have lain down, one of them with the network in view: nobody need come for that.
            thread::sleep(Duration::from_millis(1));
            run_tasks(&runtime, 1, |_| async {
                let (sender, receiver) = mpsc::channel();
                drop(spawn(async move { sender.send(()).unwrap() }));
                block_in_place(|| receiver.recv().unwrap());
            });
        }
    });
}

/// In a process of its own, whose address space has no room for another stack until the limit is taken away.
#[test]
#[cfg(target_os = "linux")]
fn a_processor_for_which_no_thread_can_be_started_is_not_lost() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const STACK: usize = 256 << 20;

    if !alone(
        module_path!(),
        "a_processor_for_which_no_thread_can_be_started_is_not_lost",
    ) {
        return;
    }
    within_patience(|| {
        let runtime = Builder::new()
            .worker_threads(2)
            .thread_stack_size(STACK)
            .build()
            .unwrap();
        assert_all_usable(&runtime);
        let free = getrlimit(Resource::As);
        let used = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = used.split(' ').next().unwrap().parse().unwrap();
        let current = Some(pages * 4096 + STACK as u64 / 2);
        setrlimit(Resource::As, Rlimit { current, ..free }).unwrap();
        for _ in 0..10 {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel()).unzip();
            let meet = Arc::new(Barrier::new(3));
            let blocked: Vec<_> = (receivers.into_iter())
                .map(|receiver| {
                    let meet = meet.clone();
                    runtime.spawn(async move {
                        block_in_place(|| {
                            meet.wait();
                            receiver.recv().unwrap();
                        })
                    })
                })
                .collect();
            meet.wait();
            // Nobody is there to run it, and no thread can be started.
            let behind = runtime.spawn(async {});
            senders.iter().for_each(|sender| sender.send(()).unwrap());
            runtime.block_on(async {
                for task in blocked {
                    task.await.unwrap();
                }
                behind.await.unwrap();
            });
        }
        setrlimit(Resource::As, free).unwrap();
        assert_all_usable(&runtime);
    });
}

#[test]
fn all_workers_block_in_place_for_one_task_behind_them() {
    on_runtimes(|runtime| {
        let count = runtime.metrics().num_workers();
        let barrier = Arc::new(Barrier::new(count + 1));
        run_tasks(&runtime, count + 1, |n| {
            let barrier = barrier.clone();
            async move {
                if n < count {
                    block_in_place(|| {
                        barrier.wait();
                    });
                } else {
                    barrier.wait();
                }
            }
        });
        assert_all_usable(&runtime);
    });
}

/// Spawns, joins and blocks on every level.
fn nest(depth: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move {
        if depth == 0 {
            return 1;
        }
        let (left, right) = (spawn(nest(depth - 1)), nest(depth - 1));
        block_on(async { left.await.unwrap() + right.await })
    })
}

#[test]
fn nested_block_ons_on_all_workers_at_once() {
    on_runtimes(|runtime| {
        let count = 2 * runtime.metrics().num_workers();
        run_tasks(&runtime, count, |_| async {
            assert_eq!(nest(3).await, 8);
        });
        assert_all_usable(&runtime);
    });
}

#[test]
fn block_on_inside_a_blocking_job() {
    on_runtimes(|runtime| {
        run_tasks(&runtime, 4, |_| async {
            let job = spawn_blocking(|| {
                let task = async { spawn_blocking(|| block_on(nest(1))).await.unwrap() };
                block_on(spawn(task)).unwrap()
            });
            assert_eq!(job.await.unwrap(), 2);
        });
    });
}

#[test]
fn block_in_place_outside_a_worker_calls_its_closure() {
    let caller = thread::current().id();
    assert_eq!(block_in_place(|| thread::current().id()), caller);
    let runtime = processors(1);
    let inside = runtime.block_on(async { block_in_place(|| thread::current().id()) });
    assert_eq!(inside, caller);
    let job = || {
        let this = thread::current().id();
        block_in_place(|| thread::current().id()) == this
    };
    assert!(runtime.block_on(runtime.spawn_blocking(job)).unwrap());
    assert_eq!(runtime.metrics().handoff_count(), 0);
}

#[test]
fn a_panic_inside_block_in_place_reaches_the_handle() {
    on_runtimes(|runtime| {
        for n in 0..20 {
            let task = runtime.spawn(async move { block_in_place(|| panic!("number {n}")) });
            let error = runtime.block_on(task).unwrap_err();
            let message = *error.into_panic().downcast::<String>().unwrap();
            assert_eq!(message, format!("number {n}"));
        }
        assert_all_usable(&runtime);
    });
}

#[test]
fn a_panic_inside_a_nested_block_on_reaches_the_handle() {
    on_runtimes(|runtime| {
        for _ in 0..20 {
            let task = runtime.spawn(async { block_on(async { panic!("inner") }) });
            assert!(runtime.block_on(task).unwrap_err().is_panic());
        }
        assert_all_usable(&runtime);
    });
}

#[test]
fn spawns_and_wakes_after_block_in_place_in_the_same_poll() {
    on_runtimes(|runtime| {
        let count = 4 * runtime.metrics().num_workers();
        let ran = Arc::new(AtomicUsize::new(0));
        run_tasks(&runtime, count, |_| {
            let ran = ran.clone();
            async move {
                let (sender, receiver) = async_channel::bounded(1);
                let waiter = spawn(async move { receiver.recv().await.unwrap() });
                block_in_place(thread::yield_now);
                let inner = ran.clone();
                let child = spawn(async move {
                    inner.fetch_add(1, SeqCst);
                });
                sender.try_send(()).unwrap();
                block_in_place(|| ());
                waiter.await.unwrap();
                child.await.unwrap();
            }
        });
        assert_eq!(ran.load(SeqCst), count);
    });
}

#[test]
fn block_in_place_nested_with_block_ons_between() {
    on_runtimes(|runtime| {
        let count = 2 * runtime.metrics().num_workers();
        run_tasks(&runtime, count, |_| async {
            let innermost = || async {
                block_in_place(|| ());
                yield_now().await;
                spawn(async { 5 }).await.unwrap()
            };
            let middle = || block_on(async { block_in_place(|| block_on(innermost())) });
            assert_eq!(block_in_place(|| block_in_place(middle)), 5);
        });
        assert_all_usable(&runtime);
    });
}

#[test]
fn yield_now_inside_block_in_place() {
    on_runtimes(|runtime| {
        run_tasks(&runtime, 8, |_| async {
            block_in_place(|| Handle::current().block_on(yield_now()));
            yield_now().await;
            block_in_place(|| Handle::current().block_on(yield_now()));
        });
    });
}

/// An async lock (a channel with one token) that is held over waits and over hand-overs.
#[test]
fn an_async_lock_inside_block_in_place() {
    on_runtimes(|runtime| {
        let (unlock, lock) = async_channel::bounded(1);
        unlock.try_send(0).unwrap();
        let count = 4 * runtime.metrics().num_workers();
        run_tasks(&runtime, count, |_| {
            let (unlock, lock) = (unlock.clone(), lock.clone());
            async move {
                for _ in 0..10 {
                    let held = block_in_place(|| Handle::current().block_on(lock.recv())).unwrap();
                    yield_now().await;
                    unlock.send(held + 1).await.unwrap();
                }
            }
        });
        assert_eq!(lock.try_recv().unwrap(), 10 * count);
    });
}

#[test]
fn a_used_up_budget_does_not_hold_up_a_block_on_inside() {
    on_runtimes(|runtime| {
        run_tasks(&runtime, 2, |_| async {
            let finished = spawn(async { 7 });
            while !finished.is_finished() {
                yield_now().await;
            }
            for _ in 0..128 {
                consume_budget().await;
            }
            let joined = block_in_place(|| Handle::current().block_on(finished));
            assert_eq!(joined.unwrap(), 7);
            // Neither does the inner one's budget become this one's.
            for _ in 0..1000 {
                consume_budget().await;
            }
        });
    });
}

#[test]
fn a_task_that_yielded_runs_while_another_blocks_in_place() {
    on_runtimes(|runtime| {
        run_tasks(&runtime, 4, |_| async {
            let (sender, receiver) = mpsc::channel();
            drop(spawn(async move {
                yield_now().await;
                sender.send(()).unwrap();
            }));
            yield_now().await;
            block_in_place(|| receiver.recv().unwrap());
        });
    });
}

/// While all workers of a runtime are in `block_in_place`, its other tasks go on: those that came before, and new ones.
#[cfg(all(feature = "net", feature = "time"))]
#[test]
fn timers_and_sockets_go_on_while_all_workers_block_in_place() {
    use crate::common::streams::{Stream, pair};
    use executor::time::sleep;
    use futures::io::{AsyncReadExt, AsyncWriteExt};

    async fn exchange(mut stream: Stream) {
        for n in 0..10 {
            let mut byte = [0];
            stream.write_all(&[n]).await.unwrap();
            stream.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [n]);
            sleep(Duration::from_micros(100)).await;
        }
    }

    on_runtimes(|runtime| {
        let count = runtime.metrics().num_workers();
        let (near, far) = runtime.block_on(async { pair() });
        let (started, waiting) = async_channel::bounded::<()>(1);
        let before = runtime.spawn(async move {
            waiting.recv().await.unwrap();
            exchange(near).await;
        });
        let (entered, inside) = mpsc::channel();
        let blockers: Vec<_> = (0..count)
            .map(|_| {
                let entered = entered.clone();
                let (leave, held) = mpsc::channel::<()>();
                let task = runtime.spawn(async move {
                    block_in_place(|| {
                        entered.send(()).unwrap();
                        held.recv().unwrap();
                    })
                });
                (leave, task)
            })
            .collect();
        inside.iter().take(count).for_each(drop);
        started.try_send(()).unwrap();
        runtime.block_on(runtime.spawn(exchange(far))).unwrap();
        runtime.block_on(before).unwrap();
        for (leave, task) in blockers {
            leave.send(()).unwrap();
            runtime.block_on(task).unwrap();
        }
    });
}

#[test]
fn spare_threads_end_after_the_keep_alive() {
    within_patience(|| {
        for count in [1, 2, 4] {
            let runtime = Builder::new()
                .worker_threads(count)
                .thread_keep_alive(Duration::from_millis(1))
                .build()
                .unwrap();
            let blocked = 4 * count;
            let barrier = Arc::new(Barrier::new(blocked));
            run_tasks(&runtime, blocked, |_| {
                let barrier = barrier.clone();
                async move {
                    block_in_place(|| {
                        barrier.wait();
                    })
                }
            });
            // The workers and the reactor's thread.
            while runtime.metrics().num_threads() > count + 1 {
                thread::yield_now();
            }
            assert_all_usable(&runtime);
        }
    });
}

/// Spares cannot run what is queued behind a long poll while no processor is free: they must wait, not look again and
/// again.
#[cfg(target_os = "linux")]
#[test]
fn threads_without_a_processor_do_not_spin() {
    // The CPU time of its process is counted.
    if !alone(module_path!(), "threads_without_a_processor_do_not_spin") {
        return;
    }
    /// CPU time of this process in the kernel's ticks of 10 ms.
    fn cpu_ticks() -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let times = fields.skip(11).take(2);
        times.map(|field| field.parse::<u64>().unwrap()).sum()
    }
    within_patience(|| {
        // Without reports of stalls: to read a stack in a debug build takes 100 ms.
        let runtime = Builder::new()
            .worker_threads(1)
            .stall_threshold(Duration::MAX)
            .build()
            .unwrap();
        let barrier = Arc::new(Barrier::new(9));
        let (entered, inside) = mpsc::channel();
        let block = |_| {
            let (entered, barrier) = (entered.clone(), barrier.clone());
            runtime.spawn(async move {
                block_in_place(|| {
                    entered.send(()).unwrap();
                    barrier.wait();
                })
            })
        };
        let blockers: Vec<JoinHandle<()>> = (0..8).map(block).collect();
        inside.iter().take(8).for_each(drop);
        let (begun, long) = mpsc::channel();
        let (leave, held) = mpsc::channel::<()>();
        let task = runtime.spawn(async move {
            let queued: Vec<_> = (0..3).map(|_| spawn(async {})).collect();
            begun.send(()).unwrap();
            held.recv().unwrap();
            drop(queued);
        });
        long.recv().unwrap();
        // Now eight threads come back, one after the other without a processor, and find work queued.
        barrier.wait();
        while !blockers.iter().all(JoinHandle::is_finished) {
            thread::yield_now();
        }
        let before = cpu_ticks();
        // The time over which they are watched.
        thread::sleep(Duration::from_millis(200));
        let spent = cpu_ticks() - before;
        leave.send(()).unwrap();
        runtime.block_on(task).unwrap();
        assert!(spent <= 10, "{spent} ticks of 20");
    });
}

#[test]
fn many_short_calls_lose_nothing() {
    on_runtimes(|runtime| {
        let (sender, receiver) = async_channel::unbounded();
        let calls = Arc::new(AtomicUsize::new(0));
        run_tasks(&runtime, 40, |_| {
            let (calls, sender) = (calls.clone(), sender.clone());
            async move {
                for n in 0..100 {
                    block_in_place(|| calls.fetch_add(1, SeqCst));
                    sender.try_send(n).unwrap();
                    if n % 10 == 0 {
                        yield_now().await;
                    }
                }
            }
        });
        assert_eq!(calls.load(SeqCst), 4000);
        assert_eq!(receiver.len(), 4000);
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    });
}

#[test]
fn a_runtime_dropped_while_its_workers_block_in_place_waits_for_them() {
    on_runtimes(|runtime| {
        let count = 2 * runtime.metrics().num_workers();
        let barrier = Arc::new(Barrier::new(count + 1));
        let ended = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let (barrier, ended) = (barrier.clone(), ended.clone());
            drop(runtime.spawn(async move {
                block_in_place(|| {
                    barrier.wait();
                    barrier.wait();
                });
                ended.fetch_add(1, SeqCst);
            }));
        }
        barrier.wait();
        let closer = thread::spawn(move || drop(runtime));
        barrier.wait();
        closer.join().unwrap();
        assert_eq!(ended.load(SeqCst), count);
    });
}

/// A nested `block_on` is polled once per wake, and its thread runs no other task of the runtime meanwhile.
#[test]
fn a_nested_block_on_is_not_polled_without_a_wake() {
    on_runtimes(|runtime| {
        run_tasks(&runtime, 4, |_| async {
            let (sender, receiver) = mpsc::channel();
            let mut polls = 0;
            block_on(poll_fn(|cx| {
                polls += 1;
                if polls == 11 {
                    return Poll::Ready(());
                }
                let (waker, sender) = (cx.waker().clone(), sender.clone());
                drop(spawn(async move {
                    waker.wake();
                    sender.send(()).unwrap();
                }));
                Poll::Pending
            }));
            drop(sender);
            assert_eq!((polls, receiver.iter().count()), (11, 10));
        });
    });
}

#[test]
fn all_of_this_holds_without_retakes() {
    hold_without_retakes(module_path!(), "all_of_this_holds_without_retakes");
}
