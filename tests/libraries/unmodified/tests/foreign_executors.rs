//! Our sockets, timers and handles polled by the executors of others, and theirs inside our tasks.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use executor::net::unix::UnixStream;
use executor::net::{TcpListener, TcpStream, UdpSocket};
use executor::runtime::Builder;
use executor::task::JoinSet;
use executor::time::{interval, sleep, sleep_until, timeout};
use executor::{spawn, spawn_blocking};
use futures::executor::LocalPool;
use futures::future::{LocalBoxFuture, join_all, pending};
use futures::task::LocalSpawnExt;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt, join, poll};
use libraries_unmodified::{ANY, bytes, connected, within_patience};

/// The ways of others to wait for a future.
const BLOCK_ONS: [fn(LocalBoxFuture<'static, usize>) -> usize; 3] = [
    async_io::block_on,
    futures::executor::block_on,
    futures_lite::future::block_on,
];

const CLIENTS: usize = 20;
const LEN: usize = 10_000;

/// Echoes the bytes of some clients, all in one future, and says how many they were.
async fn echo() -> usize {
    let listener = TcpListener::bind(ANY).await.unwrap();
    // By name, so that the blocking pool takes part.
    let address = ("localhost", listener.local_addr().unwrap().port());
    let total = AtomicUsize::new(0);
    let serve = |stream: std::io::Result<TcpStream>| async {
        let (mut reader, mut writer) = stream.unwrap().into_split();
        let count = futures::io::copy(&mut reader, &mut writer).await.unwrap();
        total.fetch_add(count as usize, SeqCst);
    };
    let server = listener.incoming().take(CLIENTS);
    let server = server.for_each_concurrent(None, serve);
    let clients = (0..CLIENTS).map(async |n| {
        sleep(Duration::from_millis(n as u64 % 3)).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let (out, mut back) = (bytes(LEN, n as u64), Vec::new());
        let send = async {
            writer.write_all(&out).await.unwrap();
            writer.close().await.unwrap();
        };
        join!(send, reader.read_to_end(&mut back)).1.unwrap();
        assert!(back == out, "the bytes differ");
    });
    join!(server, join_all(clients));
    total.into_inner()
}

/// Timers that fire, that are cut off and that do not fire; handles and jobs of the default runtime.
async fn timers_and_handles() -> usize {
    let begin = Instant::now();
    let ticks = interval(Duration::from_millis(1)).take(5).count().await;
    sleep(Duration::from_millis(2)).await;
    assert!(begin.elapsed() >= Duration::from_millis(6));
    let never = timeout(Duration::from_millis(1), pending::<()>());
    never.await.unwrap_err();
    let mut set = JoinSet::new();
    for n in 0..100 {
        set.spawn(async move {
            sleep(Duration::from_millis(n % 5)).await;
            spawn_blocking(move || n as usize).await.unwrap()
        });
    }
    let mut sum = ticks;
    while let Some(n) = timeout(Duration::MAX, set.join_next()).await.unwrap() {
        sum += n.unwrap();
    }
    sum
}

#[test]
fn sockets_work_in_the_block_on_of_others() {
    within_patience(|| {
        for block_on in BLOCK_ONS {
            assert_eq!(block_on(echo().boxed_local()), CLIENTS * LEN);
        }
    });
}

#[test]
fn timers_and_handles_work_in_the_block_on_of_others() {
    within_patience(|| {
        for block_on in BLOCK_ONS {
            assert_eq!(block_on(timers_and_handles().boxed_local()), 5 + 4950);
        }
    });
}

#[test]
fn threads_that_block_on_at_once_are_all_woken() {
    within_patience(|| {
        let threads: Vec<_> = (0..9)
            .map(|n| thread::spawn(move || BLOCK_ONS[n % 3](echo().boxed_local())))
            .collect();
        let totals = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(totals.sum::<usize>(), 9 * CLIENTS * LEN);
    });
}

#[test]
fn the_block_on_of_others_in_a_task_waits_for_tasks_of_the_same_worker() {
    within_patience(|| {
        for block_on in BLOCK_ONS {
            let runtime = Builder::new().worker_threads(1).build().unwrap();
            let waiting = (0..4).map(|n| {
                runtime.spawn(async move {
                    let inner = spawn(async move {
                        sleep(Duration::from_millis(1)).await;
                        spawn(async move { n }).await.unwrap()
                    });
                    block_on(inner.map(Result::unwrap).boxed_local())
                })
            });
            let outputs = runtime.block_on(join_all(waiting));
            assert!(outputs.into_iter().map(Result::unwrap).eq(0..4));
        }
    });
}

#[test]
fn the_single_thread_of_a_local_pool_serves_many_tasks() {
    within_patience(|| {
        let mut pool = LocalPool::new();
        let done = Arc::new(AtomicUsize::new(0));
        for n in 0..200 {
            let done = done.clone();
            let task = async move {
                let (mut a, mut b) = UnixStream::pair().unwrap();
                let (out, mut byte) = ([n], [0]);
                for _ in 0..20 {
                    let (sent, read) = join!(a.write_all(&out), b.read_exact(&mut byte));
                    sent.and(read).unwrap();
                    sleep(Duration::from_micros(u64::from(n) * 10)).await;
                    assert_eq!(byte, out);
                    done.fetch_add(1, SeqCst);
                }
            };
            pool.spawner().spawn_local(task).unwrap();
        }
        pool.run();
        assert_eq!(done.load(SeqCst), 4000);
    });
}

#[test]
fn tasks_of_an_async_executor_move_between_its_threads_with_our_sockets() {
    within_patience(|| {
        let foreign = Arc::new(Executor::new());
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (foreign, stopped) = (foreign.clone(), stopped.clone());
                thread::spawn(move || {
                    let end = foreign.run(stopped.recv());
                    assert!(async_io::block_on(end).is_err());
                })
            })
            .collect();
        let tasks: Vec<_> = (0..100_u64)
            .map(|n| {
                foreign.spawn(async move {
                    let (mut a, mut b) = connected().await;
                    for round in 0..20 {
                        let (out, mut back) = (bytes(100, n * 20 + round), [0; 100]);
                        a.write_all(&out).await.unwrap();
                        let patience = Duration::from_secs(600);
                        let read = timeout(patience, b.read_exact(&mut back)).await;
                        read.unwrap().unwrap();
                        assert_eq!(&back[..], out);
                        async_io::Timer::after(Duration::from_micros(n)).await;
                        sleep(Duration::from_micros(n)).await;
                    }
                    20
                })
            })
            .collect();
        let rounds: Vec<usize> = futures::executor::block_on(join_all(tasks));
        assert_eq!(rounds.into_iter().sum::<usize>(), 2000);
        drop(stop);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Polls something in the `block_on` of another, on a thread, and returns once it waits there.
fn waiting<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> thread::JoinHandle<T> {
    let (waits, begun) = mpsc::channel();
    let thread = thread::spawn(move || {
        futures_lite::future::block_on(async {
            let mut future = Box::pin(future);
            assert!(poll!(&mut future).is_pending());
            waits.send(()).unwrap();
            future.await
        })
    });
    begun.recv().unwrap();
    thread
}

#[test]
fn what_waits_elsewhere_for_a_runtime_that_has_ended_learns_of_it() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let guard = runtime.handle().enter();
        let (listener, datagrams, (mut stream, _peer)) = futures::executor::block_on(async {
            join!(TcpListener::bind(ANY), UdpSocket::bind(ANY), connected())
        });
        let (listener, datagrams) = (listener.unwrap(), datagrams.unwrap());
        let task = spawn(pending::<()>());
        drop(guard);

        let accept = waiting(async move { listener.accept().await });
        let receive = waiting(async move { datagrams.recv_from(&mut [0]).await });
        let read = waiting(async move { stream.read(&mut [0]).await });
        let task = waiting(task);
        drop(runtime);
        accept.join().unwrap().unwrap_err();
        receive.join().unwrap().unwrap_err();
        read.join().unwrap().unwrap_err();
        assert!(task.join().unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_sleep_that_outlives_its_runtime_ends_at_its_deadline_elsewhere() {
    within_patience(|| {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        let mut nap = Box::pin(sleep_until(deadline));
        futures::executor::block_on(async {
            let guard = runtime.handle().enter();
            // On a busy machine it may be over already.
            let _ = poll!(&mut nap);
            drop(guard);
            drop(runtime);
            nap.await;
            assert!(Instant::now() >= deadline);
        });
    });
}
