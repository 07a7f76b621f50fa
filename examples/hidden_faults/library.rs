//! A library: readers look books up in the catalogue; who waits for too long complains; now and then books are bound.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use executor::task;
use executor::time::sleep;
use futures::future::{Either, select};

/// Who has it may use the catalogue.
type Catalogue = async_lock::Mutex<u64>;

pub(crate) fn open() -> Receiver<Duration> {
    let catalogue = Arc::new(Catalogue::default());
    let (served, latencies) = async_channel::unbounded();
    for number in 0..20 {
        let reading = read(catalogue.clone(), number, served.clone());
        _ = task::Builder::new()
            .name(format!("reader {number}"))
            .spawn(reading);
    }
    _ = task::Builder::new().name("binding").spawn(bind(catalogue));
    latencies
}

async fn read(catalogue: Arc<Catalogue>, number: u32, served: Sender<Duration>) {
    loop {
        sleep(Duration::from_millis(5 + u64::from(number) % 7)).await;
        let begin = Instant::now();
        let looking_up = Box::pin(look_up(&catalogue));
        let patience = Box::pin(sleep(Duration::from_millis(50)));
        if let Either::Right((_, looking_up)) = select(looking_up, patience).await {
            complain(&catalogue).await;
            looking_up.await;
        }
        _ = served.try_send(begin.elapsed());
    }
}

async fn look_up(catalogue: &Catalogue) {
    *catalogue.lock().await += 1;
}

/// The complaint is entered in the catalogue, too.
async fn complain(catalogue: &Catalogue) {
    *catalogue.lock().await += 1;
}

/// Now and then books are bound, and the catalogue is changed.
async fn bind(catalogue: Arc<Catalogue>) {
    loop {
        sleep(Duration::from_millis(900)).await;
        let _catalogue = catalogue.lock().await;
        sleep(Duration::from_millis(120)).await;
    }
}
