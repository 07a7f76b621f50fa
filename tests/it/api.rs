//! The public names and signatures that others compile against. It is enough that this file compiles; what the
//! functions do is tested elsewhere.

use std::any::Any;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd as AsDescriptor, AsRawFd as AsRaw, IntoRawFd as IntoRaw};
#[cfg(windows)]
use std::os::windows::io::{
    AsRawSocket as AsRaw, AsSocket as AsDescriptor, IntoRawSocket as IntoRaw,
};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use executor::runtime::{EnterGuard, NoRuntime, RuntimeMetrics};
use executor::task::{AbortHandle, Id, JoinSet};
use executor::{Builder, Handle, JoinError, JoinHandle, Runtime};
use futures::Stream;
use futures::io::{AsyncRead, AsyncWrite};

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn unpin<T: Unpin>() {}
fn clone<T: Clone>() {}
fn debug<T: std::fmt::Debug>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn crate_root() {
    fn spawn_like<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        executor::spawn(future)
    }
    fn spawn_local_like<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        executor::spawn_local(future)
    }
    fn blocking_like<F, T>(f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        executor::spawn_blocking(f)
    }
    fn in_place_like<F: FnOnce() -> T, T>(f: F) -> T {
        executor::block_in_place(f)
    }
    executor::block_on(async {
        spawn_like(async {}).await.unwrap();
        spawn_local_like(async {}).await.unwrap();
        blocking_like(|| ()).await.unwrap();
    });
    in_place_like(|| ());
    assert_eq!(executor::run(async { 1 }), 1);
    // As `go f()`: the handle may be dropped in a statement.
    executor::spawn(async {});
}

#[test]
fn runtime() {
    let runtime: io::Result<Runtime> = executor::runtime::Builder::new()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::ZERO)
        .thread_name("api")
        .thread_stack_size(1 << 20)
        .on_thread_start(|| ())
        .on_thread_stop(|| ())
        .build();
    let runtime = runtime.unwrap();
    let handle: &Handle = runtime.handle();
    let guard: EnterGuard<'_> = handle.enter();
    let _: Result<Handle, NoRuntime> = Handle::try_current();
    let _: Handle = Handle::current().clone();
    drop(guard);
    let _: RuntimeMetrics = handle.metrics();
    let _ = runtime.metrics().to_string();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    handle.block_on(handle.spawn_blocking(|| ())).unwrap();
    runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    runtime.shutdown_timeout(Duration::from_secs(10));
    Builder::new()
        .worker_threads(1)
        .build()
        .unwrap()
        .shutdown_background();
    send::<Runtime>();
    sync::<Runtime>();
    send::<Handle>();
    sync::<Handle>();
    error::<NoRuntime>();
}

#[test]
fn metrics() {
    let metrics = executor::block_on(async { Handle::current().metrics() });
    let _: (usize, usize, usize) = (
        metrics.num_workers(),
        metrics.num_alive_tasks(),
        metrics.global_queue_depth(),
    );
    let _: (usize, usize, usize) = (
        metrics.num_blocking_threads(),
        metrics.num_idle_blocking_threads(),
        metrics.blocking_queue_depth(),
    );
    let _: (usize, u64, u64) = (
        metrics.num_threads(),
        metrics.spawned_tasks_count(),
        metrics.worker_poll_count(0),
    );
    let _: (usize, u64, u64) = (
        metrics.worker_local_queue_depth(0),
        metrics.worker_steal_count(0),
        metrics.worker_park_count(0),
    );
    let _: (u64, u64) = (metrics.handoff_count(), metrics.netpoll_ready_count());
    let _: (usize, Option<u64>, Option<Duration>) = (
        metrics.worker_threads(),
        metrics.cpu_throttled_count(),
        metrics.cpu_throttled_duration(),
    );
    let _: fn(&Handle, usize) -> std::io::Result<()> = Handle::set_worker_threads;
    let _: fn(&Handle) -> usize = Handle::worker_threads;
    clone::<RuntimeMetrics>();
    debug::<RuntimeMetrics>();
}

#[test]
fn task() {
    send::<JoinHandle<()>>();
    sync::<JoinHandle<std::cell::Cell<()>>>();
    unpin::<JoinHandle<std::marker::PhantomPinned>>();
    clone::<AbortHandle>();
    error::<JoinError>();
    fn join_error(error: JoinError) {
        let _: (bool, bool) = (error.is_cancelled(), error.is_panic());
        let _: Result<Box<dyn Any + Send>, JoinError> = error.try_into_panic();
    }
    let _: fn(JoinError) = join_error;
    let _: fn(JoinError) -> Box<dyn Any + Send> = JoinError::into_panic;
    let _: fn(JoinError) -> io::Error = From::from;
    executor::block_on(async {
        let handle: JoinHandle<Option<Id>> = executor::task::Builder::new()
            .name("named")
            .spawn(async { executor::task::try_id() });
        let id: Id = handle.id();
        let abort: AbortHandle = handle.abort_handle();
        let _: (bool, bool, Id) = (handle.is_finished(), abort.is_finished(), abort.id());
        assert_eq!(handle.await.unwrap(), Some(id));
        abort.abort();
        executor::task::yield_now().await;
        executor::task::consume_budget().await;
        executor::task::unconstrained(async {}).await;
        let mut set: JoinSet<u8> = JoinSet::new();
        let _: AbortHandle = set.spawn(async { 1 });
        let _: AbortHandle = set.spawn_blocking(|| 2);
        let _: Option<Result<u8, JoinError>> = set.join_next().await;
        let _: (usize, bool) = (set.len(), set.is_empty());
        set.abort_all();
        set.shutdown().await;
        set.detach_all();
    });
    let _: fn() -> Id = executor::task::id;
}

#[test]
fn time() {
    use executor::time::*;
    send::<Sleep>();
    sync::<Sleep>();
    error::<Elapsed>();
    let _: fn(Elapsed) -> io::Error = From::from;
    let _: Instant = now();
    let _: fn(Pin<&mut Sleep>, Instant) = Sleep::reset;
    fn into_future(
        future: impl IntoFuture<Output = u8>,
    ) -> impl Future<Output = Result<u8, Elapsed>> {
        timeout(Duration::from_secs(1), future)
    }
    executor::block_on(async {
        let sleep: Sleep = sleep(Duration::ZERO);
        let _: (Instant, bool) = (sleep.deadline(), sleep.is_elapsed());
        sleep.await;
        sleep_until(now()).await;
        into_future(std::future::ready(1)).await.unwrap();
        let _: Result<(), Elapsed> = timeout_at(now(), async {}).await;
        let mut ticks: Interval = interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let _: Instant = ticks.tick().await;
        let _ = interval_at(now(), Duration::from_millis(1)).tick().await;
        fn stream<S: Stream<Item = Instant>>(_: S) {}
        stream(ticks);
    });
}

fn stream<T>()
where
    T: AsyncRead
        + AsyncWrite
        + Clone
        + Send
        + Sync
        + Unpin
        + AsDescriptor
        + AsRaw
        + std::fmt::Debug,
    for<'a> &'a T: AsyncRead + AsyncWrite,
{
}

fn descriptor<T: AsDescriptor + AsRaw + Send + Sync + Unpin>() {}

fn from_std<T: TryFrom<S>, S: IntoRaw>() {}

#[cfg(unix)]
#[test]
fn unix_sockets() {
    use executor::net::unix::{UnixDatagram, UnixListener, UnixStream};

    stream::<UnixStream>();
    descriptor::<UnixListener>();
    descriptor::<UnixDatagram>();
    from_std::<UnixListener, std::os::unix::net::UnixListener>();
    from_std::<UnixStream, std::os::unix::net::UnixStream>();
    from_std::<UnixDatagram, std::os::unix::net::UnixDatagram>();
    executor::block_on(async {
        let (_, _) = UnixStream::pair().unwrap();
        let (_, _) = UnixDatagram::pair().unwrap();
    });
}

#[test]
fn io_and_net() {
    use executor::io::Async;
    use executor::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, lookup_host};

    stream::<TcpStream>();
    descriptor::<TcpListener>();
    descriptor::<UdpSocket>();
    from_std::<TcpListener, std::net::TcpListener>();
    from_std::<TcpStream, std::net::TcpStream>();
    from_std::<UdpSocket, std::net::UdpSocket>();

    fn any_descriptor<T: AsDescriptor>(io: Async<T>, cx: &mut Context<'_>) -> io::Result<T> {
        let _: Poll<io::Result<()>> = io.poll_readable(cx);
        let _: Poll<io::Result<()>> = io.poll_writable(cx);
        let _: &T = io.get_ref();
        io.into_inner()
    }
    let _: fn(Async<std::net::TcpStream>, &mut Context<'_>) -> _ = any_descriptor;

    executor::block_on(async {
        let io = Async::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let sent = io
            .write_with(|socket| socket.send_to(b"x", socket.local_addr()?))
            .await;
        assert_eq!(sent.unwrap(), 1);
        io.writable().await.unwrap();
        io.readable().await.unwrap();
        io.read_with(|socket| socket.recv(&mut [0; 8]))
            .await
            .unwrap();

        async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
            TcpListener::bind(address).await
        }
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (_, _): (TcpStream, SocketAddr) = listener.accept().await.unwrap();
        fn incoming<S: Stream<Item = io::Result<TcpStream>>>(_: S) {}
        incoming(listener.incoming());
        let (_read, _write) = stream.into_split();
        let _ = lookup_host("127.0.0.1:80").await.unwrap();

        let socket = TcpSocket::new_v4().unwrap();
        let _ = TcpSocket::new_v6();
        socket.set_reuseaddr(true).unwrap();
        let _: io::Result<()> = socket.set_reuseport(true);
        socket.set_send_buffer_size(1 << 16).unwrap();
        socket.set_recv_buffer_size(1 << 16).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        let _: TcpStream = client
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();

        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.send_to(b"y", udp.local_addr().unwrap()).await.unwrap();
        udp.recv_from(&mut [0; 8]).await.unwrap();
    });
}
