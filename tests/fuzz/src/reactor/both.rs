//! The registry and the list, side by side.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use gosched_fuzz::bytes::Bytes;

use super::event::{Event, RESERVED};
use super::list::{DIRECTIONS, Seen, Source, Task, Waiter};
use super::poller::Poller;
use super::registry::Registry;
use super::state::State;

const TASKS: usize = 4;

#[derive(Default)]
pub(crate) struct Both {
    registry: Registry,
    poller: Poller,
    /// All there ever were.
    sources: Vec<Source>,
    tasks: [Arc<Task>; TASKS],
    closed: bool,
}

impl Both {
    pub(crate) fn apply(&mut self, op: u8, bytes: &mut Bytes<'_>) {
        let direction = usize::from(op >> 7);
        self.poller.refuses.set(op & 0x70 == 0x70);
        self.poller.asked.borrow_mut().clear();
        match op & 0x0f {
            0 | 1 => self.insert(),
            2 | 3 => self.remove(bytes),
            4 => self.look_up(bytes),
            5 | 6 => self.deliver(bytes),
            7 => self.wait(direction, bytes),
            8 | 9 => self.wait_named(direction, bytes),
            10 => self.take_back(direction, bytes),
            11 => self.check(direction, bytes),
            12 | 13 => self.clear(direction, bytes),
            14 => self.take_all(bytes),
            _ if op & 0x70 == 0x60 => self.close(),
            _ => self.check(direction, bytes),
        }
    }

    fn insert(&mut self) {
        if self.closed {
            return;
        }
        let (key, state) = self.registry.insert(State::new()).expect("there is room");
        assert!(key < RESERVED);
        assert!(
            self.sources.iter().all(|source| source.key != key),
            "a key came again"
        );
        self.sources.push(Source::new(key, state));
    }

    /// Any source there ever was.
    fn any(&mut self, bytes: &mut Bytes<'_>) -> Option<&mut Source> {
        let count = self.sources.len();
        // The last ones are more interesting.
        let n = usize::from(bytes.byte());
        (count > 0).then(|| &mut self.sources[count - 1 - n % count])
    }

    fn remove(&mut self, bytes: &mut Bytes<'_>) {
        let Some(source) = self.any(bytes) else {
            return;
        };
        source.gone = true;
        let (key, state) = (source.key, source.state.clone());
        self.registry.remove(key);
        assert!(self.registry.get(key).is_none());
        // As the reactor does: whoever still waits is woken.
        let mut woken = Vec::new();
        state.take_waiters(&mut woken);
        let expected = self.source(key).take([true; 2]);
        self.expect_woken(woken, expected);
    }

    fn source(&mut self, key: usize) -> &mut Source {
        let found = self.sources.iter_mut().find(|source| source.key == key);
        found.expect("it is in the list")
    }

    fn look_up(&mut self, bytes: &mut Bytes<'_>) {
        // Keys that were never given out: of the poller's own, of places beyond the last, of generations to come.
        let key = bytes.magnitude() as usize;
        let known = self
            .sources
            .iter()
            .find(|source| source.key == key && !source.gone);
        let found = self.registry.get(key);
        assert_eq!(
            found.map(Arc::as_ptr),
            known.map(|source| Arc::as_ptr(&source.state))
        );
        if known.is_none() {
            self.registry.remove(key);
        }
    }

    fn deliver(&mut self, bytes: &mut Bytes<'_>) {
        let bits = bytes.byte();
        let Some(source) = self.any(bytes) else {
            return;
        };
        let event = Event {
            key: source.key,
            read: bits & 1 != 0,
            write: bits & 2 != 0,
            more: bits & 4 != 0,
        };
        let gone = source.gone;
        let Some(state) = self.registry.get(event.key).cloned() else {
            assert!(gone, "a registered source was not found");
            return;
        };
        assert!(!gone, "an event of a source that is gone found somebody");
        let mut woken = Vec::new();
        state.deliver(&self.poller, event, &mut woken);
        let refused = self.poller.refuses.get();
        let source = self.source(event.key);
        source.events += 1;
        source.ready[0] |= event.read;
        source.ready[1] |= event.write;
        source.more |= event.more;
        let mut expected = source.take([event.read, event.write]);
        let wants = source.wants();
        if refused && wants.is_some() {
            expected.extend(source.take([true; 2]));
        }
        self.expect_woken(woken, expected);
        self.expect_asked(wants);
    }

    fn waker(&self, task: usize) -> Waker {
        self.tasks[task].clone().into()
    }

    /// Through a `poll_*` method.
    fn wait(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let task = usize::from(bytes.byte()) % TASKS;
        let waker = self.waker(task);
        let Some(source) = self.any(bytes) else {
            return;
        };
        let (key, state) = (source.key, source.state.clone());
        let mut cx = Context::from_waker(&waker);
        let polled = state.poll_ready(&self.poller, key, DIRECTIONS[direction], None, &mut cx);
        let source = self.source(key);
        let mut expected_asked = None;
        if source.ready[direction] {
            assert!(matches!(polled, Poll::Ready(Ok(_))));
        } else if source.closed {
            assert!(matches!(polled, Poll::Ready(Err(_))));
        } else {
            let list = &mut source.waiters[direction];
            if !list
                .iter()
                .any(|waiter| waiter.name.is_none() && waiter.task == task)
            {
                list.push(Waiter { name: None, task });
            }
            expected_asked = source.wants();
            let refused = self.poller.refuses.get();
            assert_eq!(polled.is_pending(), !refused);
        }
        self.expect_asked(expected_asked);
    }

    /// As a future that takes its waiter back.
    fn wait_named(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let choice = bytes.byte();
        let task = usize::from(choice) % TASKS;
        let waker = self.waker(task);
        let Some(source) = self.any(bytes) else {
            return;
        };
        let (key, state) = (source.key, source.state.clone());
        let names = &mut source.names[direction];
        let n = usize::from(choice / 4) % (names.len() + 1);
        if n == names.len() {
            names.push(None);
        }
        let mut name = names[n];
        let before = name;
        let mut cx = Context::from_waker(&waker);
        let polled = state.poll_ready(
            &self.poller,
            key,
            DIRECTIONS[direction],
            Some(&mut name),
            &mut cx,
        );
        let source = self.source(key);
        let mut expected_asked = None;
        if source.ready[direction] {
            assert!(matches!(polled, Poll::Ready(Ok(_))));
        } else if source.closed {
            assert!(matches!(polled, Poll::Ready(Err(_))));
        } else {
            assert!(name.is_some() && (before.is_none() || before == name));
            let names = &mut source.names[direction];
            assert!(
                before.is_some() || !names.contains(&name),
                "a name came again"
            );
            names[n] = name;
            let list = &mut source.waiters[direction];
            match list.iter_mut().find(|waiter| waiter.name == name) {
                Some(waiter) => waiter.task = task,
                None => list.push(Waiter { name, task }),
            }
            expected_asked = source.wants();
            let refused = self.poller.refuses.get();
            assert_eq!(polled.is_pending(), !refused);
        }
        self.expect_asked(expected_asked);
    }

    fn take_back(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let n = usize::from(bytes.byte());
        let Some(source) = self.any(bytes) else {
            return;
        };
        let names = &source.names[direction];
        let Some(name) = names.get(n % names.len().max(1)).copied().flatten() else {
            return;
        };
        let list = &mut source.waiters[direction];
        let waiting = list.iter().position(|waiter| waiter.name == Some(name));
        let expected = waiting.map(|at| list.remove(at).task);
        let got = source.state.remove_waiter(DIRECTIONS[direction], name);
        self.expect_woken(got.into_iter().collect(), expected.into_iter().collect());
    }

    fn check(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let Some(source) = self.any(bytes) else {
            return;
        };
        let seen = source.state.check(DIRECTIONS[direction]);
        assert_eq!(seen.is_some(), source.ready[direction]);
        if let Some(readiness) = seen {
            let (events, more) = (source.events, source.more);
            source.seen.push(Seen {
                readiness,
                events,
                more,
            });
        }
    }

    /// An operation that has looked, perhaps long ago, would block or reads less than it asked for.
    fn clear(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let choice = bytes.byte();
        let Some(source) = self.any(bytes) else {
            return;
        };
        let count = source.seen.len();
        if count == 0 {
            return;
        }
        let seen = &source.seen[count - 1 - usize::from(choice / 2) % count];
        let short_read = choice % 2 == 1;
        let direction = if short_read { 0 } else { direction };
        if short_read {
            source.state.clear_after_short_read(seen.readiness);
        } else {
            source.state.clear(DIRECTIONS[direction], seen.readiness);
        }
        if seen.events == source.events && !(short_read && seen.more) {
            source.ready[direction] = false;
            source.more &= direction == 1;
        }
    }

    fn take_all(&mut self, bytes: &mut Bytes<'_>) {
        let Some(source) = self.any(bytes) else {
            return;
        };
        let mut woken = Vec::new();
        source.state.take_waiters(&mut woken);
        let expected = source.take([true; 2]);
        self.expect_woken(woken, expected);
    }

    /// As the reactor closes.
    fn close(&mut self) {
        self.closed = true;
        self.registry.close();
        assert!(self.registry.is_closed());
        let mut woken = Vec::new();
        self.registry
            .iter()
            .for_each(|state| state.close(&mut woken));
        let mut expected = Vec::new();
        for source in self.sources.iter_mut().filter(|source| !source.gone) {
            source.closed = true;
            expected.extend(source.take([true; 2]));
        }
        self.expect_woken(woken, expected);
    }

    /// These wakers, in any order, and no others.
    fn expect_woken(&mut self, woken: Vec<Waker>, expected: Vec<usize>) {
        let mut counts = [0; TASKS];
        expected.into_iter().for_each(|task| counts[task] += 1);
        woken.into_iter().for_each(Waker::wake);
        for (task, count) in self.tasks.iter().zip(counts) {
            assert_eq!(
                task.wakes.swap(0, Relaxed),
                count,
                "woken too often or not at all"
            );
        }
    }

    fn expect_asked(&self, expected: Option<(usize, bool, bool)>) {
        assert_eq!(*self.poller.asked.borrow(), Vec::from_iter(expected));
    }

    pub(crate) fn compare(&self) {
        let registered = self.sources.iter().filter(|source| !source.gone).count();
        assert_eq!(self.registry.len(), registered);
        assert_eq!(self.registry.iter().count(), registered);
        for (n, task) in self.tasks.iter().enumerate() {
            let waiters = self
                .sources
                .iter()
                .flat_map(|source| source.waiters.iter().flatten());
            let kept = waiters.filter(|waiter| waiter.task == n).count();
            assert_eq!(
                Arc::strong_count(task),
                kept + 1,
                "a waker was leaked or dropped"
            );
        }
        for source in &self.sources {
            let found = self.registry.get(source.key);
            let expected = (!source.gone).then_some(Arc::as_ptr(&source.state));
            assert_eq!(found.map(Arc::as_ptr), expected);
            for (n, direction) in DIRECTIONS.into_iter().enumerate() {
                assert_eq!(source.state.check(direction).is_some(), source.ready[n]);
            }
        }
    }

    pub(crate) fn end(mut self) {
        self.close();
        drop((self.registry, self.sources));
        for task in &self.tasks {
            assert_eq!(Arc::strong_count(task), 1, "a waker was left behind");
        }
    }
}
