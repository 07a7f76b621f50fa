//! What many timers cost, and how late they are.

use std::time::{Duration, Instant};

use crate::support::Runtime;
use crate::support::process::cpu_time;
use crate::support::ticks::quantile;

const TIMERS: u64 = 100_000;

/// CPU nanoseconds per task that sleeps once.
pub(crate) fn cpu<R: Runtime>(runtime: &R) -> Vec<f64> {
    let before = cpu_time();
    runtime.run(async {
        // Spread, and not in their order.
        let sleeper = |n| {
            R::spawn(R::sleep(Duration::from_micros(
                1_000 + n * 7919 % TIMERS * 99 / 100,
            )))
        };
        for task in (0..TIMERS).map(sleeper).collect::<Vec<_>>() {
            task.await;
        }
    });
    vec![(cpu_time() - before).as_nanos() as f64 / TIMERS as f64]
}

/// How late ten tasks go on that sleep now and then, in microseconds: p50 and p99.
pub(crate) fn lateness<R: Runtime>(runtime: &R) -> Vec<f64> {
    let mut late = runtime.run(async {
        let sleeper = |task: u64| {
            R::spawn(async move {
                let mut late = Vec::new();
                for n in 0..200 {
                    let time = Duration::from_micros(1_000 + (task * 200 + n) * 2_741 % 8_000);
                    let begin = Instant::now();
                    R::sleep(time).await;
                    late.push((begin.elapsed().saturating_sub(time)).as_secs_f64() * 1e6);
                }
                late
            })
        };
        let mut late = Vec::new();
        for task in (0..10).map(sleeper).collect::<Vec<_>>() {
            late.extend(task.await);
        }
        late
    });
    late.sort_by(f64::total_cmp);
    vec![quantile(&late, 0.5), quantile(&late, 0.99)]
}
