//! Which twin runs: edits of `twins.txt` ask for it.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

static ON: Mutex<Option<&'static str>> = Mutex::new(None);

/// For this execution.
pub(crate) fn set(name: Option<&'static str>) {
    *ON.lock().expect("nobody panics with it") = name;
}

pub(crate) fn is(name: &str) -> bool {
    *ON.lock().expect("nobody panics with it") == Some(name)
}

/// The ordering, unless this twin runs.
pub(crate) fn relaxed(name: &str, order: Ordering) -> Ordering {
    match is(name) {
        true => Ordering::Relaxed,
        false => order,
    }
}
