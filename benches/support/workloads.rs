//! The workloads. Each runs to its end before it returns; the "main" of each is a task on a worker, as in most programs,
//! unless its comment says otherwise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_channel::Sender;
use futures::future::join_all;

use super::{Runtime, Scheduler};

/// Spawns `count` empty tasks, then joins them in order.
pub(crate) fn spawn_join<R: Scheduler>(runtime: &R, count: usize) {
    runtime.run(spawn_join_here::<R>(count));
}

async fn spawn_join_here<R: Scheduler>(count: usize) {
    let tasks: Vec<_> = (0..count).map(|_| R::spawn(async {})).collect();
    for task in tasks {
        task.await;
    }
}

/// As many tasks as `spawners`, each of which does [`spawn_join`].
pub(crate) fn fan_out<R: Scheduler>(runtime: &R, spawners: usize, each: usize) {
    runtime.run(async move {
        let spawners: Vec<_> = (0..spawners)
            .map(|_| R::spawn(spawn_join_here::<R>(each)))
            .collect();
        for spawner in spawners {
            spawner.await;
        }
    });
}

/// Each task spawns the next one and ends.
pub(crate) fn chained<R: Scheduler>(runtime: &R, depth: usize) {
    fn link<R: Scheduler>(left: usize, done: Sender<()>) {
        R::detach(async move {
            match left {
                0 => done.try_send(()).expect("room for one"),
                _ => link::<R>(left - 1, done),
            }
        });
    }
    runtime.run(async move {
        let (done, end) = async_channel::bounded(1);
        link::<R>(depth, done);
        end.recv().await.expect("the chain ends");
    });
}

/// Threads outside of the runtime spawn `each` tasks apiece; "main" is one more such thread.
pub(crate) fn remote_spawn<R: Scheduler>(runtime: &R, threads: usize, each: usize) {
    let left = Arc::new(AtomicUsize::new(threads * each));
    let (done, end) = async_channel::bounded(1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..each {
                    let (left, done) = (left.clone(), done.clone());
                    runtime.spawn_from_outside(async move {
                        if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                            done.try_send(()).expect("room for one");
                        }
                    });
                }
            });
        }
    });
    runtime.block_on(end.recv()).expect("the last task reports");
}

/// Pairs of tasks that send a token to and fro over two channels of capacity one; a trip is there and back.
pub(crate) fn ping_pong<R: Scheduler>(runtime: &R, pairs: usize, trips: usize) {
    runtime.run(async move {
        let mut tasks = Vec::new();
        for _ in 0..pairs {
            let (ping, ping_out) = async_channel::bounded(1);
            let (pong, pong_out) = async_channel::bounded(1);
            tasks.push(R::spawn(async move {
                while let Ok(token) = ping_out.recv().await {
                    if pong.send(token).await.is_err() {
                        return;
                    }
                }
            }));
            tasks.push(R::spawn(async move {
                for trip in 0..trips {
                    ping.send(trip).await.expect("the partner lives");
                    assert_eq!(pong_out.recv().await, Ok(trip));
                }
            }));
        }
        for task in tasks {
            task.await;
        }
    });
}

/// Tasks that do nothing but yield.
pub(crate) fn yields<R: Scheduler>(runtime: &R, tasks: usize, times: usize) {
    runtime.run(async move {
        let yielder = |_| {
            R::spawn(async move {
                for _ in 0..times {
                    R::yield_now().await;
                }
            })
        };
        let tasks: Vec<_> = (0..tasks).map(yielder).collect();
        for task in tasks {
            task.await;
        }
    });
}

/// A tree of tasks with ten children each and `leaves` leaves, a power of ten; sums their numbers.
pub(crate) fn skynet<R: Scheduler>(runtime: &R, leaves: u64) {
    fn node<R: Scheduler>(first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            let step = leaves / 10;
            let mut sum = 0;
            if step == 1 {
                let leaf = |n| R::spawn(async move { first + n });
                for leaf in (0..10).map(leaf).collect::<Vec<_>>() {
                    sum += leaf.await;
                }
            } else {
                let child = |n| R::spawn(node::<R>(first + n * step, step));
                for child in (0..10).map(child).collect::<Vec<_>>() {
                    sum += child.await;
                }
            }
            sum
        })
    }
    let sum = runtime.run(node::<R>(0, leaves));
    assert_eq!(sum, leaves * (leaves - 1) / 2);
}

/// One task spawns `count` tasks that each compute for `work`: all but one worker live on what they steal.
pub(crate) fn imbalance<R: Scheduler>(runtime: &R, count: usize, work: Duration) {
    runtime.run(async move {
        let busy = |_| {
            R::spawn(async move {
                let begin = Instant::now();
                while begin.elapsed() < work {
                    std::hint::spin_loop();
                }
            })
        };
        let tasks: Vec<_> = (0..count).map(busy).collect();
        for task in tasks {
            task.await;
        }
    });
}

/// Submits `count` empty jobs to the blocking pool, then awaits them.
pub(crate) fn blocking_batch<R: Runtime>(runtime: &R, count: usize) {
    runtime.run(async move {
        let jobs: Vec<_> = (0..count).map(|_| R::spawn_blocking(|| ())).collect();
        for job in jobs {
            job.await;
        }
    });
}

/// A timeout around a future that is ready at once, `count` times.
pub(crate) fn timeout_of_ready<R: Runtime>(runtime: &R, count: usize) {
    runtime.run(async move {
        for _ in 0..count {
            assert!(R::timeout(Duration::from_secs(1), async {}).await);
        }
    });
}

/// So many tasks that each arm a timer (one poll) and drop it, `each` times.
pub(crate) fn arm_and_cancel<R: Runtime>(runtime: &R, tasks: usize, each: usize) {
    runtime.run(async move {
        let task = |_| {
            R::spawn(async move {
                for _ in 0..each {
                    let mut sleep = std::pin::pin!(R::sleep(Duration::from_secs(1)));
                    let polled =
                        futures::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
                    assert!(polled.await.is_pending());
                }
            })
        };
        for task in (0..tasks).map(task).collect::<Vec<_>>() {
            task.await;
        }
    });
}

/// `count` tasks sleep for one to ten milliseconds.
pub(crate) fn fire<R: Runtime>(runtime: &R, count: u64) {
    runtime.run(async move {
        let sleeper = |n| R::spawn(R::sleep(Duration::from_micros(1000 + n * 9000 / count)));
        for task in (0..count).map(sleeper).collect::<Vec<_>>() {
            task.await;
        }
    });
}

/// 64-byte messages over `connections` TCP connections, `trips` there and back on each. Both ends are tasks.
pub(crate) fn echo<R: Runtime>(runtime: &R, connections: usize, trips: usize) {
    runtime.run(async move {
        let (mut listener, addr) = R::listen().await;
        let server = R::spawn(async move {
            let mut tasks = Vec::new();
            for _ in 0..connections {
                let stream = R::accept(&mut listener).await;
                tasks.push(R::spawn(serve::<R>(stream)));
            }
            join_all(tasks).await;
        });
        let client = |_| R::spawn(async move { drive::<R>(R::connect(addr).await, trips).await });
        join_all((0..connections).map(client).collect::<Vec<_>>()).await;
        server.await;
    });
}

/// Sends back what comes, until the other end hangs up.
pub(crate) async fn serve<R: Runtime>(mut stream: R::Stream) {
    let mut buffer = [0; 1024];
    loop {
        match R::read(&mut stream, &mut buffer).await {
            0 => return,
            n => R::write_all(&mut stream, &buffer[..n]).await,
        }
    }
}

async fn drive<R: Runtime>(mut stream: R::Stream, trips: usize) {
    let (message, mut answer) = ([7; 64], [0; 64]);
    for _ in 0..trips {
        R::write_all(&mut stream, &message).await;
        let mut filled = 0;
        while filled < answer.len() {
            match R::read(&mut stream, &mut answer[filled..]).await {
                0 => panic!("the server hung up"),
                n => filled += n,
            }
        }
        assert_eq!(message, answer);
    }
}

/// As many tasks at once as said that each call `misbehave` and end.
pub(crate) fn at_once<R: Scheduler>(runtime: &R, tasks: usize, misbehave: fn()) {
    runtime.run(async move {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| R::spawn(async move { misbehave() }))
            .collect();
        for task in tasks {
            task.await;
        }
    });
}

/// Computes, and looks at the clock now and then.
pub(crate) fn spin_until(end: Instant) {
    while Instant::now() < end {
        (0..1000).for_each(|_| std::hint::spin_loop());
    }
}
