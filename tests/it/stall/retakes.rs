//! Tasks that block their thread, or never return: nothing else waits for them.
//!
//! Each stuck task waits, without an await, for something that only another task of the same runtime brings. Without a
//! retake that is a deadlock: that is what the watch is for. No time is asserted.

use std::future::{Future, pending, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use executor::runtime::RuntimeMetrics;
use executor::task::yield_now;
use executor::time::sleep;
use executor::{Handle, Runtime, block_in_place, block_on, spawn};
use futures::AsyncReadExt;

use crate::common::streams::{StdStream, Stream, std_pair};
use crate::common::stuck::{Count, Stuck, each_way, join};
use crate::common::{keep, processors, wait_until, within_patience};

const SHORT: Duration = Duration::from_millis(1);

/// As many tasks as there are processors, all of them stuck at the same time, each until what `bring` has arranged for.
/// It is called by the stuck task itself.
fn all_stuck_until(bring: fn(Sender<()>)) {
    each_way(move |way, runtime| {
        all_stuck(&runtime, way, bring);
        assert_eq!(runtime.metrics().handoff_count(), 0);
    });
}

fn all_stuck(runtime: &Runtime, way: Stuck, bring: fn(Sender<()>)) {
    let count = runtime.metrics().num_workers();
    let begun = Count::default();
    let tasks = (0..count).map(|_| {
        let begun = begun.clone();
        runtime.spawn(async move {
            begun.add();
            way.until_count(&begun, count);
            let (bringer, wait) = mpsc::channel();
            bring(bringer);
            assert!(way.until(&wait));
        })
    });
    join(runtime, tasks.collect());
}

/// The same, when a task has to run for it: then a processor must have been taken from one of them.
fn all_stuck_until_a_task_runs(bring: fn(Sender<()>)) {
    each_way(move |way, runtime| {
        all_stuck(&runtime, way, bring);
        let metrics = runtime.metrics();
        assert!(metrics.retake_count() >= 1, "{metrics}");
        assert_eq!(metrics.handoff_count(), 0);
    });
}

#[test]
fn a_retake_is_counted() {
    within_patience(|| {
        let runtime = processors(1);
        for round in 1..=10 {
            let stuck = runtime.spawn(async { Stuck::Blocked.until_another_ran() });
            runtime.block_on(stuck).unwrap();
            assert!(runtime.metrics().retake_count() >= round);
            assert_eq!(runtime.metrics().handoff_count(), 0);
        }
    });
}

/// Who gives its processor away has none to lose.
#[test]
fn a_hand_over_is_not_counted_as_a_retake() {
    each_way(|way, runtime| {
        for round in 1..=10 {
            let handed = runtime.spawn(async move {
                let (bringer, wait) = mpsc::channel();
                drop(spawn(async move { bringer.send(()).unwrap() }));
                block_in_place(|| assert!(way.until(&wait)));
            });
            runtime.block_on(handed).unwrap();
            let metrics = runtime.metrics();
            assert_eq!(
                (metrics.handoff_count(), metrics.retake_count()),
                (round, 0)
            );
        }
    });
}

#[test]
fn what_is_in_the_next_slot_of_a_stuck_worker_runs() {
    all_stuck_until_a_task_runs(|bringer| drop(spawn(async move { bringer.send(()).unwrap() })));
}

#[test]
fn what_is_queued_behind_a_stuck_poll_runs() {
    all_stuck_until_a_task_runs(|bringer| {
        drop(spawn(async move { bringer.send(()).unwrap() }));
        // Takes the slot, so that the one before is in the queue.
        drop(spawn(pending::<()>()));
    });
}

#[test]
fn what_is_spawned_from_outside_runs_while_all_are_stuck() {
    all_stuck_until_a_task_runs(|bringer| {
        let handle = Handle::current();
        let outside = thread::spawn(move || {
            drop(handle.spawn(async move { bringer.send(()).unwrap() }));
        });
        drop(outside);
    });
}

/// One task for all, spawned when all were stuck.
#[test]
fn the_only_task_that_can_release_all_stuck_ones_runs() {
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        let (begun, go) = (Count::default(), Count::default());
        let tasks = (0..count).map(|_| {
            let (begun, go) = (begun.clone(), go.clone());
            runtime.spawn(async move {
                begun.add();
                way.until_count(&go, 1);
            })
        });
        let mut tasks: Vec<_> = tasks.collect();
        begun.reaches(count).recv().unwrap();
        let last = go.clone();
        tasks.push(runtime.spawn(async move { last.add() }));
        join(&runtime, tasks);
        assert_eq!(go.get(), 1);
        assert!(runtime.metrics().retake_count() >= 1);
    });
}

#[test]
fn sleepers_wake_while_all_are_stuck() {
    all_stuck_until_a_task_runs(|bringer| {
        drop(spawn(async move {
            sleep(SHORT).await;
            bringer.send(()).unwrap();
        }));
    });
}

/// Sends when it is woken.
struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

fn bell(sender: Sender<()>) -> Waker {
    Waker::from(Arc::new(Bell(sender)))
}

#[test]
fn a_timer_that_the_stuck_task_has_armed_itself_fires() {
    all_stuck_until(|bringer| {
        let mut sleeping = Box::pin(sleep(SHORT));
        let polled = sleeping
            .as_mut()
            .poll(&mut Context::from_waker(&bell(bringer)));
        assert!(polled.is_pending());
        // It stays armed after the task is done with it.
        keep(sleeping);
    });
}

#[test]
fn sockets_are_served_while_all_are_stuck() {
    all_stuck_until_a_task_runs(|bringer| {
        let (here, mut there) = std_pair();
        drop(spawn(async move {
            read_one(here).await;
            bringer.send(()).unwrap();
        }));
        drop(thread::spawn(move || there.write_all(&[1]).unwrap()));
    });
}

/// A waker that blocks until it is told to go on, as one that takes a lock or writes to a pipe may.
struct Blocking(Sender<()>, std::sync::Mutex<mpsc::Receiver<()>>);

impl Wake for Blocking {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
        let _ = self.1.lock().unwrap().recv();
    }
}

/// It is called while all workers are stuck, though by no thread that the others need: retakes, timers and sockets go on.
#[test]
fn a_foreign_waker_that_blocks_stops_neither_retakes_nor_timers() {
    each_way(|way, runtime| {
        let count = runtime.metrics().num_workers();
        let mut ends = Vec::new();
        for round in 0..3 {
            let begun = Count::default();
            let (called, calls) = mpsc::channel();
            let calls = Arc::new(std::sync::Mutex::new(calls));
            let tasks = (0..count).map(|_| {
                let (begun, called, calls) = (begun.clone(), called.clone(), calls.clone());
                let (end, ended) = mpsc::channel();
                ends.push(end);
                runtime.spawn(async move {
                    begun.add();
                    way.until_count(&begun, count);
                    let blocking = Blocking(called, std::sync::Mutex::new(ended));
                    let waker = Waker::from(Arc::new(blocking));
                    let mut sleeping = Box::pin(sleep(SHORT));
                    let mut cx = Context::from_waker(&waker);
                    assert!(sleeping.as_mut().poll(&mut cx).is_pending());
                    keep(sleeping);
                    assert!(way.until(&calls.lock().unwrap()));
                    // Its waker blocks now. Timers, and what needs a processor of the stuck:
                    let (bringer, wait) = mpsc::channel();
                    drop(spawn(async move {
                        sleep(SHORT).await;
                        bringer.send(()).unwrap();
                    }));
                    assert!(way.until(&wait), "{round}");
                })
            });
            join(&runtime, tasks.collect());
        }
        // Until here all of them were blocked, each in a thread of its own.
        assert_eq!(ends.len(), 3 * count);
        ends.iter().for_each(|end| end.send(()).unwrap());
    });
}

/// The blocking pool is full, and its jobs wait for what a foreign waker brings.
#[test]
fn a_foreign_waker_is_called_though_all_workers_and_the_pool_are_stuck() {
    within_patience(|| {
        for way in crate::common::stuck::WAYS {
            let builder = executor::Builder::new()
                .worker_threads(1)
                .max_blocking_threads(1);
            let runtime = builder.max_threads(1).build().unwrap();
            let (job_bell, job_wait) = mpsc::channel();
            let job = runtime.spawn_blocking(move || job_wait.recv().unwrap());
            let task = runtime.spawn(async move {
                let (bringer, wait) = mpsc::channel();
                let mut sleeping = Box::pin(sleep(SHORT));
                let polled = sleeping
                    .as_mut()
                    .poll(&mut Context::from_waker(&bell(bringer)));
                assert!(polled.is_pending());
                keep(sleeping);
                assert!(way.until(&wait));
                job_bell.send(()).unwrap();
            });
            join(&runtime, vec![task, job]);
        }
    });
}

async fn read_one(stream: StdStream) {
    let mut stream = Stream::try_from(stream).unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
}

#[test]
fn a_task_woken_by_the_stuck_one_runs() {
    all_stuck_until_a_task_runs(|bringer| {
        let (ask, asked) = async_channel::bounded::<()>(1);
        let (ready, is_ready) = mpsc::channel();
        drop(spawn(async move {
            let mut waiting = pin!(asked.recv());
            poll_fn(|cx| {
                let polled = waiting.as_mut().poll(cx);
                let _ = ready.send(());
                polled
            })
            .await
            .unwrap();
            bringer.send(()).unwrap();
        }));
        is_ready.recv().unwrap();
        ask.try_send(()).unwrap();
    });
}

/// A future's destructor belongs to the poll that drops it.
#[test]
fn others_go_on_beside_a_destructor_that_is_stuck() {
    struct Destructor(Stuck);

    impl Drop for Destructor {
        fn drop(&mut self) {
            self.0.until_another_ran();
        }
    }

    each_way(|way, runtime| {
        let ends = runtime.spawn(async move { drop(Destructor(way)) });
        runtime.block_on(ends).unwrap();
        let (begun, has_begun) = mpsc::channel();
        let aborted = runtime.spawn(async move {
            let _destructor = Destructor(way);
            begun.send(()).unwrap();
            pending::<()>().await;
        });
        has_begun.recv().unwrap();
        aborted.abort();
        assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
    });
}

fn polls(metrics: &RuntimeMetrics) -> u64 {
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_poll_count(worker))
        .sum()
}

fn parks(metrics: &RuntimeMetrics) -> u64 {
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_park_count(worker))
        .sum()
}

/// tokio#4730: the worker that has the driver takes an event out of it, and its task blocks until another event has been
/// handled. With tokio nobody looks for that one (its test `eager_driver_handoff_fixes_deadlock`, behind an unstable option).
fn stuck_from_the_seat<F>(way: Stuck, runtime: &Runtime, event: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for _ in 0..10 {
        let before = runtime.metrics();
        let (mut first, here) = std_pair();
        let (bringer, wait) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let stuck = runtime.spawn(async move {
            read_one(here).await;
            // The event itself begins while this worker is stuck.
            drop(spawn(async move {
                event().await;
                bringer.send(()).unwrap();
            }));
            begun.send(()).unwrap();
            assert!(way.until(&wait));
        });
        // All processors lie idle again, so somebody sits with the network.
        wait_until("a worker has lain down", || {
            let now = runtime.metrics();
            polls(&now) > polls(&before) && parks(&now) > parks(&before)
        });
        first.write_all(&[1]).unwrap();
        has_begun.recv().unwrap();
        runtime.block_on(stuck).unwrap();
    }
}

#[test]
fn the_one_from_the_netpoller_waits_for_what_only_the_netpoller_brings() {
    each_way(|way, runtime| {
        stuck_from_the_seat(way, &runtime, || async {
            let (here, mut there) = std_pair();
            drop(thread::spawn(move || there.write_all(&[1]).unwrap()));
            read_one(here).await;
        });
    });
}

#[test]
fn the_one_from_the_netpoller_waits_for_a_timer() {
    each_way(|way, runtime| stuck_from_the_seat(way, &runtime, || sleep(SHORT)));
}

/// As tokio's test has it: the timers are staggered, and the first one's task is alone.
#[test]
fn a_sleeper_is_stuck_until_a_later_one_has_slept() {
    each_way(|way, runtime| {
        for _ in 0..10 {
            let (bringer, wait) = mpsc::channel();
            let stuck = runtime.spawn(async move {
                sleep(SHORT).await;
                assert!(way.until(&wait));
            });
            let other = runtime.spawn(async move {
                sleep(20 * SHORT).await;
                bringer.send(()).unwrap();
            });
            join(&runtime, vec![stuck, other]);
        }
    });
}

#[test]
fn children_of_a_stuck_task_run_while_it_is_stuck() {
    each_way(|way, runtime| {
        for children in [1, 2, 3, 100, 100_000] {
            let ran = Count::default();
            let parent = runtime.spawn({
                let ran = ran.clone();
                async move {
                    ran.spawn(children);
                    way.until_count(&ran, children);
                }
            });
            runtime.block_on(parent).unwrap();
            assert_eq!(ran.get(), children);
        }
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
    });
}

#[test]
fn what_is_spawned_and_woken_after_the_retake_runs() {
    each_way(|way, runtime| {
        for children in [1, 2, 3, 100, 10_000] {
            let (ask, asked) = async_channel::bounded::<()>(1);
            let (answer, answered) = mpsc::channel();
            let woken = runtime.spawn(async move {
                asked.recv().await.unwrap();
                answer.send(()).unwrap();
            });
            let ran = Count::default();
            let counting = ran.clone();
            let stuck = runtime.spawn(async move {
                way.until_another_ran();
                counting.spawn(children);
                way.until_count(&counting, children);
                ask.try_send(()).unwrap();
                assert!(way.until(&answered));
            });
            join(&runtime, vec![stuck, woken]);
            assert_eq!(ran.get(), children);
        }
    });
}

/// One at a time, each into the slot of a queue that is nobody's any more.
#[test]
fn a_stuck_task_talks_to_its_children_one_by_one() {
    each_way(|way, runtime| {
        let stuck = runtime.spawn(async move {
            way.until_another_ran();
            for _ in 0..200 {
                way.until_another_ran();
            }
        });
        runtime.block_on(stuck).unwrap();
    });
}

#[test]
fn a_timer_armed_after_the_retake_fires() {
    each_way(|way, runtime| {
        let stuck = runtime.spawn(async move {
            way.until_another_ran();
            let (bringer, wait) = mpsc::channel();
            let waker = bell(bringer);
            let mut sleeping = pin!(sleep(SHORT));
            let polled = sleeping.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_ready() || way.until(&wait));
        });
        runtime.block_on(stuck).unwrap();
    });
}

#[test]
fn after_the_retake_a_task_hands_over_nests_and_yields_as_any() {
    each_way(|way, runtime| {
        let stuck = runtime.spawn(async move {
            way.until_another_ran();
            let (bringer, wait) = mpsc::channel();
            drop(spawn(async move { bringer.send(1).unwrap() }));
            let one = block_in_place(|| wait.recv().unwrap());
            let two = block_on(spawn(async {
                block_on(async { spawn(async { 2 }).await })
            }));
            yield_now().await;
            way.until_another_ran();
            let three = spawn(async { 3 }).await.unwrap();
            one + two.unwrap().unwrap() + three
        });
        assert_eq!(runtime.block_on(stuck).unwrap(), 6);
    });
}
