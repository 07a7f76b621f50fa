//! Where tasks wait that use channels and locks of no executor.

#[path = "../../shown.rs"]
mod shown;

use std::sync::Arc;

use async_lock::{Barrier, Mutex, RwLock, Semaphore};
use executor::Builder;
use futures::StreamExt;
use libraries_unmodified::within_patience;
use shown::assert_shown;

const LOCKS: u32 = line!() + 2;
async fn locks(lock: Arc<Mutex<()>>) {
    drop(lock.lock().await);
}

/// Through two more.
const THROUGH: u32 = line!() + 2;
async fn through(lock: Arc<Mutex<()>>) {
    locks(lock).await;
}

const WRITES: u32 = line!() + 2;
async fn writes(lock: Arc<RwLock<()>>) {
    drop(lock.write().await);
}

const ACQUIRES: u32 = line!() + 2;
async fn acquires(semaphore: Arc<Semaphore>) {
    drop(semaphore.acquire().await);
}

const MEETS: u32 = line!() + 2;
async fn meets(barrier: Arc<Barrier>) {
    barrier.wait().await;
}

const RECEIVES: u32 = line!() + 2;
async fn receives(channel: async_channel::Receiver<()>) {
    let _ = channel.recv().await;
}

const SENDS: u32 = line!() + 2;
async fn sends(channel: async_channel::Sender<()>) {
    let _ = channel.send(()).await;
}

const NEXT: u32 = line!() + 2;
async fn next(mut channel: futures::channel::mpsc::Receiver<()>) {
    let _ = channel.next().await;
}

const ANSWERED: u32 = line!() + 2;
async fn answered(answer: futures::channel::oneshot::Receiver<()>) {
    let _ = answer.await;
}

#[test]
fn who_waits_for_a_lock_or_a_channel_shows_its_await_and_the_library() {
    within_patience(|| {
        let runtime = Builder::new().build().unwrap();
        let handle = runtime.handle();

        let lock = Arc::new(Mutex::new(()));
        let _locked = lock.try_lock_arc().unwrap();
        runtime.spawn(locks(lock.clone()));
        assert_shown(handle, &[LOCKS], "async_lock");
        runtime.spawn(through(lock));
        assert_shown(handle, &[LOCKS, THROUGH], "async_lock");

        let lock = Arc::new(RwLock::new(()));
        let _locked = lock.try_read_arc().unwrap();
        runtime.spawn(writes(lock));
        assert_shown(handle, &[WRITES], "async_lock");

        runtime.spawn(acquires(Arc::new(Semaphore::new(0))));
        assert_shown(handle, &[ACQUIRES], "async_lock");
        runtime.spawn(meets(Arc::new(Barrier::new(2))));
        assert_shown(handle, &[MEETS], "async_lock");

        let (_sender, receiver) = async_channel::bounded(1);
        runtime.spawn(receives(receiver));
        assert_shown(handle, &[RECEIVES], "async_channel");
        let (sender, _receiver) = async_channel::bounded(1);
        sender.try_send(()).unwrap();
        runtime.spawn(sends(sender));
        assert_shown(handle, &[SENDS], "async_channel");

        let (_sender, receiver) = futures::channel::mpsc::channel(1);
        runtime.spawn(next(receiver));
        assert_shown(handle, &[NEXT], "futures_channel");
        let (_sender, receiver) = futures::channel::oneshot::channel();
        runtime.spawn(answered(receiver));
        assert_shown(handle, &[ANSWERED], "futures_channel");
    });
}
