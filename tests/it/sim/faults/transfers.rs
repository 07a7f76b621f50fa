//! Two locks that are taken in two orders.

use std::sync::Arc;
use std::time::Duration;

use async_lock::Mutex;
use executor::sim::FailureKind;
use executor::time::sleep;

use super::compare;

type Account = Arc<Mutex<i64>>;

/// Asks a bank that is elsewhere.
async fn look_up_limit() {
    sleep(Duration::from_millis(1)).await;
}

async fn transfer(from: &Account, to: &Account, amount: i64) {
    let mut from = from.lock().await;
    look_up_limit().await;
    let mut to = to.lock().await;
    *from -= amount;
    *to += amount;
}

/// The account that was opened first is locked first.
async fn transfer_in_order(accounts: &[Account], from: usize, to: usize, amount: i64) {
    let mut first = accounts[from.min(to)].lock().await;
    look_up_limit().await;
    let mut second = accounts[from.max(to)].lock().await;
    let sign = if from < to { 1 } else { -1 };
    *first -= sign * amount;
    *second += sign * amount;
}

/// Customers transfer in turn, a while after each other.
async fn day(in_order: bool) {
    let accounts: Vec<Account> = (0..3).map(|_| Account::default()).collect();
    let transfers = [(0, 1), (1, 2), (2, 0), (1, 0)];
    let customers: Vec<_> = (0..)
        .zip(transfers)
        .map(|(number, (from, to))| {
            let accounts = accounts.clone();
            executor::spawn(async move {
                sleep(Duration::from_millis(10 * number)).await;
                if in_order {
                    transfer_in_order(&accounts, from, to, 5).await;
                } else {
                    transfer(&accounts[from], &accounts[to], 5).await;
                }
            })
        })
        .collect();
    for customer in customers {
        customer.await.unwrap();
    }
    let mut sum = 0;
    for account in &accounts {
        sum += *account.lock().await;
    }
    assert_eq!(sum, 0);
}

pub(super) async fn in_any_order() {
    day(false).await;
}

async fn in_one_order() {
    day(true).await;
}

#[test]
fn locks_are_taken_in_two_orders() {
    compare(FailureKind::Deadlock, "", in_any_order, in_one_order);
}
