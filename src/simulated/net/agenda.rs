//! What will happen when, and who waits for it.
//!
//! An event has an owner: the poller that waits for its time. An event of nobody is waited for by
//! all pollers. Whoever comes first makes all events happen that are due, whoever owns them, and
//! the pollers that get news by that are woken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Event, HostId, SocketId};

/// Ends the wait of a poller.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

/// The poller of one runtime. Whoever keeps it beyond the simulation keeps the
/// [`NetworkId`](super::NetworkId), too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PollerId(u32);

/// The time of an event, and its number, by which events of one time are ordered.
pub(super) type Key = (Duration, u64);

struct Entry {
    event: Event,
    owner: Option<PollerId>,
}

struct Poller {
    host: HostId,
    wake: Arc<dyn Wake>,
    own: BTreeSet<Key>,
    news: VecDeque<SocketId>,
    /// `None`: it does not wait. `Some(None)`: it waits without a deadline.
    waits_until: Option<Option<Duration>>,
}

/// All events to come.
pub(super) struct Agenda {
    events: BTreeMap<Key, Entry>,
    pollers: BTreeMap<PollerId, Poller>,
    of_nobody: BTreeSet<Key>,
    events_made: u64,
    pollers_made: u32,
    to_wake: BTreeSet<PollerId>,
}

impl Agenda {
    pub(super) fn new() -> Agenda {
        Agenda {
            events: BTreeMap::new(),
            pollers: BTreeMap::new(),
            of_nobody: BTreeSet::new(),
            events_made: 0,
            pollers_made: 0,
            to_wake: BTreeSet::new(),
        }
    }

    pub(super) fn add_poller(&mut self, host: HostId, wake: Arc<dyn Wake>) -> PollerId {
        self.pollers_made += 1;
        let id = PollerId(self.pollers_made);
        let poller = Poller {
            host,
            wake,
            own: BTreeSet::new(),
            news: VecDeque::new(),
            waits_until: None,
        };
        self.pollers.insert(id, poller);
        id
    }

    pub(super) fn remove_poller(&mut self, id: PollerId) {
        if let Some(poller) = self.pollers.remove(&id) {
            for key in poller.own {
                self.disown(key);
            }
        }
        self.to_wake.remove(&id);
    }

    pub(super) fn host_of(&self, id: PollerId) -> Option<HostId> {
        self.pollers.get(&id).map(|poller| poller.host)
    }

    /// Lets an event happen at a time.
    pub(super) fn add(&mut self, due: Duration, owner: Option<PollerId>, event: Event) -> Key {
        self.events_made += 1;
        let key = (due, self.events_made);
        let poller = owner.and_then(|owner| self.pollers.get_mut(&owner));
        let owner = owner.filter(|_| poller.is_some());
        match poller {
            Some(poller) => poller.own.insert(key),
            None => self.of_nobody.insert(key),
        };
        self.events.insert(key, Entry { event, owner });
        self.call(owner, due);
        key
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Event> {
        let Entry { event, owner } = self.events.remove(&key)?;
        match owner.and_then(|owner| self.pollers.get_mut(&owner)) {
            Some(poller) => poller.own.remove(&key),
            None => self.of_nobody.remove(&key),
        };
        Some(event)
    }

    /// The next event that is due, and since when.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(Duration, Event)> {
        let (&key, _) = self.events.first_key_value()?;
        if key.0 > now {
            return None;
        }
        Some((key.0, self.remove(key)?))
    }

    /// Events to come, in their order.
    pub(super) fn events(&self) -> impl Iterator<Item = (Key, &Event)> {
        self.events.iter().map(|(key, entry)| (*key, &entry.event))
    }

    /// Events of a poller that concern a socket which leaves it are waited for by all.
    pub(super) fn disown_events_of(&mut self, poller: PollerId, is_for: impl Fn(&Event) -> bool) {
        let Some(found) = self.pollers.get_mut(&poller) else {
            return;
        };
        let leaves = |key: &&Key| is_for(&self.events[*key].event);
        let leaving: Vec<Key> = found.own.iter().filter(leaves).copied().collect();
        found.own.retain(|key| !leaving.contains(key));
        for key in leaving {
            self.disown(key);
        }
    }

    fn disown(&mut self, key: Key) {
        if let Some(entry) = self.events.get_mut(&key) {
            entry.owner = None;
            self.of_nobody.insert(key);
            self.call(None, key.0);
        }
    }

    /// Wakes the owner of what is due, if it would wait for longer.
    fn call(&mut self, owner: Option<PollerId>, due: Duration) {
        let is_late = |poller: &Poller| {
            let until = poller.waits_until;
            until.is_some_and(|until| until.is_none_or(|until| until > due))
        };
        let all = self.pollers.iter();
        let late =
            all.filter(|(id, poller)| owner.is_none_or(|owner| owner == **id) && is_late(poller));
        self.to_wake.extend(late.map(|(id, _)| *id));
    }

    pub(super) fn add_news(&mut self, poller: PollerId, socket: SocketId) {
        if let Some(found) = self.pollers.get_mut(&poller) {
            found.news.push_back(socket);
            if found.waits_until.is_some() {
                self.to_wake.insert(poller);
            }
        }
    }

    pub(super) fn take_news(&mut self, poller: PollerId) -> Option<SocketId> {
        self.pollers.get_mut(&poller)?.news.pop_front()
    }

    pub(super) fn forget_news(&mut self, poller: PollerId, socket: SocketId) {
        if let Some(poller) = self.pollers.get_mut(&poller) {
            poller.news.retain(|other| *other != socket);
        }
    }

    /// A poller is about to wait until a time, or for ever. Returns when it should look instead.
    pub(super) fn begin_wait(&mut self, id: PollerId, until: Option<Duration>) -> Option<Duration> {
        let poller = self.pollers.get_mut(&id)?;
        let own = poller.own.first().map(|key| key.0);
        let of_nobody = self.of_nobody.first().map(|key| key.0);
        let first = [until, own, of_nobody].into_iter().flatten().min();
        poller.waits_until = Some(first);
        first
    }

    pub(super) fn end_wait(&mut self, id: PollerId) {
        if let Some(poller) = self.pollers.get_mut(&id) {
            poller.waits_until = None;
        }
        self.to_wake.remove(&id);
    }

    /// The pollers whose wait is to end.
    pub(super) fn take_wakes(&mut self) -> Vec<Arc<dyn Wake>> {
        let ids = std::mem::take(&mut self.to_wake);
        let wake = |id| Some(Arc::clone(&self.pollers.get(&id)?.wake));
        ids.into_iter().filter_map(wake).collect()
    }
}

impl fmt::Debug for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agenda")
            .field("events", &self.events.len())
            .field("pollers", &self.pollers.len())
            .finish_non_exhaustive()
    }
}
