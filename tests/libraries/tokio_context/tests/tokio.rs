//! tokio itself: what its tasks, timers, sockets, files, children and signals do when used from each kind of our threads.
//!
//! Each scenario is awaited in a task whose thread holds a processor, one whose thread has lost it, the thread that took it
//! over, after `block_in_place`, in a blocking job, in a `block_on` alone and inside a task, and in a second runtime.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant};

use executor::block_in_place;
use futures::StreamExt;
use libraries_tokio_context::{bounded, output, processors};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Barrier, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_util::time::DelayQueue;

/// Never, in these tests.
const HOUR: Duration = Duration::from_secs(3600);

/// Awaits what a scenario returns on each kind of thread.
fn on_each_thread<F>(scenario: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    bounded(move || {
        for count in [1, 2] {
            let runtime = processors(count);
            let in_task = |future: Pin<Box<dyn Future<Output = ()> + Send>>| {
                runtime.block_on(output(runtime.spawn(future)));
            };
            in_task(Box::pin(scenario()));
            in_task(Box::pin(async move {
                lose_processor(async {});
                scenario().await;
            }));
            // It runs to its end while the poll that spawned it is stuck.
            in_task(Box::pin(async move { lose_processor(scenario()) }));
            in_task(Box::pin(async move {
                block_in_place(|| ());
                scenario().await;
            }));
            in_task(Box::pin(async move {
                block_in_place(|| executor::block_on(scenario()));
            }));
            in_task(Box::pin(async move {
                executor::block_on(async { executor::block_on(scenario()) });
                scenario().await;
            }));
            runtime.block_on(output(
                runtime.spawn_blocking(move || executor::block_on(scenario())),
            ));
            runtime.block_on(scenario());
        }
        executor::block_on(output(executor::spawn(scenario())));
        executor::block_on(scenario());
    });
}

/// Blocks the thread until another one has awaited the future: with one processor it had to be taken away.
fn lose_processor(future: impl Future<Output = ()> + Send + 'static) {
    let (done, is_done) = blocking::channel();
    let other = executor::spawn(async move {
        future.await;
        done.send(()).unwrap();
    });
    if is_done.recv().is_err() {
        executor::block_on(output(other));
    }
}

#[test]
fn tasks_and_join_sets_lose_no_output() {
    on_each_thread(|| async {
        let tasks: Vec<_> = (0..100usize)
            .map(|n| {
                tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    n
                })
            })
            .collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, (0..100).sum::<usize>());

        let mut set: JoinSet<usize> = (0..100).map(|n| async move { n }).collect();
        set.spawn_blocking(|| 1000);
        let mut outputs = BTreeSet::new();
        while let Some(output) = set.join_next().await {
            outputs.insert(output.unwrap());
        }
        assert_eq!(outputs, (0..100).chain([1000]).collect());

        let aborted = tokio::spawn(std::future::pending::<()>());
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn blocking_jobs_of_tokio_return() {
    on_each_thread(|| async {
        let jobs: Vec<_> = (0..20usize)
            .map(|n| tokio::task::spawn_blocking(move || n))
            .collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await.unwrap(), n);
        }
        assert_eq!(tokio::task::block_in_place(|| 7), 7);
    });
}

/// It would panic inside tokio's own tasks.
#[test]
fn a_handle_of_tokio_can_block_here() {
    on_each_thread(|| async {
        let handle = tokio::runtime::Handle::current();
        let slept = handle.block_on(async {
            sleep(Duration::from_millis(1)).await;
            tokio::spawn(async { 7 }).await.unwrap()
        });
        assert_eq!(slept, 7);
    });
}

#[test]
fn timers_end_neither_early_nor_never() {
    on_each_thread(|| async {
        let begin = Instant::now();
        sleep(Duration::from_millis(3)).await;
        assert!(begin.elapsed() >= Duration::from_millis(3));

        let begin = tokio::time::Instant::now();
        let mut ticks = interval(Duration::from_millis(1));
        for n in 0..5 {
            assert!(ticks.tick().await >= begin + Duration::from_millis(n));
        }

        assert_eq!(timeout(HOUR, async { 7 }).await, Ok(7));
        let late = timeout(Duration::from_millis(1), std::future::pending::<()>());
        assert!(late.await.is_err());
    });
}

#[test]
fn select_takes_the_one_that_is_ready() {
    on_each_thread(|| async {
        let (tx, mut rx) = mpsc::channel(1);
        tokio::spawn(async move {
            for n in 0..20 {
                tx.send(n).await.unwrap();
            }
        });
        let mut received = 0;
        loop {
            tokio::select! {
                message = rx.recv() => match message {
                    Some(n) => {
                        assert_eq!(n, received);
                        received += 1;
                    }
                    None => break,
                },
                () = sleep(HOUR) => panic!("an hour"),
            }
        }
        assert_eq!(received, 20);
        tokio::select! {
            () = sleep(Duration::from_millis(1)) => {}
            () = std::future::pending() => {}
        }
    });
}

#[test]
fn channels_and_barriers_wake_tasks_of_both_kinds() {
    on_each_thread(|| async {
        let barrier = Arc::new(Barrier::new(11));
        let (events, _) = broadcast::channel(16);
        let (state, watcher) = watch::channel(0);
        let (done, mut all_done) = mpsc::unbounded_channel();
        for n in 0..10 {
            let (barrier, mut events) = (barrier.clone(), events.subscribe());
            let (mut watcher, done) = (watcher.clone(), done.clone());
            let task = async move {
                barrier.wait().await;
                let event: i32 = events.recv().await.unwrap();
                watcher.wait_for(|state| *state == 5).await.unwrap();
                done.send(event).unwrap();
            };
            match n % 2 {
                0 => drop(tokio::spawn(task)),
                _ => drop(executor::spawn(task)),
            }
        }
        barrier.wait().await;
        assert_eq!(events.send(3).unwrap(), 10);
        for n in 1..=5 {
            state.send(n).unwrap();
        }
        for _ in 0..10 {
            assert_eq!(all_done.recv().await, Some(3));
        }
        drop(done);
        assert_eq!(all_done.recv().await, None);
        let (tx, rx) = oneshot::channel();
        executor::spawn(async move { tx.send(7).unwrap() });
        assert_eq!(rx.await, Ok(7));
    });
}

#[test]
fn sockets_echo_every_byte() {
    on_each_thread(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let mut echoed = 0;
            for _ in 0..4 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut reader, mut writer) = stream.split();
                echoed += tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            }
            echoed
        });
        for _ in 0..4 {
            let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
            let sender = executor::spawn(async move {
                writer.write_all(&[7; 200_000]).await.unwrap();
            });
            let mut back = Vec::new();
            reader.read_to_end(&mut back).await.unwrap();
            output(sender).await;
            assert!(back == [7; 200_000]);
        }
        assert_eq!(server.await.unwrap(), 800_000);

        let (mut near, mut far) = UnixStream::pair().unwrap();
        near.write_all(b"hello").await.unwrap();
        drop(near);
        let mut text = String::new();
        far.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    });
}

#[test]
fn files_keep_what_was_written() {
    on_each_thread(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = tokio::fs::File::create(&path).await.unwrap();
        for n in 0..100u8 {
            file.write_all(&[n; 1000]).await.unwrap();
        }
        file.sync_all().await.unwrap();
        let read = tokio::fs::read(&path).await.unwrap();
        assert_eq!(read.len(), 100_000);
        assert!(
            (0..)
                .zip(read.chunks(1000))
                .all(|(n, chunk)| chunk == [n; 1000])
        );
        tokio::fs::remove_file(&path).await.unwrap();
        assert!(!tokio::fs::try_exists(&path).await.unwrap());
    });
}

#[test]
fn children_are_waited_for() {
    on_each_thread(|| async {
        let mut child = tokio::process::Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"meow").await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"meow");
        let failed = tokio::process::Command::new("false").status();
        assert_eq!(failed.await.unwrap().code(), Some(1));
    });
}

#[test]
fn signals_arrive() {
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::signal::unix::{SignalKind, signal};
    on_each_thread(|| async {
        let mut stream = signal(SignalKind::user_defined1()).unwrap();
        for _ in 0..3 {
            kill_process(getpid(), Signal::USR1).unwrap();
            stream.recv().await.unwrap();
        }
    });
}

#[test]
fn a_delay_queue_gives_each_item_once_in_order() {
    on_each_thread(|| async {
        let (mut queue, base) = (DelayQueue::new(), tokio::time::Instant::now());
        for n in (0..20).rev() {
            queue.insert_at(n, base + Duration::from_millis(n));
        }
        let removed = queue.insert(100, HOUR);
        assert_eq!(queue.remove(&removed).into_inner(), 100);
        for n in 0..20 {
            assert_eq!(queue.next().await.unwrap().into_inner(), n);
        }
        assert!(queue.next().await.is_none());
    });
}

/// Timers wake their tasks from tokio's thread, which is none of ours: each await may go on on another worker.
#[test]
fn a_thousand_tasks_wake_from_each_of_their_timers() {
    bounded(|| {
        for count in [1, 2, 4] {
            let runtime = processors(count);
            let wakes = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..1000u64)
                .map(|n| {
                    let wakes = wakes.clone();
                    runtime.spawn(async move {
                        for m in 0..10 {
                            sleep(Duration::from_millis((n + m) % 4)).await;
                            wakes.fetch_add(1, Relaxed);
                        }
                    })
                })
                .collect();
            for task in tasks {
                runtime.block_on(output(task));
            }
            assert_eq!(wakes.load(Relaxed), 10_000);
        }
    });
}

/// As above, with neighbours that take turns to block, so that processors change their threads all the time.
#[test]
fn timers_wake_while_processors_are_taken_away() {
    bounded(|| {
        let runtime = processors(2);
        let wakes = Arc::new(AtomicUsize::new(0));
        let mut tasks: Vec<_> = (0..200u64)
            .map(|n| {
                let wakes = wakes.clone();
                runtime.spawn(async move {
                    for m in 0..10 {
                        sleep(Duration::from_millis((n + m) % 4)).await;
                        if (n + m) % 50 == 0 {
                            lose_processor(sleep(Duration::from_millis(1)));
                        }
                        wakes.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        tasks.extend((0..20).map(|_| {
            runtime.spawn(async {
                for _ in 0..5 {
                    block_in_place(|| lose_processor(sleep(Duration::from_millis(1))));
                    sleep(Duration::from_millis(1)).await;
                }
            })
        }));
        for task in tasks {
            runtime.block_on(output(task));
        }
        assert_eq!(wakes.load(Relaxed), 2000);
    });
}

/// Polled first on a worker of one runtime, then of another, then in a `block_on`, then on a thread without any context.
#[test]
#[allow(
    clippy::async_yields_async,
    reason = "it is polled once here and awaited elsewhere"
)]
fn timers_and_sockets_move_between_runtimes_while_they_wait() {
    bounded(|| {
        let (first, second) = (processors(1), processors(1));
        let (near, mut far) = first.block_on(async { UnixStream::pair().unwrap() });
        let mut waiting: Pin<Box<dyn Future<Output = u8> + Send>> = Box::pin(async move {
            let mut near = near;
            let timer = sleep(HOUR);
            tokio::pin!(timer);
            tokio::select! {
                byte = near.read_u8() => {
                    // Moves the deadline, wherever this is.
                    timer.as_mut().reset(tokio::time::Instant::now());
                    timer.await;
                    byte.unwrap()
                }
                () = &mut timer => unreachable!(),
            }
        });
        for runtime in [&first, &second, &first] {
            let task = runtime.spawn(async move {
                assert!(futures::poll!(&mut waiting).is_pending());
                waiting
            });
            waiting = runtime.block_on(output(task));
        }
        drop(first);
        assert!(
            second
                .block_on(async { futures::poll!(&mut waiting) })
                .is_pending()
        );
        let writer = second.spawn(async move { far.write_u8(7).await.unwrap() });
        second.block_on(output(writer));
        // What is registered needs no context any more.
        assert!(tokio::runtime::Handle::try_current().is_err());
        assert_eq!(futures::executor::block_on(waiting), 7);
    });
}
