//! How often a time was how long, in buckets that grow with it.
//!
//! The buckets are log-linear (as in HdrHistogram and Go's `runtime/metrics`): each power of two is
//! cut into [`PARTS`] equal parts, so a bucket is at most an eighth as wide as the times in it are
//! long. Below 16 ns each nanosecond has its own, and the last one has what is longer than 2^40 ns,
//! 18 minutes.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::sync::counter::Counter;

/// Three bits of a time, after its highest one, name the bucket.
const PART_BITS: u32 = 3;
const PARTS: usize = 1 << PART_BITS;

/// Longer times are not told apart.
const HIGHEST_BIT: u32 = 40;

const BUCKETS: usize = (HIGHEST_BIT - PART_BITS + 1) as usize * PARTS + 1;

fn bucket_of(nanos: u64) -> usize {
    let highest = u64::BITS - (nanos | 1).leading_zeros() - 1;
    match highest.checked_sub(PART_BITS) {
        None => nanos as usize,
        Some(_) if highest >= HIGHEST_BIT => BUCKETS - 1,
        Some(shift) => ((shift as usize) << PART_BITS) + (nanos >> shift) as usize,
    }
}

/// The shortest time of a bucket.
fn lowest_of(bucket: usize) -> u64 {
    match (bucket / PARTS).checked_sub(1) {
        None => bucket as u64,
        Some(shift) => ((PARTS + bucket % PARTS) as u64) << shift,
    }
}

/// Counted by one thread at a time, read by any.
#[derive(Debug)]
pub(crate) struct Recorder {
    buckets: Box<[Counter]>,
    nanos: Counter,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder {
            buckets: (0..BUCKETS).map(|_| Counter::default()).collect(),
            nanos: Counter::default(),
        }
    }

    #[inline]
    pub(crate) fn record(&self, nanos: u64) {
        self.buckets[bucket_of(nanos)].add(1);
        self.nanos.add(nanos);
    }

    pub(crate) fn reset(&self) {
        self.buckets.iter().for_each(Counter::reset);
        self.nanos.reset();
    }

    pub(crate) fn add_to(&self, histogram: &mut Histogram) {
        histogram.counts.resize(BUCKETS, 0);
        for (sum, bucket) in histogram.counts.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        histogram.nanos = histogram.nanos.saturating_add(self.nanos.get());
    }
}

/// How many of the times that were measured were how long.
///
/// Times up to 18 minutes are told apart to an eighth of their length.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = executor::runtime::Builder::new()
///     .worker_threads(1)
///     .histograms(true)
///     .build()?;
/// runtime.block_on(runtime.spawn(async { std::thread::sleep(Duration::from_millis(5)) }))?;
/// // A poll counts when it is over, which is after its task has told its result.
/// runtime.block_on(runtime.spawn(async {}))?;
/// let polls = runtime.metrics().poll_time_histogram().clone();
/// assert!(polls.count() >= 1);
/// assert!(polls.quantile(1.0) >= Duration::from_millis(5));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Empty as long as nothing was measured.
    counts: Vec<u64>,
    nanos: u64,
}

impl Histogram {
    /// How many times were measured.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all times.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// The mean, zero if nothing was measured.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.nanos.checked_div(self.count()).unwrap_or(0))
    }

    /// The time that so large a part of the measured ones do not exceed: 0.5 gives the median, 1
    /// the longest. It is the upper end of a bucket, so at most an eighth too long; zero if nothing
    /// was measured.
    ///
    /// # Panics
    ///
    /// When `part` is not within 0 to 1.
    pub fn quantile(&self, part: f64) -> Duration {
        assert!(
            (0.0..=1.0).contains(&part),
            "Histogram::quantile: {part} is not within 0 to 1"
        );
        let rank = (part * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let mut buckets = self.buckets();
        let found = buckets.find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map_or(Duration::ZERO, |(times, _)| times.end)
    }

    /// The buckets that something fell into, from the shortest times to the longest, each with how
    /// many there were.
    ///
    /// The end does not belong to the range; that of the last bucket is [`Duration::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (Range<Duration>, u64)> + '_ {
        let filled = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count != 0);
        filled.map(|(bucket, &count)| {
            let begin = Duration::from_nanos(lowest_of(bucket));
            let end = match bucket + 1 {
                BUCKETS => Duration::MAX,
                next => Duration::from_nanos(lowest_of(next)),
            };
            (begin..end, count)
        })
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.quantile(1.0))
            .finish()
    }
}

/// One line: how many, and how long.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        if count == 0 {
            return f.write_str("nothing measured");
        }
        write!(
            f,
            "{count} measured, mean {:.1?}; up to {:.1?} (half of them), {:.1?} (99 %), {:.1?} (all)",
            self.mean(),
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(1.0)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[u64]) -> Histogram {
        let recorder = Recorder::new();
        times.iter().for_each(|&nanos| recorder.record(nanos));
        let mut histogram = Histogram::default();
        recorder.add_to(&mut histogram);
        histogram
    }

    proptest! {
        #[test]
        fn every_time_is_in_its_bucket(bits in 0u32..64, low in any::<u64>()) {
            let nanos = low >> bits;
            let bucket = bucket_of(nanos);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(lowest_of(bucket) <= nanos);
            if bucket + 1 < BUCKETS {
                let end = lowest_of(bucket + 1);
                prop_assert!(nanos < end);
                prop_assert!(end - lowest_of(bucket) <= (nanos / 8).max(1));
            }
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(lowest_of(bucket)), bucket);
        }
        assert_eq!(lowest_of(BUCKETS - 1), 1 << HIGHEST_BIT);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_of_the_times_measured() {
        let none = of(&[]);
        assert_eq!((none.count(), none.mean()), (0, Duration::ZERO));
        assert_eq!(none.quantile(0.5), Duration::ZERO);
        let some = of(&[1, 1, 2, 1000]);
        assert_eq!((some.count(), some.sum()), (4, Duration::from_nanos(1004)));
        assert_eq!(some.quantile(0.0), Duration::from_nanos(2));
        assert_eq!(some.quantile(0.5), Duration::from_nanos(2));
        assert_eq!(some.quantile(0.75), Duration::from_nanos(3));
        assert_eq!(some.quantile(1.0), Duration::from_nanos(1024));
        assert_eq!(of(&[u64::MAX]).quantile(0.5), Duration::MAX);
    }

    #[test]
    fn two_recorders_make_one_histogram() {
        let mut sum = Histogram::default();
        for times in [[1, 2], [2, 3]] {
            let recorder = Recorder::new();
            times.iter().for_each(|&nanos| recorder.record(nanos));
            recorder.add_to(&mut sum);
        }
        assert_eq!(sum, of(&[1, 2, 2, 3]));
    }
}
