//! Tasks that block their thread, or never return: nothing else waits for them.
//!
//! Each stuck task waits, without an await, for something that only another task of the same runtime brings. Without a
//! retake that is a deadlock: that is what the watch is for. No time is asserted.

mod common;

use std::future::{Future, pending, poll_fn};
use std::hint::spin_loop;
use std::io::Write;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use executor::net::unix::UnixStream;
use executor::runtime::Builder;
use executor::task::yield_now;
use executor::time::sleep;
use executor::{Handle, JoinHandle, Runtime, block_in_place, block_on, spawn};
use futures::AsyncReadExt;

use common::{processors, wait_until, within_patience};

/// How a task is stuck.
#[derive(Clone, Copy, Debug)]
enum Stuck {
    Blocked,
    Spinning,
}

const WAYS: [Stuck; 2] = [Stuck::Blocked, Stuck::Spinning];

impl Stuck {
    /// Waits for the other end, within one poll. False: it was dropped.
    fn until<T>(self, other: &Receiver<T>) -> bool {
        match self {
            Stuck::Blocked => other.recv().is_ok(),
            Stuck::Spinning => loop {
                match other.try_recv() {
                    Ok(_) => return true,
                    Err(TryRecvError::Disconnected) => return false,
                    Err(TryRecvError::Empty) => spin_loop(),
                }
            },
        }
    }

    /// Waits until the count is reached, within one poll.
    fn until_count(self, count: &AtomicUsize, expected: usize) {
        while count.load(SeqCst) < expected {
            match self {
                Stuck::Blocked => thread::sleep(Duration::from_micros(200)),
                Stuck::Spinning => spin_loop(),
            }
        }
        assert_eq!(count.load(SeqCst), expected);
    }
}

/// Both ways, on one and on two processors.
fn each_way(body: impl Fn(Stuck, Runtime) + Send + 'static) {
    within_patience(move || {
        for way in WAYS {
            for count in [1, 2] {
                body(way, processors(count));
            }
        }
    });
}

fn join<T: Send + 'static>(runtime: &Runtime, handles: Vec<JoinHandle<T>>) -> Vec<T> {
    (handles.into_iter())
        .map(|handle| runtime.block_on(handle).unwrap())
        .collect()
}

/// As many tasks as there are processors, all of them stuck at the same time, each until what `bring` has arranged for.
/// It is called by the stuck task itself.
///
/// How many retakes it takes depends on who runs what; that one processor needs one is `a_retake_is_counted`.
fn all_stuck_until(bring: fn(Sender<()>)) {
    each_way(move |way, runtime| {
        let count = runtime.metrics().num_workers();
        let begun = Arc::new(AtomicUsize::new(0));
        let tasks = (0..count).map(|_| {
            let begun = begun.clone();
            runtime.spawn(async move {
                begun.fetch_add(1, SeqCst);
                way.until_count(&begun, count);
                let (bringer, wait) = mpsc::channel();
                bring(bringer);
                assert!(way.until(&wait));
            })
        });
        join(&runtime, tasks.collect());
        assert_eq!(runtime.metrics().handoff_count(), 0);
    });
}

#[test]
fn a_retake_is_counted() {
    within_patience(|| {
        let runtime = processors(1);
        for round in 1..=10 {
            let stuck = runtime.spawn(async { lose_the_processor(Stuck::Blocked) });
            runtime.block_on(stuck).unwrap();
            assert!(runtime.metrics().retake_count() >= round);
            assert_eq!(runtime.metrics().handoff_count(), 0);
        }
        let handed = runtime.spawn(async { block_in_place(|| ()) });
        runtime.block_on(handed).unwrap();
        assert_eq!(runtime.metrics().handoff_count(), 1);
    });
}

#[test]
fn what_is_in_the_next_slot_of_a_stuck_worker_runs() {
    all_stuck_until(|bringer| drop(spawn(async move { bringer.send(()).unwrap() })));
}

#[test]
fn what_is_queued_behind_a_stuck_poll_runs() {
    all_stuck_until(|bringer| {
        drop(spawn(async move { bringer.send(()).unwrap() }));
        // Takes the slot, so that the one before is in the queue.
        drop(spawn(pending::<()>()));
    });
}

#[test]
fn what_is_spawned_from_outside_runs_while_all_are_stuck() {
    all_stuck_until(|bringer| {
        let handle = Handle::current();
        let outside = thread::spawn(move || {
            drop(handle.spawn(async move { bringer.send(()).unwrap() }));
        });
        drop(outside);
    });
}

#[test]
fn sleepers_wake_while_all_are_stuck() {
    all_stuck_until(|bringer| {
        drop(spawn(async move {
            sleep(Duration::from_millis(1)).await;
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

#[test]
fn a_timer_that_the_stuck_task_has_armed_itself_fires() {
    all_stuck_until(|bringer| {
        let waker = Waker::from(Arc::new(Bell(bringer)));
        let mut sleeping = Box::pin(sleep(Duration::from_millis(1)));
        assert!(
            sleeping
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        // It stays armed after the task is done with it.
        std::mem::forget(sleeping);
    });
}

#[test]
fn sockets_are_served_while_all_are_stuck() {
    all_stuck_until(|bringer| {
        let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(spawn(async move {
            let mut stream = UnixStream::try_from(here).unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            bringer.send(()).unwrap();
        }));
        drop(thread::spawn(move || there.write_all(&[1]).unwrap()));
    });
}

#[test]
fn a_task_woken_by_the_stuck_one_runs() {
    all_stuck_until(|bringer| {
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

/// tokio#4730: the worker that has the driver takes an event out of it, and its task blocks until another event has been
/// handled. With tokio nobody looks for that one (its test `eager_driver_handoff_fixes_deadlock`, behind an unstable option).
#[test]
fn the_one_from_the_netpoller_waits_for_what_only_the_netpoller_brings() {
    each_way(|way, runtime| {
        for _ in 0..20 {
            let (mut first, here) = std::os::unix::net::UnixStream::pair().unwrap();
            let (mut second, there) = std::os::unix::net::UnixStream::pair().unwrap();
            let (bringer, wait) = mpsc::channel();
            let (begun, has_begun) = mpsc::channel();
            let stuck = runtime.spawn(async move {
                let mut stream = UnixStream::try_from(here).unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                begun.send(()).unwrap();
                assert!(way.until(&wait));
            });
            let other = runtime.spawn(async move {
                let mut stream = UnixStream::try_from(there).unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                bringer.send(()).unwrap();
            });
            first.write_all(&[1]).unwrap();
            has_begun.recv().unwrap();
            second.write_all(&[1]).unwrap();
            join(&runtime, vec![stuck, other]);
        }
    });
}

#[test]
fn children_of_a_stuck_task_run_while_it_is_stuck() {
    each_way(|way, runtime| {
        for children in [1, 2, 3, 100, 100_000] {
            let ran = Arc::new(AtomicUsize::new(0));
            let parent = runtime.spawn({
                let ran = ran.clone();
                async move {
                    spawn_counting(children, &ran);
                    way.until_count(&ran, children);
                }
            });
            runtime.block_on(parent).unwrap();
            assert_eq!(ran.load(SeqCst), children);
        }
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
    });
}

fn spawn_counting(children: usize, ran: &Arc<AtomicUsize>) {
    for _ in 0..children {
        let ran = ran.clone();
        drop(spawn(async move {
            ran.fetch_add(1, SeqCst);
        }));
    }
}

/// Returns, within the same poll, after this task's processor was retaken: another task has run, which only that allows if
/// there is one processor.
fn lose_the_processor(way: Stuck) {
    let (bringer, wait) = mpsc::channel();
    drop(spawn(async move { bringer.send(()).unwrap() }));
    assert!(way.until(&wait));
}

#[test]
fn what_is_spawned_and_woken_after_the_retake_runs() {
    each_way(|way, runtime| {
        for children in [1, 2, 3, 1000] {
            let (ask, asked) = async_channel::bounded::<()>(1);
            let (answer, answered) = mpsc::channel();
            let woken = runtime.spawn(async move {
                asked.recv().await.unwrap();
                answer.send(()).unwrap();
            });
            let stuck = runtime.spawn(async move {
                lose_the_processor(way);
                let ran = Arc::new(AtomicUsize::new(0));
                spawn_counting(children, &ran);
                way.until_count(&ran, children);
                ask.try_send(()).unwrap();
                assert!(way.until(&answered));
            });
            join(&runtime, vec![stuck, woken]);
        }
    });
}

#[test]
fn a_timer_armed_after_the_retake_fires() {
    each_way(|way, runtime| {
        let stuck = runtime.spawn(async move {
            lose_the_processor(way);
            let (bringer, wait) = mpsc::channel();
            let waker = Waker::from(Arc::new(Bell(bringer)));
            let mut sleeping = pin!(sleep(Duration::from_millis(1)));
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
            lose_the_processor(way);
            let (bringer, wait) = mpsc::channel();
            drop(spawn(async move { bringer.send(1).unwrap() }));
            let one = block_in_place(|| wait.recv().unwrap());
            let two = block_on(spawn(async {
                block_on(async { spawn(async { 2 }).await })
            }));
            yield_now().await;
            lose_the_processor(way);
            let three = spawn(async { 3 }).await.unwrap();
            one + two.unwrap().unwrap() + three
        });
        assert_eq!(runtime.block_on(stuck).unwrap(), 6);
    });
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn leftovers_of_a_stuck_task_run_exactly_once() {
    const CHILDREN: usize = 1000;
    each_way(|way, runtime| {
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let parent = runtime.spawn({
            let (ran, dropped) = (ran.clone(), dropped.clone());
            async move {
                lose_the_processor(way);
                for _ in 0..CHILDREN {
                    let (ran, counted) = (ran.clone(), Counted(dropped.clone()));
                    drop(spawn(async move {
                        let _counted = counted;
                        ran.fetch_add(1, SeqCst);
                        yield_now().await;
                    }));
                }
            }
        });
        runtime.block_on(parent).unwrap();
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
        assert_eq!(
            (ran.load(SeqCst), dropped.load(SeqCst)),
            (CHILDREN, CHILDREN)
        );
    });
}

/// More than 64 at a time have something in their queue, which is as many as thieves look at.
#[test]
fn many_stuck_tasks_spawn_at_once_and_their_threads_end() {
    const STUCK: usize = 100;
    const CHILDREN: usize = 10;
    within_patience(|| {
        let runtime = Builder::new()
            .worker_threads(2)
            .thread_keep_alive(Duration::from_millis(10))
            .build()
            .unwrap();
        let threads = runtime.metrics().num_threads();
        let (begun, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..STUCK).map(|_| {
            let (begun, ran) = (begun.clone(), ran.clone());
            runtime.spawn(async move {
                begun.fetch_add(1, SeqCst);
                Stuck::Blocked.until_count(&begun, STUCK);
                spawn_counting(CHILDREN, &ran);
                Stuck::Blocked.until_count(&ran, STUCK * CHILDREN);
            })
        });
        join(&runtime, tasks.collect());
        let metrics = runtime.metrics();
        assert!(metrics.retake_count() >= STUCK as u64 - 2, "{metrics}");
        wait_until("spare threads have ended", || {
            runtime.metrics().num_threads() <= threads
        });
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
        assert_eq!(
            runtime.metrics().spawned_tasks_count(),
            (STUCK * (1 + CHILDREN)) as u64
        );
    });
}

/// What they have pushed before anybody found them stuck is more than thieves look at.
#[test]
fn a_crowd_that_waits_for_its_children_gets_them() {
    const CHILDREN: usize = 3;
    within_patience(|| {
        for stuck in [20, 60, 100, 300] {
            let runtime = processors(2);
            let tasks = (0..stuck).map(|_| {
                runtime.spawn(async {
                    let (bringer, wait) = mpsc::channel();
                    for _ in 0..CHILDREN {
                        let bringer = bringer.clone();
                        drop(spawn(async move { bringer.send(()).unwrap() }));
                    }
                    for _ in 0..CHILDREN {
                        assert!(Stuck::Blocked.until(&wait));
                    }
                })
            });
            join(&runtime, tasks.collect());
        }
    });
}

/// A foreign waker, called by a worker that has just looked for work, blocks until a task has run.
#[test]
fn a_waker_that_blocks_keeps_nobody_waiting() {
    struct Blocks(std::sync::Mutex<Receiver<()>>, Sender<()>);

    impl Wake for Blocks {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().recv().unwrap();
            self.1.send(()).unwrap();
        }
    }

    within_patience(|| {
        for count in [1, 2] {
            let runtime = processors(count);
            let mut sleeps = Vec::new();
            let (done, is_done) = mpsc::channel();
            let releases: Vec<_> = (0..count)
                .map(|_| {
                    let (release, released) = mpsc::channel();
                    let blocks = Blocks(std::sync::Mutex::new(released), done.clone());
                    let _entered = runtime.handle().enter();
                    let mut sleeping = Box::pin(sleep(Duration::from_millis(1)));
                    let waker = Waker::from(Arc::new(blocks));
                    assert!(
                        sleeping
                            .as_mut()
                            .poll(&mut Context::from_waker(&waker))
                            .is_pending()
                    );
                    sleeps.push(sleeping);
                    release
                })
                .collect();
            // Whatever the wakers hold up by now, this runs, and so does what it spawns.
            let task = runtime.spawn(async move {
                sleep(Duration::from_millis(5)).await;
                spawn(async {}).await.unwrap();
            });
            runtime.block_on(task).unwrap();
            releases
                .iter()
                .for_each(|release| release.send(()).unwrap());
            (0..count).for_each(|_| is_done.recv().unwrap());
        }
    });
}

#[test]
fn a_thousand_rounds_of_stuck_tasks_use_few_threads_and_lose_no_count() {
    const ROUNDS: usize = 1000;
    within_patience(|| {
        let runtime = processors(2);
        for _ in 0..ROUNDS {
            let (bringers, waits): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel()).unzip();
            let begun = Arc::new(AtomicUsize::new(0));
            let tasks = waits.into_iter().map(|wait| {
                let begun = begun.clone();
                runtime.spawn(async move {
                    begun.fetch_add(1, SeqCst);
                    assert!(Stuck::Blocked.until(&wait));
                })
            });
            let mut tasks: Vec<_> = tasks.collect();
            wait_until("both are stuck", || begun.load(SeqCst) == 2);
            tasks.push(runtime.spawn(async move {
                bringers
                    .iter()
                    .for_each(|bringer| bringer.send(()).unwrap());
            }));
            join(&runtime, tasks);
        }
        wait_until("all have ended", || {
            runtime.metrics().num_alive_tasks() == 0
        });
        let metrics = runtime.metrics();
        assert_eq!(metrics.spawned_tasks_count(), 3 * ROUNDS as u64);
        assert!(metrics.retake_count() >= ROUNDS as u64, "{metrics}");
        assert!(metrics.num_threads() <= 16, "{metrics}");
        let polls = metrics.worker_poll_count(0) + metrics.worker_poll_count(1);
        assert!(polls >= 3 * ROUNDS as u64, "{metrics}");
    });
}

#[test]
fn a_stuck_task_can_be_aborted_detached_or_panic() {
    each_way(|way, runtime| {
        let panics = runtime.spawn(async move {
            lose_the_processor(way);
            std::panic::panic_any(7);
        });
        let error = runtime.block_on(panics).unwrap_err();
        assert_eq!(*error.into_panic().downcast::<i32>().unwrap(), 7);

        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let aborted = runtime.spawn(async move {
            lose_the_processor(way);
            begun.send(()).unwrap();
            way.until(&released);
            pending::<()>().await;
        });
        has_begun.recv().unwrap();
        aborted.abort();
        drop(release);
        assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());

        let (end, ended) = mpsc::channel();
        drop(runtime.spawn(async move {
            lose_the_processor(way);
            end.send(()).unwrap();
        }));
        ended.recv().unwrap();
    });
}

/// The stuck poll ends when what it waits for, queued behind it or waiting elsewhere, is dropped by the shutdown.
#[test]
fn a_shutdown_drops_what_a_stuck_task_waits_for() {
    each_way(|way, runtime| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (begun, has_begun) = mpsc::channel();
        let stuck = Counted(dropped.clone());
        let child = Counted(dropped.clone());
        drop(runtime.spawn(async move {
            let _stuck = stuck;
            let (never, wait) = mpsc::channel::<()>();
            lose_the_processor(way);
            drop(spawn(async move {
                let _child = child;
                pending::<()>().await;
                drop(never);
            }));
            begun.send(()).unwrap();
            assert!(!way.until(&wait), "nobody sends");
        }));
        has_begun.recv().unwrap();
        drop(runtime);
        assert_eq!(dropped.load(SeqCst), 2);
    });
}

/// What a stuck task pushes in a closed scheduler nobody but its worker would look for.
#[test]
fn after_a_shutdown_a_stuck_task_still_gets_what_it_waits_for() {
    each_way(|way, runtime| {
        let runtimes = (0..5).map(|_| processors(runtime.metrics().num_workers()));
        for runtime in runtimes {
            let dropped = Arc::new(AtomicUsize::new(0));
            let counted = dropped.clone();
            let (begun, has_begun) = mpsc::channel();
            let (go_on, goes_on) = mpsc::channel();
            drop(runtime.spawn(async move {
                let _stuck = Counted(counted.clone());
                begun.send(()).unwrap();
                assert!(way.until(&goes_on));
                let (never, wait) = mpsc::channel::<()>();
                let child = Counted(counted);
                drop(spawn(async move {
                    let _child = child;
                    pending::<()>().await;
                    drop(never);
                }));
                assert!(!way.until(&wait), "nobody sends");
            }));
            has_begun.recv().unwrap();
            runtime.shutdown_background();
            go_on.send(()).unwrap();
            wait_until("both have ended", || dropped.load(SeqCst) == 2);
        }
    });
}

#[test]
fn a_drop_waits_for_stuck_polls_and_a_shutdown_with_a_time_out_does_not() {
    each_way(|way, runtime| {
        for waits in [true, false] {
            let runtime = processors(runtime.metrics().num_workers());
            let (begun, has_begun) = mpsc::channel();
            let (release, released) = mpsc::channel::<()>();
            let (ended, children) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicUsize::new(0)),
            );
            let (ends, dropped) = (ended.clone(), children.clone());
            drop(runtime.spawn(async move {
                lose_the_processor(way);
                for _ in 0..10 {
                    let counted = Counted(dropped.clone());
                    drop(spawn(async move {
                        let _counted = counted;
                        pending::<()>().await;
                    }));
                }
                begun.send(()).unwrap();
                way.until(&released);
                ends.store(true, SeqCst);
            }));
            has_begun.recv().unwrap();
            let metrics = runtime.handle().clone();
            if waits {
                let dropping = thread::spawn(move || drop(runtime));
                wait_until("the others are cancelled", || children.load(SeqCst) == 10);
                assert!(!ended.load(SeqCst));
                drop(release);
                dropping.join().unwrap();
                assert!(ended.load(SeqCst));
            } else {
                runtime.shutdown_timeout(Duration::from_millis(1));
                assert!(!ended.load(SeqCst));
                drop(release);
                wait_until("it ends by itself", || ended.load(SeqCst));
            }
            wait_until("nothing is left", || {
                metrics.metrics().num_alive_tasks() == 0
            });
            assert_eq!(children.load(SeqCst), 10);
        }
    });
}

#[test]
fn a_task_polled_in_turns_by_stuck_and_free_workers_keeps_its_order() {
    /// Each poll is stuck until the next task has run; outputs are the numbers of its polls.
    struct Turns(Stuck, usize);

    impl Future for Turns {
        type Output = usize;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
            self.1 += 1;
            cx.waker().wake_by_ref();
            lose_the_processor(self.0);
            if self.1 < 20 {
                Poll::Pending
            } else {
                Poll::Ready(self.1)
            }
        }
    }

    each_way(|way, runtime| {
        let tasks = (0..4).map(|_| runtime.spawn(Turns(way, 0)));
        assert_eq!(join(&runtime, tasks.collect()), [20; 4]);
    });
}
