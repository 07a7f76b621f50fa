//! Where all random choices come from: one seed for a runtime or a simulation, and streams of it,
//! such as one for each core.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A seed for a runtime whose builder has set none.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// Gives numbers below the one that it is given.
#[cfg(feature = "sim")]
type Source = fn(u32) -> u32;

/// Marsaglia's xorshift64* (2003), as recommended by Vigna (2016): three shifts and a
/// multiplication, good enough to spread thieves over victims.
#[derive(Debug)]
pub(crate) struct Rng {
    state: Cell<u64>,
    /// Who is asked instead.
    #[cfg(feature = "sim")]
    source: Cell<Option<Source>>,
}

impl Rng {
    pub(crate) fn new(seed: u64, stream: u64) -> Rng {
        let rng = Rng {
            state: Cell::new(0),
            #[cfg(feature = "sim")]
            source: Cell::new(None),
        };
        rng.seed(seed, stream);
        rng
    }

    /// Begins anew. Streams of one seed have next to nothing in common (Steele, Lea and Flood's
    /// splitmix64, 2014).
    pub(crate) fn seed(&self, seed: u64, stream: u64) {
        let mut x = seed.wrapping_add(stream.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.state.set((x ^ (x >> 31)) | 1);
    }

    /// From now on numbers below `n` come from there, or by themselves again.
    #[cfg(feature = "sim")]
    pub(crate) fn ask(&self, source: Option<Source>) {
        self.source.set(source);
    }

    /// A number below `n`, which must not be zero (Lemire's multiply-and-shift; its bias is below
    /// 2^-32 · n).
    pub(crate) fn below(&self, n: u32) -> u32 {
        #[cfg(feature = "sim")]
        if let Some(source) = self.source.get() {
            return source(n);
        }
        let mut x = self.state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.state.set(x);
        let high = (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32;
        ((u64::from(high) * u64::from(n)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_its_streams_differ() {
        let numbers = |rng: &Rng| [(); 20].map(|()| rng.below(1000));
        let [one, same, stream, seed] = [(7, 0), (7, 0), (7, 1), (8, 0)].map(|(seed, stream)| {
            let rng = Rng::new(seed, stream);
            numbers(&rng)
        });
        assert_eq!(one, same);
        assert!(one != stream && one != seed && stream != seed);
        let rng = Rng::new(9, 9);
        rng.seed(7, 0);
        assert_eq!(numbers(&rng), one);
        assert_ne!(random_seed(), random_seed());
    }

    #[test]
    fn every_number_below_n_comes_up() {
        let rng = Rng::new(1, 7);
        let mut seen = [false; 13];
        for _ in 0..10_000 {
            seen[rng.below(13) as usize] = true;
        }
        assert!(seen.iter().all(|&seen| seen));
    }
}
