//! Tasks that tick each millisecond, and how late they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Runtime;

pub(crate) const TICKERS: usize = 100;
const TICK: Duration = Duration::from_millis(1);

/// Tickers at work. Each notes its deadlines and how late it was.
#[derive(Clone, Default)]
pub(crate) struct Ticks {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(Instant, Duration)>>>,
}

impl Ticks {
    /// Starts the tickers on the runtime that the calling task is in.
    pub(crate) fn start<R: Runtime>(tickers: usize) -> Ticks {
        let ticks = Ticks::default();
        for _ in 0..tickers {
            let ticks = ticks.clone();
            R::detach(async move { ticks.tick::<R>().await });
        }
        ticks
    }

    async fn tick<R: Runtime>(self) {
        while !self.stop.load(Ordering::Relaxed) {
            let deadline = Instant::now() + TICK;
            R::sleep(TICK).await;
            let late = deadline.elapsed();
            self.seen
                .lock()
                .expect("nobody panics")
                .push((deadline, late));
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The lateness, in milliseconds and sorted, of the ticks that were due in this time. Waits for all of them: a ticker
    /// that was held up notes its tick afterwards.
    pub(crate) fn late_between(&self, begin: Instant, end: Instant) -> Vec<f64> {
        let seen = self.seen.lock().expect("nobody panics");
        let due = seen.iter().filter(|(at, _)| (begin..=end).contains(at));
        let mut late: Vec<f64> = due.map(|(_, late)| late.as_secs_f64() * 1e3).collect();
        late.sort_by(f64::total_cmp);
        late
    }
}

/// A quantile of sorted figures; not a number if there are none.
pub(crate) fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let index = sorted.len().saturating_sub(1) as f64 * quantile;
    sorted.get(index as usize).copied().unwrap_or(f64::NAN)
}
