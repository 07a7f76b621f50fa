//! Where all random choices of the scheduler come from.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// Marsaglia's xorshift64* (2003), as recommended by Vigna (2016): three shifts and a multiplication, good enough to
/// spread thieves over victims.
#[derive(Debug)]
pub(super) struct Rng(Cell<u64>);

impl Rng {
    pub(super) fn new(stream: u64) -> Rng {
        let seed = RandomState::new().hash_one(stream);
        Rng(Cell::new(seed | 1))
    }

    /// A number below `n`, which must not be zero (Lemire's multiply-and-shift; its bias is below 2^-32 · n).
    pub(super) fn below(&self, n: u32) -> u32 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        let high = (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32;
        ((u64::from(high) * u64::from(n)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_n_comes_up() {
        let rng = Rng::new(7);
        let mut seen = [false; 13];
        for _ in 0..10_000 {
            seen[rng.below(13) as usize] = true;
        }
        assert!(seen.iter().all(|&seen| seen));
    }
}
