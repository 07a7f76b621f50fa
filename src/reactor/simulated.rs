//! The wait in a simulation: for news of its network, in virtual time.
//!
//! No other thread of the simulation runs between a look at the network and the wait that follows,
//! so nothing can be missed in between.

use std::io;
use std::time::Duration;

use crate::simulated::net::{
    HostId, Moment, Network, NetworkId, News, PollerId, SocketId, Wake, with_network,
    with_network_of,
};
use crate::simulated::now;
use crate::sync::{Arc, Condvar, Mutex};

use super::event::Event;
use super::ready::Ready;

/// Events per wait, as with epoll.
const BATCH: usize = 256;

pub(super) struct Poller {
    network: NetworkId,
    id: PollerId,
    notified: Mutex<bool>,
    changed: Arc<Changed>,
}

/// Ends the wait, whose end condition is looked at again.
#[derive(Default)]
struct Changed(Condvar);

impl Wake for Changed {
    fn wake(&self) {
        self.0.notify_all();
    }
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let changed = Arc::new(Changed::default());
        let wake = Arc::clone(&changed) as Arc<dyn Wake>;
        let (network, id) = with_network(|net, _| (net.id(), net.add_poller(wake)))?;
        Ok(Poller {
            network,
            id,
            notified: Mutex::new(false),
            changed,
        })
    }

    /// Does something with the network that it is of.
    ///
    /// # Errors
    ///
    /// When the thread is in another simulation, or in none.
    fn with<R>(&self, op: impl FnOnce(&mut Network, &mut Moment<'_>) -> R) -> io::Result<R> {
        with_network_of(self.network, op)
    }

    pub(super) fn host(&self) -> Option<HostId> {
        self.with(|net, _| net.host_of(self.id)).ok().flatten()
    }

    pub(super) fn add(&self, socket: SocketId, key: usize) -> io::Result<()> {
        Ok(self.with(|net, _| net.register(socket, self.id, key))??)
    }

    pub(super) fn delete(&self, socket: SocketId) {
        // An error: the simulation is over, and so is its network.
        let _ = self.with(|net, _| net.deregister(socket));
    }

    pub(super) fn notify(&self) {
        *self.notified.lock() = true;
        self.changed.wake();
    }

    /// Waits until the network has news, or for a time, or for a notification.
    pub(super) fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) {
        events.clear();
        let Some(begin) = now() else {
            return;
        };
        let until = timeout.map(|timeout| begin.saturating_add(timeout));
        loop {
            self.look(events);
            let now = now().unwrap_or(Duration::MAX);
            let has_time = until.is_none_or(|until| now < until);
            let mut notified = self.notified.lock();
            if std::mem::take(&mut *notified) || !events.is_empty() || !has_time {
                return;
            }
            let looks_at = self.with(|net, _| net.begin_wait(self.id, until));
            let Ok(looks_at) = looks_at else {
                return;
            };
            let notified = match looks_at {
                Some(at) => self
                    .changed
                    .0
                    .wait_timeout(notified, at.saturating_sub(now)),
                None => self.changed.0.wait(notified),
            };
            drop(notified);
            let _ = self.with(|net, _| net.end_wait(self.id));
        }
    }

    fn look(&self, events: &mut Vec<Event>) {
        let _ = self.with(|net, at| {
            net.advance(at);
            let news = std::iter::from_fn(|| net.take_news(self.id));
            events.extend(news.take(BATCH).map(translate));
        });
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let _ = self.with(|net, _| net.remove_poller(self.id));
    }
}

/// As `poller.rs` translates the words of `epoll`.
fn translate(news: News) -> Event {
    let is = news.readiness;
    let flag = |set: bool, ready: Ready| if set { ready } else { Ready::EMPTY };
    let write_failed = is.error && (is.writable || !(is.readable || is.read_closed));
    Event {
        key: news.key,
        read: is.readable || is.read_closed || is.closed || is.error,
        write: is.writable || is.closed || is.error,
        more: is.read_closed || is.closed || is.error,
        flags: flag(is.readable, Ready::READABLE)
            | flag(is.writable, Ready::WRITABLE)
            | flag(is.read_closed || is.closed, Ready::READ_CLOSED)
            | flag(is.closed || write_failed, Ready::WRITE_CLOSED)
            | flag(is.error, Ready::ERROR),
    }
}
