//! Drops a future at each of its awaits in turn.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

use super::{Builder, panics};
use crate::runtime::block_on::block_on;
use crate::simulated;

/// A sweep of more would take hours.
const MOST_AWAITS: usize = 10_000;

/// Drops a future where it awaits first, another one where it awaits for the second time, and so
/// on, until one comes to its end. After each drop it calls `check` with the number of the await.
/// Gives how often the future awaited in all.
///
/// A future may be dropped wherever it awaits: by a timeout, a `select!`, an abort. What it has
/// done by then must make sense: `check` says whether it does. It is called in the simulation, so
/// it may use [`block_on`](crate::block_on).
///
/// A future that is dropped at its last await has awaited before: so a sweep takes as many runs as
/// there are awaits, each longer than the one before. It is for futures that end.
///
/// Each future runs in a simulation of its own with seed 0, or in the one that this is called in.
/// An await counts each time that the future is polled and has to wait.
///
/// # Panics
///
/// If `check` panics, or a future or a task does. The message says at which await the future was
/// dropped. Also if a future awaits more than 10,000 times.
///
/// # Examples
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
/// use executor::time::sleep;
///
/// // A transfer that is cancelled halfway has lost the money.
/// let accounts = Mutex::new((100, 0));
/// let sum = || {
///     let accounts = accounts.lock().unwrap();
///     accounts.0 + accounts.1
/// };
/// let mut lost_at = Vec::new();
/// executor::sim::cancel_sweep(
///     || async {
///         *accounts.lock().unwrap() = (100, 0);
///         sleep(Duration::from_millis(1)).await;
///         accounts.lock().unwrap().0 -= 10;
///         sleep(Duration::from_millis(1)).await;
///         accounts.lock().unwrap().1 += 10;
///     },
///     |dropped_at| {
///         if sum() != 100 {
///             lost_at.push(dropped_at);
///         }
///     },
/// );
/// assert_eq!(lost_at, [2]);
/// ```
#[track_caller]
pub fn cancel_sweep<F: Future>(make: impl Fn() -> F, check: impl FnMut(usize)) -> usize {
    sweep(make, check, MOST_AWAITS)
}

#[track_caller]
fn sweep<F: Future>(
    make: impl Fn() -> F,
    mut check: impl FnMut(usize),
    most_awaits: usize,
) -> usize {
    let place = Location::caller();
    for dropped_at in 1..=most_awaits {
        let sweep = async {
            let has_ended = poll_until(make(), dropped_at).await;
            if !has_ended {
                check(dropped_at);
            }
            has_ended
        };
        let has_ended = match simulated::is_here() {
            true => {
                let swept = catch_unwind(AssertUnwindSafe(|| block_on(sweep)));
                swept.unwrap_or_else(|payload| {
                    panics::add(format!("{place}: dropped at await {dropped_at}"));
                    resume_unwind(payload)
                })
            }
            false => {
                let sim = Builder::new().allow_leftover_tasks(true).build();
                match sim.run_at(place, sweep).0 {
                    Ok(has_ended) => has_ended,
                    Err(failure) => panic!("dropped at await {dropped_at}: {failure}"),
                }
            }
        };
        if has_ended {
            return dropped_at - 1;
        }
    }
    panic!("a future still awaits after {most_awaits} awaits; a sweep needs one that ends")
}

/// Polls a future until it has to wait for the `last` time, and drops it. True: it has ended before.
async fn poll_until(future: impl Future, last: usize) -> bool {
    let mut awaits = 0;
    let mut future = pin!(future);
    poll_fn(|cx| {
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        awaits += 1;
        match awaits == last {
            true => Poll::Ready(false),
            false => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::sleep;
    use std::time::Duration;

    #[test]
    #[should_panic = "still awaits after 20 awaits"]
    fn a_future_that_does_not_end_is_not_swept_for_ever() {
        let ticks = || async {
            loop {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _: usize = sweep(ticks, |_| {}, 20);
    }
}
