//! Jobs on the blocking pool: many at once, and one after the other.

use std::time::{Duration, Instant};

use crate::support::ticks::quantile;
use crate::support::{Runtime, per_operation, workloads};

const ONE_BY_ONE: usize = 2_000;

/// Nanoseconds per job of a batch, and microseconds of one alone.
pub(crate) fn measure<R: Runtime>(runtime: &R) -> Vec<f64> {
    let batch = per_operation(20_000, 3, || workloads::blocking_batch(runtime, 20_000));
    let mut each = runtime.run(async {
        let mut times = Vec::with_capacity(ONE_BY_ONE);
        for _ in 0..ONE_BY_ONE {
            let begin = Instant::now();
            R::spawn_blocking(|| ()).await;
            times.push(begin.elapsed());
        }
        times
    });
    each.sort();
    let micros: Vec<_> = each
        .iter()
        .map(|time: &Duration| time.as_secs_f64() * 1e6)
        .collect();
    vec![batch, quantile(&micros, 0.5)]
}
