//! `block_on` and local tasks: what belongs to a thread stays there, and every poll has its wake.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

use executor::task::yield_now;
use executor::{Handle, block_on, spawn, spawn_local};

use crate::common::homed::{Drops, Homed};
use crate::common::{hold_without_retakes, message, processors, rounds, within_patience};

/// A thread that wakes what it is sent; it gives the number of wakes.
fn foreign_wakers() -> (mpsc::Sender<Waker>, thread::JoinHandle<usize>) {
    let (sender, receiver) = mpsc::channel::<Waker>();
    let thread = thread::spawn(move || receiver.iter().map(Waker::wake).count());
    (sender, thread)
}

#[test]
fn nested_calls_wait_for_each_other() {
    fn nest(depth: u32) -> u32 {
        block_on(async move {
            yield_now().await;
            match depth {
                0 => spawn(async { 0 }).await.unwrap(),
                _ => 1 + nest(depth - 1),
            }
        })
    }
    within_patience(|| {
        assert_eq!(nest(30), 30);
        for count in [1, 2] {
            let runtime = processors(count);
            let tasks: Vec<_> = (0..4).map(|_| runtime.spawn(async { nest(10) })).collect();
            for task in tasks {
                assert_eq!(runtime.block_on(task).unwrap(), 10);
            }
            let job = runtime.spawn_blocking(|| nest(10));
            assert_eq!(runtime.block_on(job).unwrap(), 10);
        }
    });
}

#[test]
fn each_foreign_wake_is_one_poll() {
    within_patience(|| {
        let (wakers, thread) = foreign_wakers();
        assert_eq!(block_on(rounds(10_000, wakers)), 10_001);
        assert_eq!(thread.join().unwrap(), 10_000);
    });
}

#[test]
fn several_wakes_before_a_poll_are_one_poll() {
    within_patience(|| {
        let mut polls = 0;
        block_on(poll_fn(|cx| {
            polls += 1;
            if polls == 1000 {
                return Poll::Ready(());
            }
            (0..3).for_each(|_| cx.waker().wake_by_ref());
            Poll::Pending
        }));
        assert_eq!(polls, 1000);
    });
}

#[test]
fn a_wake_of_a_local_task_does_not_poll_the_future() {
    within_patience(|| {
        let mut polls = 0;
        let (wakers, thread) = foreign_wakers();
        let mut local = Some((wakers, Rc::new(())));
        block_on(poll_fn(|cx| {
            polls += 1;
            let Some((wakers, not_send)) = local.take() else {
                return Poll::Ready(());
            };
            let waker = cx.waker().clone();
            drop(spawn_local(async move {
                for _ in 0..100 {
                    yield_now().await;
                }
                rounds(100, wakers).await;
                drop(not_send);
                waker.wake();
            }));
            Poll::Pending
        }));
        assert_eq!(thread.join().unwrap(), 100);
        assert_eq!(polls, 2);
    });
}

#[test]
fn a_panic_ends_the_local_tasks_and_leaves_the_thread_usable() {
    within_patience(|| {
        let drops = Arc::new(Drops::default());
        for round in 1..=10 {
            let text = message(|| {
                block_on(async {
                    drop(spawn_local(Homed::new(&drops).for_ever()));
                    yield_now().await;
                    drop(spawn_local(Homed::new(&drops).for_ever()));
                    panic!("the main future");
                })
            });
            assert_eq!(text, "the main future");
            assert_eq!(drops.counts(), (2 * round, 0));
            assert!(Handle::try_current().is_err());
            assert!(message(|| drop(spawn_local(async {}))).contains("block_on"));
            let five = block_on(async { spawn_local(async { Rc::new(5) }).await.unwrap() });
            assert_eq!(*five, 5);
        }
    });
}

#[test]
fn a_local_task_never_leaves_its_thread() {
    within_patience(|| {
        let drops = Arc::new(Drops::default());
        let here = thread::current().id();
        let (wakers, thread) = foreign_wakers();
        block_on(async {
            let tasks: Vec<_> = (0..10)
                .map(|_| {
                    let (held, mut inner) = (Homed::new(&drops), pin_rounds(wakers.clone()));
                    spawn_local(poll_fn(move |cx| {
                        assert_eq!(thread::current().id(), held.home);
                        inner.as_mut().poll(cx)
                    }))
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 101);
            }
            let made = drops.clone();
            let output = spawn_local(async move { Homed::new(&made) }).await.unwrap();
            assert_eq!(output.home, here);
        });
        assert_eq!(drops.counts(), (11, 0));
        drop(wakers);
        assert_eq!(thread.join().unwrap(), 1000);
    });
}

fn pin_rounds(wakers: mpsc::Sender<Waker>) -> Pin<Box<dyn Future<Output = usize>>> {
    Box::pin(rounds(100, wakers))
}

#[test]
fn a_storm_of_foreign_wakes_loses_none_and_polls_no_more_than_it_wakes() {
    const WAKES: usize = 1000;
    within_patience(|| {
        let (given, polls) = (Arc::new(AtomicUsize::new(0)), Rc::new(AtomicUsize::new(0)));
        block_on(async {
            let (inner, counted) = (given.clone(), polls.clone());
            let mut threads = Vec::new();
            spawn_local(poll_fn(move |cx| {
                counted.fetch_add(1, SeqCst);
                if threads.is_empty() {
                    threads.extend((0..4).map(|_| {
                        let (given, waker) = (inner.clone(), cx.waker().clone());
                        thread::spawn(move || {
                            for _ in 0..WAKES {
                                given.fetch_add(1, SeqCst);
                                waker.wake_by_ref();
                            }
                        })
                    }));
                }
                match inner.load(SeqCst) {
                    given if given == 4 * WAKES => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }))
            .await
            .unwrap();
        });
        let polls = polls.load(SeqCst);
        assert!((1..=1 + 4 * WAKES).contains(&polls), "{polls} polls");
    });
}

#[test]
fn an_abort_from_another_thread_drops_at_home() {
    within_patience(|| {
        let drops = Arc::new(Drops::default());
        let (aborts, receiver) = mpsc::channel::<executor::task::AbortHandle>();
        let thread = thread::spawn(move || receiver.iter().for_each(|task| task.abort()));
        block_on(async {
            for round in 1..=500 {
                let task = spawn_local(Homed::new(&drops).for_ever());
                if round % 2 == 0 {
                    yield_now().await;
                }
                aborts.send(task.abort_handle()).unwrap();
                assert!(task.await.unwrap_err().is_cancelled());
                assert_eq!(drops.counts(), (round, 0));
            }
        });
        drop(aborts);
        thread.join().unwrap();
    });
}

#[test]
fn spawn_local_where_no_block_on_polls_says_so() {
    within_patience(|| {
        let expected = |text: &str| {
            text.starts_with("spawn_local: ") && text.contains("no block_on is running")
        };
        assert!(expected(&message(|| drop(spawn_local(async {})))));
        let runtime = processors(1);
        let guard = runtime.handle().enter();
        assert!(expected(&message(|| drop(spawn_local(async {})))));
        drop(guard);
        let task = runtime.spawn(async { drop(spawn_local(async {})) });
        let job = runtime.spawn_blocking(|| drop(spawn_local(async {})));
        for handle in [task, job] {
            let payload = runtime.block_on(handle).unwrap_err().into_panic();
            assert!(expected(payload.downcast_ref::<String>().unwrap()));
        }
    });
}

#[test]
fn what_is_left_at_the_end_is_cancelled_once() {
    within_patience(|| {
        let drops = Arc::new(Drops::default());
        let (wakers, thread) = mpsc::channel::<Waker>();
        let tasks = block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..100 {
                let (held, wakers) = (Homed::new(&drops), wakers.clone());
                tasks.push(spawn_local(async move {
                    let _held = held;
                    rounds(1, wakers).await;
                }));
            }
            yield_now().await;
            tasks.extend((0..100).map(|_| spawn_local(async {})));
            // The last of them never get a turn.
            tasks.extend((0..100).map(|_| spawn_local(Homed::new(&drops).for_ever())));
            tasks
        });
        assert_eq!(drops.counts(), (200, 0));
        drop(wakers);
        thread.iter().for_each(Waker::wake);
        for task in tasks {
            assert!(task.is_finished());
            assert!(block_on(task).unwrap_err().is_cancelled());
        }
        assert_eq!(drops.counts(), (200, 0));
    });
}

#[test]
fn destructors_of_local_tasks_may_spawn_local_tasks() {
    struct Heir(usize, Option<Homed>);
    impl Drop for Heir {
        fn drop(&mut self) {
            if self.0 > 0 {
                let heir = Heir(
                    self.0 - 1,
                    Some(Homed::new(&self.1.as_ref().unwrap().drops)),
                );
                drop(spawn_local(async move {
                    let _heir = heir;
                    pending::<()>().await;
                }));
            }
        }
    }
    within_patience(|| {
        let drops = Arc::new(Drops::default());
        // In the main future itself, in a task that waits, in one that never ran, in one that ends.
        block_on(async {
            let _mine = Heir(10, Some(Homed::new(&drops)));
            let heir = || Heir(10, Some(Homed::new(&drops)));
            let (waits, ends, never) = (heir(), heir(), heir());
            drop(spawn_local(async move {
                let _waits = waits;
                pending::<()>().await;
            }));
            spawn_local(async move { drop(ends) }).await.unwrap();
            drop(spawn_local(async move { drop(never) }));
        });
        assert_eq!(drops.counts(), (44, 0));
    });
}

#[test]
fn a_local_task_belongs_to_the_innermost_block_on() {
    within_patience(|| {
        let (outer, inner) = (Arc::new(Drops::default()), Arc::new(Drops::default()));
        block_on(async {
            let sibling = spawn_local(Homed::new(&outer).for_ever());
            let nested = spawn_local({
                let inner = inner.clone();
                async move {
                    let output = block_on(async {
                        drop(spawn_local(Homed::new(&inner).for_ever()));
                        spawn_local(async { Rc::new(3) }).await.unwrap()
                    });
                    assert_eq!(inner.counts(), (1, 0));
                    *output + *spawn_local(async { Rc::new(4) }).await.unwrap()
                }
            });
            assert_eq!(nested.await.unwrap(), 7);
            assert!(!sibling.is_finished());
            assert_eq!(outer.counts(), (0, 0));
        });
        assert_eq!(outer.counts(), (1, 0));
    });
}

#[test]
fn all_of_this_holds_without_retakes() {
    hold_without_retakes(module_path!(), "all_of_this_holds_without_retakes");
}

/// A `block_on` that has waited for a second looks around for deadlocks. What becomes ready at that moment only nudges it.
#[test]
#[cfg(feature = "time")]
fn a_local_task_that_wakes_while_its_thread_looks_for_deadlocks_runs() {
    use std::time::Duration;

    within_patience(|| {
        let waits: Vec<_> = (0..64)
            .map(|number| {
                std::thread::spawn(move || {
                    let wait = Duration::from_micros(999_000 + 31 * number);
                    executor::block_on(async move {
                        let local = executor::spawn_local(executor::time::sleep(wait));
                        local.await.unwrap();
                    });
                })
            })
            .collect();
        waits.into_iter().for_each(|wait| wait.join().unwrap());
    });
}
