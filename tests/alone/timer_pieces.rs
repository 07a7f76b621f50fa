//! Very many timers that are due at once: others have their turn meanwhile.
//!
//! Alone, because the worker must not be held up: the monitor fires what it leaves lying for that long.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use executor::spawn;
use executor::time::{sleep, sleep_until};

use crate::turn;

/// How many of so many sleeps of one deadline end between two ticks. `None`: they were not all armed in time.
async fn ticks_beside(mass: usize, lead: Duration) -> Option<Vec<usize>> {
    let deadline = Instant::now() + lead;
    let armed = Arc::new(AtomicUsize::new(0));
    let count = Arc::new(AtomicUsize::new(0));
    let sleeps: Vec<_> = (0..mass)
        .map(|_| {
            let (armed, count) = (armed.clone(), count.clone());
            spawn(async move {
                let mut sleep = pin!(sleep_until(deadline));
                if futures::poll!(sleep.as_mut()).is_pending() {
                    armed.fetch_add(1, SeqCst);
                }
                sleep.await;
                count.fetch_add(1, SeqCst);
            })
        })
        .collect();
    // Armed after the mass and due after it: one tick after the other.
    sleep_until(deadline).await;
    let in_time = armed.load(SeqCst) == mass;
    let mut between = Vec::new();
    while count.load(SeqCst) < mass {
        let before = count.load(SeqCst);
        sleep(Duration::from_micros(1)).await;
        between.push(count.load(SeqCst) - before);
    }
    for sleep in sleeps {
        sleep.await.unwrap();
    }
    assert_eq!(count.load(SeqCst), mass);
    in_time.then_some(between)
}

/// The timers of one deadline are fired in pieces, and the ticks between them have their turn. What is counted are polls and not
/// time. Nineteen ticks of twenty must keep within the bound: while the operating system stops the worker, the monitor fires
/// some. Fired all at once, hardly any tick comes before the last of them.
#[test]
fn a_tick_waits_for_a_piece_of_the_timers_that_are_due_at_once() {
    const MASS: usize = 200_000;
    /// At most so many are fired between two looks at the timers, and may be queued when a tick is.
    const PIECE: usize = 256;
    let _turn = turn();
    let runtime = executor::Builder::new().worker_threads(1).build().unwrap();
    // All must be armed before their deadline; a busy machine takes its time for that.
    let leads = [500, 2_000, 8_000, 32_000].map(Duration::from_millis);
    let mut between = leads.into_iter().find_map(|lead| {
        let task = runtime.spawn(ticks_beside(MASS, lead));
        runtime.block_on(task).unwrap()
    });
    let between = between
        .as_mut()
        .expect("they are armed within half a minute");
    between.sort_unstable();
    let worst = between[(between.len() - 1) * 19 / 20];
    assert!(
        worst <= 8 * PIECE,
        "{worst} timers between two ticks: {between:?}"
    );
    assert!(
        between.len() >= MASS / (32 * PIECE),
        "{} ticks",
        between.len()
    );
}
