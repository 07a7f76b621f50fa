//! Where tasks come from: their home and the line that spawned them, as one small number.
//!
//! A task has room for 18 bits that say which home it belongs to, and a pointer to its spawn location would cost 8 bytes
//! per task. But a program has few lines that spawn and few homes. So each pair is **interned**: it gets a number, the
//! origin, the first time it is seen, and keeps it for the life of the process.
//!
//! 1. The first `HOMES` origins are the homes themselves, with an unknown location: so there is always one to fall back to.
//! 2. A spawn looks its pair up in a cache of its thread: one comparison.
//! 3. If it is not there, a map behind a lock knows the pair, or the next number is given out. Its entry is written before
//!    the lock is released, hence before anybody learns the number.
//! 4. When all numbers are given out, the location of new pairs stays unknown.
//!
//! The number of pairs is bounded by lines times homes, and homes are used again.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::ptr;

use super::HOME_BITS;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// 262,144 origins; see [`super::Meta`] for what is left to the id.
pub(crate) const ORIGIN_BITS: u32 = 18;

const HOMES: usize = 1 << HOME_BITS;
const LOCATED: usize = (1 << ORIGIN_BITS) - HOMES;

/// What an origin beyond the first [`HOMES`] stands for. Both are written once, under the lock of [`PAIRS`].
///
/// Who has the number out of a task has it by way of that lock, and of whatever brought the task: `Relaxed`. Only the
/// monitor reads numbers that nothing has brought, and only for the location, which is a constant of the program: its
/// pointer is all that must be seen, and null means unknown.
struct Entry {
    home: AtomicU32,
    location: AtomicPtr<Location<'static>>,
}

/// 4 MB of zeros, of which the system gives out the pages that are touched.
static ENTRIES: [Entry; LOCATED] = [const {
    Entry {
        home: AtomicU32::new(0),
        location: AtomicPtr::new(ptr::null_mut()),
    }
}; LOCATED];

static PAIRS: Mutex<Pairs> = Mutex::new(Pairs(BTreeMap::new()));

/// All pairs of home and address of a location, and the index of their entry.
struct Pairs(BTreeMap<(u16, usize), usize>);

/// What an index was found to be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Known(usize),
    New(usize),
    Full,
}

impl Pairs {
    fn find(&mut self, home: u16, location: usize, capacity: usize) -> Found {
        if let Some(&index) = self.0.get(&(home, location)) {
            return Found::Known(index);
        }
        let index = self.0.len();
        if index == capacity {
            return Found::Full;
        }
        self.0.insert((home, location), index);
        Found::New(index)
    }
}

/// Takes the lock of all pairs, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    PAIRS.lock()
}

/// A line of the cache.
#[derive(Clone, Copy)]
struct Cached {
    location: *const Location<'static>,
    home: u16,
    origin: u32,
}

const CACHE: usize = 16;

std::thread_local! {
    /// Plain cells without a destructor, as in `current`.
    static CACHED: [Cell<Cached>; CACHE] = const {
        [const { Cell::new(Cached { location: ptr::null(), home: 0, origin: 0 }) }; CACHE]
    };
}

/// The origin of a task of this home that is spawned there.
#[inline]
pub(super) fn intern(home: u16, location: &'static Location<'static>) -> u32 {
    CACHED.with(|cached| {
        let line = &cached[(ptr::from_ref(location).addr() >> 3) % CACHE];
        let seen = line.get();
        if ptr::eq(seen.location, location) && seen.home == home {
            return seen.origin;
        }
        let origin = look_up(home, location);
        line.set(Cached {
            location,
            home,
            origin,
        });
        origin
    })
}

#[cold]
fn look_up(home: u16, location: &'static Location<'static>) -> u32 {
    let mut pairs = PAIRS.lock();
    let index = match pairs.find(home, ptr::from_ref(location).addr(), LOCATED) {
        Found::Known(index) => index,
        Found::New(index) => {
            let entry = &ENTRIES[index];
            entry.home.store(u32::from(home), Ordering::Relaxed);
            entry
                .location
                .store(ptr::from_ref(location).cast_mut(), Ordering::Relaxed);
            index
        }
        Found::Full => return u32::from(home),
    };
    (HOMES + index) as u32
}

/// The home of an origin that came out of a task.
#[inline]
pub(crate) fn home_of(origin: usize) -> usize {
    match origin.checked_sub(HOMES) {
        None => origin,
        Some(index) => ENTRIES[index].home.load(Ordering::Relaxed) as usize,
    }
}

/// Where the tasks of an origin were spawned.
pub(super) fn location_of(origin: usize) -> Option<&'static Location<'static>> {
    let index = origin.checked_sub(HOMES)?;
    let location = ENTRIES[index].location.load(Ordering::Relaxed);
    // SAFETY: null, or made from a `&'static Location` by `look_up`.
    unsafe { location.as_ref() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::thread;

    #[test]
    fn a_pair_keeps_its_number_and_no_other_gets_it() {
        let mut pairs = Pairs(BTreeMap::new());
        assert_eq!(pairs.find(1, 100, 3), Found::New(0));
        assert_eq!(pairs.find(2, 100, 3), Found::New(1));
        assert_eq!(pairs.find(1, 200, 3), Found::New(2));
        assert_eq!(pairs.find(1, 300, 3), Found::Full);
        assert_eq!(
            pairs.find(2, 100, 3),
            Found::Known(1),
            "also when it is full"
        );
    }

    #[test]
    fn many_threads_agree_on_a_pair() {
        let here = Location::caller();
        let there = Location::caller();
        let threads: Vec<_> = (0..8)
            .map(|_| thread::spawn(move || [intern(7, here), intern(7, there), intern(8, here)]))
            .collect();
        let origins = [intern(7, here), intern(7, there), intern(8, here)];
        for thread in threads {
            assert_eq!(thread.join().unwrap(), origins);
        }
        for (origin, home, location) in [
            (origins[0], 7, here),
            (origins[1], 7, there),
            (origins[2], 8, here),
        ] {
            assert_eq!(home_of(origin as usize), home);
            assert!(ptr::eq(location_of(origin as usize).unwrap(), location));
        }
        assert_ne!(origins[0], origins[1]);
    }

    #[test]
    fn a_home_is_an_origin_without_a_location() {
        assert_eq!(home_of(9), 9);
        assert!(location_of(9).is_none());
    }
}
