//! Calls a function at the exit of the process.

/// A function to call at exit. It must not unwind: that would abort the process.
pub(crate) type AtExit = extern "C" fn();

/// Registers `f`, to be called when the process exits: after `main` has returned, or in `exit`.
/// Other threads may still run then. `false`: this is not possible here.
pub(crate) fn at_exit(f: AtExit) -> bool {
    imp::ask(f)
}

#[cfg(unix)]
mod imp {
    use super::AtExit;

    pub(super) fn ask(f: AtExit) -> bool {
        // SAFETY: `f` is a function of this program that takes nothing and does not unwind, as its
        // type says.
        unsafe { libc::atexit(f) == 0 }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::AtExit;

    pub(super) fn ask(_: AtExit) -> bool {
        false
    }
}
