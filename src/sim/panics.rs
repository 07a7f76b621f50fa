//! Panics in a simulation: what they said, and silence otherwise.
//!
//! A panic's message and place are known to the process's panic hook alone. So the first simulation
//! wraps that hook. Panics in simulated threads are kept for the report instead of being printed: a
//! test that explores seeds would print hundreds. All others go on to the hook that was there.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};

use crate::sync::OnceLock;
use crate::{simulated, stderr};

std::thread_local! {
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// So many panics of one run are kept. Those that follow from the first ones tell little.
const KEPT: usize = 16;

/// Panics of simulations are kept from now on.
pub(super) fn watch() {
    static WATCHED: OnceLock<()> = OnceLock::new();
    WATCHED.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match simulated::world() {
            Some(world) => {
                world.panic_begins();
                keep(info);
                if aborts(info) {
                    stderr::say_last(format_args!("in a simulation:\n{}", take().join("\n")));
                    before(info);
                }
            }
            None => before(info),
        }));
    });
}

/// Whether it ends the process, and with it whoever would tell: a destructor that panics while
/// another panic unwinds.
fn aborts(info: &PanicHookInfo<'_>) -> bool {
    message(info.payload()).starts_with("panic in a ")
}

fn keep(info: &PanicHookInfo<'_>) {
    let message = message(info.payload());
    let said = match info.location() {
        Some(place) => format!("{message}, at {}:{}", place.file(), place.line()),
        None => message.to_owned(),
    };
    SAID.with_borrow_mut(|kept| {
        if kept.len() < KEPT {
            kept.push(said);
        }
    });
}

/// What the panics of this thread's simulation said since the last call.
pub(super) fn take() -> Vec<String> {
    SAID.take()
}

/// What a panic says.
pub(super) fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
