//! A reactor without a scheduler: the test's thread takes the driver when it needs it.

use std::io::Write;
use std::task::{Context, Poll, Wake};
use std::time::Instant;

use crate::sync::thread;
use crate::sys::borrow;
use crate::sys::pair::Stream;

use super::*;

/// Counts its wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn task() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

fn pair() -> (Stream, Stream) {
    let (a, b) = crate::sys::pair::pair();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

fn look(reactor: &Reactor) -> Vec<Waker> {
    let mut wakers = Vec::new();
    let mut driver = reactor.try_driver().unwrap();
    let count = driver.poll(Some(Duration::ZERO), &mut wakers).unwrap();
    assert_eq!(count, wakers.len());
    wakers
}

/// Clears the readiness that a registration begins with, so that the next wait really waits.
fn settle(reactor: &Reactor, source: &Source, direction: Direction) {
    look(reactor);
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(seen) = source.poll_ready(direction, &mut cx) {
        source.clear_ready(direction, seen.unwrap());
    }
}

#[test]
fn the_driver_is_held_by_one_thread() {
    let reactor = Reactor::new().unwrap();
    let driver = reactor.try_driver().unwrap();
    assert!(reactor.try_driver().is_none());
    drop(driver);
    assert!(reactor.try_driver().is_some());
}

#[test]
fn every_notification_ends_a_wait() {
    let reactor = Reactor::new().unwrap();
    let mut wakers = Vec::new();
    for _ in 0..3 {
        reactor.notify().unwrap();
        reactor.notify().unwrap();
        let mut driver = reactor.try_driver().unwrap();
        assert_eq!(driver.poll(None, &mut wakers).unwrap(), 0);
    }
    // A notification also ends a timed wait, and only one wait.
    reactor.notify().unwrap();
    let start = Instant::now();
    let mut driver = reactor.try_driver().unwrap();
    driver
        .poll(Some(Duration::from_secs(60)), &mut wakers)
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(30));
    driver
        .poll(Some(Duration::from_millis(1)), &mut wakers)
        .unwrap();
    assert!(start.elapsed() >= Duration::from_millis(1));
}

#[test]
fn a_notification_reaches_a_thread_that_waits() {
    let reactor = Reactor::new().unwrap();
    let parked_worker = thread::spawn({
        let reactor = Arc::clone(&reactor);
        move || {
            let mut wakers = Vec::new();
            (0..100).for_each(|_| {
                let mut driver = reactor.try_driver().unwrap();
                driver.poll(None, &mut wakers).unwrap();
            });
        }
    });
    while !parked_worker.is_finished() {
        reactor.notify().unwrap();
        thread::yield_now();
    }
    parked_worker.join().unwrap();
}

#[test]
fn a_timed_wait_is_not_rounded_to_milliseconds_and_huge_ones_do_not_overflow() {
    let reactor = Reactor::new().unwrap();
    let mut wakers = Vec::new();
    let mut driver = reactor.try_driver().unwrap();
    let wait = Duration::from_micros(200);
    let fastest = (0..20).map(|_| {
        let start = Instant::now();
        driver.poll(Some(wait), &mut wakers).unwrap();
        assert!(start.elapsed() >= wait);
        start.elapsed()
    });
    // `polling` waits for whole milliseconds on Windows.
    let fastest = fastest.min().unwrap();
    assert!(cfg!(windows) || fastest < Duration::from_micros(900));
    reactor.notify().unwrap();
    driver.poll(Some(Duration::MAX), &mut wakers).unwrap();
}

#[test]
fn all_waiters_of_a_direction_are_handed_out_once_and_the_other_direction_s_stay() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let mut source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let tasks: Vec<_> = (0..5).map(|_| task()).collect();
    for (_, waker) in &tasks {
        let mut cx = Context::from_waker(waker);
        assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
        assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
    }
    b.write_all(b"x").unwrap();
    let wakers = look(&reactor);
    assert_eq!(wakers.len(), 5);
    for waker in wakers {
        waker.wake();
    }
    assert!(
        tasks
            .iter()
            .all(|(count, _)| count.0.load(Ordering::SeqCst) == 1)
    );
    assert!(look(&reactor).is_empty());
    source.deregister(borrow(&a)).unwrap();
    assert!(!reactor.has_sources());
}

/// Events without a waiter are those of edge-triggered mode.
#[cfg(not(any(windows, executor_portable = "oneshot")))]
#[test]
fn an_event_after_the_look_survives_would_block() {
    let reactor = Reactor::new().unwrap();
    let (mut a, mut b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    look(&reactor);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(seen)) = source.poll_ready(Direction::Read, &mut cx) else {
        panic!("a fresh source counts as ready");
    };
    let would_block = io::Read::read(&mut a, &mut [0; 8]).unwrap_err();
    assert_eq!(would_block.kind(), io::ErrorKind::WouldBlock);
    b.write_all(b"x").unwrap();
    look(&reactor);
    source.clear_ready(Direction::Read, seen);
    assert!(source.poll_ready(Direction::Read, &mut cx).is_ready());
}

/// Only epoll tells of the end in the event that tells of data.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(executor_portable)
))]
#[test]
fn a_short_read_does_not_hide_the_end_of_the_stream() {
    let reactor = Reactor::new().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let source = Reactor::register(&reactor, borrow(&stream)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let mut cx = Context::from_waker(Waker::noop());

    // Data alone: a short read proves that nothing is left.
    peer.write_all(b"x").unwrap();
    while source.poll_ready(Direction::Read, &mut cx).is_pending() {
        look(&reactor);
    }
    let Poll::Ready(Ok(seen)) = source.poll_ready(Direction::Read, &mut cx) else {
        panic!("just seen");
    };
    assert_eq!(io::Read::read(&mut stream, &mut [0; 8]).unwrap(), 1);
    source.clear_after_short_read(seen);
    assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());

    // Data and the end in one event: a short read proves nothing.
    peer.write_all(b"x").unwrap();
    drop(peer);
    let end = rustix::event::PollFlags::RDHUP;
    rustix::event::poll(&mut [rustix::event::PollFd::new(&stream, end)], None).unwrap();
    look(&reactor);
    let Poll::Ready(Ok(seen)) = source.poll_ready(Direction::Read, &mut cx) else {
        panic!("there is data");
    };
    assert_eq!(io::Read::read(&mut stream, &mut [0; 8]).unwrap(), 1);
    source.clear_after_short_read(seen);
    assert!(source.poll_ready(Direction::Read, &mut cx).is_ready());
    assert_eq!(io::Read::read(&mut stream, &mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_future_that_is_dropped_takes_its_waker_back() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let (count, waker) = task();
    let mut waiting = source.waiting(Direction::Read);
    let mut cx = Context::from_waker(&waker);
    assert!(waiting.poll_ready(&mut cx).is_pending());
    assert_eq!(Arc::strong_count(&count), 3);
    drop(waiting);
    assert_eq!(Arc::strong_count(&count), 2);
    b.write_all(b"x").unwrap();
    assert!(look(&reactor).is_empty());
}

#[test]
fn closing_hands_every_waiter_out_and_makes_waiting_an_error() {
    let reactor = Reactor::new().unwrap();
    let (a, b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let (_, waker) = task();
    let mut cx = Context::from_waker(&waker);
    assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
    let mut wakers = Vec::new();
    reactor.close(&mut wakers);
    assert_eq!(wakers.len(), 1);
    let Poll::Ready(Err(error)) = source.poll_ready(Direction::Read, &mut cx) else {
        panic!("waiting goes on");
    };
    assert!(error.to_string().contains("shut down"));
    assert!(Reactor::register(&reactor, borrow(&b)).is_err());
    // Operations that need not wait still work.
    assert!(source.poll_ready(Direction::Write, &mut cx).is_ready());
}

#[test]
fn leaving_wakes_who_is_left() {
    let reactor = Reactor::new().unwrap();
    let (a, _b) = pair();
    let mut source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let (count, waker) = task();
    let mut cx = Context::from_waker(&waker);
    assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
    source.deregister(borrow(&a)).unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    drop(source);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[test]
fn what_cannot_be_polled_is_refused_and_leaves_nothing_behind() {
    let reactor = Reactor::new().unwrap();
    // Elsewhere the type of what is given must be a socket's.
    #[cfg(unix)]
    {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let error = Reactor::register(&reactor, borrow(&file)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
    let (a, _b) = pair();
    let _source = Reactor::register(&reactor, borrow(&a)).unwrap();
    let error = Reactor::register(&reactor, borrow(&a)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(reactor.sources.load(Ordering::SeqCst), 1);
}

#[test]
fn a_late_event_does_not_reach_the_next_owner() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let mut source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    // One-shot mode tells who waits.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
    b.write_all(b"x").unwrap();
    // The poller has returned the event. Before the reactor delivers it, the slot gets another
    // owner.
    let mut late = Vec::new();
    reactor.poller.wait(&mut late, None).unwrap();
    source.deregister(borrow(&a)).unwrap();
    let (c, _d) = pair();
    let next = Reactor::register(&reactor, borrow(&c)).unwrap();
    settle(&reactor, &next, Direction::Read);
    let (_, waker) = task();
    let mut cx = Context::from_waker(&waker);
    assert!(next.poll_ready(Direction::Read, &mut cx).is_pending());
    for event in late {
        assert!(reactor.registry.lock().get(event.key).is_none());
    }
    assert!(next.poll_ready(Direction::Read, &mut cx).is_pending());
}

#[test]
fn many_that_poll_one_handle_are_all_woken_and_stale_wakers_do_not_pile_up() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let tasks: Vec<_> = (0..100).map(|_| task()).collect();
    for (_, waker) in &tasks {
        let mut cx = Context::from_waker(waker);
        assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
    }
    b.write_all(b"x").unwrap();
    look(&reactor).into_iter().for_each(Waker::wake);
    for (count, waker) in tasks {
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            1,
            "by the event, or for its place"
        );
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}

#[test]
fn a_handle_that_goes_takes_its_waiters_along_and_no_other_s() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let handles = [source.new_handle(), source.new_handle()];
    let tasks = [task(), task()];
    for (handle, (_, waker)) in handles.iter().zip(&tasks) {
        let mut cx = Context::from_waker(waker);
        let owner = Owner::Handle(*handle);
        assert!(
            source
                .poll_ready_for(owner, Direction::Read, &mut cx)
                .is_pending()
        );
    }
    source.remove_handle(handles[0]);
    assert_eq!(Arc::strong_count(&tasks[0].0), 2);
    b.write_all(b"x").unwrap();
    assert_eq!(look(&reactor).len(), 1);
    assert_eq!(Arc::strong_count(&tasks[1].0), 2);
}

/// The flag is an error that the system goes on reporting. In one-shot mode it is an event each time
/// that somebody waits.
#[cfg(not(any(windows, executor_portable = "oneshot")))]
#[test]
fn flags_are_told_once_for_each_event_and_then_the_next_event_is_waited_for() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    look(&reactor);
    let (count, waker) = task();
    let mut cx = Context::from_waker(&waker);
    let owner = || Owner::Handle(Handle::OBJECT);
    for round in 1..=3 {
        let Poll::Ready(Ok(seen)) = source.poll_ready(Direction::Read, &mut cx) else {
            panic!("nobody has cleared it");
        };
        assert!(source.tell(Direction::Read, seen));
        assert!(!source.tell(Direction::Read, seen));
        // One-shot mode tells nothing of a direction in which nobody waits.
        let both = round == 1 || !cfg!(any(windows, executor_portable = "oneshot"));
        assert_eq!(
            source.tell(Direction::Write, seen),
            both,
            "the other direction's are others"
        );
        assert!(
            source
                .poll_news_for(owner(), Direction::Read, seen, &mut cx)
                .is_pending()
        );
        // An operation still counts as worth an attempt.
        assert!(source.poll_ready(Direction::Read, &mut cx).is_ready());
        b.write_all(b"x").unwrap();
        look(&reactor).into_iter().for_each(Waker::wake);
        assert_eq!(count.0.load(Ordering::SeqCst), round);
        assert!(
            source
                .poll_news_for(owner(), Direction::Read, seen, &mut cx)
                .is_ready()
        );
    }
}

#[test]
fn a_look_tells_how_many_wakers_it_has_added() {
    let reactor = Reactor::new().unwrap();
    let (a, mut b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let (_count, waker) = task();
    let polled = source.poll_ready(Direction::Read, &mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    b.write_all(b"x").unwrap();
    let mut wakers = vec![Waker::noop().clone(); 3];
    let mut driver = reactor.try_driver().unwrap();
    assert_eq!(driver.poll(Some(Duration::ZERO), &mut wakers).unwrap(), 1);
    assert_eq!(wakers.len(), 4);
}

#[test]
fn the_reactor_knows_whether_there_are_sources_and_whether_anybody_waits() {
    let reactor = Reactor::new().unwrap();
    assert!(!reactor.has_sources() && !reactor.has_waiters());
    let (a, _b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    assert!(reactor.has_sources() && !reactor.has_waiters());
    settle(&reactor, &source, Direction::Read);
    let (_count, waker) = task();
    let polled = source.poll_ready(Direction::Read, &mut Context::from_waker(&waker));
    assert!(polled.is_pending() && reactor.has_waiters());
    // The source is dropped without being deregistered.
    drop(source);
    assert!(!reactor.has_sources() && !reactor.has_waiters());
}

#[test]
fn the_two_directions_are_used_up_apart() {
    let reactor = Reactor::new().unwrap();
    let (a, _b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let is_ready = |direction, cx: &mut Context<'_>| source.poll_ready(direction, cx).is_ready();
    assert!(is_ready(Direction::Read, &mut cx) && is_ready(Direction::Write, &mut cx));
    settle(&reactor, &source, Direction::Read);
    assert!(!is_ready(Direction::Read, &mut cx) && is_ready(Direction::Write, &mut cx));
    settle(&reactor, &source, Direction::Write);
    assert!(!is_ready(Direction::Read, &mut cx) && !is_ready(Direction::Write, &mut cx));
}

#[test]
fn a_registration_ends_once() {
    let reactor = Reactor::new().unwrap();
    let (a, _b) = pair();
    let mut source = Reactor::register(&reactor, borrow(&a)).unwrap();
    assert!(source.check(Direction::Read).is_some());
    source.deregister(borrow(&a)).unwrap();
    source.deregister(borrow(&a)).unwrap();
    // The new registration uses the slot of the first.
    let next = Reactor::register(&reactor, borrow(&a)).unwrap();
    drop(source);
    assert!(reactor.has_sources());
    settle(&reactor, &next, Direction::Read);
    assert!(next.check(Direction::Read).is_none());
}

#[test]
fn a_reactor_whose_poller_fails_hands_out_who_waits_and_registers_nobody() {
    let reactor = Reactor::new().unwrap();
    let (a, b) = pair();
    let source = Reactor::register(&reactor, borrow(&a)).unwrap();
    settle(&reactor, &source, Direction::Read);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(source.poll_ready(Direction::Read, &mut cx).is_pending());
    let mut wakers = Vec::new();
    reactor.fail(&mut wakers);
    assert_eq!(wakers.len(), 1);
    let polled = source.poll_ready(Direction::Read, &mut cx);
    assert!(matches!(polled, Poll::Ready(Err(_))));
    assert!(Reactor::register(&reactor, borrow(&b)).is_err());
}
