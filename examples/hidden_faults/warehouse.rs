//! A warehouse: pickers take what was ordered from the shelves and enter it in the books; now and then somebody takes stock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use executor::task;
use executor::time::sleep;
use futures::lock::Mutex;

#[derive(Default)]
struct Warehouse {
    shelves: Mutex<HashMap<u32, u32>>,
    books: Mutex<Vec<(u32, u32)>>,
}

pub(crate) fn open() -> Receiver<Duration> {
    let warehouse = Arc::new(Warehouse::default());
    let (served, latencies) = async_channel::unbounded();
    for number in 0..30 {
        let picking = pick(warehouse.clone(), number, served.clone());
        _ = task::Builder::new()
            .name(format!("picker {number}"))
            .spawn(picking);
    }
    _ = task::Builder::new()
        .name("delivery")
        .spawn(deliver(warehouse.clone()));
    _ = task::Builder::new()
        .name("stocktaking")
        .spawn(take_stock(warehouse));
    latencies
}

async fn pick(warehouse: Arc<Warehouse>, number: u32, served: Sender<Duration>) {
    for turn in 0.. {
        sleep(Duration::from_millis(4)).await;
        let begin = Instant::now();
        let article = (number + turn) % 100;
        let mut shelves = warehouse.shelves.lock().await;
        if let Some(pieces) = shelves.get_mut(&article).filter(|pieces| **pieces > 0) {
            *pieces -= 1;
            warehouse.books.lock().await.push((article, 1));
        }
        drop(shelves);
        _ = served.try_send(begin.elapsed());
    }
}

async fn deliver(warehouse: Arc<Warehouse>) {
    loop {
        for article in 0..100 {
            *warehouse.shelves.lock().await.entry(article).or_default() += 100;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// What is on the shelves and what is in the books must belong together.
async fn take_stock(warehouse: Arc<Warehouse>) {
    loop {
        sleep(Duration::from_millis(700)).await;
        let mut books = warehouse.books.lock().await;
        let mut gone = 0;
        for (_, pieces) in books.drain(..) {
            gone += pieces;
            if gone % 500 == 0 {
                sleep(Duration::from_millis(1)).await; // a page is full, and printed
            }
        }
        let left: u32 = warehouse.shelves.lock().await.values().sum();
        drop(books);
        std::hint::black_box((gone, left));
    }
}
