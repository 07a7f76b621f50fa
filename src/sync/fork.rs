//! A child made by `fork` without `exec`: it has the memory of its parent and one thread of it.
//!
//! # What it guarantees
//!
//! - Nothing that a process inherits is taken for its own: a [`Birth`] tells, for a load and a comparison.
//! - A lock of the whole process is free in the child, whatever other threads did when it was forked.
//! - A [`PerProcess`] value is made anew in the child.
//!
//! # Protocol
//!
//! 1. [`watch`] asks the C library, once, to call the three handlers below around every `fork`. Until then nothing exists
//!    that could be inherited.
//! 2. Before: the forking thread takes all locks of the process (`Watch::hold`). They are leaves and held for moments.
//! 3. In the parent: it gives them back.
//! 4. In the child: the number of forks goes up, so that every [`Birth`] before is another process's; then
//!    `Watch::in_child` sees to what is inherited, and the locks are given back.
//!
//! # What it does not do
//!
//! Locks of one runtime are not held: its threads may have them for long. Whoever finds that a runtime is inherited leaves
//! its locks alone. A child of a bare `clone` system call is not seen, as the C library is not asked; nor is any child
//! outside Linux and Android.

use std::any::Any;
use std::cell::RefCell;
use std::io;

use super::atomic::{AtomicU32, Ordering};
use super::{Mutex, OnceLock};

/// How many forks lie between the first process and this one. Written by the only thread of a new child, read by all that
/// it starts afterwards: `Relaxed`.
static FORKS: AtomicU32 = AtomicU32::new(0);

std::thread_local! {
    /// What this thread holds while it forks.
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// What is done around a fork.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// Takes every lock that is not a runtime's own.
    pub(crate) hold: fn() -> Box<dyn Any>,
    /// In the child, with what `hold` has taken.
    pub(crate) in_child: fn(&mut dyn Any),
}

static WATCH: OnceLock<(Watch, i32)> = OnceLock::new();

/// From now on forks are seen. Later calls do nothing.
///
/// # Errors
///
/// When the C library has no memory for it.
pub(crate) fn watch(watch: Watch) -> io::Result<()> {
    match WATCH.get_or_init(|| (watch, imp::ask())) {
        (_, 0) => Ok(()),
        (_, error) => Err(io::Error::from_raw_os_error(*error)),
    }
}

/// The process that something was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth(u32);

impl Birth {
    pub(crate) fn here() -> Birth {
        Birth(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this process is a child of that one.
    #[inline]
    pub(crate) fn in_forked_child(self) -> bool {
        self.0 != FORKS.load(Ordering::Relaxed)
    }
}

/// A value that each process makes for itself when it first needs it. It is never dropped.
pub(crate) struct PerProcess<T: 'static> {
    first: OnceLock<T>,
    /// That of a child, with its birth.
    later: Mutex<Option<(Birth, &'static T)>>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess {
            first: OnceLock::new(),
            later: Mutex::new(None),
        }
    }

    #[inline]
    pub(crate) fn get_or_init(&'static self, make: impl FnOnce() -> T) -> &'static T {
        let birth = Birth::here();
        if birth == Birth(0) {
            return self.first.get_or_init(make);
        }
        let mut later = self.later.lock();
        match *later {
            Some((born, value)) if born == birth => value,
            _ => {
                let value = Box::leak(Box::new(make()));
                *later = Some((birth, value));
                value
            }
        }
    }

    /// `None` until it is made.
    pub(crate) fn get(&'static self) -> Option<&'static T> {
        let birth = Birth::here();
        if birth == Birth(0) {
            return self.first.get();
        }
        let later = self.later.lock();
        later
            .filter(|(born, _)| *born == birth)
            .map(|(_, value)| value)
    }

    /// For `Watch::hold`.
    pub(crate) fn hold(&'static self) -> Box<dyn Any>
    where
        T: Sync,
    {
        Box::new(self.later.lock())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use super::{FORKS, HELD, Ordering, WATCH};

    /// The C library's answer: zero, or an error number.
    pub(super) fn ask() -> i32 {
        // SAFETY: the three are functions of this program, which take nothing and do not unwind: a panic would abort.
        // They are called on the thread that forks. The parent's may do anything; the child's only takes memory from
        // the C library, which sees to its own locks first, and locks that `before` has taken.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) }
    }

    extern "C" fn before() {
        if let Some((watch, _)) = WATCH.get() {
            let held = (watch.hold)();
            // Fails while the thread's locals are destroyed: then a child may find a lock taken.
            let _ = HELD.try_with(|place| place.replace(Some(held)));
        }
    }

    extern "C" fn in_parent() {
        let _ = HELD.try_with(|place| place.take());
    }

    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
        let mut held = HELD.try_with(|place| place.take()).ok().flatten();
        if let (Some((watch, _)), Some(held)) = (WATCH.get(), &mut held) {
            (watch.in_child)(held.as_mut());
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    /// Nobody is asked: elsewhere the C library is not among our dependencies.
    pub(super) fn ask() -> i32 {
        0
    }
}
