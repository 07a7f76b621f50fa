//! Files, child processes and signals: what goes on when futures, files or runtimes end early.

#![cfg(feature = "full")]

use std::fs;
use std::future::Future;
use std::io::{SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Stdio, id};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::runtime::{Builder, Handle, Runtime, is_rt_shutdown_err};
use tokio::signal::unix::{SignalKind, signal};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A path for a file of this test.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tokio-files-{}-{name}", id()))
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn accepted_write_outlives_file_and_runtime() {
    let path = path("accepted");
    for i in 0..50 {
        let bytes = vec![i; 100_000];
        let rt = runtime();
        rt.block_on(async {
            let mut file = File::create(&path).await.unwrap();
            file.write_all(&bytes).await.unwrap();
        });
        drop(rt);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    fs::remove_file(path).unwrap();
}

/// Keeps the only thread for blocking jobs busy, until it is dropped.
struct Gate(#[allow(dead_code)] mpsc::Sender<()>);

impl Gate {
    fn new(rt: &Handle) -> Gate {
        let (began, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        rt.spawn_blocking(move || {
            began.send(()).unwrap();
            released.recv().unwrap_err();
        });
        has_begun.recv().unwrap();
        Gate(release)
    }
}

fn runtime_with_one_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(1).build().unwrap()
}

#[test]
fn accepted_write_needs_no_thread() {
    let path = path("no-thread");
    let rt = runtime_with_one_thread();
    let gate = Gate::new(rt.handle());
    let std = fs::File::create(&path).unwrap();
    rt.block_on(async {
        let mut file = File::from_std(std);
        file.write_all(b"accepted").await.unwrap();
    });
    rt.shutdown_background();
    while fs::read(&path).unwrap() != b"accepted" {
        thread::yield_now();
    }
    drop(gate);
    fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn cancelled_read_loses_nothing() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut file = File::from(OwnedFd::from(ours));
    let mut buf = [0; 16];
    assert!(poll_once(file.read(&mut buf)).is_pending());
    theirs.write_all(b"hello world").unwrap();
    drop(theirs);
    let mut first = [0; 5];
    file.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"hello");
    let mut rest = String::new();
    file.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, " world");
}

#[test]
fn cancelled_operations_leave_the_position() {
    let path = path("position");
    fs::write(&path, b"0123456789").unwrap();
    let std = fs::File::options().read(true).write(true).open(&path);
    let mut file = File::from_std(std.unwrap());
    let rt = runtime_with_one_thread();
    rt.block_on(async {
        let gate = Gate::new(&Handle::current());
        // Reads ahead what a larger buffer had room for.
        assert!(poll_once(file.read(&mut [0; 8])).is_pending());
        drop(gate);
        assert_eq!(file.read(&mut [0; 2]).await.unwrap(), 2);
        let gate = Gate::new(&Handle::current());
        assert!(poll_once(file.set_len(9)).is_pending());
        drop(gate);
        file.write_all(b"ab").await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 4);
        let mut rest = String::new();
        file.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "45678");
        let gate = Gate::new(&Handle::current());
        assert!(poll_once(file.metadata()).is_pending());
        let std = file.into_std().await;
        drop(gate);
        assert_eq!(std.metadata().unwrap().len(), 9);
    });
    assert_eq!(fs::read(&path).unwrap(), b"01ab45678");
    fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn error_of_a_write_is_told_once() {
    let mut file = File::options().write(true).open("/dev/full").await.unwrap();
    file.write_all(b"lost").await.unwrap();
    // Sees the error, and leaves it to the next write or flush.
    file.sync_data().await.unwrap_err();
    let error = file.flush().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    file.flush().await.unwrap();
}

#[test]
fn files_know_that_the_runtime_has_shut_down() {
    let rt = runtime();
    let handle = rt.handle().clone();
    drop(rt);
    let path = path("shut-down");
    let std = fs::File::create(&path).unwrap();
    let other = runtime();
    let mut file = File::from_std(std);
    {
        let _entered = handle.enter();
        for _ in 0..2 {
            let errors = [
                poll_once(file.write(b"never")).map_ok(drop),
                poll_once(file.read(&mut [0; 4])).map_ok(drop),
                poll_once(file.seek(SeekFrom::Start(0))).map_ok(drop),
                poll_once(file.set_len(1)).map_ok(drop),
                poll_once(tokio::fs::read(&path)).map_ok(drop),
                poll_once(tokio::io::stdout().write(b"never")).map_ok(drop),
            ];
            for result in errors {
                let Poll::Ready(Err(error)) = result else {
                    panic!("{result:?}")
                };
                assert!(is_rt_shutdown_err(&error), "{error}");
            }
        }
    }
    other.block_on(async {
        file.write_all(b"later").await.unwrap();
        file.flush().await.unwrap();
    });
    assert_eq!(fs::read(&path).unwrap(), b"later");
    fs::remove_file(path).unwrap();
}

#[test]
fn child_outlives_its_runtime() {
    let first = runtime();
    let (mut child, mut stdin, mut stdout) = first.block_on(async {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        (child, stdin.unwrap(), stdout.unwrap())
    });
    let second = runtime();
    second.block_on(async {
        let mut wait = pin!(child.wait());
        let mut read = pin!(stdout.read_u8());
        std::future::poll_fn(|cx| {
            assert!(wait.as_mut().poll(cx).is_pending());
            assert!(read.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(first);
        // Pipes belong to their runtime, the child does not.
        let error = read.await.unwrap_err();
        assert!(is_rt_shutdown_err(&error), "{error}");
        stdin.write_all(b"need not wait").await.unwrap();
        drop(stdin);
        assert!(wait.await.unwrap().success());
    });
    assert!(child.id().is_none());
}

#[test]
fn dropped_children_are_reaped_without_a_runtime() {
    let rt = runtime();
    let children = rt.block_on(async {
        let mut children = Vec::new();
        for _ in 0..5 {
            let mut command = Command::new("cat");
            let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
            let stdin = child.stdin.take().unwrap().into_owned_fd().unwrap();
            children.push((child.id().unwrap(), stdin));
        }
        children
    });
    drop(rt);
    for (id, stdin) in children {
        drop(stdin);
        // A zombie would have its folder.
        while fs::exists(format!("/proc/{id}")).unwrap() {
            thread::yield_now();
        }
    }
}

#[test]
fn spawn_outside_a_runtime_leaves_no_zombie() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let spawn = || {
        let stdin = Stdio::from(OwnedFd::from(theirs.try_clone().unwrap()));
        Command::new("cat").stdin(stdin).kill_on_drop(true).spawn()
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(spawn)).unwrap_err();
    drop(theirs);
    // The other end is closed when no `cat` has it any more.
    assert_eq!(std::io::Read::read(&mut &ours, &mut [0]).unwrap(), 0);
}

#[test]
fn signals_outlive_the_first_runtime() {
    fn send() {
        // SAFETY: the signal is caught, by the listeners below.
        unsafe { libc::raise(libc::SIGUSR2) };
    }

    let first = runtime();
    let mut of_first = first.block_on(async { signal(SignalKind::user_defined2()).unwrap() });
    let second = runtime();
    let mut of_second = second.block_on(async { signal(SignalKind::user_defined2()).unwrap() });
    send();
    first.block_on(of_first.recv()).unwrap();
    second.block_on(of_second.recv()).unwrap();
    second.block_on(async {
        assert!(poll_once(of_second.recv()).is_pending());
        let waiting = tokio::spawn(async move { of_second.recv().await });
        tokio::task::yield_now().await;
        drop(first);
        send();
        waiting.await.unwrap().unwrap();
        of_first.recv().await.unwrap();
        assert!(poll_once(of_first.recv()).is_pending());
    });
}

#[test]
fn waker_that_panics_does_not_stop_the_others() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker of the test");
        }
    }

    runtime().block_on(async {
        let kind = SignalKind::window_change();
        let mut bad = signal(kind).unwrap();
        let mut good = signal(kind).unwrap();
        let waker = Waker::from(std::sync::Arc::new(Panics));
        assert!(bad.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        assert!(poll_once(good.recv()).is_pending());
        for _ in 0..2 {
            // SAFETY: the signal is caught.
            unsafe { libc::raise(libc::SIGWINCH) };
            good.recv().await.unwrap();
        }
    });
}
