//! Panics in a simulation: what they said, and silence otherwise.
//!
//! A panic's message and place are known to the process's panic hook alone. So the first simulation
//! wraps that hook. Panics in simulated threads are kept for the report instead of being printed: a
//! test that explores seeds would print hundreds. All others go on to the hook that was there. (A
//! hook that is set later prints them. Then the report has the message of the panic alone.)
//!
//! Whether a panic fails the run is not decided here: see `World::note_panic`.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, PanicHookInfo};

use super::FailureKind;
use crate::simulated::Over;
use crate::sync::{Arc, Mutex, OnceLock};
use crate::{simulated, stderr, tasks};

/// What panics have said.
#[derive(Clone, Default)]
pub(super) struct Said {
    messages: Vec<String>,
    /// Of the first one.
    pub(super) place: Option<String>,
    /// Likewise, if the environment asks for it as `std` does.
    pub(super) backtrace: Option<Arc<Backtrace>>,
}

/// The run of a thread, for whoever tells of it in the middle.
#[derive(Clone, Default)]
pub(super) struct Run {
    /// What repeats it.
    pub(super) replay: String,
    /// Where its tasks were when it was over.
    pub(super) tasks: Arc<Mutex<String>>,
}

std::thread_local! {
    static SAID: RefCell<Said> = RefCell::default();

    static RUN: RefCell<Run> = RefCell::default();
}

/// This many panics of one run are kept. Those that follow from the first ones tell little.
const KEPT: usize = 16;

/// Panics of simulations are kept from now on. A run begins.
pub(super) fn watch(run: Run) {
    static WATCHED: OnceLock<()> = OnceLock::new();
    WATCHED.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| match simulated::world() {
            Some(world) => {
                world.panic_begins();
                keep(info);
                if aborts(info) {
                    tell(world.over());
                    before(info);
                }
            }
            None => before(info),
        }));
    });
    SAID.take();
    RUN.set(run);
}

/// Tells of the run of this thread what is known, since the process is about to end.
fn tell(over: Option<Over>) {
    let (said, run) = (SAID.with_borrow(Said::clone), RUN.with_borrow(Run::clone));
    let kind = over.and_then(FailureKind::of);
    let kind = kind.map(|kind| format!("; {kind}")).unwrap_or_default();
    let tasks = run.tasks.try_lock().map(|tasks| tasks.clone());
    let tasks = tasks.unwrap_or_default();
    let replay = run.replay;
    stderr::say_last(format_args!(
        "in a simulation, {replay}{kind}:\n{said}\n{tasks}"
    ));
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
    let task = match (tasks::try_id(), tasks::location()) {
        (Some(id), Some(site)) => {
            let (file, line) = (site.file(), site.line());
            format!(", in task {id}, spawned at {file}:{line}")
        }
        _ => String::new(),
    };
    SAID.with_borrow_mut(|said| {
        if said.messages.len() == KEPT {
            return;
        }
        if said.messages.is_empty() {
            said.place.clone_from(&place);
            let backtrace = Backtrace::capture();
            let is_wanted = backtrace.status() == BacktraceStatus::Captured;
            said.backtrace = is_wanted.then(|| Arc::new(backtrace));
        }
        let place = place.map(|place| format!(", at {place}"));
        let place = place.unwrap_or_default();
        said.messages.push(format!("{message}{place}{task}"));
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
