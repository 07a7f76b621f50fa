//! Values that belong to a thread.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, ThreadId};

/// Drops counted: those on the thread where the value was made, and others.
#[derive(Default)]
pub(crate) struct Drops {
    home: AtomicUsize,
    away: AtomicUsize,
}

impl Drops {
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.home.load(SeqCst), self.away.load(SeqCst))
    }
}

/// Not `Send`, and counts where it is dropped.
pub(crate) struct Homed {
    pub(crate) home: ThreadId,
    pub(crate) drops: Arc<Drops>,
    _not_send: Rc<()>,
}

impl Homed {
    pub(crate) fn new(drops: &Arc<Drops>) -> Homed {
        Homed {
            home: thread::current().id(),
            drops: drops.clone(),
            _not_send: Rc::new(()),
        }
    }

    pub(crate) async fn for_ever(self) {
        pending::<()>().await;
    }
}

impl Drop for Homed {
    fn drop(&mut self) {
        let at_home = self.home == thread::current().id();
        let count = if at_home {
            &self.drops.home
        } else {
            &self.drops.away
        };
        count.fetch_add(1, SeqCst);
    }
}
