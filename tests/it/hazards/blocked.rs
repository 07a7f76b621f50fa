//! Workers that block, in each way there is: all of them or all but one. Timers and sockets go on, and a shutdown with a limit
//! keeps it.

use std::future::pending;
use std::io::{Read, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use executor::io::Async;
use executor::time::sleep;
use executor::{Runtime, block_in_place, block_on, spawn, spawn_blocking};

use crate::common::streams::std_pair;
use crate::common::stuck::Stuck;
use crate::common::{processors, within_patience};

/// How a worker, or whoever keeps it, is blocked until the other end of a channel is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Blocked,
    Spinning,
    Announced,
    /// In a `block_on` inside the task.
    Nested,
    /// The same, waiting for a local task.
    NestedLocal,
    /// Waits in a destructor, for its task has been aborted.
    Destructor,
    /// Waits in the destructor of the output that nobody takes.
    Output,
    /// Waits for a blocking job that is blocked.
    Job,
}

const WAYS: [Way; 8] = [
    Way::Blocked,
    Way::Spinning,
    Way::Announced,
    Way::Nested,
    Way::NestedLocal,
    Way::Destructor,
    Way::Output,
    Way::Job,
];

/// Says that it begins to wait, and waits.
struct Waits(Sender<()>, Receiver<()>);

impl Waits {
    fn wait(&self, how: Stuck) {
        self.0.send(()).unwrap();
        assert!(!how.until(&self.1));
    }
}

struct OnDrop(Waits);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.wait(Stuck::Blocked);
    }
}

impl Way {
    fn begin(self, runtime: &Runtime, waits: Waits) {
        let (end, ended) = async_channel::bounded::<()>(1);
        match self {
            Way::Blocked => drop(runtime.spawn(async move { waits.wait(Stuck::Blocked) })),
            Way::Spinning => drop(runtime.spawn(async move { waits.wait(Stuck::Spinning) })),
            Way::Announced => drop(
                runtime.spawn(async move { block_in_place(move || waits.wait(Stuck::Blocked)) }),
            ),
            Way::Nested => drop(runtime.spawn(async move {
                // Ended by a foreign thread.
                let Waits(begun, released) = waits;
                std::thread::spawn(move || {
                    let _ = released.recv();
                    drop(end);
                });
                begun.send(()).unwrap();
                let _ = block_on(ended.recv());
            })),
            Way::NestedLocal => drop(runtime.spawn(async move {
                block_on(async {
                    executor::spawn_local(async move { waits.wait(Stuck::Blocked) })
                        .await
                        .unwrap()
                })
            })),
            Way::Destructor => {
                let held = OnDrop(waits);
                let task = runtime.spawn(async move {
                    let _held = held;
                    pending::<()>().await;
                });
                task.abort();
            }
            Way::Output => {
                drop(runtime.spawn(async move {
                    let _ = ended.recv().await;
                    OnDrop(waits)
                }));
                // Not before its handle is gone, which would drop the output here.
                drop(end);
            }
            Way::Job => drop(runtime.spawn(async move {
                let job = spawn_blocking(move || waits.wait(Stuck::Blocked));
                block_on(job).unwrap()
            })),
        }
    }

    /// So many of them at once; dropping what comes back ends them.
    fn block(self, runtime: &Runtime, count: usize) -> Vec<Sender<()>> {
        let (begun, begins) = mpsc::channel();
        let senders = (0..count).map(|_| {
            let (sender, receiver) = mpsc::channel();
            self.begin(runtime, Waits(begun.clone(), receiver));
            sender
        });
        let senders: Vec<_> = senders.collect();
        begins.iter().take(count).for_each(drop);
        senders
    }
}

const TICK: Duration = Duration::from_millis(1);

/// Both in tasks of the runtime: a hundred sleeps, and a hundred messages there and back.
fn assert_timers_and_sockets_go_on(runtime: &Runtime) {
    let ticks = runtime.spawn(async {
        for _ in 0..20 {
            sleep(TICK).await;
        }
    });
    let echo = runtime.spawn(async {
        let (near, far) = std_pair();
        let (near, far) = (Async::new(near).unwrap(), Async::new(far).unwrap());
        let server = spawn(async move {
            let mut buf = [0];
            loop {
                match far.read_with(|mut socket| socket.read(&mut buf)).await {
                    Ok(1) => far.write_with(|mut socket| socket.write(&buf)).await,
                    other => return other,
                }
                .unwrap();
            }
        });
        for byte in 0..100 {
            let sent = near.write_with(|mut socket| socket.write(&[byte])).await;
            assert_eq!(sent.unwrap(), 1);
            let mut buf = [0];
            let read = near.read_with(|mut socket| socket.read(&mut buf)).await;
            assert_eq!((read.unwrap(), buf), (1, [byte]));
        }
        drop(near);
        assert_eq!(server.await.unwrap().unwrap(), 0);
    });
    runtime.block_on(ticks).unwrap();
    runtime.block_on(echo).unwrap();
}

#[test]
fn timers_and_sockets_go_on_while_all_workers_or_all_but_one_are_blocked() {
    within_patience(|| {
        for way in WAYS {
            for (workers, blocked) in [(1, 1), (2, 1), (2, 2), (4, 3), (4, 4)] {
                let runtime = processors(workers);
                let senders = way.block(&runtime, blocked);
                assert_timers_and_sockets_go_on(&runtime);
                drop(senders);
            }
        }
    });
}

#[test]
fn a_shutdown_with_a_limit_keeps_it_whatever_blocks() {
    const LIMIT: Duration = Duration::from_millis(30);
    within_patience(|| {
        for way in WAYS {
            for workers in [1, 2] {
                let runtime = processors(workers);
                let handle = runtime.handle().clone();
                let senders = way.block(&runtime, workers + 1);
                let begin = Instant::now();
                runtime.shutdown_timeout(LIMIT);
                assert!(begin.elapsed() >= LIMIT, "{way:?} still blocks");
                // Closed for newcomers, while the blocked ones are there.
                let late = handle.spawn(async {});
                assert!(block_on(late).unwrap_err().is_cancelled());
                drop(senders);
                crate::common::wait_until("the blocked ones end", || {
                    handle.metrics().num_alive_tasks() == 0
                });
            }
        }
    });
}

#[test]
fn a_drop_waits_for_whatever_blocks_and_ends_with_it() {
    within_patience(|| {
        for way in WAYS {
            let runtime = processors(2);
            let handle = runtime.handle().clone();
            let senders = way.block(&runtime, 3);
            let closer = std::thread::spawn(move || drop(runtime));
            while block_on(handle.spawn(async {})).is_ok() {}
            assert!(!closer.is_finished(), "{way:?} still blocks");
            drop(senders);
            closer.join().unwrap();
            assert_eq!(handle.metrics().num_alive_tasks(), 0);
        }
    });
}
