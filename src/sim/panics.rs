//! Panics in a simulation: what they said, and silence otherwise.
//!
//! A panic's message and place are known to the process's panic hook alone. So the first simulation
//! wraps that hook. Panics in simulated threads are kept for the report instead of being printed: a
//! test that explores seeds would print hundreds. All others go on to the hook that was there. (A
//! hook that is set later prints them. Then the report has the message of the panic alone.)
//!
//! Whether a panic fails the run is not decided here: see `World::note_panic`.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, PanicHookInfo};

use crate::sync::OnceLock;
use crate::{simulated, stderr};

/// What panics have said.
#[derive(Clone, Default)]
pub(super) struct Said {
    messages: Vec<String>,
    /// Of the first one.
    pub(super) place: Option<String>,
}

std::thread_local! {
    static SAID: RefCell<Said> = RefCell::default();

    /// What repeats the run of this thread.
    static REPLAY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// This many panics of one run are kept. Those that follow from the first ones tell little.
const KEPT: usize = 16;

/// Panics of simulations are kept from now on. A run begins that is repeated by this.
pub(super) fn watch(replay: String) {
    static WATCHED: OnceLock<()> = OnceLock::new();
    WATCHED.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match simulated::world() {
            Some(world) => {
                world.panic_begins();
                keep(info);
                if aborts(info) {
                    let said = SAID.with_borrow(Said::clone);
                    REPLAY.with_borrow(|replay| {
                        stderr::say_last(format_args!("in a simulation, {replay}:\n{said}"));
                    });
                    before(info);
                }
            }
            None => before(info),
        }));
    });
    SAID.take();
    REPLAY.set(replay);
}

/// Whether it ends the process, and with it whoever would tell: a panic while another one unwinds,
/// or where none may.
fn aborts(info: &PanicHookInfo<'_>) -> bool {
    let is_of_core = |file: &str| file.ends_with("panicking.rs");
    let messages = [
        "panic in a destructor during cleanup",
        "panic in a function that cannot unwind",
    ];
    messages.contains(&message(info.payload()))
        && info
            .location()
            .is_some_and(|place| is_of_core(place.file()))
}

fn keep(info: &PanicHookInfo<'_>) {
    let message = message(info.payload());
    let place = info.location();
    let place = place.map(|place| format!("{}:{}", place.file(), place.line()));
    SAID.with_borrow_mut(|said| {
        if said.messages.len() == KEPT {
            return;
        }
        if said.messages.is_empty() {
            said.place.clone_from(&place);
        }
        said.messages.push(match place {
            Some(place) => format!("{message}, at {place}"),
            None => message.to_owned(),
        });
    });
}

/// Says more about the last one.
pub(super) fn add(text: String) {
    SAID.with_borrow_mut(|said| said.messages.push(text));
}

/// What the panics of this thread's simulation said since it began.
pub(super) fn take() -> Said {
    SAID.take()
}

impl Said {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages.join("\n"))
    }
}

/// What a panic says.
pub(super) fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
