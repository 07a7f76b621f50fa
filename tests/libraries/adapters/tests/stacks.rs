//! Where tasks wait that use `tokio::sync`, or hyper's client.

#[path = "../../shown.rs"]
mod shown;

use std::net::SocketAddr;
use std::sync::Arc;

use executor::Builder;
use executor::net::TcpStream;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use shown::assert_shown;
use tokio::sync::{Mutex, Notify, Semaphore, broadcast, mpsc, oneshot, watch};

const LOCKS: u32 = line!() + 2;
async fn locks(lock: Arc<Mutex<()>>) {
    drop(lock.lock().await);
}

const RECEIVES: u32 = line!() + 2;
async fn receives(mut channel: mpsc::Receiver<()>) {
    let _ = channel.recv().await;
}

const SENDS: u32 = line!() + 2;
async fn sends(channel: mpsc::Sender<()>) {
    let _ = channel.send(()).await;
}

const NOTIFIED: u32 = line!() + 2;
async fn notified(notify: Arc<Notify>) {
    notify.notified().await;
}

const ACQUIRES: u32 = line!() + 2;
async fn acquires(semaphore: Arc<Semaphore>) {
    drop(semaphore.acquire().await);
}

const ANSWERED: u32 = line!() + 2;
async fn answered(answer: oneshot::Receiver<()>) {
    let _ = answer.await;
}

const CHANGES: u32 = line!() + 2;
async fn changes(mut value: watch::Receiver<()>) {
    let _ = value.changed().await;
}

const HEARS: u32 = line!() + 2;
async fn hears(mut channel: broadcast::Receiver<()>) {
    let _ = channel.recv().await;
}

#[test]
fn who_waits_in_tokio_sync_shows_its_await_and_the_library() {
    let runtime = Builder::new().build().unwrap();
    let handle = runtime.handle();

    let lock = Arc::new(Mutex::new(()));
    let _locked = lock.clone().try_lock_owned().unwrap();
    runtime.spawn(locks(lock));
    assert_shown(handle, &[LOCKS], "tokio");

    let (_sender, receiver) = mpsc::channel(1);
    runtime.spawn(receives(receiver));
    assert_shown(handle, &[RECEIVES], "tokio");
    let (sender, _receiver) = mpsc::channel(1);
    sender.try_send(()).unwrap();
    runtime.spawn(sends(sender));
    assert_shown(handle, &[SENDS], "tokio");

    runtime.spawn(notified(Arc::default()));
    assert_shown(handle, &[NOTIFIED], "tokio");
    runtime.spawn(acquires(Arc::new(Semaphore::new(0))));
    assert_shown(handle, &[ACQUIRES], "tokio");

    let (_sender, receiver) = oneshot::channel();
    runtime.spawn(answered(receiver));
    assert_shown(handle, &[ANSWERED], "tokio");
    let (_sender, receiver) = watch::channel(());
    runtime.spawn(changes(receiver));
    assert_shown(handle, &[CHANGES], "tokio");
    let (_sender, receiver) = broadcast::channel(1);
    runtime.spawn(hears(receiver));
    assert_shown(handle, &[HEARS], "tokio");
}

const CONNECTION: u32 = line!() + 11;
const RESPONSE: u32 = line!() + 13;
/// From a server that never answers.
async fn asks(server: SocketAddr) {
    let stream = TcpStream::connect(server).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::Builder::new()
        .handshake(stream)
        .await
        .unwrap();
    let connection = executor::spawn(async move {
        // Reads from the stream.
        let _ = connection.await;
    });
    let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    let _ = client.send_request(request).await;
    drop(connection);
}

#[test]
fn who_waits_for_a_response_shows_its_await_and_hyper() {
    let runtime = Builder::new().build().unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    runtime.spawn(asks(server.local_addr().unwrap()));
    assert_shown(runtime.handle(), &[RESPONSE], "hyper");
    assert_shown(runtime.handle(), &[CONNECTION], "hyper");
}
