//! Which tasks are there, and what are they doing?
//!
//! A task that has waited is in the registry, and so is a background task from its spawn on; one
//! that is being polled is named by the processor or thread that polls it. Another one that has been
//! spawned and was never polled lies in a queue, where nobody can look: such tasks are counted. While [details](super::details) are on, all are known.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::details::{Detail, Doing};
use super::task_dump::TaskDump;
use super::task_info::{TaskInfo, TaskState};
use super::{of, places};
use crate::clock;
use crate::scheduler::Shared;
use crate::scheduler::inspect::{AtWork, Instance};
use crate::scheduler::probe::{self, Probe, State};
use crate::tasks;
use crate::tasks::registry::Registry;

/// What is known of a task without details.
#[derive(Clone, Debug)]
struct Seen {
    state: TaskState,
    is_job: bool,
    /// For how long it has been so.
    since: Option<Duration>,
    blocked_in: Option<Cow<'static, str>>,
}

impl From<TaskState> for Seen {
    fn from(state: TaskState) -> Seen {
        Seen {
            state,
            is_job: false,
            since: None,
            blocked_in: None,
        }
    }
}

/// Twice as long as a worker looks for work before it parks.
const LONGEST_SEARCH: Duration = Duration::from_micros(100);

/// The live tasks, as far as they are known.
pub(crate) fn dump_tasks(shared: &'static Shared) -> TaskDump {
    let mut alive = shared.num_alive_tasks();
    let details = of(shared).instruments.details.all();
    let details: HashMap<u64, Detail> = details.into_iter().collect();
    let mut states: HashMap<u64, Seen> = HashMap::new();
    let mut without_waker = HashSet::new();
    let mut tasks = shared.registry.registered();
    for registry in Registry::owned_by(shared.registry.index()) {
        let local = registry.registered();
        alive += local.len() as u64;
        tasks.extend(local);
    }
    let mut registered = HashMap::new();
    for task in tasks {
        registered.insert(task.tag, task.class);
        if task.has_no_waker {
            without_waker.insert(task.tag);
        }
        let state = match task.is_queued {
            true => TaskState::Queued,
            false => TaskState::Waiting,
        };
        states.insert(task.tag, state.into());
    }
    for (&tag, detail) in &details {
        let state = match detail.doing {
            Doing::Queued => TaskState::Queued,
            Doing::Running => TaskState::Running,
            Doing::Waiting => TaskState::Waiting,
        };
        states.insert(tag, state.into());
    }
    let running = running_tasks(shared, &states);
    states.extend(running);
    let now = clock::now();
    let mut tasks: Vec<TaskInfo> = states
        .into_iter()
        .map(|(tag, seen)| TaskInfo {
            task: tasks::describe(tag),
            state: seen.state,
            is_job: seen.is_job,
            since: seen.since,
            blocked_in: seen.blocked_in,
            detail: details.get(&tag).copied(),
            now,
            has_no_waker: without_waker.contains(&tag),
            is_registered: registered.contains_key(&tag),
            class: registered.get(&tag).copied(),
            future: None,
            stacks: Vec::new(),
            last_stacks: Vec::new(),
            futurelocks: Vec::new(),
            omitted_stacks: 0,
        })
        .collect();
    places::add(shared, &mut tasks, now);
    sort(&mut tasks);
    TaskDump {
        alive: alive.max(tasks.len() as u64),
        tasks,
        unreached: 0,
        block_ons: Vec::new(),
    }
}

/// See [`TaskDump::tasks`].
pub(super) fn sort(tasks: &mut [TaskInfo]) {
    tasks.sort_by_key(|task| (task.state, Reverse(task.since()), task.id()));
}

/// What is done with each instance that a thread holds, by processor and number.
fn at_work(shared: &'static Shared) -> HashMap<(usize, usize), (Instance, AtWork)> {
    let mut all = HashMap::new();
    shared.each_instance(|instance| {
        let place = (instance.processor, instance.number);
        let at_work = instance.at_work();
        all.extend(at_work.map(|at_work| (place, (instance, at_work))));
    });
    all
}

/// What a thread is doing that polls a task or runs a job, as the kernel says.
fn look_at(probe: &mut Probe, thread: u64) -> Seen {
    match probe.state(thread) {
        State::Blocked => Seen {
            blocked_in: probe::blocked_in(thread),
            ..TaskState::Blocked.into()
        },
        State::Running | State::Unknown => TaskState::Running.into(),
    }
}

/// Tasks that are being polled, and jobs that run.
fn running_tasks(shared: &'static Shared, known: &HashMap<u64, Seen>) -> HashMap<u64, Seen> {
    let mut running = HashMap::new();
    let mut probe = Probe::default();
    // A worker that polls nothing looks for work, for less than this, and then it parks.
    let before = at_work(shared);
    clock::spin(LONGEST_SEARCH);
    for (place, (instance, now)) in at_work(shared) {
        if now.task == 0 {
            // It polls nothing.
            continue;
        }
        let is_polling = before.get(&place).is_some_and(|(_, then)| *then == now);
        if is_polling || known.contains_key(&now.task) {
            let mut seen = look_at(&mut probe, now.thread);
            if instance.at_work() != Some(now) {
                // The poll has ended, and what the thread waits for now is not the task's affair.
                seen = TaskState::Running.into();
            }
            let begin = shared.poll_begin(&instance, &now);
            seen.since = begin.map(clock::elapsed);
            running.insert(now.task, seen);
        }
    }
    for away in shared.off_processor() {
        let seen = Seen {
            is_job: away.is_job,
            since: Some(clock::elapsed(away.since)),
            ..look_at(&mut probe, away.thread)
        };
        running.insert(away.tag, seen);
    }
    running
}
