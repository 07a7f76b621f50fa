//! Ways to be stuck in a poll, and what ends it.

use std::hint::spin_loop;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};

use executor::runtime::Builder;
use executor::{JoinHandle, Runtime, spawn};

use super::{processors, within_patience};

/// How a task is stuck.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stuck {
    Blocked,
    Spinning,
}

pub(crate) const WAYS: [Stuck; 2] = [Stuck::Blocked, Stuck::Spinning];

impl Stuck {
    /// Waits for what comes from the other end, within one poll. `None`: that was dropped.
    pub(crate) fn receive<T>(self, other: &Receiver<T>) -> Option<T> {
        match self {
            Stuck::Blocked => other.recv().ok(),
            Stuck::Spinning => loop {
                match other.try_recv() {
                    Ok(item) => return Some(item),
                    Err(TryRecvError::Disconnected) => return None,
                    Err(TryRecvError::Empty) => spin_loop(),
                }
            },
        }
    }

    /// Waits for the other end, within one poll. False: it was dropped.
    pub(crate) fn until<T>(self, other: &Receiver<T>) -> bool {
        self.receive(other).is_some()
    }

    /// Waits for a count, within one poll.
    pub(crate) fn until_count(self, count: &Count, number: usize) {
        assert!(self.until(&count.reaches(number)));
    }

    /// Returns, within the same poll, after another task of this runtime has run. Only a retake allows that if there is one
    /// processor.
    pub(crate) fn until_another_ran(self) {
        let (bringer, wait) = mpsc::channel();
        drop(spawn(async move { bringer.send(()).unwrap() }));
        assert!(self.until(&wait));
    }
}

/// Counts, and tells those who wait for a number.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<Mutex<Counted>>);

#[derive(Default)]
struct Counted {
    count: usize,
    waiting: Vec<(usize, Sender<()>)>,
}

impl Count {
    pub(crate) fn add(&self) {
        let mut counted = self.0.lock().unwrap();
        counted.count += 1;
        let count = counted.count;
        counted.waiting.retain(|(number, bell)| {
            let waits = *number > count;
            if !waits {
                let _ = bell.send(());
            }
            waits
        });
    }

    pub(crate) fn get(&self) -> usize {
        self.0.lock().unwrap().count
    }

    /// Clones of this.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Brings something when the count has come to this number.
    pub(crate) fn reaches(&self, number: usize) -> Receiver<()> {
        let (bell, receiver) = mpsc::channel();
        let mut counted = self.0.lock().unwrap();
        if counted.count >= number {
            bell.send(()).unwrap();
        } else {
            counted.waiting.push((number, bell));
        }
        receiver
    }

    /// Spawns as many tasks as are to be counted.
    pub(crate) fn spawn(&self, tasks: usize) {
        for _ in 0..tasks {
            let count = self.clone();
            drop(spawn(async move { count.add() }));
        }
    }

    /// A value whose drop is counted.
    pub(crate) fn drops(&self) -> Dropped {
        Dropped(self.clone())
    }
}

/// Counts its drop.
pub(crate) struct Dropped(Count);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Both ways to be stuck, on one and on two processors.
#[track_caller]
pub(crate) fn each_way(body: impl Fn(Stuck, Runtime) + Send + 'static) {
    within_patience(move || {
        for way in WAYS {
            for count in [1, 2] {
                body(way, processors(count));
            }
        }
    });
}

/// The same, without a thread beyond the processors: nothing is retaken.
#[track_caller]
pub(crate) fn each_way_without_spares(body: impl Fn(Stuck, Runtime) + Send + 'static) {
    within_patience(move || {
        for way in WAYS {
            for count in [1, 2] {
                let builder = Builder::new().worker_threads(count).max_threads(count);
                body(way, builder.build().unwrap());
            }
        }
    });
}

pub(crate) fn join<T: Send + 'static>(runtime: &Runtime, handles: Vec<JoinHandle<T>>) -> Vec<T> {
    (handles.into_iter())
        .map(|handle| runtime.block_on(handle).unwrap())
        .collect()
}
