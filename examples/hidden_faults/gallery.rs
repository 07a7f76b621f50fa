//! A gallery: visitors look at small pictures, which are made from large ones; what is new is put into the archive.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use executor::time::{interval, sleep};
use executor::{spawn_blocking, task};

pub(crate) fn open() -> Receiver<Duration> {
    let (served, latencies) = async_channel::unbounded();
    for number in 0..20 {
        let visiting = visit(number, served.clone());
        _ = task::Builder::new()
            .name(format!("visitor {number}"))
            .spawn(visiting);
    }
    drop(executor::spawn(take_in()));
    latencies
}

async fn visit(number: u64, served: Sender<Duration>) {
    sleep(Duration::from_millis(number * 5)).await;
    loop {
        sleep(Duration::from_millis(100)).await;
        let begin = Instant::now();
        _ = spawn_blocking(move || black_box(smaller(number as u8))).await;
        _ = served.try_send(begin.elapsed());
    }
}

/// A picture, as small as it is shown.
fn smaller(colour: u8) -> Vec<u8> {
    let large = vec![colour; 1 << 20];
    large.chunks(256).map(|pixels| pixels[0]).collect()
}

/// New pictures come in all the time, more of them as the day goes on.
async fn take_in() {
    let mut hours = interval(Duration::from_millis(500));
    for hour in 1.. {
        hours.tick().await;
        for _ in 0..hour {
            drop(spawn_blocking(archive));
        }
    }
}

/// Writes to a medium that takes its time.
fn archive() {
    thread::sleep(Duration::from_millis(300));
}
