//! The end of the process.

/// What is called then. It must not unwind: that would abort the process.
pub(crate) type AtExit = extern "C" fn();

/// Calls `f` when the process exits: `main` has returned, or somebody has called `exit`. Other threads may still run. False:
/// that cannot be had here.
pub(crate) fn at_exit(f: AtExit) -> bool {
    imp::ask(f)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use super::AtExit;

    pub(super) fn ask(f: AtExit) -> bool {
        // SAFETY: a function of this program that takes nothing and does not unwind, as its type says.
        unsafe { libc::atexit(f) == 0 }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use super::AtExit;

    pub(super) fn ask(_: AtExit) -> bool {
        false
    }
}
