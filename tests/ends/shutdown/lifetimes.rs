//! What outlives a runtime, or ends at the same moment: wakers, handles and spawners of foreign threads. Whatever they do, each
//! future is dropped exactly once, by the time the runtime is gone, and no memory is touched after it is freed nor kept for
//! good: `ci/asan.sh` and `ci/tsan.sh` see that.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use executor::Runtime;
use executor::task::yield_now;

use crate::common::{processors, within_patience};

const ROUNDS: usize = 100;
const TASKS: usize = 20;

/// How often futures were polled and dropped.
#[derive(Default)]
struct Counts {
    polls: AtomicUsize,
    drops: AtomicUsize,
}

/// Never ends. Each poll sends its waker.
struct Waits {
    counts: Arc<Counts>,
    wakers: mpsc::Sender<Waker>,
}

impl Future for Waits {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.counts.polls.fetch_add(1, SeqCst);
        let _ = self.wakers.send(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.counts.drops.fetch_add(1, SeqCst);
    }
}

/// Counts the drop of a future that holds it.
struct Held(Arc<Counts>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, SeqCst);
    }
}

/// Spawns `TASKS` tasks that wait, and gives their wakers once each was polled.
fn spawn_waiting(runtime: &Runtime, counts: &Arc<Counts>) -> Vec<Waker> {
    let (sender, wakers) = mpsc::channel();
    for _ in 0..TASKS {
        drop(runtime.spawn(Waits {
            counts: counts.clone(),
            wakers: sender.clone(),
        }));
    }
    wakers.iter().take(TASKS).collect()
}

/// Does something with each waker on two threads, in opposite order, after all have met.
fn on_two_threads(
    wakers: &[Waker],
    meet: &Arc<Barrier>,
    act: fn(Waker),
) -> [thread::JoinHandle<()>; 2] {
    let (forwards, mut backwards) = (wakers.to_vec(), wakers.to_vec());
    backwards.reverse();
    [forwards, backwards].map(|wakers| {
        let meet = meet.clone();
        thread::spawn(move || {
            meet.wait();
            wakers.into_iter().for_each(act);
        })
    })
}

/// Wakes twice, through a clone and by value.
fn wake(waker: Waker) {
    let clone = waker.clone();
    waker.wake_by_ref();
    clone.wake();
    waker.wake();
}

fn join(threads: [thread::JoinHandle<()>; 2]) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn wakers_woken_while_the_runtime_is_dropped() {
    within_patience(|| {
        for round in 0..ROUNDS {
            let counts = Arc::new(Counts::default());
            let runtime = processors(1 + round % 3);
            let wakers = spawn_waiting(&runtime, &counts);
            let meet = Arc::new(Barrier::new(3));
            let threads = on_two_threads(&wakers, &meet, wake);
            drop(wakers);
            meet.wait();
            drop(runtime);
            assert_eq!(counts.drops.load(SeqCst), TASKS);
            let polls = counts.polls.load(SeqCst);
            join(threads);
            assert_eq!(counts.polls.load(SeqCst), polls);
            assert_eq!(counts.drops.load(SeqCst), TASKS);
        }
    });
}

#[test]
fn wakers_dropped_while_the_runtime_is_dropped() {
    within_patience(|| {
        for round in 0..ROUNDS {
            let counts = Arc::new(Counts::default());
            let runtime = processors(1 + round % 3);
            let wakers = spawn_waiting(&runtime, &counts);
            let meet = Arc::new(Barrier::new(3));
            let threads = on_two_threads(&wakers, &meet, drop);
            drop(wakers);
            meet.wait();
            drop(runtime);
            assert_eq!(counts.drops.load(SeqCst), TASKS);
            join(threads);
            assert_eq!(counts.polls.load(SeqCst), TASKS);
        }
    });
}

#[test]
fn wakers_kept_past_the_end() {
    within_patience(|| {
        for round in 0..ROUNDS {
            let counts = Arc::new(Counts::default());
            let runtime = processors(1 + round % 3);
            let wakers = spawn_waiting(&runtime, &counts);
            drop(runtime);
            assert_eq!(counts.drops.load(SeqCst), TASKS);
            // Nothing is left but the wakers, in two threads at once.
            let meet = Arc::new(Barrier::new(2));
            let threads = on_two_threads(&wakers, &meet, wake);
            drop(wakers);
            join(threads);
            assert_eq!(counts.polls.load(SeqCst), TASKS);
            assert_eq!(counts.drops.load(SeqCst), TASKS);
            assert_eq!(Arc::strong_count(&counts), 1);
        }
    });
}

#[test]
fn a_waker_whose_runtime_ended_woken_in_another() {
    within_patience(|| {
        let counts = Arc::new(Counts::default());
        let ended = processors(2);
        let wakers = spawn_waiting(&ended, &counts);
        drop(ended);
        let runtime = processors(2);
        let tasks: Vec<_> = wakers
            .into_iter()
            .map(|waker| runtime.spawn(async move { wake(waker) }))
            .collect();
        tasks
            .into_iter()
            .for_each(|task| runtime.block_on(task).unwrap());
        assert_eq!(runtime.metrics().spawned_tasks_count(), TASKS as u64);
        drop(runtime);
        assert_eq!(counts.polls.load(SeqCst), TASKS);
        assert_eq!(counts.drops.load(SeqCst), TASKS);
    });
}

#[test]
fn start_and_stop_with_pending_running_and_woken_tasks() {
    within_patience(|| {
        let counts = Arc::new(Counts::default());
        for round in 0..ROUNDS {
            let runtime = processors(1 + round % 3);
            let held = || Held(counts.clone());
            for _ in 0..TASKS {
                let (pends, runs, ends) = (held(), held(), held());
                drop(runtime.spawn(async move {
                    let _pends = pends;
                    pending::<()>().await;
                }));
                drop(runtime.spawn(async move {
                    let _runs = runs;
                    loop {
                        yield_now().await;
                    }
                }));
                drop(runtime.spawn(async move { drop(ends) }));
            }
            let woken = Arc::new(Counts::default());
            let wakers = spawn_waiting(&runtime, &woken);
            wakers.into_iter().for_each(Waker::wake);
            drop(runtime);
            assert_eq!(counts.drops.load(SeqCst), (round + 1) * 3 * TASKS);
            assert_eq!(woken.drops.load(SeqCst), TASKS);
            assert_eq!(Arc::strong_count(&woken), 1);
        }
        assert_eq!(Arc::strong_count(&counts), 1);
    });
}

#[test]
fn tasks_spawned_while_the_runtime_is_dropped() {
    within_patience(|| {
        for round in 0..ROUNDS {
            let counts = Arc::new(Counts::default());
            let runtime = processors(1 + round % 3);
            let meet = Arc::new(Barrier::new(3));
            let threads = [(); 2].map(|()| {
                let (handle, counts, meet) =
                    (runtime.handle().clone(), counts.clone(), meet.clone());
                thread::spawn(move || {
                    meet.wait();
                    for _ in 0..TASKS {
                        let held = Held(counts.clone());
                        drop(handle.spawn(async move {
                            let _held = held;
                            pending::<()>().await;
                        }));
                    }
                })
            });
            meet.wait();
            drop(runtime);
            join(threads);
            assert_eq!(counts.drops.load(SeqCst), 2 * TASKS);
        }
    });
}

#[test]
fn handles_of_tasks_kept_past_the_end() {
    within_patience(|| {
        let counts = Arc::new(Counts::default());
        let runtime = processors(2);
        let tasks: Vec<_> = (0..TASKS)
            .map(|n| {
                let held = Held(counts.clone());
                runtime.spawn(async move {
                    let _held = held;
                    if n % 2 == 0 {
                        pending::<()>().await;
                    }
                    Box::new(n)
                })
            })
            .collect();
        // Those that end have ended.
        while counts.drops.load(SeqCst) < TASKS / 2 {
            thread::yield_now();
        }
        drop(runtime);
        assert_eq!(counts.drops.load(SeqCst), TASKS);
        for (n, task) in tasks.into_iter().enumerate() {
            let abort = task.abort_handle();
            thread::spawn(move || abort.abort()).join().unwrap();
            match executor::block_on(task) {
                Ok(output) => assert_eq!((*output, n % 2), (n, 1)),
                Err(error) => assert_eq!((error.is_cancelled(), n % 2), (true, 0)),
            }
        }
    });
}

#[test]
fn a_runtime_that_its_own_task_drops_while_others_wake() {
    within_patience(|| {
        for round in 0..ROUNDS {
            let counts = Arc::new(Counts::default());
            let runtime = processors(1 + round % 3);
            let wakers = spawn_waiting(&runtime, &counts);
            let meet = Arc::new(Barrier::new(3));
            let threads = on_two_threads(&wakers, &meet, wake);
            drop(wakers);
            let handle = runtime.handle().clone();
            drop(handle.spawn(async move {
                meet.wait();
                drop(runtime);
            }));
            join(threads);
            // It ends in the background.
            while counts.drops.load(SeqCst) < TASKS {
                thread::yield_now();
            }
            assert_eq!(counts.drops.load(SeqCst), TASKS);
        }
    });
}

#[test]
fn a_waker_of_a_block_on_kept_past_its_end() {
    within_patience(|| {
        let runtime = processors(2);
        let mut kept = Vec::new();
        runtime.block_on(poll_fn(|cx| {
            kept.push(cx.waker().clone());
            Poll::Ready(())
        }));
        drop(runtime);
        kept.into_iter().for_each(wake);
    });
}
