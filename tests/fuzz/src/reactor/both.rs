//! The registry and the list, side by side.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use gosched_fuzz::bytes::Bytes;

use super::event::{Event, RESERVED};
use super::list::{DIRECTIONS, For, Seen, Source, Task, Waiter};
use super::poller::Poller;
use super::registry::{End, Registry};
use super::state::State;
use super::waiters::{Owner, PER_HANDLE};

/// More than a handle remembers.
const TASKS: usize = PER_HANDLE as usize + 4;
const HANDLES: usize = 3;

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
            _ if op & 0x70 == 0x60 => self.close(direction == 1),
            _ => self.tell(direction, bytes),
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
        self.expect_woken(woken, expected, None);
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
        source.told[0] &= !event.read;
        source.told[1] &= !event.write;
        source.more |= event.more;
        let mut expected = source.take([event.read, event.write]);
        let wants = source.wants();
        if refused && wants.is_some() {
            expected.extend(source.take([true; 2]));
        }
        self.expect_woken(woken, expected, None);
        self.expect_asked(wants);
    }

    fn waker(&self, task: usize) -> Waker {
        self.tasks[task].clone().into()
    }

    /// Through a `poll_*` method of a handle; for readiness, or for what is newer than a look.
    fn wait(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let task = usize::from(bytes.byte()) % TASKS;
        let choice = bytes.byte();
        let waker = self.waker(task);
        let Some(source) = self.any(bytes) else {
            return;
        };
        let (key, state) = (source.key, source.state.clone());
        let n = usize::from(choice) % HANDLES;
        while source.handles.len() <= n {
            let handle = state.new_handle();
            assert!(!source.handles.contains(&handle), "a handle came again");
            source.handles.push(handle);
        }
        let owner = Owner::Handle(source.handles[n]);
        let mut cx = Context::from_waker(&waker);
        let after = source.seen.last().filter(|_| choice & 0x80 != 0);
        let (mut met, of) = (source.ready[direction], DIRECTIONS[direction]);
        let after = after.map(|seen| (seen.readiness, seen.events));
        if let Some((_, events)) = after {
            met &= !source.told[direction] || events != source.events;
        }
        let polled = match after {
            None => state.poll_ready(&self.poller, key, of, owner, &mut cx),
            Some((seen, _)) => state.poll_news(&self.poller, key, of, seen, owner, &mut cx),
        };
        let source = self.source(key);
        let mut expected_asked = None;
        let mut crowd = None;
        if met {
            assert!(matches!(polled, Poll::Ready(Ok(_))));
        } else if source.closed {
            assert!(matches!(polled, Poll::Ready(Err(_))));
        } else {
            let owner = For::Handle(n);
            let list = &mut source.waiters[direction];
            let mut own = list.iter().filter(|waiter| waiter.owner == owner);
            if !own.clone().any(|waiter| waiter.task == task) {
                if own.clone().count() == PER_HANDLE as usize {
                    crowd = Some(Vec::from_iter(own.by_ref().map(|waiter| waiter.task)));
                }
                list.push(Waiter { owner, task });
            }
            expected_asked = source.wants();
            let refused = self.poller.refuses.get();
            assert_eq!(polled.is_pending(), !refused);
        }
        self.expect_asked(expected_asked);
        if let Some(crowd) = crowd {
            // One of the others has lost its place, and only that one was woken.
            let woken = |&task: &usize| self.tasks[task].wakes.load(Relaxed) > 0;
            let lost = crowd.into_iter().find(woken).expect("somebody is woken");
            self.expect_woken(Vec::new(), Vec::new(), Some(lost));
            let lost = |waiter: &Waiter| waiter.owner == For::Handle(n) && waiter.task == lost;
            let list = &mut self.source(key).waiters[direction];
            let at = list.iter().position(lost).expect("it is in the list");
            list.remove(at);
        }
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
            Owner::Future(&mut name),
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
            let owner = For::Future(name.expect("it has waited"));
            match list.iter_mut().find(|waiter| waiter.owner == owner) {
                Some(waiter) => waiter.task = task,
                None => list.push(Waiter { owner, task }),
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
        if n & 0x80 != 0 {
            let n = n % HANDLES;
            if n > 0 && n < source.handles.len() {
                let got = source.state.remove_handle(source.handles[n]);
                let mut expected = Vec::new();
                for list in &mut source.waiters {
                    list.retain(|waiter| {
                        let own = waiter.owner == For::Handle(n);
                        expected.extend(own.then_some(waiter.task));
                        !own
                    });
                }
                self.expect_woken(got, expected, None);
            }
            return;
        }
        let names = &source.names[direction];
        let Some(name) = names.get(n % names.len().max(1)).copied().flatten() else {
            return;
        };
        let list = &mut source.waiters[direction];
        let waiting = list
            .iter()
            .position(|waiter| waiter.owner == For::Future(name));
        let expected = waiting.map(|at| list.remove(at).task);
        let got = source.state.remove_waiter(DIRECTIONS[direction], name);
        self.expect_woken(Vec::from_iter(got), Vec::from_iter(expected), None);
    }

    /// Somebody who has looked, perhaps long ago, asks whether that is news.
    fn tell(&mut self, direction: usize, bytes: &mut Bytes<'_>) {
        let choice = usize::from(bytes.byte());
        let Some(source) = self.any(bytes) else {
            return;
        };
        let count = source.seen.len();
        if count == 0 {
            return;
        }
        let seen = &source.seen[count - 1 - choice % count];
        let is_old = source.told[direction] && seen.events == source.events;
        let told = source.state.tell(DIRECTIONS[direction], seen.readiness);
        assert_eq!(told, !is_old);
        source.told[direction] = true;
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
        self.expect_woken(woken, expected, None);
    }

    /// As the reactor closes.
    fn close(&mut self, fails: bool) {
        self.closed = true;
        self.registry
            .end(if fails { End::Failed } else { End::Closed });
        assert!(self.registry.ended().is_some());
        let mut woken = Vec::new();
        self.registry.iter().for_each(|state| match fails {
            true => state.fail(&mut woken),
            false => state.close(&mut woken),
        });
        let mut expected = Vec::new();
        for source in self.sources.iter_mut().filter(|source| !source.gone) {
            source.closed = true;
            expected.extend(source.take([true; 2]));
        }
        self.expect_woken(woken, expected, None);
    }

    /// These wakers, in any order, and no others. One may have been woken already.
    fn expect_woken(&mut self, woken: Vec<Waker>, expected: Vec<usize>, already: Option<usize>) {
        let mut counts = [0; TASKS];
        already.into_iter().for_each(|task| counts[task] += 1);
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
        self.close(false);
        drop((self.registry, self.sources));
        for task in &self.tasks {
            assert_eq!(Arc::strong_count(task), 1, "a waker was left behind");
        }
    }
}
