//! Flags that stay up while an operation would block: the error queue that nobody reads, urgent data, the end of a datagram
//! socket. Who waits for readiness and then reads behind our back must neither spin nor miss what comes next; and flags that
//! stand for a result, as an end does, are readiness for as long as they are up.

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use executor::block_on;
use executor::io::Async;

use crate::common::{on_runtimes, wait_until, within_patience};

fn set_option(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    let value = (&raw const value).cast();
    // SAFETY: `value` points to as many bytes as are announced.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, size) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// How often it is ready in a row; `limit` stands for "always".
fn ready_in_a_row<F: Future<Output = std::io::Result<()>>>(
    limit: usize,
    ask: impl Fn() -> F,
) -> usize {
    let is_ready = || {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(ask()).poll(&mut cx) {
            Poll::Ready(result) => {
                result.unwrap();
                true
            }
            Poll::Pending => false,
        }
    };
    (0..limit).take_while(|_| is_ready()).count()
}

/// Two UDP sockets; a datagram of the first was refused, and the report of it is in its error queue.
fn refused() -> (Async<UdpSocket>, UdpSocket) {
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    set_option(&near, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    near.send_to(b"x", address).unwrap();
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    (Async::new(near).unwrap(), far)
}

/// Reads until that would block.
fn drain(socket: &UdpSocket) -> usize {
    let mut datagrams = 0;
    loop {
        match socket.recv(&mut [0; 16]) {
            Ok(_) => datagrams += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return datagrams,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
    }
}

#[test]
fn an_error_queue_that_nobody_reads_does_not_make_a_busy_loop() {
    on_runtimes(|runtime| {
        const DATAGRAMS: usize = 20;
        let (near, far) = runtime.block_on(async { refused() });
        let near = Arc::new(near);
        let (turns, got) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let reader = runtime.spawn({
            let (near, turns, got) = (near.clone(), turns.clone(), got.clone());
            async move {
                loop {
                    near.readable().await.unwrap();
                    turns.fetch_add(1, SeqCst);
                    got.fetch_add(drain(near.get_ref()), SeqCst);
                }
            }
        });
        for sent in 1..=DATAGRAMS {
            far.send(b"y").unwrap();
            wait_until("it is read", || got.load(SeqCst) == sent);
        }
        // Each event, of a datagram or of the error, for one turn, and another for each that comes as it reads.
        let turns = turns.load(SeqCst);
        assert!(turns <= 2 * (DATAGRAMS + 1), "{turns} turns");
        reader.abort();
        assert!(runtime.block_on(reader).is_err());
    });
}

/// The error itself is not lost on who asks first and then reads through us.
#[test]
fn an_error_that_readable_has_told_of_is_still_read() {
    block_on(async {
        let (near, _far) = refused();
        near.readable().await.unwrap();
        let error = near.read_with(|socket| socket.recv(&mut [0; 16])).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // What is left is the queue. Nobody was told of it since, or was.
        let left = ready_in_a_row(10, || near.readable());
        assert!(left < 10);
    });
}

#[test]
fn the_poll_forms_are_told_once_too_and_each_direction_for_itself() {
    let (near, far) = refused();
    block_on(near.readable()).unwrap();
    drain(near.get_ref());
    let poll_readable = || poll_fn(|cx| near.poll_readable(cx));
    // Registration and the error are an event each, and may come late; that there is an error is none.
    let mut told = 0;
    loop {
        match ready_in_a_row(100, poll_readable) {
            0 => break,
            more => told += more,
        }
        assert!(told <= 3, "told {told} times");
    }
    // There is room to send.
    assert_eq!(ready_in_a_row(100, || near.writable()), 100);
    far.send(b"y").unwrap();
    block_on(poll_readable()).unwrap();
    assert_eq!(drain(near.get_ref()), 1);
    // And what is there is readiness for as long as it is there.
    far.send(b"z").unwrap();
    block_on(near.readable()).unwrap();
    assert_eq!(ready_in_a_row(100, || near.readable()), 100);
    assert_eq!(drain(near.get_ref()), 1);
    assert!(ready_in_a_row(100, || near.readable()) <= 1);
}

/// All who wait are told, though for those who come later it is old.
#[test]
fn every_task_that_waits_is_told_of_an_error() {
    const TASKS: usize = 20;
    on_runtimes(|runtime| {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        set_option(&near, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let near = runtime.block_on(async { Arc::new(Async::new(near).unwrap()) });
        let waiting = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (near, waiting) = (near.clone(), waiting.clone());
                runtime.spawn(async move {
                    let mut readable = pin!(near.readable());
                    let mut is_first = true;
                    poll_fn(|cx| {
                        let poll = readable.as_mut().poll(cx);
                        if std::mem::take(&mut is_first) {
                            assert!(poll.is_pending());
                            waiting.fetch_add(1, SeqCst);
                        }
                        poll
                    })
                    .await
                })
            })
            .collect();
        wait_until("all wait", || waiting.load(SeqCst) == TASKS);
        near.get_ref().send_to(b"x", address).unwrap();
        for task in tasks {
            runtime.block_on(task).unwrap().unwrap();
        }
    });
}

/// A full stream with an error queue: the time stamps of what was sent.
#[test]
fn time_stamps_that_nobody_reads_do_not_make_a_full_stream_writable() {
    within_patience(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let stamps = libc::SOF_TIMESTAMPING_TX_SOFTWARE
            | libc::SOF_TIMESTAMPING_SOFTWARE
            | libc::SOF_TIMESTAMPING_OPT_TSONLY;
        set_option(
            &near,
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            stamps as libc::c_int,
        );
        let near = Async::new(near).unwrap();
        let fill = || {
            let mut filled = 0;
            loop {
                match near.get_ref().write(&[0; 4096]) {
                    Ok(more) => filled += more,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        return filled;
                    }
                }
            }
        };
        let mut filled = fill();
        let mut turns = 0;
        while turns < 1000 && ready_in_a_row(1, || near.writable()) == 1 {
            turns += 1;
            filled += fill();
        }
        assert!(turns < 1000, "always writable");
        let reader = std::thread::spawn(move || {
            let mut buf = vec![0; 1 << 16];
            let mut left = filled;
            while left > 0 {
                left -= far.read(&mut buf).unwrap();
            }
            far
        });
        block_on(near.writable()).unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn urgent_data_that_nobody_reads_as_such_is_told_once() {
    within_patience(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = Async::new(listener.accept().unwrap().0).unwrap();
        rustix::net::send(&far, b"!", rustix::net::SendFlags::OOB).unwrap();
        block_on(near.readable()).unwrap();
        let mut buf = [0; 16];
        assert_eq!(
            near.get_ref().read(&mut buf).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(ready_in_a_row(100, || near.readable()) <= 2);
        far.write_all(b"x").unwrap();
        block_on(near.readable()).unwrap();
        assert_eq!(near.get_ref().read(&mut buf).unwrap(), 1);
        drop(far);
        block_on(near.readable()).unwrap();
        assert_eq!(near.get_ref().read(&mut buf).unwrap(), 0);
        assert_eq!(
            ready_in_a_row(100, || near.readable()),
            100,
            "an end is an end"
        );
    });
}

/// Linux calls its end readable, and lets a receive call block that may not.
#[test]
fn a_datagram_socket_that_was_shut_down_is_told_once_and_what_it_holds_is_read() {
    within_patience(|| {
        let (near, far) = UnixDatagram::pair().unwrap();
        let near = Async::new(near).unwrap();
        far.send(b"one").unwrap();
        far.send(b"two").unwrap();
        near.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
        for _ in 0..2 {
            assert_eq!(ready_in_a_row(100, || near.readable()), 100);
            assert_eq!(near.get_ref().recv(&mut [0; 16]).unwrap(), 3);
        }
        let kind = near.get_ref().recv(&mut [0; 16]).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::WouldBlock);
        assert!(ready_in_a_row(100, || near.readable()) <= 2);
    });
}

#[test]
fn a_hang_up_that_stands_for_a_result_is_readiness_for_as_long_as_it_is_up() {
    fn always_readable<T: AsFd>(of: &Async<T>) {
        block_on(of.readable()).unwrap();
        assert_eq!(ready_in_a_row(100, || of.readable()), 100);
    }
    within_patience(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let near = Async::new(near).unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        always_readable(&near);
        assert_eq!(near.get_ref().read(&mut [0; 1]).unwrap(), 0);
        drop(far);
        always_readable(&near);
        block_on(near.writable()).unwrap();
        let kind = near.get_ref().write(&[0]).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::BrokenPipe);

        let (reader, writer) = std::io::pipe().unwrap();
        let reader = Async::new(reader).unwrap();
        drop(writer);
        always_readable(&reader);

        let (reader, writer) = std::io::pipe().unwrap();
        let writer = Async::new(writer).unwrap();
        while writer.get_ref().write(&[0; 4096]).is_ok() {}
        assert_eq!(ready_in_a_row(100, || writer.writable()), 0);
        drop(reader);
        block_on(writer.writable()).unwrap();
        assert_eq!(ready_in_a_row(100, || writer.writable()), 100);
    });
}

/// Half of a connection goes on when the other has ended.
#[test]
fn a_stream_that_is_closed_in_one_direction_waits_in_the_other() {
    on_runtimes(|runtime| {
        let (near, far) = UnixStream::pair().unwrap();
        let near = runtime.block_on(async { Arc::new(Async::new(near).unwrap()) });
        far.shutdown(std::net::Shutdown::Write).unwrap();
        while near.get_ref().write(&[0; 4096]).is_ok() {}
        assert_eq!(ready_in_a_row(100, || near.writable()), 0);
        assert_eq!(ready_in_a_row(100, || near.readable()), 100);
        let waiting = near.clone();
        let writer = runtime.spawn(async move { waiting.writable().await });
        let mut buf = vec![0; 1 << 20];
        assert!((&far).read(&mut buf).unwrap() > 0);
        runtime.block_on(writer).unwrap().unwrap();
    });
}
