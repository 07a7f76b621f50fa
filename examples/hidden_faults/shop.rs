//! A shop: its customers send orders, which are checked and priced.

use std::hint::black_box;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use executor::task;
use executor::time::sleep;

/// Article and number of pieces.
type Order = Vec<(u32, u32)>;

pub(crate) fn open() -> Receiver<Duration> {
    let (served, latencies) = async_channel::unbounded();
    for number in 0..40 {
        let name = format!("basket {number}");
        _ = task::Builder::new()
            .name(name)
            .spawn(customer(number, served.clone()));
    }
    latencies
}

async fn customer(number: u32, served: Sender<Duration>) {
    let (name, articles) = match number % 20 {
        13 => (format!("canteen {number}"), 4000),
        _ => (format!("customer {number}"), 1 + number % 7),
    };
    for turn in 0.. {
        let pause = Duration::from_millis(5 + u64::from((number + turn) % 7));
        let begin = Instant::now() + pause;
        sleep(pause).await;
        // Everybody orders small things, and some now and then what they need for a month.
        let articles = if turn % 8 == 7 {
            articles
        } else {
            articles.min(5)
        };
        let order = (0..articles).map(|line| (line * 7 % 5003, 1)).collect();
        let served = served.clone();
        let accepted = task::Builder::new().name(name.as_str()).spawn(async move {
            black_box(price(&merged(order)));
            _ = served.try_send(begin.elapsed());
        });
        _ = accepted.await;
    }
}

/// Lines with the same article become one.
fn merged(order: Order) -> Order {
    let mut merged = Order::new();
    for (article, pieces) in order {
        match merged.iter_mut().find(|(known, _)| *known == article) {
            Some((_, known)) => *known += pieces,
            None => merged.push((article, pieces)),
        }
    }
    merged
}

fn price(order: &Order) -> u64 {
    let cents = |article| u64::from(article % 1000) + 99;
    (order
        .iter()
        .map(|&(article, pieces)| cents(article) * u64::from(pieces)))
    .sum()
}
