//! Where tasks come from: their home and the line that spawned them, as one small number.
//!
//! A task has room for 18 bits that say which home it belongs to, and a pointer to its spawn location would cost 8 bytes
//! per task. But a program has few lines that spawn and few homes. So each pair is **interned**: it gets a number, the
//! origin, the first time it is seen, and keeps it for the life of the process.
//!
//! 1. The first `HOMES` origins are the homes themselves, with an unknown location: so there is always one to fall back to.
//! 2. A spawn looks its pair up in the [`index`](Origins::index), a hash table with open addressing that all threads read without a lock. A pair never
//!    moves and never goes, so the first empty place that is met says that it is not there.
//! 3. Then it is looked up once more under a lock, and if it is still not there the next number is given out. Its [`Entry`] is
//!    written first, then its place in the index (release): whoever reads the number there (acquire) finds the entry written.
//! 4. When all numbers are given out, the location of new pairs stays unknown. No lock is taken any more.
//!
//! The number of pairs is bounded by lines times homes, and homes are used again.
//!
//! # Rejected
//!
//! * **A cache for each thread before a map behind a lock**, as it was: 16 lines of a cache that did not tell homes apart. One line
//!   that spawns onto two runtimes in turn, or a program with more than a dozen hot lines, took the lock of the whole process for each
//!   spawn: with two threads a remote spawn took 160 to 260 ns for two runtimes and 270 to 380 for eight, instead of 130 to 190 and 150 to
//!   190 (2026-11-29, 2 virtual CPUs). The table costs as many instructions as a hit of that cache, and a new thread finds it filled.
//! * **The location as a pointer in the task**, beside the home's number. That needs no table here, but 8 bytes more for each task (105
//!   instead of 97 for one that waits), and what a monitor reads of a task must remain one word.

use std::panic::Location;
use std::ptr;

use super::HOME_BITS;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// 262,144 origins; see [`super::Meta`] for what is left to the id.
pub(crate) const ORIGIN_BITS: u32 = 18;

const HOMES: usize = 1 << HOME_BITS;
const ORIGINS: usize = 1 << ORIGIN_BITS;

/// More than twice as many as there can be pairs, so that a look meets its pair, or an empty place, soon.
const PLACES: usize = 1 << (ORIGIN_BITS + 1);
const _: () = assert!(PLACES > 2 * (ORIGINS - HOMES));

/// 6 MB of zeros, of which the system gives out the pages that are touched.
static TABLE: Origins<PLACES, ORIGINS> = Origins::new();

/// All pairs of home and location.
struct Origins<const PLACES: usize, const ORIGINS: usize> {
    /// Origins by the hash of their pair; 0 where there is none yet. Each is written once, under `writer`, with release, and read
    /// without it, with acquire.
    index: [AtomicU32; PLACES],
    /// What an origin stands for; those of the homes themselves remain as they are.
    entries: [Entry; ORIGINS],
    /// The next number, less [`HOMES`]. Changes under `writer`. `Relaxed`: read without it only to see that there is no room, which
    /// remains so.
    count: AtomicUsize,
    writer: Mutex<()>,
}

/// Both are written once, before the entry's number is given out.
///
/// Who has the number out of the index or out of a task has it by way of a release of the writer's: `Relaxed`. Only the
/// monitor reads numbers that nothing has brought, and only for the location, which is a constant of the program: its
/// pointer is all that must be seen, and null means unknown.
struct Entry {
    home: AtomicU32,
    location: AtomicPtr<Location<'static>>,
}

impl Entry {
    #[inline]
    fn is(&self, home: u16, location: &'static Location<'static>) -> bool {
        ptr::eq(self.location.load(Ordering::Relaxed), location)
            && self.home.load(Ordering::Relaxed) == u32::from(home)
    }
}

/// Where the search for a pair begins. Locations that lie together have places that lie together, so that few pages are touched
/// (three places apart at least: no two of the first 4 MiB meet), and homes are spread.
#[inline]
fn first_place(home: u16, location: &'static Location<'static>) -> usize {
    /// Odd, and the golden section of [`PLACES`]: any number of homes in a row divide them evenly.
    const STRIDE: usize = 324_027;

    (ptr::from_ref(location).addr() >> 3) + usize::from(home) * STRIDE
}

impl<const PLACES: usize, const ORIGINS: usize> Origins<PLACES, ORIGINS> {
    const fn new() -> Origins<PLACES, ORIGINS> {
        Origins {
            index: [const { AtomicU32::new(0) }; PLACES],
            entries: [const {
                Entry {
                    home: AtomicU32::new(0),
                    location: AtomicPtr::new(ptr::null_mut()),
                }
            }; ORIGINS],
            count: AtomicUsize::new(0),
            writer: Mutex::new(()),
        }
    }

    /// Steps 2 to 4.
    #[inline]
    fn intern(&self, home: u16, location: &'static Location<'static>) -> u32 {
        match self.look_up(home, location) {
            Ok(origin) => origin,
            Err(_) => self.add(home, location),
        }
    }

    /// The pair's number, else the empty place where it would be.
    #[inline]
    fn look_up(&self, home: u16, location: &'static Location<'static>) -> Result<u32, usize> {
        let mut place = first_place(home, location) % PLACES;
        loop {
            let origin = self.index[place].load(Ordering::Acquire);
            // The remainder says to the compiler what is so anyway. Entry 0, of an empty place, is no pair's.
            if self.entries[origin as usize % ORIGINS].is(home, location) {
                return Ok(origin);
            }
            if origin == 0 {
                return Err(place);
            }
            place = (place + 1) % PLACES;
        }
    }

    #[cold]
    fn add(&self, home: u16, location: &'static Location<'static>) -> u32 {
        if self.count.load(Ordering::Relaxed) == ORIGINS - HOMES {
            return u32::from(home);
        }
        let _writer = self.writer.lock();
        let place = match self.look_up(home, location) {
            Ok(origin) => return origin,
            Err(place) => place,
        };
        let count = self.count.load(Ordering::Relaxed);
        let Some(entry) = self.entries.get(HOMES + count) else {
            return u32::from(home);
        };
        entry.home.store(u32::from(home), Ordering::Relaxed);
        entry
            .location
            .store(ptr::from_ref(location).cast_mut(), Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        let origin = (HOMES + count) as u32;
        self.index[place].store(origin, Ordering::Release);
        origin
    }
}

/// Takes the lock of who adds pairs, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    TABLE.writer.lock()
}

/// The origin of a task of this home that is spawned there.
#[inline]
pub(super) fn intern(home: u16, location: &'static Location<'static>) -> u32 {
    TABLE.intern(home, location)
}

/// The home of an origin that came out of a task.
#[inline]
pub(crate) fn home_of(origin: usize) -> usize {
    match origin < HOMES {
        true => origin,
        false => TABLE.entries[origin].home.load(Ordering::Relaxed) as usize,
    }
}

/// Where the tasks of an origin were spawned.
pub(super) fn location_of(origin: usize) -> Option<&'static Location<'static>> {
    let location = TABLE.entries[origin].location.load(Ordering::Relaxed);
    // SAFETY: null, or made from a `&'static Location` by `add`.
    unsafe { location.as_ref() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::thread;

    #[track_caller]
    fn here() -> &'static Location<'static> {
        Location::caller()
    }

    #[test]
    fn a_pair_keeps_its_number_and_no_other_gets_it() {
        // All pairs but one begin where another lies.
        static SMALL: Origins<8, { HOMES + 3 }> = Origins::new();
        let (one, two, three) = (here(), here(), here());
        let number = |index: usize| (HOMES + index) as u32;
        assert_eq!(SMALL.intern(1, one), number(0));
        assert_eq!(SMALL.intern(2, one), number(1));
        assert_eq!(SMALL.intern(1, two), number(2));
        assert_eq!(SMALL.intern(1, three), 1, "full: the home itself");
        assert_eq!(SMALL.intern(2, one), number(1), "also when it is full");
        let held = SMALL.writer.lock();
        assert_eq!(SMALL.intern(7, three), 7, "and without the lock");
        drop(held);
    }

    /// The search goes on from place to place, past the last one to the first.
    #[test]
    fn pairs_that_fill_all_places_but_one_are_found() {
        const PAIRS: u16 = 15;
        static FULL: Origins<16, { HOMES + PAIRS as usize }> = Origins::new();
        let here = here();
        for _ in 0..2 {
            let numbers = (1..=PAIRS).map(|home| FULL.intern(home, here));
            assert!(numbers.eq((0..PAIRS).map(|index| HOMES as u32 + u32::from(index))));
        }
    }

    #[test]
    fn a_pair_is_a_home_and_a_location() {
        let (one, two) = (here(), here());
        let entry = Entry {
            home: AtomicU32::new(1),
            location: AtomicPtr::new(ptr::from_ref(one).cast_mut()),
        };
        assert!(entry.is(1, one) && !entry.is(2, one) && !entry.is(1, two));
    }

    #[test]
    fn a_pair_that_is_known_is_found_while_another_thread_holds_the_lock() {
        #[rustfmt::skip]
        let lines = [
            here(), here(), here(), here(), here(), here(), here(), here(),
            here(), here(), here(), here(), here(), here(), here(), here(),
            here(), here(), here(), here(), here(), here(), here(), here(),
            here(), here(), here(), here(), here(), here(), here(), here(),
        ];
        let intern_all = move || {
            let homes = 0..64_u16;
            let of_home = |home| lines.map(|location| intern(home, location));
            homes.map(of_home).collect::<Vec<_>>()
        };
        let origins = intern_all();
        let held = hold();
        let other = thread::spawn(intern_all);
        let begin = std::time::Instant::now();
        while !other.is_finished() {
            let waited = begin.elapsed().as_secs();
            assert!(waited < 20, "a spawn waits for a lock of the whole process");
            thread::yield_now();
        }
        drop(held);
        assert_eq!(other.join().unwrap(), origins);
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
