//! A server that does not answer for a while, and a client that asks again and again.

use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender, unbounded};
use executor::sim::{self, FailureKind};
use executor::time::{now, sleep, timeout};

use super::compare;

struct Request {
    deadline: Instant,
    answer: Sender<()>,
}

/// To the server: now and then it is interrupted, and what was sent arrives afterwards.
async fn link(from: Receiver<Request>, to: Sender<Request>) {
    while let Ok(request) = from.recv().await {
        if sim::choose(50) == 1 {
            sleep(Duration::from_millis(500)).await;
        }
        if to.send(request).await.is_err() {
            return;
        }
    }
}

const SERVICE: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_millis(20);

/// One request after the other.
async fn serve(requests: Receiver<Request>, drops_late: bool) {
    let mut served = 0;
    while let Ok(request) = requests.recv().await {
        if drops_late && now() > request.deadline {
            continue;
        }
        sleep(SERVICE).await;
        served += 1;
        assert!(served <= MOST_SERVED, "the server has served {served} requests");
        // Whoever has given up does not receive it.
        let _ = request.answer.try_send(());
    }
}

async fn ask(server: &Sender<Request>) -> bool {
    let (answer, answered) = unbounded();
    let deadline = now() + PATIENCE;
    let request = Request { deadline, answer };
    server.send(request).await.unwrap();
    timeout(PATIENCE, answered.recv()).await.is_ok_and(|answer| answer.is_ok())
}

async fn insist(server: &Sender<Request>) {
    while !ask(server).await {}
}

async fn back_off(server: &Sender<Request>) {
    let mut pause = PATIENCE;
    while !ask(server).await {
        sleep(pause).await;
        pause *= 2;
    }
}

const CLIENTS: u32 = 4;
const REQUESTS: u32 = 3;
/// Some are asked twice.
const MOST_SERVED: u32 = 3 * CLIENTS * REQUESTS;

async fn run(is_polite: bool) {
    let (client_side, link_in) = unbounded();
    let (link_out, server_side) = unbounded();
    let link = executor::spawn(link(link_in, link_out));
    let server = executor::spawn(serve(server_side, is_polite));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let server = client_side.clone();
            executor::spawn(async move {
                for _ in 0..REQUESTS {
                    sleep(Duration::from_millis(25 + u64::from(number) * 5)).await;
                    match is_polite {
                        true => back_off(&server).await,
                        false => insist(&server).await,
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    drop(client_side);
    link.await.unwrap();
    server.await.unwrap();
}

pub(super) async fn without_pause() {
    run(false).await;
}

async fn with_pauses() {
    run(true).await;
}

#[test]
fn an_interruption_is_followed_by_a_storm() {
    compare(FailureKind::Panic, "the server has served", without_pause, with_pauses);
}
