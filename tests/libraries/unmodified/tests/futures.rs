//! The combinators, channels and locks of `futures`, which bring wakers of their own, around our handles and timers.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use executor::task::yield_now;
use executor::time::{interval, sleep};
use executor::{JoinError, JoinHandle, spawn};
use futures::channel::{mpsc, oneshot};
use futures::future::{Abortable, Aborted, Either, join_all, pending, select_all};
use futures::lock::Mutex;
use futures::stream::{self, FuturesOrdered, FuturesUnordered};
use futures::{FutureExt, SinkExt, StreamExt, select};
use libraries_unmodified::everywhere;

/// What was made of a task that was left alone, aborted or panicked.
#[derive(Debug, Default, PartialEq)]
struct Ends {
    finished: usize,
    cancelled: usize,
    panicked: usize,
}

/// Ends at once, after other tasks, or after a time.
async fn work(n: usize) -> usize {
    match n % 3 {
        0 => {}
        1 => yield_now().await,
        _ => sleep(Duration::from_millis(n as u64 % 7)).await,
    }
    n
}

#[test]
fn ten_thousand_handles_and_sleeps_in_one_set_are_all_seen_once() {
    everywhere(async || {
        const COUNT: usize = 10_000;
        let mut set = FuturesUnordered::new();
        for n in 0..COUNT {
            set.push(Either::Left(spawn(work(n)).map(Result::unwrap)));
            let pause = Duration::from_millis(n as u64 % 11);
            set.push(Either::Right(sleep(pause).map(move |()| COUNT + n)));
        }
        let mut seen = vec![0; 2 * COUNT];
        while let Some(n) = set.next().await {
            seen[n] += 1;
        }
        assert!(seen.iter().all(|&times| times == 1));
    });
}

#[test]
fn aborted_and_panicked_tasks_are_one_item_each() {
    everywhere(async || {
        let mut set = FuturesUnordered::new();
        for n in 0..300 {
            let handle: JoinHandle<()> = spawn(async move {
                match n % 3 {
                    0 => {}
                    1 => pending().await,
                    _ => resume_unwind(Box::new(n)),
                }
            });
            if n % 3 == 1 {
                handle.abort();
            }
            set.push(handle);
        }
        let mut ends = Ends::default();
        while let Some(end) = set.next().await {
            match end {
                Ok(()) => ends.finished += 1,
                Err(error) if error.is_cancelled() => ends.cancelled += 1,
                Err(error) => {
                    assert_eq!(*error.into_panic().downcast::<i32>().unwrap() % 3, 2);
                    ends.panicked += 1;
                }
            }
        }
        let expected = Ends {
            finished: 100,
            cancelled: 100,
            panicked: 100,
        };
        assert_eq!(ends, expected);
    });
}

#[test]
fn join_all_and_ordered_sets_keep_the_order_of_tasks_that_end_in_another() {
    everywhere(async || {
        let expected: Vec<usize> = (0..2000).collect();
        let all = join_all(expected.iter().map(|&n| spawn(work(n)))).await;
        let all: Result<Vec<_>, JoinError> = all.into_iter().collect();
        assert_eq!(all.unwrap(), expected);

        let ordered: FuturesOrdered<_> = expected.iter().map(|&n| spawn(work(n))).collect();
        let ordered: Vec<_> = ordered.map(Result::unwrap).collect().await;
        assert_eq!(ordered, expected);
    });
}

#[test]
fn buffered_streams_have_no_more_tasks_in_flight_than_they_may() {
    everywhere(async || {
        const COUNT: usize = 600;
        let (flying, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let start = |n| {
            let (flying, most) = (flying.clone(), most.clone());
            most.fetch_max(flying.fetch_add(1, SeqCst) + 1, SeqCst);
            spawn(async move {
                // The first ones wait for the whole number.
                while most.load(SeqCst) < 16 {
                    yield_now().await;
                }
                let n = work(n).await;
                flying.fetch_sub(1, SeqCst);
                n
            })
            .map(Result::unwrap)
        };
        let unordered = stream::iter(0..COUNT).map(start).buffer_unordered(16);
        let mut numbers: Vec<_> = unordered.collect().await;
        assert_eq!(most.swap(0, SeqCst), 16);
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..COUNT));

        let numbers: Vec<_> = stream::iter(0..COUNT)
            .map(start)
            .buffered(16)
            .collect()
            .await;
        assert_eq!(most.load(SeqCst), 16);
        assert!(numbers.into_iter().eq(0..COUNT));
    });
}

#[test]
fn select_over_channels_and_an_interval_loses_no_message_and_no_tick() {
    everywhere(async || {
        const COUNT: u64 = 10_000;
        let channel = |pause: u64| {
            let (mut sender, receiver) = mpsc::channel(8);
            let producer = spawn(async move {
                for n in 1..=COUNT {
                    if n % pause == 0 {
                        yield_now().await;
                    }
                    sender.send(n).await.unwrap();
                }
            });
            (producer, receiver)
        };
        let (left_producer, mut left) = channel(7);
        let (right_producer, mut right) = channel(1000);
        let mut ticks = interval(Duration::from_millis(1)).take(25).fuse();
        let (mut from_left, mut from_right, mut ticked) = (0, 0, 0);
        loop {
            select! {
                n = left.select_next_some() => {
                    assert_eq!(n, from_left + 1);
                    from_left = n;
                }
                n = right.select_next_some() => {
                    assert_eq!(n, from_right + 1);
                    from_right = n;
                }
                due = ticks.select_next_some() => {
                    assert!(due <= Instant::now());
                    ticked += 1;
                }
                complete => break,
            }
        }
        assert_eq!((from_left, from_right, ticked), (COUNT, COUNT, 25));
        left_producer.await.unwrap();
        right_producer.await.unwrap();
    });
}

#[test]
fn select_all_gives_each_task_once() {
    everywhere(async || {
        let mut handles: Vec<_> = (0..300).map(|n| spawn(work(n))).collect();
        let mut seen = vec![0; handles.len()];
        while !handles.is_empty() {
            let (n, _, rest) = select_all(handles).await;
            seen[n.unwrap()] += 1;
            handles = rest;
        }
        assert!(seen.iter().all(|&times| times == 1));
    });
}

#[test]
fn ticks_of_an_interval_as_a_stream_are_in_step_and_never_early() {
    everywhere(async || {
        let period = Duration::from_millis(1);
        let ticks: Vec<(Instant, Instant)> = interval(period)
            .map(|due| (due, Instant::now()))
            .take(50)
            .collect()
            .await;
        for (n, &(due, seen)) in ticks.iter().enumerate() {
            assert_eq!(due, ticks[0].0 + period * n as u32);
            assert!(seen >= due);
        }
    });
}

#[test]
fn a_thousand_tasks_that_wait_for_oneshots_get_a_value_or_the_news_that_none_comes() {
    everywhere(async || {
        let (mut senders, mut waiting) = (Vec::new(), Vec::new());
        for n in 0..1000 {
            let (sender, receiver) = oneshot::channel();
            senders.push((n, sender));
            waiting.push(spawn(async move { receiver.await == Ok(n) }));
        }
        let sending = spawn(async move {
            for (n, sender) in senders {
                if n % 2 == 0 {
                    sender.send(n).unwrap();
                } else {
                    drop(sender);
                }
            }
        });
        let got = join_all(waiting).await.into_iter();
        assert_eq!(got.filter(|got| *got.as_ref().unwrap()).count(), 500);
        sending.await.unwrap();
    });
}

#[test]
fn senders_in_many_tasks_lose_nothing_and_the_end_of_a_channel_comes_after_the_last() {
    everywhere(async || {
        let (bounded, bounded_receiver) = mpsc::channel(4);
        let (unbounded, unbounded_receiver) = mpsc::unbounded();
        for task in 0..32 {
            let (mut bounded, unbounded) = (bounded.clone(), unbounded.clone());
            spawn(async move {
                for n in 0..200 {
                    bounded.send(task * 200 + n).await.unwrap();
                    unbounded.unbounded_send(task * 200 + n).unwrap();
                }
            });
        }
        drop((bounded, unbounded));
        let counting = |mut receiver: stream::BoxStream<'static, usize>| {
            spawn(async move {
                let mut seen = vec![0; 32 * 200];
                while let Some(n) = receiver.next().await {
                    seen[n] += 1;
                }
                seen.iter().all(|&times| times == 1)
            })
        };
        assert!(counting(bounded_receiver.boxed()).await.unwrap());
        assert!(counting(unbounded_receiver.boxed()).await.unwrap());
    });
}

#[test]
fn a_lock_held_across_waits_admits_one_task_at_a_time() {
    everywhere(async || {
        let (total, inside) = (Arc::new(Mutex::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..32).map(|task| {
            let (total, inside) = (total.clone(), inside.clone());
            spawn(async move {
                for n in 0..100 {
                    let mut total = total.lock().await;
                    assert_eq!(inside.fetch_add(1, SeqCst), 0);
                    let before = *total;
                    if (task + n) % 5 == 0 {
                        yield_now().await;
                    }
                    *total = before + 1;
                    inside.fetch_sub(1, SeqCst);
                }
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        assert_eq!(*total.lock().await, 3200);
    });
}

#[test]
fn a_shared_future_runs_once_and_outlives_the_task_that_polled_it_first() {
    everywhere(async || {
        let runs = Arc::new(AtomicUsize::new(0));
        let (open, gate) = oneshot::channel::<()>();
        let (begun, has_begun) = oneshot::channel::<()>();
        let counter = runs.clone();
        let shared = async move {
            counter.fetch_add(1, SeqCst);
            begun.send(()).unwrap();
            gate.await.unwrap();
            work(5).await
        }
        .shared();
        let first = spawn(shared.clone());
        has_begun.await.unwrap();
        let others: Vec<_> = (0..100).map(|_| spawn(shared.clone())).collect();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        open.send(()).unwrap();
        for other in others {
            assert_eq!(other.await.unwrap(), 5);
        }
        assert_eq!(runs.load(SeqCst), 1);
    });
}

#[test]
fn an_abort_wakes_a_task_whose_future_would_wait_forever() {
    everywhere(async || {
        let (mut aborts, mut tasks) = (Vec::new(), Vec::new());
        for n in 0..200 {
            let (abort, registration) = futures::future::AbortHandle::new_pair();
            let endless = async move {
                if n % 2 == 0 {
                    sleep(Duration::MAX).await;
                } else {
                    pending::<()>().await;
                }
            };
            aborts.push(abort);
            tasks.push(spawn(Abortable::new(endless, registration)));
        }
        let aborting = spawn(async move { aborts.iter().for_each(|abort| abort.abort()) });
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(Aborted));
        }
        aborting.await.unwrap();
    });
}
