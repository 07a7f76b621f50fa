//! Spawn sites: a task's runtime and the line that spawned it, as one small number.
//!
//! A pointer to its spawn location would cost 8 bytes per task, and a task has room for 18 bits
//! beside its id. But a program spawns from few lines and onto few runtimes. So each pair of
//! runtime id and location is **interned**: it gets a number, the spawn site, the first time it is
//! seen, and keeps it for the life of the process.
//!
//! 1. The first `RUNTIMES` spawn sites stand for the runtimes themselves, with an unknown location.
//!    So there is always one to fall back to.
//! 2. A spawn looks its pair up in [`index`](SpawnSites::index), a hash table with open addressing
//!    that all threads read without a lock ([`SpawnSites::look_up`]). A pair never moves and is
//!    never removed, so the first empty place on the way means that the pair is not in the table.
//! 3. If it is not, [`SpawnSites::add`] looks it up once more under a lock, and if it is still
//!    missing gives it the next number. `add` writes the [`Entry`] first and then the place in the
//!    index (release). A thread that reads the number there (acquire) finds the entry written.
//! 4. When all numbers are in use, the location of new pairs stays unknown. `add` takes no lock
//!    from then on.
//!
//! The number of pairs is at most lines times runtimes, and runtime ids are reused.
//!
//! # Rejected
//!
//! * **A cache per thread before a map behind a lock**, the former design. The cache had 16 lines
//!   and did not tell runtimes apart. So one line that spawned onto two runtimes in turn, or a
//!   program with more than a dozen hot lines, took the process-wide lock for each spawn. With two
//!   threads, a remote spawn took 160 to 260 ns for two runtimes and 270 to 380 for eight, instead
//!   of 130 to 190 and 150 to 190 (2026-11-29, 2 virtual CPUs). The table costs as many
//!   instructions as a hit in that cache, and a new thread finds it filled.
//! * **The location as a pointer in the task**, beside the runtime id. That needs no table, but 8
//!   bytes more per task (105 instead of 97 for one that waits), and what a monitor reads of a task
//!   must remain one word.

use std::panic::Location;
use std::ptr;

use super::RUNTIME_BITS;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// 262,144 spawn sites. [`super::Meta`] gives the other bits to the id.
pub(crate) const SPAWN_SITE_BITS: u32 = 18;

const RUNTIMES: usize = 1 << RUNTIME_BITS;
const SPAWN_SITES: usize = 1 << SPAWN_SITE_BITS;

/// More than twice the number of possible pairs, so that a look-up soon meets its pair or an empty
/// place.
const PLACES: usize = 1 << (SPAWN_SITE_BITS + 1);
const _: () = assert!(PLACES > 2 * (SPAWN_SITES - RUNTIMES));

/// 6 MB of zeros; the system backs only the pages that are touched.
static TABLE: SpawnSites<PLACES, SPAWN_SITES> = SpawnSites::new();

/// All pairs of runtime id and location.
struct SpawnSites<const PLACES: usize, const SPAWN_SITES: usize> {
    /// Spawn sites by the hash of their pair; 0 in an empty place. [`SpawnSites::add`] writes each
    /// place once, under `writer`, with release; [`SpawnSites::look_up`] reads it without the lock,
    /// with acquire.
    index: [AtomicU32; PLACES],
    /// The pair of each spawn site. Those of the runtimes themselves are never written.
    entries: [Entry; SPAWN_SITES],
    /// Number of pairs: the next spawn site less [`RUNTIMES`]. [`SpawnSites::add`] writes it under
    /// `writer`, and reads it without the lock only to see that no number is left, which stays
    /// true. `Relaxed`.
    count: AtomicUsize,
    writer: Mutex<()>,
}

/// [`SpawnSites::add`] writes both fields once, before it gives the number out.
///
/// `Relaxed`: a thread that got the number from the index or from a task got it through `add`'s
/// release store. The monitor alone reads numbers that no such chain has brought to it. It reads
/// only the location, which is a constant of the program: nothing but the pointer has to be
/// visible, and null means unknown.
struct Entry {
    runtime: AtomicU32,
    location: AtomicPtr<Location<'static>>,
}

impl Entry {
    #[inline]
    fn is(&self, runtime: u16, location: &'static Location<'static>) -> bool {
        ptr::eq(self.location.load(Ordering::Relaxed), location)
            && self.runtime.load(Ordering::Relaxed) == u32::from(runtime)
    }
}

/// Where the look-up of a pair begins. Locations near each other in memory begin near each other,
/// so that few pages are touched. They are at least three places apart, so no two locations in the
/// same 4 MiB begin at one place. Runtimes are spread by `STRIDE`.
#[inline]
fn first_place(runtime: u16, location: &'static Location<'static>) -> usize {
    /// Odd, and [`PLACES`] divided by the golden ratio: consecutive runtime ids, however many, are
    /// spread evenly.
    const STRIDE: usize = 324_027;

    (ptr::from_ref(location).addr() >> 3) + usize::from(runtime) * STRIDE
}

impl<const PLACES: usize, const SPAWN_SITES: usize> SpawnSites<PLACES, SPAWN_SITES> {
    const fn new() -> SpawnSites<PLACES, SPAWN_SITES> {
        SpawnSites {
            index: [const { AtomicU32::new(0) }; PLACES],
            entries: [const {
                Entry {
                    runtime: AtomicU32::new(0),
                    location: AtomicPtr::new(ptr::null_mut()),
                }
            }; SPAWN_SITES],
            count: AtomicUsize::new(0),
            writer: Mutex::new(()),
        }
    }

    /// Steps 2 to 4.
    #[inline]
    fn intern(&self, runtime: u16, location: &'static Location<'static>) -> u32 {
        match self.look_up(runtime, location) {
            Ok(spawn_site) => spawn_site,
            Err(_) => self.add(runtime, location),
        }
    }

    /// The pair's spawn site, or else the empty place where it would be.
    #[inline]
    fn look_up(&self, runtime: u16, location: &'static Location<'static>) -> Result<u32, usize> {
        let mut place = first_place(runtime, location) % PLACES;
        loop {
            let spawn_site = self.index[place].load(Ordering::Acquire);
            // The remainder changes nothing, and spares the bounds check. Entry 0, which an empty
            // place names, belongs to no pair.
            if self.entries[spawn_site as usize % SPAWN_SITES].is(runtime, location) {
                return Ok(spawn_site);
            }
            if spawn_site == 0 {
                return Err(place);
            }
            place = (place + 1) % PLACES;
        }
    }

    #[cold]
    fn add(&self, runtime: u16, location: &'static Location<'static>) -> u32 {
        if self.count.load(Ordering::Relaxed) == SPAWN_SITES - RUNTIMES {
            return u32::from(runtime);
        }
        let _writer = self.writer.lock();
        let place = match self.look_up(runtime, location) {
            Ok(spawn_site) => return spawn_site,
            Err(place) => place,
        };
        let count = self.count.load(Ordering::Relaxed);
        let Some(entry) = self.entries.get(RUNTIMES + count) else {
            return u32::from(runtime);
        };
        entry.runtime.store(u32::from(runtime), Ordering::Relaxed);
        entry
            .location
            .store(ptr::from_ref(location).cast_mut(), Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        let spawn_site = (RUNTIMES + count) as u32;
        self.index[place].store(spawn_site, Ordering::Release);
        spawn_site
    }
}

/// Takes the lock of the writers, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    TABLE.writer.lock()
}

/// The spawn site of a task of this runtime that is spawned at `location`.
#[inline]
pub(super) fn intern(runtime: u16, location: &'static Location<'static>) -> u32 {
    TABLE.intern(runtime, location)
}

/// The runtime id of a spawn site that came from a task.
#[inline]
pub(crate) fn runtime_of(spawn_site: usize) -> usize {
    match spawn_site < RUNTIMES {
        true => spawn_site,
        false => TABLE.entries[spawn_site].runtime.load(Ordering::Relaxed) as usize,
    }
}

/// The location of a spawn site; `None` if it is unknown.
pub(super) fn location_of(spawn_site: usize) -> Option<&'static Location<'static>> {
    let location = TABLE.entries[spawn_site].location.load(Ordering::Relaxed);
    // SAFETY: the pointer is null, or `add` made it from a `&'static Location`.
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
        // In a table this small, all pairs but one begin at a place that another pair takes.
        static SMALL: SpawnSites<8, { RUNTIMES + 3 }> = SpawnSites::new();
        let (one, two, three) = (here(), here(), here());
        let number = |index: usize| (RUNTIMES + index) as u32;
        assert_eq!(SMALL.intern(1, one), number(0));
        assert_eq!(SMALL.intern(2, one), number(1));
        assert_eq!(SMALL.intern(1, two), number(2));
        assert_eq!(SMALL.intern(1, three), 1, "full: the runtime itself");
        assert_eq!(SMALL.intern(2, one), number(1), "also when it is full");
        let held = SMALL.writer.lock();
        assert_eq!(SMALL.intern(7, three), 7, "and without the lock");
        drop(held);
    }

    /// The look-up continues from place to place, and after the last one at the first.
    #[test]
    fn pairs_that_fill_all_places_but_one_are_found() {
        const PAIRS: u16 = 15;
        static FULL: SpawnSites<16, { RUNTIMES + PAIRS as usize }> = SpawnSites::new();
        let here = here();
        for _ in 0..2 {
            let numbers = (1..=PAIRS).map(|runtime| FULL.intern(runtime, here));
            assert!(numbers.eq((0..PAIRS).map(|index| RUNTIMES as u32 + u32::from(index))));
        }
    }

    #[test]
    fn a_pair_is_a_runtime_and_a_location() {
        let (one, two) = (here(), here());
        let entry = Entry {
            runtime: AtomicU32::new(1),
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
            let of_home = |runtime| lines.map(|location| intern(runtime, location));
            homes.map(of_home).collect::<Vec<_>>()
        };
        let sites = intern_all();
        let held = hold();
        let other = thread::spawn(intern_all);
        let begin = std::time::Instant::now();
        while !other.is_finished() {
            let waited = begin.elapsed().as_secs();
            assert!(waited < 20, "a spawn waits for a lock of the whole process");
            thread::yield_now();
        }
        drop(held);
        assert_eq!(other.join().unwrap(), sites);
    }

    #[test]
    fn many_threads_agree_on_a_pair() {
        let here = Location::caller();
        let there = Location::caller();
        let threads: Vec<_> = (0..8)
            .map(|_| thread::spawn(move || [intern(7, here), intern(7, there), intern(8, here)]))
            .collect();
        let sites = [intern(7, here), intern(7, there), intern(8, here)];
        for thread in threads {
            assert_eq!(thread.join().unwrap(), sites);
        }
        for (spawn_site, runtime, location) in [
            (sites[0], 7, here),
            (sites[1], 7, there),
            (sites[2], 8, here),
        ] {
            assert_eq!(runtime_of(spawn_site as usize), runtime);
            assert!(ptr::eq(location_of(spawn_site as usize).unwrap(), location));
        }
        assert_ne!(sites[0], sites[1]);
    }

    #[test]
    fn a_runtime_is_a_spawn_site_without_a_location() {
        assert_eq!(runtime_of(9), 9);
        assert!(location_of(9).is_none());
    }
}
