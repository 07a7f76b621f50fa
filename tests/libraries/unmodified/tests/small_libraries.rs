//! Channels, locks and streams that belong to no executor, between tasks of several workers: `async-channel`, `async-lock`,
//! `async-stream`, `futures-concurrency` and `futures-lite`.

use std::io::{Error, ErrorKind};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_lock::{Barrier, Mutex, OnceCell, RwLock, Semaphore};
use async_stream::{stream, try_stream};
use executor::net::TcpStream;
use executor::task::yield_now;
use executor::time::{Elapsed, sleep, timeout};
use executor::{JoinHandle, spawn};
use futures::future::join_all;
use futures_concurrency::prelude::*;
use futures_lite::future::{or, zip};
use futures_lite::io::{BufReader, copy, split};
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
use libraries_unmodified::{bytes, connected, everywhere, within_patience};

/// Waits for tasks, none of which may fail.
async fn outputs<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let outputs = join_all(tasks).await.into_iter();
    outputs.map(Result::unwrap).collect()
}

#[test]
fn each_message_of_a_channel_reaches_one_of_many_receivers() {
    everywhere(async || {
        const EACH: usize = 2000;
        for (sender, receiver) in [async_channel::bounded(16), async_channel::unbounded()] {
            let receivers: Vec<_> = (0..8)
                .map(|_| {
                    let receiver = receiver.clone();
                    spawn(receiver.collect::<Vec<usize>>())
                })
                .collect();
            let senders = (0..8).map(|task| {
                let sender = sender.clone();
                spawn(async move {
                    for n in 0..EACH {
                        sender.send(task * EACH + n).await.unwrap();
                    }
                })
            });
            outputs(senders).await;
            drop(sender);
            let mut all = outputs(receivers).await.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..8 * EACH));
        }
    });
}

#[test]
fn closing_a_channel_wakes_all_who_wait_on_either_side() {
    everywhere(async || {
        let (sender, receiver) = async_channel::bounded::<usize>(1);
        let waiting = (0..100).map(|_| {
            let receiver = receiver.clone();
            spawn(async move { receiver.recv().await.is_err() })
        });
        let waiting: Vec<_> = waiting.collect();
        sender.close();
        assert!(outputs(waiting).await.into_iter().all(|closed| closed));

        let (sender, receiver) = async_channel::bounded(1);
        let sending = (0..100).map(|n| {
            let sender = sender.clone();
            spawn(async move { sender.send(n).await.is_ok() })
        });
        let sending: Vec<_> = sending.collect();
        receiver.recv().await.unwrap();
        receiver.close();
        let sent = outputs(sending).await.into_iter().filter(|&sent| sent);
        let left = std::iter::from_fn(|| receiver.try_recv().ok()).count();
        assert_eq!(sent.count(), 1 + left);
    });
}

#[test]
fn waiters_that_give_up_leave_a_mutex_to_the_next() {
    everywhere(async || {
        let total = Arc::new(Mutex::new((0, 0)));
        let tasks = (0..32).map(|task| {
            let total = total.clone();
            spawn(async move {
                let (mut done, mut given_up) = (0, 0);
                for n in 0..50 {
                    let patience = match (task + n) % 4 {
                        0 => Duration::ZERO,
                        1 => Duration::from_micros(100),
                        _ => Duration::MAX,
                    };
                    match timeout(patience, total.lock()).await {
                        Ok(mut total) => {
                            let before = total.0;
                            yield_now().await;
                            total.0 = before + 1;
                            done += 1;
                        }
                        Err(Elapsed { .. }) => given_up += 1,
                    }
                }
                total.lock().await.1 += given_up;
                done
            })
        });
        let done: usize = outputs(tasks).await.into_iter().sum();
        let (counted, given_up) = *total.lock().await;
        assert_eq!((counted, done + given_up), (done, 32 * 50));
    });
}

#[test]
fn readers_share_a_lock_that_writers_have_alone() {
    everywhere(async || {
        let lock = Arc::new(RwLock::new((0, 0)));
        // All readers hold it at once, or nobody gets on; writers come after that, since one that waits holds new readers up.
        let meeting = Arc::new(Barrier::new(16 + 8));
        let readers = (0..16).map(|_| {
            let (lock, meeting) = (lock.clone(), meeting.clone());
            spawn(async move {
                let first = lock.read().await;
                meeting.wait().await;
                drop(first);
                for _ in 0..100 {
                    let pair = lock.read().await;
                    assert_eq!(pair.0, pair.1);
                    yield_now().await;
                    assert_eq!(pair.0, pair.1);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        let writers = (0..8).map(|n| {
            let (lock, meeting) = (lock.clone(), meeting.clone());
            spawn(async move {
                meeting.wait().await;
                for _ in 0..50 {
                    let mut pair = lock.write().await;
                    pair.0 += 1;
                    if n % 2 == 0 {
                        yield_now().await;
                    }
                    pair.1 += 1;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        outputs(readers).await;
        outputs(writers).await;
        assert_eq!(*lock.read().await, (400, 400));
    });
}

#[test]
fn a_semaphore_admits_as_many_as_it_has_permits() {
    everywhere(async || {
        let permits = Arc::new(Semaphore::new(5));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..200).map(|_| {
            let (permits, inside, most) = (permits.clone(), inside.clone(), most.clone());
            spawn(async move {
                let _permit = permits.acquire_arc().await;
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                // The first ones stay until all permits are taken.
                while most.load(SeqCst) < 5 {
                    yield_now().await;
                }
                inside.fetch_sub(1, SeqCst);
            })
        });
        outputs(tasks).await;
        assert_eq!((most.load(SeqCst), inside.load(SeqCst)), (5, 0));
    });
}

#[test]
fn a_barrier_has_one_leader_in_each_round_and_a_cell_one_beginning() {
    everywhere(async || {
        let barrier = Arc::new(Barrier::new(20));
        let cell = Arc::new(OnceCell::new());
        let begun = Arc::new(AtomicUsize::new(0));
        let tasks = (0..20).map(|_| {
            let (barrier, cell, begun) = (barrier.clone(), cell.clone(), begun.clone());
            spawn(async move {
                let mut led = 0;
                for _ in 0..100 {
                    led += usize::from(barrier.wait().await.is_leader());
                }
                let begin = async || {
                    begun.fetch_add(1, SeqCst);
                    sleep(Duration::from_millis(1)).await;
                    7
                };
                assert_eq!(*cell.get_or_init(begin).await, 7);
                led
            })
        });
        assert_eq!(outputs(tasks).await.into_iter().sum::<usize>(), 100);
        assert_eq!(begun.load(SeqCst), 1);
    });
}

#[test]
fn a_stream_of_awaits_gives_all_and_ends_with_its_error() {
    everywhere(async || {
        let numbers = stream! {
            for n in 0..500usize {
                if n % 50 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                yield spawn(async move { n * 2 }).await.unwrap();
            }
        };
        let numbers: Vec<usize> = spawn(numbers.collect()).await.unwrap();
        assert!(numbers.into_iter().eq((0..1000).step_by(2)));

        let (writer, reader) = connected().await;
        let pieces = try_stream! {
            let mut reader = reader;
            loop {
                let mut piece = [0; 10];
                reader.read_exact(&mut piece).await?;
                yield piece;
            }
        };
        let reading = spawn(async move {
            let mut pieces = pin!(pieces);
            let (mut whole, mut failed) = (0, Vec::new());
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok::<[u8; 10], Error>(_) => whole += 1,
                    Err(error) => failed.push(error.kind()),
                }
            }
            (whole, failed)
        });
        let mut writer: TcpStream = writer;
        writer.write_all(&bytes(1005, 8)).await.unwrap();
        writer.close().await.unwrap();
        let expected = (100, vec![ErrorKind::UnexpectedEof]);
        assert_eq!(reading.await.unwrap(), expected);
    });
}

#[test]
fn joins_races_and_merges_of_futures_concurrency_count_right() {
    everywhere(async || {
        let tasks: Vec<_> = (0..500).map(|n| spawn(async move { n })).collect();
        let joined = tasks.join().await.into_iter().map(Result::unwrap);
        assert!(joined.eq(0..500));

        let (a, b, c) = (
            spawn(async { 1 }),
            sleep(Duration::from_millis(1)),
            spawn(async { "c" }),
        )
            .join()
            .await;
        assert_eq!((a.unwrap(), b, c.unwrap()), (1, (), "c"));

        let failing = [Ok(1), Err("no"), Ok(2)];
        let failing = failing.map(|end| async move { spawn(async move { end }).await.unwrap() });
        assert_eq!(failing.try_join().await, Err("no"));

        let patience = [Duration::MAX, Duration::from_millis(1), Duration::MAX];
        let race = patience.map(|patience| async move {
            sleep(patience).await;
            patience
        });
        assert_eq!(race.race().await, Duration::from_millis(1));

        let channels: Vec<_> = (0..4)
            .map(|task| {
                let (sender, receiver) = async_channel::bounded(3);
                spawn(async move {
                    for n in 0..500 {
                        sender.send(task * 500 + n).await.unwrap();
                    }
                });
                receiver
            })
            .collect();
        let mut merged: Vec<usize> = channels.merge().collect().await;
        merged.sort_unstable();
        assert!(merged.into_iter().eq(0..2000));
    });
}

#[test]
fn a_concurrent_stream_keeps_its_limit() {
    // In no task: the compiler cannot see that this future is `Send`.
    within_patience(|| {
        executor::block_on(async {
            let [flying, most, sum] = &[const { AtomicUsize::new(0) }; 3];
            let numbers = (0..500).collect::<Vec<usize>>().into_co_stream();
            let each = async |n| {
                most.fetch_max(flying.fetch_add(1, SeqCst) + 1, SeqCst);
                sum.fetch_add(spawn(async move { n }).await.unwrap(), SeqCst);
                flying.fetch_sub(1, SeqCst);
            };
            numbers.limit(NonZeroUsize::new(8)).for_each(each).await;
            assert!(most.load(SeqCst) <= 8);
            assert_eq!(sum.load(SeqCst), (0..500).sum());
        });
    });
}

#[test]
fn futures_lite_zips_races_and_reads_lines() {
    everywhere(async || {
        let (a, b) = zip(spawn(async { 1 }), spawn(async { 2 })).await;
        assert_eq!(a.unwrap() + b.unwrap(), 3);
        let first = or(sleep(Duration::from_millis(1)), sleep(Duration::MAX));
        first.await;

        let (client, server) = connected().await;
        let echo = spawn(async move {
            let count = copy(&server, &mut &server).await.unwrap();
            (&server).close().await.unwrap();
            count
        });
        let (reader, mut writer) = split(client);
        let writing = spawn(async move {
            for n in 0..1000 {
                let line = format!("{n:05}\n");
                writer.write_all(line.as_bytes()).await.unwrap();
            }
            writer.close().await.unwrap();
        });
        let lines = BufReader::new(reader).lines();
        let lines: Vec<String> = lines.try_collect().await.unwrap();
        assert!(lines.into_iter().eq((0..1000).map(|n| format!("{n:05}"))));
        writing.await.unwrap();
        assert_eq!(echo.await.unwrap(), 6000);
    });
}
