//! One run: the runtime is built, the future runs on it, the runtime shuts down, all in simulated
//! threads.

use std::any::Any;
use std::fmt::Write;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use super::failure::{Failed, Failure, FailureKind};
use super::panics::{self, Said};
use super::{Builder, locals, runtime, watchdog};
use crate::observe::TaskDump;
use crate::runtime::block_on::block_on_at;
use crate::runtime::context::SimulatedDefault;
use crate::runtime::{Handle, Runtime};
use crate::simulated::choices::List;
use crate::simulated::{self, Ended, Event, Over, Source, World};
use crate::sync::{Arc, Mutex};

/// A dump of tasks ends after this long of virtual time.
const DUMP_WITHIN: Duration = Duration::from_secs(1);

const THREADS_LEFT: &str = "threads are left: of a runtime that was built in the simulation, and not \
                            dropped there";

/// A simulation that has not begun. Made by [`Builder`].
#[derive(Debug)]
pub struct Sim {
    settings: Builder,
    comparing: Comparing,
}

/// What a run has to do with another one.
#[derive(Debug)]
pub(super) enum Comparing {
    Nothing,
    /// Keeps its events.
    First,
    /// It is to be the same as the one with these events.
    Second(Vec<Event>),
    /// It is over at this event.
    Until(usize),
}

/// What a run was like: of [`Sim::run_and_report`].
#[derive(Clone, Debug)]
pub struct Report(simulated::Report);

impl Report {
    /// A hash of all that happened: which thread polled which task, at what time, and every choice.
    /// Runs of one program with equal hashes were the same.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.hash
    }

    /// How many steps there were. A step is about a poll.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.steps
    }

    /// The virtual time that has passed.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.0.time
    }

    pub(super) fn unusual(&self) -> &List {
        &self.0.unusual
    }

    pub(super) fn num_events(&self) -> usize {
        self.0.num_events
    }

    /// The last one at which the runs were the same or differed.
    pub(super) fn last_event(&self) -> Option<&Event> {
        self.0.last_event.as_ref()
    }

    pub(super) fn into_events(self) -> Vec<Event> {
        self.0.events
    }
}

/// Why a run has failed.
enum Cause {
    Over(Over),
    Panic(String),
    Leftover(u64),
}

impl Sim {
    pub(super) fn new(settings: Builder) -> Sim {
        Sim {
            settings,
            comparing: Comparing::Nothing,
        }
    }

    pub(super) fn comparing(settings: Builder, comparing: Comparing) -> Sim {
        Sim {
            settings,
            comparing,
        }
    }

    pub(super) fn settings(&self) -> &Builder {
        &self.settings
    }

    /// Runs the future to its end, on the calling thread. Then shuts the runtime down.
    ///
    /// The future is polled as by [`block_on`](crate::block_on): it is not a task, and need not be
    /// `Send`. What it needs of the simulation it must make when it is polled, as an `async` block
    /// does: a [`sleep`](crate::time::sleep) that was made before has its deadline by another clock.
    ///
    /// # Errors
    ///
    /// When the future panics or cannot go on, a limit is reached, a task or blocking job panics, or
    /// one is left at the end.
    ///
    /// # Panics
    ///
    /// In a simulation, in a task, in a blocking job or in a `block_on`.
    #[track_caller]
    pub fn run<T>(self, future: impl Future<Output = T>) -> Result<T, Failure> {
        self.run_at(Location::caller(), future).0
    }

    /// [`run`](Self::run), and what the run was like.
    ///
    /// # Panics
    ///
    /// As `run`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let sim = executor::sim::Builder::new().build();
    /// let sleeps = async { executor::time::sleep(Duration::from_secs(5)).await };
    /// let (result, report) = sim.run_and_report(sleeps);
    /// assert!(result.is_ok() && report.time() >= Duration::from_secs(5));
    /// ```
    #[track_caller]
    pub fn run_and_report<T>(
        self,
        future: impl Future<Output = T>,
    ) -> (Result<T, Failure>, Report) {
        self.run_at(Location::caller(), future)
    }

    /// For whoever called at that place.
    pub(super) fn run_at<T>(
        self,
        place: &'static Location<'static>,
        future: impl Future<Output = T>,
    ) -> (Result<T, Failure>, Report) {
        assert!(
            Handle::try_current().is_err(),
            "a simulation begins outside of runtimes: not in a task, and not in a block_on"
        );
        let settings = &self.settings;
        let source = settings.source();
        let replay = match &source {
            Source::Seed(seed) => format!("seed {seed:#x}"),
            Source::Replay(list) => format!("choices {list}"),
        };
        let tasks = Arc::new(Mutex::new(String::new()));
        panics::watch(panics::Run {
            replay: replay.clone(),
            tasks: tasks.clone(),
        });
        let world = World::enter(&source, settings.order, settings.limits, locals::new);
        let world = world.expect("a simulation cannot begin within another one");
        if !settings.has_slow_polls {
            world.polls_are_short();
        }
        match self.comparing {
            Comparing::Nothing => {}
            Comparing::First => world.keep_events(),
            Comparing::Second(events) => world.expect(events),
            Comparing::Until(event) => world.stop_at(event),
        }
        let watched = watchdog::watch(replay, world.steps());
        let run = || run_inside(&world, settings, place, future, &tasks);
        let run = catch_unwind(AssertUnwindSafe(run));
        drop(watched);
        world.set_final_dump(None);
        let report = Report(world.report());
        let over = world.over();
        let has_ended = world.leave();
        let said = panics::take();
        let cause = match &run {
            Ok(Err(cause)) => Some(cause.kind(&said)),
            _ if over.is_some_and(|over| over != Over::Stopped) => {
                over.map(|over| Cause::Over(over).kind(&said))
            }
            Ok(Ok(_)) if world.has_panicked() && !settings.allows_task_panics => {
                Some(Cause::Panic("a task has panicked".to_owned()).kind(&said))
            }
            Ok(Ok(_)) if !has_ended && !settings.allows_leftover_tasks => {
                Some((FailureKind::LeftoverTasks, THREADS_LEFT.to_owned()))
            }
            Ok(Ok(_)) => None,
            Err(payload) => Some(Cause::of(&**payload, Over::Stopped).kind(&said)),
        };
        let result = match (run, cause) {
            (Ok(Ok(output)), None) => Ok(output),
            (_, cause) => {
                let (kind, mut message) = cause.unwrap_or((FailureKind::Panic, String::new()));
                if !has_ended && message != THREADS_LEFT {
                    message.push_str("\nthe runtime could not be shut down, and was abandoned");
                }
                Err(Failure::from(Failed {
                    kind,
                    message,
                    place: said.place,
                    backtrace: said.backtrace,
                    tasks: std::mem::take(&mut *tasks.lock()),
                    ..Failed::of(settings, &report)
                }))
            }
        };
        (result, report)
    }
}

impl Cause {
    /// `over`: why, if it was the run's end that has unwound.
    fn of(payload: &(dyn Any + Send), over: Over) -> Cause {
        match payload.is::<Ended>() {
            true => Cause::Over(over),
            false => Cause::Panic(panics::message(payload).to_owned()),
        }
    }

    /// With the message. `said`: by panics.
    fn kind(&self, said: &Said) -> (FailureKind, String) {
        let is_said = !said.is_empty();
        let said = said.to_string();
        match self {
            // `None`: it is stopped because of a panic.
            Cause::Over(over) => (FailureKind::of(*over).unwrap_or(FailureKind::Panic), said),
            Cause::Panic(_) if is_said => (FailureKind::Panic, said),
            // Another hook was set since, or nobody said anything: `resume_unwind`.
            Cause::Panic(message) => (FailureKind::Panic, message.clone()),
            Cause::Leftover(count) => (FailureKind::LeftoverTasks, format!("tasks left: {count}")),
        }
    }
}

fn run_inside<T>(
    world: &Rc<World>,
    settings: &Builder,
    place: &'static Location<'static>,
    future: impl Future<Output = T>,
    tasks: &Arc<Mutex<String>>,
) -> Result<T, Cause> {
    #[cfg(feature = "net")]
    super::net::forget_hosts();
    let default = SimulatedDefault::begin();
    let runtime = build(settings);
    let (handle, dumped) = (runtime.handle().clone(), tasks.clone());
    world.set_final_dump(Some(Box::new(move || {
        let before = handle.dump_tasks();
        let dump = handle.dump_stacks(DUMP_WITHIN);
        let over = simulated::world_if_any().and_then(|world| world.over());
        let mut text = match over {
            Some(Over::AllAsleep) => missed_wakes(&before, &dump),
            _ => String::new(),
        };
        if !dump.tasks().is_empty() || !dump.block_ons().is_empty() {
            text.push_str(&dump.to_string());
        }
        #[cfg(feature = "net")]
        super::net::dump_hosts(DUMP_WITHIN, &mut text);
        *dumped.lock() = text;
    })));
    let handle = runtime.handle().clone();
    let run = || block_on_at(handle, future, place);
    let output = catch_unwind(AssertUnwindSafe(run));
    let result = match output {
        Ok(output) => {
            // A worker may be in the middle of a slow poll, before the task's end.
            world.settle_busy();
            match runtime.handle().shared().num_alive_tasks() {
                0 => Ok(output),
                _ if settings.allows_leftover_tasks => Ok(output),
                count => Err(Cause::Leftover(count)),
            }
        }
        Err(payload) => Err(Cause::of(&*payload, world.over().unwrap_or(Over::Stopped))),
    };
    if result.is_err() {
        world.stop(Over::Stopped);
        world.wait_for_dump();
    }
    drop(runtime);
    // Also if the future has ended at the last moment, when a limit had passed.
    world.join_dump_thread();
    drop(default);
    if result.is_ok() {
        world.wait_for_threads();
    }
    result
}

/// Those that have ended by being polled once more, for the dump.
fn missed_wakes(before: &TaskDump, after: &TaskDump) -> String {
    let is_left = |id| after.tasks().iter().any(|task| task.id() == id);
    let gone = before.tasks().iter().filter(|task| !is_left(task.id()));
    let mut text = String::new();
    for task in gone {
        let _ = writeln!(
            text,
            "{task}; it went on when it was polled once more: nobody had woken it"
        );
    }
    text
}

fn build(settings: &Builder) -> Runtime {
    runtime::new(settings.processors)
        .unwrap_or_else(|error| panic!("the simulated runtime cannot be built: {error}"))
}
