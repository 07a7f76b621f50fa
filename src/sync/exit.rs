//! The end of the process.

/// Calls `f` when the process exits: `main` has returned, or somebody has called `exit`. Other threads may still run. False:
/// that cannot be had here.
///
/// `f` must not unwind: that would abort the process.
pub(crate) fn at_exit(f: extern "C" fn()) -> bool {
    imp::at_exit(f)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    pub(super) fn at_exit(f: extern "C" fn()) -> bool {
        // SAFETY: a function of this program that takes nothing and does not unwind, as the caller says.
        unsafe { libc::atexit(f) == 0 }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    pub(super) fn at_exit(_: extern "C" fn()) -> bool {
        false
    }
}
