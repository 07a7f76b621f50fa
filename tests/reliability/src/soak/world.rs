//! What all tasks of a soak share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use super::strangers::{Late, Order};

pub(crate) struct World<R> {
    pub(crate) runtime: R,
    /// How many workers it has at present.
    pub(crate) workers: Arc<AtomicUsize>,
    pub(crate) most_workers: usize,
    pub(crate) seed: u64,
    pub(crate) servers: Vec<SocketAddr>,
    /// Threads that are no worker's, for what is to happen later.
    pub(crate) late: Vec<Late>,
    /// How many orders they were given.
    pub(crate) orders: AtomicUsize,
    /// How many tasks have been drawn from the seed.
    pub(crate) numbers: AtomicU64,
    pub(crate) stopping: AtomicBool,
    /// Hardly anything is spawned now, so that workers lie down.
    pub(crate) lull: AtomicBool,
}

impl<R> World<R> {
    pub(crate) fn ask(&self, order: Order) {
        let number = self.orders.fetch_add(1, Relaxed);
        // They end after the last task has.
        self.late[number % self.late.len()](Some(order));
    }
}
