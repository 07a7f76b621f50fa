use std::io::{ErrorKind, Read, Write};
use std::pin::pin;
use std::task::Waker;

use super::*;
use crate::sys::pair::Stream;
use crate::{Builder, block_on};

fn pair() -> (Async<Stream>, Stream) {
    let (a, b) = crate::sys::pair::pair();
    (Async::new(a).unwrap(), b)
}

#[cfg(not(any(windows, executor_portable = "oneshot")))]
fn would_block(mut socket: &Stream) {
    let error = socket.read(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_new_object_has_no_flags_before_an_event_tells_them() {
    block_on(async {
        let (a, _b) = pair();
        let written = a.ready(Ready::WRITABLE | Ready::READABLE).await.unwrap();
        assert_eq!(written.flags(), Ready::WRITABLE);
        assert!(a.seen(Ready::READABLE).flags().is_empty());
        a.assume_ready(Ready::READABLE);
        assert_eq!(a.seen(Ready::READABLE).flags(), Ready::READABLE);
    });
}

#[test]
fn one_future_waits_for_both_directions_and_leaves_no_waker() {
    block_on(async {
        let (a, mut b) = pair();
        let both = Ready::WRITABLE | Ready::READABLE;
        a.clear(a.ready(Ready::WRITABLE).await.unwrap());
        {
            let mut waits = pin!(a.ready(both));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waits.as_mut().poll(&mut cx).is_pending());
        }
        assert!(!a.source.has_waiters());
        let wait = a.ready(both);
        b.write_all(b"x").unwrap();
        // One-shot mode tells of what is still ready when it is armed.
        let told = wait.await.unwrap().flags();
        let again = cfg!(any(windows, executor_portable = "oneshot"));
        assert!(again || told.contains(Ready::READABLE));
        assert!(!a.source.has_waiters());
    });
}

/// One-shot mode has no event for anybody who does not wait.
#[cfg(not(any(windows, executor_portable = "oneshot")))]
#[test]
fn an_event_after_the_look_is_not_cleared() {
    block_on(async {
        let (a, mut b) = pair();
        b.write_all(b"x").unwrap();
        let seen = a.ready(Ready::READABLE).await.unwrap();
        assert_eq!(a.get_ref().read(&mut [0; 16]).unwrap(), 1);
        would_block(a.get_ref());
        b.write_all(b"y").unwrap();
        // Delivered when the word has another tick.
        while !a.seen(Ready::READABLE).inner.is_newer_than(seen.inner) {
            crate::task::yield_now().await;
        }
        a.clear(seen);
        assert_eq!(a.seen(Ready::READABLE).flags(), Ready::READABLE);
    });
}

#[test]
fn part_of_what_was_seen_can_be_cleared() {
    block_on(async {
        let (a, mut b) = pair();
        let both = Ready::WRITABLE | Ready::READABLE;
        b.write_all(b"x").unwrap();
        a.ready(Ready::READABLE).await.unwrap();
        let seen = a.seen(both);
        a.clear(seen.only(Ready::READABLE));
        assert_eq!(a.seen(both).flags(), seen.flags() - Ready::READABLE);
    });
}

/// Not on Windows: `polling` tells the end of a stream as data there.
#[cfg(not(windows))]
#[test]
fn a_closed_direction_stays_and_is_news_once() {
    block_on(async {
        // Closed before the registration: a thread that polls while a peer closes can be told twice.
        let (a, b) = crate::sys::pair::pair();
        drop(b);
        let a = Async::new(a).unwrap();
        let seen = a.ready(Ready::READABLE | Ready::READ_CLOSED).await.unwrap();
        assert!(seen.flags().contains(Ready::READ_CLOSED));
        a.clear(seen);
        let left = a.ready(Ready::READABLE | Ready::READ_CLOSED).await.unwrap();
        assert_eq!(left.flags(), Ready::READ_CLOSED);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(a.ready_again(left)).poll(&mut cx).is_pending());
    });
}

#[test]
fn an_operation_that_would_block_clears_its_flag() {
    block_on(async {
        let (a, mut b) = pair();
        b.write_all(b"x").unwrap();
        a.ready(Ready::READABLE).await.unwrap();
        let read = |mut socket: &Stream| socket.read(&mut [0; 16]);
        assert_eq!(a.try_read_with(read).unwrap(), 1);
        assert_eq!(
            a.try_read_with(read).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(a.seen(Ready::READABLE).flags().is_empty());
        // Now no attempt is made.
        let never = |_: &Stream| -> io::Result<()> { panic!("it would block") };
        assert_eq!(
            a.try_read_with(never).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(
            a.try_write_with(|mut socket| socket.write(b"y")).unwrap(),
            1
        );
    });
}

#[test]
fn a_runtime_that_has_shut_down_ends_the_wait_even_if_flags_are_up() {
    let runtime = Builder::new().build().unwrap();
    let (a, _b) = runtime.block_on(async {
        let (a, b) = pair();
        a.ready(Ready::WRITABLE).await.unwrap();
        (a, b)
    });
    drop(runtime);
    block_on(async {
        for flags in [Ready::READABLE, Ready::WRITABLE] {
            let error = a.ready(flags).await.unwrap_err();
            assert!(crate::io::is_shutdown(&error));
        }
    });
    assert!(!crate::io::is_shutdown(&ErrorKind::WouldBlock.into()));
}

#[test]
fn an_object_that_is_assumed_idle_makes_its_first_attempt_after_an_event() {
    block_on(async {
        let (a, mut b) = pair();
        // No event of its own has come if there is none for writing.
        let mut socket = a.get_ref();
        while socket.write(&[0; 1024]).is_ok() {}
        let idle = Async::from_nonblocking(a.get_ref().try_clone().unwrap()).unwrap();
        idle.assume_idle();
        let mut cx = Context::from_waker(Waker::noop());
        let never = |_: &Stream| -> io::Result<()> { panic!("no event has come") };
        assert!(idle.poll_read_with(&mut cx, never).is_pending());
        b.write_all(b"x").unwrap();
        let read = idle.read_with(|mut socket| socket.read(&mut [0; 16]));
        assert_eq!(read.await.unwrap(), 1);
    });
}

/// Only epoll tells of urgent data.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(executor_portable)
))]
#[test]
fn urgent_data_and_its_flag_leave_a_plain_reader_alone() {
    block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let a = Async::new(listener.accept().unwrap().0).unwrap();
        let urgent = rustix::net::SendFlags::OOB;
        rustix::net::send(&peer, b"!", urgent).unwrap();
        let seen = a.ready(Ready::PRIORITY).await.unwrap();
        assert_eq!(seen.flags(), Ready::PRIORITY);
        assert!(a.seen(Ready::READABLE).flags().is_empty());
        let mut polls = 0;
        let mut cx = Context::from_waker(Waker::noop());
        let polled = a.poll_read_with(&mut cx, |mut socket| {
            polls += 1;
            socket.read(&mut [0; 16])
        });
        assert!(polled.is_pending());
        assert!(polls <= 2, "{polls}");
        // The reader has not taken the flag from those who ask for it.
        assert_eq!(a.seen(Ready::PRIORITY).flags(), Ready::PRIORITY);
    });
}
