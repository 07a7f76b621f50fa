//! The system's poller, or that of a simulation.

use std::io;
use std::time::Duration;

use crate::simulated;

use super::event::Event;
use super::object::Object;
use super::{poller, simulated as network};

/// The runtimes of a simulation have its poller, all others have the system's.
pub(super) enum Poller {
    System(poller::Poller),
    Simulated(network::Poller),
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        if simulated::is_here() {
            return network::Poller::new().map(Poller::Simulated);
        }
        poller::Poller::new().map(Poller::System)
    }

    #[inline]
    pub(super) fn in_forked_child(&self) -> bool {
        match self {
            Poller::System(poller) => poller.in_forked_child(),
            Poller::Simulated(_) => false,
        }
    }

    pub(super) fn add(&self, object: Object<'_>, key: usize) -> io::Result<()> {
        match (self, object) {
            (Poller::System(poller), Object::System(fd)) => poller.add(fd, key),
            (Poller::Simulated(poller), Object::Simulated(socket)) => poller.add(socket.0, key),
            (Poller::Simulated(_), Object::System(_)) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a simulation has no file descriptors; the sockets of executor::net are simulated",
            )),
            (Poller::System(_), Object::Simulated(_)) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a socket of a simulation cannot be used outside of it",
            )),
        }
    }

    pub(super) fn delete(&self, key: usize, object: Object<'_>) -> io::Result<()> {
        match (self, object) {
            (Poller::System(poller), Object::System(fd)) => poller.delete(key, fd),
            (Poller::Simulated(poller), Object::Simulated(socket)) => {
                poller.delete(socket.0);
                Ok(())
            }
            // It was never added.
            (_, _) => Ok(()),
        }
    }

    #[inline]
    pub(super) fn rearm(&self, key: usize, read: bool, write: bool) -> io::Result<()> {
        match self {
            Poller::System(poller) => poller.rearm(key, read, write),
            Poller::Simulated(_) => Ok(()),
        }
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        match self {
            Poller::System(poller) => poller.notify(),
            Poller::Simulated(poller) => {
                poller.notify();
                Ok(())
            }
        }
    }

    pub(super) fn wait(
        &self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        match self {
            Poller::System(poller) => poller.wait(events, timeout),
            Poller::Simulated(poller) => {
                poller.wait(events, timeout);
                Ok(())
            }
        }
    }

    pub(super) fn host(&self) -> Option<simulated::net::HostId> {
        match self {
            Poller::System(_) => None,
            Poller::Simulated(poller) => poller.host(),
        }
    }
}
