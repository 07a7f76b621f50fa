//! In place of `event_listener`, as far as the scheduler waits for the end of its threads.

use std::time::Instant;

use crate::sync::{Condvar, Mutex};

/// Counts notifications.
#[derive(Debug, Default)]
pub(crate) struct Event {
    notified: Mutex<usize>,
    changed: Condvar,
}

/// The notifications that had come when it began to listen.
pub(crate) struct Listening<'a>(&'a Event, usize);

pub(crate) trait Listener {
    fn wait(self);

    /// `None`: the time ran out.
    fn wait_deadline(self, deadline: Instant) -> Option<()>;
}

impl Event {
    pub(crate) fn notify(&self, number: usize) {
        assert_eq!(number, usize::MAX, "this one tells all");
        *self.notified.lock() += 1;
        self.changed.notify_all();
    }

    pub(crate) fn listen(&self) -> Listening<'_> {
        Listening(self, *self.notified.lock())
    }
}

impl Listener for Listening<'_> {
    fn wait(self) {
        let mut notified = self.0.notified.lock();
        while *notified == self.1 {
            notified = self.0.changed.wait(notified);
        }
    }

    /// Nobody waits for a time only.
    fn wait_deadline(self, _: Instant) -> Option<()> {
        (*self.0.notified.lock() != self.1).then_some(())
    }
}

macro_rules! listener {
    ($event:expr => $listener:ident) => {
        let $listener = $event.listen();
    };
}
pub(crate) use listener;
