//! `io::Async`: any descriptor that can be watched, readiness that is real, and sources that go away while somebody waits.

use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use executor::io::Async;
use futures::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::streams::{StdStream, std_pair};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn pair() -> (Async<StdStream>, Async<StdStream>) {
    let (a, b) = std_pair();
    (Async::new(a).unwrap(), Async::new(b).unwrap())
}

/// Polls once; the future must wait.
fn poll_until_pending<F: Future>(mut future: Pin<&mut F>, waker: &Waker) {
    let mut cx = Context::from_waker(waker);
    assert!(future.as_mut().poll(&mut cx).is_pending());
}

#[test]
fn readable_tells_the_truth_about_an_idle_object() {
    let (a, b) = pair();
    for _ in 0..3 {
        poll_until_pending(pin!(a.readable()), Waker::noop());
    }
    // Data that somebody else takes away by other means.
    for _ in 0..3 {
        b.get_ref().write_all(b"x").unwrap();
        executor::block_on(a.readable()).unwrap();
        executor::block_on(a.readable()).unwrap();
        assert_eq!(a.get_ref().read(&mut [0; 8]).unwrap(), 1);
        poll_until_pending(pin!(a.readable()), Waker::noop());
    }
    drop(b);
    executor::block_on(a.readable()).unwrap();
}

#[test]
fn writable_waits_for_room() {
    let (a, b) = pair();
    executor::block_on(a.writable()).unwrap();
    let mut written = 0;
    let full = loop {
        match a.get_ref().write(&[0; 4096]) {
            Ok(n) => written += n,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    poll_until_pending(pin!(a.writable()), Waker::noop());
    let drain = executor::spawn(async move {
        let mut left = written;
        let mut buf = vec![0; 65536];
        while left > 0 {
            left -= b
                .read_with(|mut socket| socket.read(&mut buf))
                .await
                .unwrap();
        }
        b
    });
    executor::block_on(a.writable()).unwrap();
    executor::block_on(drain).unwrap();
}

#[test]
fn every_waiter_of_both_directions_is_woken() {
    executor::block_on(async {
        let (a, b) = pair();
        let (a, b) = (Arc::new(a), Arc::new(b));
        while a.get_ref().write(&[0; 4096]).is_ok() {}
        let tasks: Vec<_> = (0..32)
            .map(|n| {
                let a = Arc::clone(&a);
                executor::spawn(async move {
                    if n % 2 == 0 {
                        a.read_with(|mut socket| socket.read(&mut [0; 1])).await
                    } else {
                        a.write_with(|mut socket| socket.write(&[0; 1])).await
                    }
                })
            })
            .collect();
        // One event for all readers, then room for all writers.
        (&*b).write_all(&[1; 16]).await.unwrap();
        let drain = executor::spawn(async move {
            let mut buf = vec![0; 65536];
            while (&*b).read(&mut buf).await.unwrap_or(0) > 0 {}
        });
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
        drop(a);
        drain.await.unwrap();
    });
}

#[test]
fn a_future_that_gives_up_leaves_no_waker_and_takes_no_other_s() {
    let (a, b) = pair();
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let wakers = counts.clone().map(Waker::from);
    let mut stays = Box::pin(a.readable());
    let mut leaves = Box::pin(a.readable());
    poll_until_pending(stays.as_mut(), &wakers[0]);
    poll_until_pending(leaves.as_mut(), &wakers[1]);
    // Two futures of one task: one leaves, the other must still be woken.
    let mut same_task = Box::pin(a.readable());
    poll_until_pending(same_task.as_mut(), &wakers[0]);
    drop(same_task);
    drop(leaves);
    drop(wakers);
    assert_eq!(Arc::strong_count(&counts[1]), 1);
    b.get_ref().write_all(b"x").unwrap();
    executor::block_on(a.readable()).unwrap();
    while counts[0].0.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(counts[1].0.load(Ordering::SeqCst), 0);
    executor::block_on(stays).unwrap();
}

#[test]
fn an_object_dropped_under_a_stale_waiter_wakes_it_once() {
    let (a, _b) = pair();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(a.poll_readable(&mut cx).is_pending());
    let io = a.into_inner().unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    // The descriptor is free to be registered again.
    drop(Async::new(io).unwrap());
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[test]
fn an_operation_s_own_error_is_not_retried() {
    let (a, _b) = pair();
    let mut calls = 0;
    let result: io::Result<()> = executor::block_on(a.read_with(|_| {
        calls += 1;
        Err(io::ErrorKind::OutOfMemory.into())
    }));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    assert_eq!(calls, 1);
}

#[test]
fn an_interrupted_operation_is_tried_again() {
    let (a, _b) = pair();
    let mut calls = 0;
    let result = executor::block_on(a.write_with(|_| {
        calls += 1;
        if calls < 3 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(calls)
    }));
    assert_eq!(result.unwrap(), 3);
}

#[test]
fn a_reused_descriptor_number_gets_no_event_of_its_predecessor() {
    executor::block_on(async {
        for n in 0..2000u32 {
            let (a, b) = std_pair();
            let a = Async::new(a).unwrap();
            // Events for both directions are on their way when the number is given up.
            (&b).write_all(&n.to_ne_bytes()).unwrap();
            if n % 3 == 0 {
                drop(a);
                continue;
            }
            let mut buf = [0; 8];
            let len = a
                .read_with(|mut socket| socket.read(&mut buf))
                .await
                .unwrap();
            assert_eq!(buf[..len], n.to_ne_bytes());
            poll_until_pending(pin!(a.readable()), Waker::noop());
        }
    });
}

#[test]
fn sources_outlive_their_runtime_as_far_as_they_need_not_wait() {
    let runtime = executor::Builder::new().worker_threads(1).build().unwrap();
    let (a, b) = runtime.block_on(async { pair() });
    drop(runtime);
    executor::block_on(b.write_with(|mut socket| socket.write(b"x"))).unwrap();
    let mut buf = [0; 8];
    executor::block_on(a.read_with(|mut socket| socket.read(&mut buf))).unwrap();
    let error = executor::block_on(a.read_with(|mut socket| socket.read(&mut buf))).unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
}

#[test]
fn another_executor_can_poll_it() {
    let (mut a, mut b) = pair();
    let echo = std::thread::spawn(move || {
        futures::executor::block_on(async {
            let mut buf = [0; 5];
            a.read_exact(&mut buf).await.unwrap();
            a.write_all(&buf).await.unwrap();
        });
    });
    futures::executor::block_on(async {
        let mut buf = [0; 5];
        b.write_all(b"hello").await.unwrap();
        b.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");
    });
    echo.join().unwrap();
}

#[test]
fn reading_for_ever_yields_to_the_budget() {
    let (a, b) = pair();
    b.get_ref().write_all(&[0; 4096]).unwrap();
    let polls = executor::block_on(executor::spawn(async move {
        let mut polls = 0;
        let mut reads = pin!(async {
            for _ in 0..1000 {
                a.read_with(|mut socket| socket.read(&mut [0; 1]))
                    .await
                    .unwrap();
            }
        });
        std::future::poll_fn(|cx| {
            polls += 1;
            reads.as_mut().poll(cx)
        })
        .await;
        polls
    }))
    .unwrap();
    assert_eq!(polls, 1000 / 128 + 1);
}

#[test]
fn types_are_send_sync_and_unpin() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<Async<StdStream>>();
    fn check_future<T: Send>(_: T) {}
    let (a, _b) = pair();
    check_future(a.readable());
    check_future(a.read_with(|_| Ok(())));
}

/// Elsewhere the type of what is given must be a socket's.
#[cfg(unix)]
mod files {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_pipe_carries_data_and_its_end() {
        executor::block_on(async {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            let mut reader = Async::new(File::from(reader)).unwrap();
            let mut writer = Async::new(File::from(writer)).unwrap();
            let data: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
            let expected = data.clone();
            let sender = executor::spawn(async move {
                writer.write_all(&data).await.unwrap();
                writer.close().await.unwrap();
            });
            let mut received = Vec::new();
            reader.read_to_end(&mut received).await.unwrap();
            sender.await.unwrap();
            assert!(received == expected);
        });
    }

    #[test]
    fn a_regular_file_is_refused_with_a_reason() {
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let error = Async::new(file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("spawn_blocking"), "{error}");
    }
}
