//! A child made by `fork` without `exec`: what it inherits answers with a panic or an error and never hangs or disturbs
//! the parent; what it makes itself works.

mod child;

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream};
use executor::runtime::{Builder, TaskMeta};
use executor::time::{sleep, timeout};
use executor::{Handle, Runtime, task};
use futures::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{assert_all_usable, message, processors, within_patience};
use child::{Ended, fork};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Runs the body of a test in a process of its own; a hang becomes a failure.
///
/// A Rust thread that starts or ends holds a lock of the standard library for a moment. In a child that is forked at that
/// moment no thread can be started. So nobody else's threads may come and go.
fn alone(test: &str, body: fn()) {
    if crate::common::alone(module_path!(), test) {
        within_patience(body);
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(SocketAddr::from(ANY)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = futures::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

/// Everything that a runtime does.
async fn all_works() {
    sleep(Duration::from_millis(1)).await;
    let (mut client, mut server) = pair().await;
    let echo = executor::spawn(async move {
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await.unwrap();
        server.write_all(&buffer).await.unwrap();
    });
    client.write_all(b"hello").await.unwrap();
    let mut buffer = [0; 5];
    client.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"hello");
    echo.await.unwrap();
    let named = task::Builder::new()
        .name("named")
        .spawn(async { task::name() });
    assert_eq!(named.await.unwrap().as_deref(), Some("named"));
    assert_eq!(executor::spawn_blocking(|| 7).await.unwrap(), 7);
}

/// Uses everything of an inherited runtime that must say no.
fn assert_lost(runtime: &Runtime) {
    for said in [
        message(|| drop(runtime.spawn(async {}))),
        message(|| drop(runtime.spawn_blocking(|| {}))),
        message(|| runtime.block_on(async {})),
        message(|| drop(runtime.metrics())),
        message(|| runtime.handle().set_worker_threads(2).unwrap()),
    ] {
        assert!(said.contains("forked from"), "{said}");
    }
    let entered = runtime.handle().enter();
    let said = message(|| drop(executor::spawn(async {})));
    assert!(said.contains("forked from"), "{said}");
    let bind = TcpListener::bind(SocketAddr::from(ANY));
    let error = futures::executor::block_on(bind).unwrap_err();
    assert!(error.to_string().contains("forked from"), "{error}");
    drop(entered);
}

#[test]
fn an_inherited_runtime_says_so_and_its_end_waits_for_nobody() {
    alone(
        "an_inherited_runtime_says_so_and_its_end_waits_for_nobody",
        || {
            let runtime = processors(2);
            let (other, third) = (processors(1), processors(1));
            let waiting = runtime.spawn(pending::<()>());
            let sleeping = runtime.spawn(sleep(Duration::from_secs(1000)));
            let mut runtimes = Some((runtime, other, third));
            let ended = fork(|| {
                let (runtime, other, third) = runtimes.take().unwrap();
                assert_lost(&runtime);
                drop((waiting, sleeping));
                drop(runtime);
                other.shutdown_timeout(Duration::from_secs(1000));
                third.shutdown_background();
            });
            assert_eq!(ended, Ended::Well);
            let (runtime, ..) = runtimes.unwrap();
            assert_all_usable(&runtime);
        },
    );
}

#[test]
fn a_child_makes_runtimes_of_its_own_and_so_does_its_child() {
    alone(
        "a_child_makes_runtimes_of_its_own_and_so_does_its_child",
        || {
            executor::block_on(all_works());
            let runtime = processors(2);
            // A scheduler that is free to be used again: the child must not use it.
            drop(processors(3));
            let ended = fork(|| {
                executor::block_on(all_works());
                let own = processors(3);
                own.block_on(all_works());
                own.block_on(own.spawn(all_works())).unwrap();
                let grandchild = fork(|| {
                    assert_lost(&own);
                    executor::block_on(all_works());
                    assert_lost(&runtime);
                });
                assert_eq!(grandchild, Ended::Well);
                executor::block_on(all_works());
                drop(own);
            });
            assert_eq!(ended, Ended::Well);
            executor::block_on(all_works());
            runtime.block_on(all_works());
        },
    );
}

/// The poller is one and the same in both processes: what a child takes out of it would be gone for the parent.
#[test]
fn sockets_dropped_in_a_child_stay_registered_in_the_parent() {
    alone(
        "sockets_dropped_in_a_child_stay_registered_in_the_parent",
        || {
            let runtime = processors(1);
            let (mut client, server) = runtime.block_on(pair());
            let mut server = Some(server);
            // So that it is not ready: the next read has to wait for an event.
            let look = |server: &mut TcpStream| {
                let mut buffer = [0; 1];
                runtime.block_on(timeout(Duration::from_millis(1), server.read(&mut buffer)))
            };
            assert!(look(server.as_mut().unwrap()).is_err());
            let ended = fork(|| {
                let mut server = server.take().unwrap();
                let mut buffer = [0; 1];
                let error = futures::executor::block_on(server.read(&mut buffer)).unwrap_err();
                assert!(error.to_string().contains("forked from"), "{error}");
                drop(server);
            });
            assert_eq!(ended, Ended::Well);
            let mut server = server.unwrap();
            let reading = runtime.spawn(async move {
                let mut buffer = [0; 1];
                server.read_exact(&mut buffer).await.unwrap();
                buffer[0]
            });
            runtime.block_on(async {
                client.write_all(b"x").await.unwrap();
                assert_eq!(reading.await.unwrap(), b'x');
            });
        },
    );
}

#[test]
fn a_child_inside_block_on_does_not_wait_for_what_is_not_there() {
    alone(
        "a_child_inside_block_on_does_not_wait_for_what_is_not_there",
        || {
            let runtime = processors(1);
            let waiting = runtime.spawn(pending::<()>());
            runtime.block_on(async {
                let ended = fork(|| {
                    let said = message(|| drop(executor::spawn(async {})));
                    assert!(said.contains("forked from"), "{said}");
                    let said = message(|| executor::block_on(async {}));
                    assert!(said.contains("forked from"), "{said}");
                    let own = Builder::new().worker_threads(1).build().unwrap();
                    own.block_on(all_works());
                });
                assert_eq!(ended, Ended::Well);
            });
            let ended = fork_inside(&runtime, async { waiting.await.unwrap() });
            assert_eq!(ended, Ended::Panicked);
            assert_all_usable(&runtime);
        },
    );
}

/// A child that goes on in a `block_on` of its parent with `future`.
fn fork_inside(runtime: &Runtime, future: impl Future<Output = ()>) -> Ended {
    runtime
        .block_on(async {
            let begun = child::begin();
            if begun.is_child() {
                future.await;
            }
            begun
        })
        .end()
}

#[test]
fn a_child_that_returns_into_a_worker_or_a_job_is_aborted() {
    alone(
        "a_child_that_returns_into_a_worker_or_a_job_is_aborted",
        || {
            let runtime = processors(1);
            for _ in 0..3 {
                let forked = runtime.spawn(async { child::begin_unguarded() });
                assert_eq!(runtime.block_on(forked).unwrap().end(), Ended::Aborted);
                let forked = runtime.spawn_blocking(child::begin_unguarded);
                assert_eq!(runtime.block_on(forked).unwrap().end(), Ended::Aborted);
            }
            // In a job and in a task one may fork and leave, with a runtime of one's own meanwhile.
            let leaving = || {
                let ended = fork(|| {
                    let own = processors(1);
                    own.block_on(all_works());
                });
                assert_eq!(ended, Ended::Well);
            };
            let forked = runtime.spawn(async move { leaving() });
            runtime.block_on(forked).unwrap();
            let forked = runtime.spawn_blocking(leaving);
            runtime.block_on(forked).unwrap();
            assert_all_usable(&runtime);
        },
    );
}

#[test]
fn instruments_are_not_told_of_what_a_child_does() {
    alone("instruments_are_not_told_of_what_a_child_does", || {
        let parent = std::process::id();
        // A child that calls it has ended otherwise.
        let hook = move |_: &TaskMeta| {
            // SAFETY: it takes a number and does not return.
            assert!(std::process::id() == parent || unsafe { libc::_exit(7) });
        };
        for details in [false, true] {
            let runtime = Builder::new()
                .worker_threads(1)
                .histograms(true)
                .task_details(details)
                .on_task_spawn(hook)
                .on_before_task_poll(hook)
                .on_after_task_poll(hook)
                .on_task_terminate(hook)
                .build()
                .unwrap();
            let forked = runtime.spawn(async { child::begin_unguarded() });
            assert_eq!(runtime.block_on(forked).unwrap().end(), Ended::Aborted);
            let forked = runtime.spawn_blocking(child::begin_unguarded);
            assert_eq!(runtime.block_on(forked).unwrap().end(), Ended::Aborted);
            let waiting = runtime.spawn(pending::<()>());
            let ended = fork(|| {
                let said = message(|| drop(runtime.spawn(async {})));
                assert!(said.contains("forked from"), "{said}");
                let said = message(|| drop(runtime.spawn_blocking(|| {})));
                assert!(said.contains("forked from"), "{said}");
                waiting.abort();
            });
            assert_eq!(ended, Ended::Well);
            // Waking and spawning inside of a task.
            let forked = runtime.spawn(async {
                let begun = child::begin_unguarded();
                drop(executor::spawn(async {}));
                executor::task::yield_now().await;
                begun
            });
            assert_eq!(runtime.block_on(forked).unwrap().end(), Ended::Aborted);
            assert_all_usable(&runtime);
        }
    });
}

/// Three threads that do the same over and over beside forks.
struct Traffic {
    done: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Traffic {
    /// All of them have begun.
    fn begin(runtime: &Runtime, turn: fn(&Handle)) -> Traffic {
        let (done, begun) = (Arc::default(), Arc::new(Barrier::new(4)));
        child::wait_until_quiet();
        let threads = (0..3).map(|_| {
            let (done, begun) = (Arc::clone(&done), begun.clone());
            let handle = runtime.handle().clone();
            thread::spawn(move || {
                begun.wait();
                while !AtomicBool::load(&done, SeqCst) {
                    turn(&handle);
                }
            })
        });
        let threads = threads.collect();
        begun.wait();
        Traffic { done, threads }
    }

    fn end(self) {
        self.done.store(true, SeqCst);
        let threads = self.threads.into_iter();
        threads.for_each(|thread| thread.join().unwrap());
    }
}

/// A `block_on` that has waited, and forks, ends in the child whoever else waits at the moment.
#[test]
fn a_child_that_leaves_block_on_waits_for_no_other_one() {
    const FORKS: usize = 50;
    alone(
        "a_child_that_leaves_block_on_waits_for_no_other_one",
        || {
            let runtime = processors(2);
            let traffic = Traffic::begin(&runtime, |handle| {
                handle.block_on(async { executor::spawn(async {}).await.unwrap() });
            });
            for _ in 0..FORKS {
                let begun = runtime.block_on(async {
                    executor::spawn(sleep(Duration::from_micros(100)))
                        .await
                        .unwrap();
                    child::begin_amid_traffic()
                });
                assert_eq!(begun.end(), Ended::Well);
            }
            traffic.end();
            assert_all_usable(&runtime);
        },
    );
}

/// Whatever lock of the process another thread holds at the moment of the fork, it is free in the child.
#[test]
fn forks_amid_traffic_hang_neither_process() {
    const FORKS: usize = 100;
    alone("forks_amid_traffic_hang_neither_process", || {
        let runtime = processors(2);
        runtime.block_on(runtime.spawn(spawn_named())).unwrap();
        let traffic = Traffic::begin(&runtime, |handle| {
            handle.block_on(spawn_named());
            // A local set leases a registry.
            handle.block_on(async { executor::spawn_local(async {}).await.unwrap() });
        });
        for _ in 0..FORKS {
            let ended = child::fork_amid_traffic(|| {
                executor::block_on(spawn_named());
                drop(processors(1));
            });
            assert_eq!(ended, Ended::Well);
        }
        traffic.end();
        assert_all_usable(&runtime);
    });
}

async fn spawn_named() {
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let named = task::Builder::new().name("named");
            named.spawn(sleep(Duration::from_micros(10)))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(Handle::try_current().is_ok());
}
