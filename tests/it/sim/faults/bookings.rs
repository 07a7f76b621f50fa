//! What was true before an await, and need not be after it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use executor::sim::FailureKind;
use executor::time::sleep;

use super::compare;

#[derive(Default)]
struct Theatre {
    sold: Mutex<u32>,
}

const SEATS: u32 = 2;

async fn pay() {
    sleep(Duration::from_millis(2)).await;
}

impl Theatre {
    async fn book_wrong(&self) -> bool {
        if *self.sold.lock().unwrap() == SEATS {
            return false;
        }
        pay().await;
        *self.sold.lock().unwrap() += 1;
        true
    }

    async fn book_right(&self) -> bool {
        {
            let mut sold = self.sold.lock().unwrap();
            if *sold == SEATS {
                return false;
            }
            *sold += 1;
        }
        pay().await;
        true
    }
}

/// Three customers for two seats, a while after each other.
async fn evening(keeps_seat: bool) {
    let theatre = Arc::new(Theatre::default());
    let customers: Vec<_> = (0..3)
        .map(|number| {
            let theatre = theatre.clone();
            executor::spawn(async move {
                sleep(Duration::from_millis(10 * number)).await;
                match keeps_seat {
                    true => theatre.book_right().await,
                    false => theatre.book_wrong().await,
                }
            })
        })
        .collect();
    let mut tickets = 0;
    for customer in customers {
        tickets += u32::from(customer.await.unwrap());
    }
    assert_eq!(tickets, SEATS, "tickets for {SEATS} seats");
}

pub(super) async fn checked_before_paid() {
    evening(false).await;
}

async fn kept_while_paid() {
    evening(true).await;
}

#[test]
fn a_seat_is_sold_twice() {
    compare(
        FailureKind::Panic,
        "tickets for",
        checked_before_paid,
        kept_while_paid,
    );
}
