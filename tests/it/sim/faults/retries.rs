//! A server that cannot be reached for a while, and clients that ask again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use executor::net::{TcpListener, TcpStream};
use executor::sim::net::{Host, between};
use executor::sim::{self, FailureKind};
use executor::time::{sleep, timeout};
use futures::io::{AsyncReadExt, AsyncWriteExt};

use super::compare;

const CLIENTS: u64 = 4;
const REQUESTS: u8 = 3;
/// Most have to be asked again once or twice.
const MOST_SERVED: u32 = 5 * CLIENTS as u32 * REQUESTS as u32;

const SERVICE: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_millis(20);

/// Answers each request by its number, one after the other.
async fn answer(mut stream: TcpStream, served: Arc<AtomicU32>) {
    let mut number = [0];
    while stream.read_exact(&mut number).await.is_ok() {
        sleep(SERVICE).await;
        let served = served.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(
            served <= MOST_SERVED,
            "the server has served {served} requests"
        );
        // Whoever has asked may be gone.
        let _ = stream.write_all(&number).await;
    }
}

async fn serve(listener: TcpListener) {
    let served = Arc::new(AtomicU32::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        drop(executor::spawn(answer(stream, served.clone())));
    }
}

/// Whether there is an answer in time.
async fn ask(stream: &mut TcpStream, number: u8) -> bool {
    stream.write_all(&[number]).await.unwrap();
    let answered = async {
        let mut answer = [0];
        // Others are late ones.
        while answer != [number] {
            stream.read_exact(&mut answer).await.unwrap();
        }
    };
    timeout(PATIENCE, answered).await.is_ok()
}

async fn insist(stream: &mut TcpStream, number: u8) {
    while !ask(stream, number).await {}
}

async fn back_off(stream: &mut TcpStream, number: u8) {
    let mut pause = PATIENCE;
    while !ask(stream, number).await {
        sleep(pause).await;
        pause *= 2;
    }
}

/// Somebody may pull a cable, and puts it back.
async fn disturb() {
    for _ in 0..10 {
        sleep(Duration::from_millis(10)).await;
        if sim::choose(50) == 1 {
            between("main", "server").partition();
            sleep(Duration::from_millis(500)).await;
            between("main", "server").heal();
            return;
        }
    }
}

async fn run(is_polite: bool) {
    let server = Host::new("server", [10, 0, 0, 2]).unwrap();
    let listener = server.spawn(TcpListener::bind("0.0.0.0:80")).await.unwrap();
    drop(server.spawn(serve(listener.unwrap())));
    let disturbing = executor::spawn(disturb());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            executor::spawn(async move {
                let mut stream = TcpStream::connect("server:80").await.unwrap();
                for number in 1..=REQUESTS {
                    sleep(Duration::from_millis(25 + client * 5)).await;
                    match is_polite {
                        true => back_off(&mut stream, number).await,
                        false => insist(&mut stream, number).await,
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    disturbing.await.unwrap();
}

pub(super) async fn without_pause() {
    run(false).await;
}

async fn with_pauses() {
    run(true).await;
}

#[test]
fn an_interruption_is_followed_by_a_storm() {
    compare(
        FailureKind::Panic,
        "the server has served",
        without_pause,
        with_pauses,
    );
}
