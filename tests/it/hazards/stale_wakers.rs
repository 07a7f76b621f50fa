//! Tasks that have looked at an idle socket and gone: of their wakers, each of which holds a task's memory, a few are left at
//! most, however many they were and whatever they looked through. And none that still waits is forgotten for that.

use std::future::Future;
use std::io::Read;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use executor::block_on;
use executor::io::Async;
use executor::net::{TcpListener, TcpStream, UdpSocket};
use executor::time::timeout;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures::stream::{FuturesUnordered, Stream, StreamExt};

use crate::common::streams::{pair, std_pair};
use crate::common::{on_runtimes, wait_until};

const TASKS: usize = 1000;
/// A handle remembers so many tasks in each direction.
const PER_HANDLE: usize = 16;

/// A task, as far as its waker goes.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Many tasks look, and each must wait. How many wakers are left?
fn left_after(mut look: impl FnMut(usize, &mut Context<'_>) -> bool) -> usize {
    let tasks: Vec<_> = (0..TASKS).map(|_| Arc::new(Task::default())).collect();
    for (n, task) in tasks.iter().enumerate() {
        let waker = Waker::from(task.clone());
        assert!(look(n, &mut Context::from_waker(&waker)), "it must wait");
    }
    let is_left = |task: &&Arc<Task>| Arc::strong_count(task) > 1;
    let left = tasks.iter().filter(is_left).count();
    let woken = tasks.iter().filter(|task| task.0.load(SeqCst) > 0).count();
    // Whoever has lost its place was woken, as it may still wait, or has given it up itself.
    assert!(
        woken == 0 || woken + left == TASKS,
        "{woken} woken, {left} left"
    );
    left
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = futures::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// A stream that can neither be read nor written.
async fn stuck() -> (TcpStream, TcpStream) {
    let (near, far) = tcp().await;
    let mut filling = near.clone();
    let mut cx = Context::from_waker(Waker::noop());
    while Pin::new(&mut filling)
        .poll_write(&mut cx, &[0; 65536])
        .is_ready()
    {}
    drop(filling);
    // What the peer's system takes over is room again for a moment.
    while timeout(Duration::from_millis(20), (&near).write(&[0; 65536]))
        .await
        .is_ok()
    {}
    (near, far)
}

#[test]
fn each_kind_of_handle_remembers_a_few_tasks() {
    block_on(async {
        let (near, _far) = stuck().await;
        let read = |mut stream: &TcpStream, cx: &mut Context<'_>| {
            Pin::new(&mut stream)
                .poll_read(cx, &mut [0; 16])
                .is_pending()
        };
        let write = |mut stream: &TcpStream, cx: &mut Context<'_>| {
            Pin::new(&mut stream).poll_write(cx, &[0; 16]).is_pending()
        };
        assert_eq!(left_after(|_, cx| read(&near, cx)), PER_HANDLE);
        assert_eq!(left_after(|_, cx| write(&near, cx)), PER_HANDLE);
        // A clone each, which goes.
        assert_eq!(left_after(|_, cx| read(&near.clone(), cx)), 0);
        assert_eq!(left_after(|_, cx| write(&near.clone(), cx)), 0);
        // A few clones that stay.
        let clones = [near.clone(), near.clone(), near.clone()];
        assert_eq!(left_after(|n, cx| read(&clones[n % 3], cx)), 3 * PER_HANDLE);
        drop(clones);
        let (mut reader, mut writer) = near.into_split();
        let left = left_after(|_, cx| {
            Pin::new(&mut reader)
                .poll_read(cx, &mut [0; 16])
                .is_pending()
        });
        assert_eq!(left, PER_HANDLE);
        let left = left_after(|_, cx| Pin::new(&mut writer).poll_write(cx, &[0; 16]).is_pending());
        assert_eq!(left, PER_HANDLE);

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        assert_eq!(
            left_after(|_, cx| listener.poll_accept(cx).is_pending()),
            PER_HANDLE
        );
        let left = left_after(|_, cx| pin!(listener.incoming()).poll_next(cx).is_pending());
        assert_eq!(left, PER_HANDLE);

        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let left = left_after(|_, cx| udp.poll_recv_from(cx, &mut [0; 16]).is_pending());
        assert_eq!(left, PER_HANDLE);

        let (near, _far) = pair();
        let left = left_after(|_, cx| {
            Pin::new(&mut &near)
                .poll_read(cx, &mut [0; 16])
                .is_pending()
        });
        assert_eq!(left, PER_HANDLE);
        let left = left_after(|_, cx| {
            Pin::new(&mut near.clone())
                .poll_read(cx, &mut [0; 16])
                .is_pending()
        });
        assert_eq!(left, 0);

        let (near, _far) = std_pair();
        let near = Async::new(near).unwrap();
        assert_eq!(
            left_after(|_, cx| near.poll_readable(cx).is_pending()),
            PER_HANDLE
        );
        let read = |cx: &mut Context<'_>| near.poll_read_with(cx, |mut io| io.read(&mut [0; 16]));
        assert_eq!(left_after(|_, cx| read(cx).is_pending()), PER_HANDLE);
        let left = left_after(|_, cx| {
            Pin::new(&mut &near)
                .poll_read(cx, &mut [0; 16])
                .is_pending()
        });
        assert_eq!(left, PER_HANDLE);
    });
}

#[cfg(unix)]
#[test]
fn a_unix_listener_remembers_a_few_tasks() {
    block_on(async {
        let path = std::env::temp_dir().join(format!("executor-stale-{}", std::process::id()));
        let listener = executor::net::unix::UnixListener::bind(&path).unwrap();
        let left = left_after(|_, cx| listener.poll_accept(cx).is_pending());
        assert_eq!(left, PER_HANDLE);
        let left = left_after(|_, cx| pin!(listener.incoming()).poll_next(cx).is_pending());
        assert_eq!(left, PER_HANDLE);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_future_that_is_dropped_leaves_nothing() {
    block_on(async {
        let (near, _far) = std_pair();
        let near = Async::new(near).unwrap();
        assert_eq!(
            left_after(|_, cx| pin!(near.readable()).poll(cx).is_pending()),
            0
        );
        let read = || near.read_with(|mut io| io.read(&mut [0; 16]));
        assert_eq!(left_after(|_, cx| pin!(read()).poll(cx).is_pending()), 0);
        // All at a time.
        let mut waiting = Vec::new();
        let left = left_after(|_, cx| {
            waiting.push(Box::pin(near.readable()));
            waiting.last_mut().unwrap().as_mut().poll(cx).is_pending()
        });
        assert_eq!(left, TASKS);
    });
}

/// A waker for each look, as of a combinator made anew each time.
#[test]
fn reads_in_a_collection_with_a_timeout_leave_a_few_wakers() {
    let tasks: Vec<_> = (0..TASKS).map(|_| Arc::new(())).collect();
    block_on(async {
        let (near, _far) = pair();
        for task in &tasks {
            let mut reads = FuturesUnordered::new();
            let (mut near, task) = (&near, task.clone());
            reads.push(async move {
                let _ = near.read(&mut [0; 16]).await;
                drop(task);
            });
            assert!(timeout(Duration::ZERO, reads.next()).await.is_err());
        }
        // The socket is here still.
        assert!(tasks.iter().all(|task| Arc::strong_count(task) == 1));
    });
}

/// More tasks than a handle remembers, through references and through clones. All get what they wait for.
#[test]
fn none_of_a_crowd_is_forgotten_whatever_it_waits_through() {
    const CROWD: usize = 5 * PER_HANDLE;
    on_runtimes(|runtime| {
        let (near, far) = runtime.block_on(async {
            let (near, far) = pair();
            (Arc::new(near), far)
        });
        let read = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..CROWD)
            .map(|n| {
                let (near, read) = (near.clone(), read.clone());
                runtime.spawn(async move {
                    let mut buf = [0];
                    let got = match n % 2 {
                        0 => (*near).clone().read(&mut buf).await,
                        _ => (&*near).read(&mut buf).await,
                    };
                    assert_eq!(got.unwrap(), 1);
                    read.fetch_add(1, SeqCst);
                })
            })
            .collect();
        let mut far = far;
        for sent in 1..=CROWD {
            runtime.block_on(far.write_all(b"x")).unwrap();
            wait_until("one has it", || read.load(SeqCst) == sent);
        }
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
    });
}
