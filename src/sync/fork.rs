//! A child made by `fork` without `exec`: it has its parent's memory, and one of its parent's
//! threads.
//!
//! # What it guarantees
//!
//! - A process can tell what it has inherited from what it has made: a [`Birth`] says so, for a
//!   load and a comparison.
//! - The process-wide locks are free in the child, whatever other threads did at the fork.
//! - A child makes its own [`PerProcess`] values.
//!
//! # Protocol
//!
//! 1. [`watch`] asks the C library, once, to call the three handlers below around every `fork`.
//!    Before that, nothing exists that could be inherited.
//! 2. Before a fork (`before`), the forking thread takes all process-wide locks (`Watch::hold`).
//!    Threads hold them for moments only, and take no other lock under them.
//! 3. In the parent (`in_parent`), it releases them.
//! 4. In the child (`in_child`), it increments [`FORKS`], so that every earlier [`Birth`] belongs
//!    to another process. Then `Watch::in_child` handles what is inherited, and the locks are
//!    released.
//!
//! # What it does not do
//!
//! It does not hold the locks of one runtime, whose threads may hold them for long. A thread that
//! finds that a runtime is inherited does not touch its locks. The child of a bare `clone` system
//! call goes unnoticed, since the C library does not make that call. Outside Unix there is no `fork`.

use std::any::Any;
use std::cell::RefCell;
use std::io;

use super::atomic::{AtomicU32, Ordering};
use super::{Mutex, OnceLock};

/// Number of forks between the first process and this one. `imp::in_child` increments it on the
/// only thread of a new child; [`Birth`] reads it on that thread and on those that it starts
/// afterwards. `Relaxed`: starting a thread orders the two.
static FORKS: AtomicU32 = AtomicU32::new(0);

std::thread_local! {
    /// The locks that this thread holds while it forks.
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// The handlers that are called around a fork.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(unix), allow(dead_code, reason = "there is no `fork`"))]
pub(crate) struct Watch {
    /// Takes every lock that does not belong to one runtime.
    pub(crate) hold: fn() -> Box<dyn Any>,
    /// Called in the child, with the result of `hold`.
    pub(crate) in_child: fn(&mut dyn Any),
}

static WATCH: OnceLock<(Watch, i32)> = OnceLock::new();

/// Watches forks from now on. Later calls do nothing.
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

/// The process in which a value was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth(u32);

impl Birth {
    pub(crate) fn here() -> Birth {
        Birth(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this process was forked from that one, directly or not.
    #[inline]
    pub(crate) fn in_forked_child(self) -> bool {
        self.0 != FORKS.load(Ordering::Relaxed)
    }
}

/// A value that each process makes for itself when it first needs it. It is never dropped.
pub(crate) struct PerProcess<T: 'static> {
    first: OnceLock<T>,
    /// The value of a child, with its birth.
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

    /// `None` until this process has made the value.
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

    /// Takes the lock, for `Watch::hold`.
    pub(crate) fn hold(&'static self) -> Box<dyn Any>
    where
        T: Sync,
    {
        Box::new(self.later.lock())
    }
}

#[cfg(unix)]
mod imp {
    use super::{FORKS, HELD, Ordering, WATCH};

    /// Registers the handlers. Returns the C library's answer: zero, or an error number.
    pub(super) fn ask() -> i32 {
        // SAFETY: the three handlers are functions of this program that take nothing and do not
        // unwind: a panic would abort. The C library calls them on the thread that forks. Those in
        // the parent may do anything. `in_child` uses only memory of the C library, which releases
        // its own locks first, and locks that `before` has taken.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) }
    }

    extern "C" fn before() {
        if let Some((watch, _)) = WATCH.get() {
            let held = (watch.hold)();
            // Fails while the thread's locals are being destroyed: then a child may find a lock
            // taken.
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

#[cfg(not(unix))]
mod imp {
    /// Does nothing: there is no `fork` here.
    pub(super) fn ask() -> i32 {
        0
    }
}
