//! Sockets where tokio's own tests do not look.

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UnixStream, unix::pipe};
use tokio::runtime::{Builder, Runtime, is_rt_shutdown_err};

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (a, b) = tokio::join!(TcpStream::connect(address), listener.accept());
    (a.unwrap(), b.unwrap().0)
}

fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().enable_all().build().unwrap(),
    ]
}

fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    future.poll(&mut cx).is_pending()
}

/// A closed direction is ready for ever, so attempts that go on to block would be made for ever.
#[test]
fn an_attempt_on_a_closed_socket_is_made_once_for_each_event() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (a, b) = UnixStream::pair().unwrap();
            drop(b);
            while !a.ready(Interest::READABLE).await.unwrap().is_read_closed() {
                tokio::task::yield_now().await;
            }
            let mut attempts = 0;
            {
                let attempt = || -> io::Result<()> {
                    attempts += 1;
                    Err(io::ErrorKind::WouldBlock.into())
                };
                let mut waits = pin!(a.async_io(Interest::READABLE, attempt));
                assert!(is_pending(waits.as_mut()));
            }
            assert_eq!(attempts, 1);
        });
    }
}

#[test]
fn what_waits_fails_when_the_runtime_shuts_down() {
    for runtime in runtimes() {
        let (stream, listener, fd, receiver, _others) = runtime.block_on(async {
            let (a, b) = UnixStream::pair().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (c, d) = std::os::unix::net::UnixStream::pair().unwrap();
            c.set_nonblocking(true).unwrap();
            // SAFETY: the socket keeps its descriptor open.
            let fd = unsafe { AsyncFd::register(c) }.unwrap();
            let (sender, receiver) = pipe::pipe().unwrap();
            (a, listener, fd, receiver, (b, d, sender))
        });
        let (mut stream, mut receiver) = (stream, receiver);
        let other = Builder::new_multi_thread().enable_all().build().unwrap();
        let (waits, waiting) = tokio::sync::oneshot::channel();
        let waiter = other.spawn(async move {
            let mut buf = [0; 8];
            let mut accept = pin!(listener.accept());
            assert!(is_pending(accept.as_mut()));
            waits.send(()).unwrap();
            let accepted = accept.await.map(drop);
            let errors = [
                accepted,
                stream.read(&mut buf).await.map(drop),
                stream.readable().await,
                receiver.read(&mut buf).await.map(drop),
                fd.readable().await.map(drop),
                fd.async_io(Interest::READABLE, |_| Ok(())).await,
            ];
            for error in errors {
                assert!(is_rt_shutdown_err(&error.unwrap_err()));
            }
            // What need not wait still works.
            assert_eq!(stream.try_write(b"x").unwrap(), 1);
        });
        other.block_on(waiting).unwrap();
        drop(runtime);
        other.block_on(waiter).unwrap();
    }
}

#[test]
fn all_who_wait_for_one_socket_are_woken() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (a, mut b) = tcp_pair().await;
        let _ = a.try_read(&mut [0; 1]);
        let a = Arc::new(a);
        let tasks: Vec<_> = (0..40)
            .map(|number| {
                let a = a.clone();
                let interest = match number % 2 {
                    0 => Interest::READABLE,
                    _ => Interest::READABLE | Interest::ERROR,
                };
                tokio::spawn(async move { a.ready(interest).await.unwrap().is_readable() })
            })
            .collect();
        b.write_all(b"x").await.unwrap();
        for task in tasks {
            assert!(task.await.unwrap());
        }
    });
}

/// Through both halves, with vectored writes of all sizes, and together again.
#[test]
fn what_is_written_arrives_in_order() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (a, b) = tcp_pair().await;
            let (mut a_read, mut a_write) = a.into_split();
            let echo = tokio::spawn(async move {
                let (mut read, mut write) = b.into_split();
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
                read.reunite(write).unwrap()
            });
            let sent: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
            let expected = sent.clone();
            let writer = tokio::spawn(async move {
                let (mut at, mut size) = (0, 1);
                while at < sent.len() {
                    let end = sent.len().min(at + size);
                    let middle = (at + end) / 2;
                    let bufs = [
                        IoSlice::new(&sent[at..middle]),
                        IoSlice::new(&sent[middle..end]),
                    ];
                    at += a_write.write_vectored(&bufs).await.unwrap();
                    size = size * 3 % 4001 + 1;
                }
                a_write.shutdown().await.unwrap();
                a_write
            });
            let mut received = Vec::new();
            a_read.read_to_end(&mut received).await.unwrap();
            assert!(received == expected);
            a_read.reunite(writer.await.unwrap()).unwrap();
            echo.await.unwrap();
        });
    }
}

#[test]
fn an_object_that_cannot_be_registered_comes_back() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let (mut a, mut b) = std::os::unix::net::UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    // SAFETY: the sockets outlive the registrations.
    let fd = unsafe { AsyncFd::register(a.as_raw_fd()) }.unwrap();
    // SAFETY: as above.
    let error = unsafe { AsyncFd::register(a.as_raw_fd()) }.unwrap_err();
    let (again, error) = error.into_parts();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!((again, fd.into_inner()), (a.as_raw_fd(), a.as_raw_fd()));
    b.write_all(b"x").unwrap();
    assert_eq!(a.read(&mut [0; 4]).unwrap(), 1);
}
