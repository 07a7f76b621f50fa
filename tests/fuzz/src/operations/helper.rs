//! A thread that belongs to no runtime and does what it is sent.

use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::Waker;
use std::thread;

use executor::JoinHandle;
use executor::task::AbortHandle;

use super::record::Output;
use super::world::World;

pub(super) enum Errand {
    Wake(Waker),
    WakeTwice(Waker),
    DropWaker(Waker),
    Abort(AbortHandle),
    DropHandle(JoinHandle<Output>),
}

impl Errand {
    /// Here and now.
    pub(super) fn run(self) {
        match self {
            Errand::Wake(waker) => waker.wake(),
            Errand::WakeTwice(waker) => {
                waker.wake_by_ref();
                waker.wake();
            }
            Errand::DropWaker(waker) => drop(waker),
            Errand::Abort(abort) => abort.abort(),
            Errand::DropHandle(handle) => super::discard(handle),
        }
    }
}

/// Sends it to the thread. The world does not end before it is done.
pub(super) fn send(world: &Arc<World>, errand: Errand) {
    type Sender = mpsc::Sender<(Errand, Arc<World>)>;
    static SENDER: OnceLock<Mutex<Sender>> = OnceLock::new();
    let sender = SENDER.get_or_init(|| {
        let (sender, errands) = mpsc::channel::<(Errand, Arc<World>)>();
        thread::spawn(move || {
            for (errand, world) in errands {
                errand.run();
                drop(world);
            }
        });
        Mutex::new(sender)
    });
    let sent = sender.lock().unwrap().send((errand, world.clone()));
    assert!(sent.is_ok(), "the thread has ended");
}
