//! The readiness word without a reactor.

use super::*;
use crate::reactor::waiters::Handle;

fn event(read: bool, write: bool) -> Event {
    Event {
        key: 0,
        read,
        write,
        more: false,
        flags: crate::reactor::Ready::EMPTY,
    }
}

fn deliver(state: &State, read: bool, write: bool) {
    let poller = Poller::new().unwrap();
    state.deliver(&poller, event(read, write), &mut Vec::new());
}

/// Whether `poll_news` reports news to a caller that has `seen` flags.
fn has_news(state: &State, seen: Readiness) -> bool {
    let poller = Poller::new().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let owner = Owner::Handle(Handle::OBJECT);
    state
        .poll_news(&poller, 0, Direction::Read, seen, owner, &mut cx)
        .is_ready()
}

#[test]
fn an_event_that_another_was_told_of_is_news_to_who_has_not_seen_it() {
    let state = State::new();
    let old = state.check(Direction::Read).unwrap();
    assert!(has_news(&state, old), "nobody was told yet");
    assert!(state.tell(Direction::Read, old));
    assert!(!has_news(&state, old));
    deliver(&state, true, false);
    let new = state.check(Direction::Read).unwrap();
    assert!(new.is_newer_than(old) && !new.is_newer_than(new));
    assert!(state.tell(Direction::Read, new));
    assert!(has_news(&state, old));
    assert!(!has_news(&state, new));
}

#[test]
fn an_event_of_one_direction_leaves_the_other_as_it_was() {
    let state = State::new();
    let old = state.check(Direction::Read).unwrap();
    assert!(state.tell(Direction::Read, old));
    deliver(&state, false, true);
    let new = state.check(Direction::Read).unwrap();
    // Told once for each event, even if the event was for the other direction.
    assert!(state.tell(Direction::Read, old));
    assert!(!state.tell(Direction::Read, new));
}

#[test]
fn what_is_ready_stays_ready_with_each_event() {
    let state = State::new();
    for _ in 0..3 {
        deliver(&state, true, true);
        assert!(state.check(Direction::Read).is_some() && state.check(Direction::Write).is_some());
    }
    let seen = state.check(Direction::Read).unwrap();
    state.clear(Direction::Read, seen);
    assert!(state.check(Direction::Read).is_none() && state.check(Direction::Write).is_some());
    // Clears with a reading from before this event.
    deliver(&state, true, false);
    state.clear(Direction::Read, seen);
    assert!(state.check(Direction::Read).is_some());
}

#[test]
fn a_poller_that_fails_wakes_who_waits_and_makes_waiting_an_error() {
    let (state, poller) = (State::new(), Poller::new().unwrap());
    let seen = state.check(Direction::Read).unwrap();
    state.clear(Direction::Read, seen);
    let poll = || {
        let mut cx = Context::from_waker(Waker::noop());
        let owner = Owner::Handle(Handle::OBJECT);
        state.poll_ready(&poller, 0, Direction::Read, owner, &mut cx)
    };
    assert!(poll().is_pending() && state.has_waiters());
    let mut ready = Vec::new();
    state.fail(&mut ready);
    assert_eq!((ready.len(), state.has_waiters()), (1, false));
    assert!(matches!(poll(), Poll::Ready(Err(_))));
    // A direction that is ready still allows attempts.
    let owner = Owner::Handle(Handle::OBJECT);
    let mut cx = Context::from_waker(Waker::noop());
    let other = state.poll_ready(&poller, 0, Direction::Write, owner, &mut cx);
    assert!(matches!(other, Poll::Ready(Ok(_))));
}
