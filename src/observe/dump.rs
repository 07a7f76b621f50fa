//! Which tasks are there, and what are they doing?
//!
//! A task that has waited is in the registry; one that is being polled is named by the processor or
//! thread that polls it. One that has been spawned and was never polled lies in a queue, where
//! nobody can look: such tasks are counted. While [details](super::details) are on, all are known.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::block_ons::BlockOnInfo;
use super::details::{Detail, Doing};
use super::futurelock::Futurelock;
use super::{groups, of, places};
use crate::clock;
use crate::scheduler::Shared;
use crate::scheduler::inspect::{AtWork, Instance};
use crate::scheduler::probe::{self, Probe, State};
use crate::stacks::TaskStack;
use crate::tasks::registry::Registry;
use crate::tasks::{self, Id};

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TaskState {
    /// Its poll, or job, has its thread blocked in the kernel: in a lock, a sleep, a file.
    Blocked,
    /// It is being polled, or its job runs.
    Running,
    /// It was woken and lies in a queue. Only known while
    /// [`Builder::task_details`](crate::Builder::task_details) is on.
    Queued,
    /// It waits to be woken, or, unless details are on, may have been.
    Waiting,
}

/// A live task, as of when [`Handle::dump_tasks`](crate::Handle::dump_tasks) was called.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    task: tasks::Description,
    state: TaskState,
    is_job: bool,
    since: Option<Duration>,
    blocked_in: Option<Cow<'static, str>>,
    detail: Option<Detail>,
    now: Instant,
    has_no_waker: bool,
    /// It has waited, and could be asked where.
    pub(super) is_registered: bool,
    pub(super) future: Option<&'static str>,
    pub(super) stacks: Vec<TaskStack>,
    pub(super) last_stacks: Vec<TaskStack>,
    pub(super) futurelocks: Vec<Futurelock>,
    /// Places at which it waits beyond those.
    pub(super) omitted_stacks: usize,
}

impl TaskInfo {
    pub(super) fn tag(&self) -> u64 {
        self.task.tag
    }

    /// The task.
    pub fn id(&self) -> Id {
        self.task.id
    }

    /// The name it was given by [`task::Builder`](crate::task::Builder).
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_deref()
    }

    /// Where it was spawned.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.task.location
    }

    /// What it is doing.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// Whether it is a job of `spawn_blocking`.
    pub fn is_blocking_job(&self) -> bool {
        self.is_job
    }

    /// The system call in which its thread is blocked, such as `futex` (a lock, a channel, a
    /// condition variable of `std`), `clock_nanosleep` or `read`. One whose name this crate does
    /// not know is `system call 999`. Where the kernel does not tell the call, this may be the
    /// function of the kernel in which the thread waits, such as `folio_wait_bit_common`.
    ///
    /// `None` if its thread is not [blocked](TaskState::Blocked), or if the kernel tells neither,
    /// as in some sandboxes and on systems other than Linux and Android.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = executor::runtime::Builder::new().worker_threads(1).build()?;
    /// for task in runtime.handle().dump_tasks().tasks() {
    ///     if let Some(call) = task.blocked_in() {
    ///         println!("task {} keeps its thread in {call}", task.id());
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn blocked_in(&self) -> Option<&str> {
        self.blocked_in.as_deref()
    }

    /// For how long it has been doing that. `None` if that is not known: without
    /// [details](crate::Builder::task_details) only of blocking jobs, of what has given its
    /// processor away, and of polls that have lost theirs, to about a millisecond.
    pub fn since(&self) -> Option<Duration> {
        let detail = self.detail.as_ref();
        let by_detail = detail.map(|detail| self.now.saturating_duration_since(detail.since));
        by_detail.or(self.since)
    }

    /// Where it waits, once for each future that it waits for; or, of a [blocked](TaskState::Blocked)
    /// one, the calls that led to where its thread is blocked, on Linux on x86-64 and where the
    /// kernel lets them be read. Empty if that was not captured: by
    /// [`Handle::dump_tasks`](crate::Handle::dump_tasks) without
    /// [`Builder::record_stacks`](crate::Builder::record_stacks), and of tasks that run.
    pub fn stacks(&self) -> &[TaskStack] {
        &self.stacks
    }

    /// Where it waited last, of a task that does not wait now, or of one of which some clones of the
    /// waker have no stack. Known while [`Builder::record_stacks`](crate::Builder::record_stacks)
    /// is on.
    pub fn last_stacks(&self) -> &[TaskStack] {
        &self.last_stacks
    }

    /// Its futures that were woken a second ago or more and that it has not polled since, though it
    /// was polled itself and waits for something else, at [`stacks`](TaskInfo::stacks).
    ///
    /// Known while [`Builder::record_stacks`](crate::Builder::record_stacks) is 1.
    pub fn futurelocks(&self) -> &[Futurelock] {
        &self.futurelocks
    }

    /// The type of its first future, with which each of its stacks begins. `None`: it was not
    /// captured, or does not wait.
    pub fn future(&self) -> Option<&'static str> {
        self.future
    }

    /// Whether it waits although nobody holds a waker of it any more: it will never run again,
    /// unless it is aborted. A future that returns `Pending` without keeping the waker is at fault,
    /// or whoever has dropped the waker without waking.
    pub fn has_no_waker(&self) -> bool {
        self.has_no_waker && self.state == TaskState::Waiting
    }

    /// It was being polled when the list was made, and waits by now.
    pub(super) fn begins_to_wait(&mut self) {
        if matches!(self.state, TaskState::Running | TaskState::Blocked) {
            self.state = TaskState::Waiting;
            self.since = None;
            self.blocked_in = None;
            self.last_stacks.clear();
        }
    }

    pub(super) fn doing(&self) -> &'static str {
        match (self.state, self.is_job) {
            (TaskState::Blocked, true) => "job, blocked",
            (_, true) => "job, running",
            (TaskState::Blocked, false) => "blocked",
            (TaskState::Running, false) => "running",
            (TaskState::Queued, false) => "queued",
            (TaskState::Waiting, false) => "waiting",
        }
    }

    /// How long ago it was spawned. This and the following are known while
    /// [`Builder::task_details`](crate::Builder::task_details) is on.
    pub fn age(&self) -> Option<Duration> {
        let detail = self.detail.as_ref()?;
        Some(self.now.saturating_duration_since(detail.spawned))
    }

    /// How many polls have begun. Those by which [`Handle::dump_stacks`](crate::Handle::dump_stacks)
    /// learns where it waits do not count, here and in the following.
    pub fn poll_count(&self) -> Option<u64> {
        self.detail.as_ref().map(|detail| detail.polls)
    }

    /// How long its polls took together, with the one that goes on.
    pub fn busy_duration(&self) -> Option<Duration> {
        let detail = self.detail.as_ref()?;
        let this_poll = match detail.doing {
            Doing::Running if !detail.is_polled_for_dump() => {
                self.now.saturating_duration_since(detail.since)
            }
            _ => Duration::ZERO,
        };
        Some(detail.busy + this_poll)
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.task, self.doing())?;
        if let Some(call) = &self.blocked_in {
            write!(f, " in {call}")?;
        }
        if let Some(since) = self.since() {
            // To the millisecond: who was first is often the question.
            write!(f, " for {since:.3?}")?;
        }
        if let (Some(age), Some(polls), Some(busy)) =
            (self.age(), self.poll_count(), self.busy_duration())
        {
            let polls = Counted(polls, "poll");
            write!(f, "; {age:.1?} old, {polls}, {busy:.1?} in them")?;
        }
        if self.has_no_waker() {
            f.write_str("; nobody has a waker of it")?;
        }
        Ok(())
    }
}

/// So many of a thing.
pub(super) struct Counted(pub(super) u64, pub(super) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted(count, thing) = self;
        let plural = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {thing}{plural}")
    }
}

/// The live tasks of a runtime: see [`Handle::dump_tasks`](crate::Handle::dump_tasks).
#[derive(Clone, Debug)]
pub struct TaskDump {
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) alive: u64,
    pub(super) unreached: usize,
    pub(super) block_ons: Vec<BlockOnInfo>,
}

impl TaskDump {
    /// Those that are known, the blocked ones first, then the running, the queued, the waiting; of
    /// each kind first those that have been so for longest, where that is known.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// How many more there are, about which nothing is known: spawned and never polled, unless
    /// [`Builder::task_details`](crate::Builder::task_details) is on.
    pub fn num_unlisted(&self) -> usize {
        (self.alive as usize).saturating_sub(self.tasks.len())
    }

    /// The `block_on`s of this runtime that wait. Empty but for
    /// [`Handle::dump_stacks`](crate::Handle::dump_stacks).
    pub fn block_ons(&self) -> &[BlockOnInfo] {
        &self.block_ons
    }

    /// How many of the tasks that wait were not polled in time by
    /// [`Handle::dump_stacks`](crate::Handle::dump_stacks), and so have no stack here.
    pub fn num_unreached(&self) -> usize {
        self.unreached
    }

    /// Whether somebody was asked where he waits.
    fn has_stacks(&self) -> bool {
        let is_known = |task: &TaskInfo| {
            task.future.is_some() || !task.stacks.is_empty() || !task.last_stacks.is_empty()
        };
        let waits = |block_on: &BlockOnInfo| block_on.future().is_some();
        self.unreached > 0 || self.block_ons.iter().any(waits) || self.tasks.iter().any(is_known)
    }
}

/// A task a line. If it is known where tasks wait, those that do the same are one entry: see
/// [`TaskGroup`](super::TaskGroup).
impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_stacks() {
            return groups::write_dump(f, self);
        }
        for block_on in &self.block_ons {
            writeln!(f, "  {block_on}")?;
        }
        writeln!(f, "{}", Counted(self.alive, "task"))?;
        for task in &self.tasks {
            writeln!(f, "  {task}")?;
        }
        match self.num_unlisted() {
            0 => Ok(()),
            unlisted => writeln!(f, "  and {unlisted} that have not been polled yet"),
        }
    }
}

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
#[cfg(test)]
impl TaskInfo {
    /// The one with this number, which has been in a state for so long.
    pub(super) fn made_up(number: u64, state: TaskState, since: Duration) -> TaskInfo {
        TaskInfo {
            task: tasks::describe(number << tasks::spawn_site::SPAWN_SITE_BITS),
            state,
            is_job: false,
            since: Some(since),
            blocked_in: None,
            detail: None,
            now: clock::now(),
            has_no_waker: false,
            is_registered: true,
            future: None,
            stacks: Vec::new(),
            last_stacks: Vec::new(),
            futurelocks: Vec::new(),
            omitted_stacks: 0,
        }
    }
}

/// Twice as long as a worker looks for work before it parks.
const LONGEST_SEARCH: Duration = Duration::from_micros(100);

/// The live tasks, as far as they are known.
pub(crate) fn dump_tasks(shared: &'static Shared) -> TaskDump {
    let alive = shared.num_alive_tasks();
    let details = of(shared).instruments.details.all();
    let details: HashMap<u64, Detail> = details.into_iter().collect();
    let mut states: HashMap<u64, Seen> = HashMap::new();
    let mut without_waker = HashSet::new();
    let mut alive = alive;
    let mut tasks = shared.registry.registered();
    for registry in Registry::owned_by(shared.registry.index()) {
        let local = registry.registered();
        alive += local.len() as u64;
        tasks.extend(local);
    }
    let mut registered = HashSet::new();
    for task in tasks {
        registered.insert(task.tag);
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
            is_registered: registered.contains(&tag),
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
    let begin = clock::now();
    while clock::elapsed(begin) < LONGEST_SEARCH {
        std::hint::spin_loop();
    }
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
