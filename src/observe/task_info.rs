//! A task in a list of tasks: what it is doing, since when, and where.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::details::{Detail, Doing};
use super::futurelock::Futurelock;
use crate::clock::Instant;
use crate::stacks::TaskStack;
use crate::tasks::class::Class;
use crate::tasks::{self, Id, Priority};

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TaskState {
    /// Its poll, or job, has its thread blocked in the kernel: in a lock, a sleep, a file.
    Blocked,
    /// It is being polled, or its job runs.
    Running,
    /// It was spawned or woken and lies in a queue. Of tasks that were never polled known only of
    /// background tasks, and while [`Builder::task_details`](crate::Builder::task_details) is on.
    Queued,
    /// It waits to be woken.
    Waiting,
}

/// A live task, as of when [`Handle::dump_tasks`](crate::Handle::dump_tasks) was called.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    pub(super) task: tasks::Description,
    pub(super) state: TaskState,
    pub(super) is_job: bool,
    pub(super) since: Option<Duration>,
    pub(super) blocked_in: Option<Cow<'static, str>>,
    pub(super) detail: Option<Detail>,
    pub(super) now: Instant,
    pub(super) has_no_waker: bool,
    /// It has waited, and could be asked where; or it is a background task.
    pub(super) is_registered: bool,
    pub(super) class: Option<Class>,
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

    /// Whether it is registered, and neither polled nor a job.
    pub(super) fn is_idle(&self) -> bool {
        self.is_registered
            && !self.is_job
            && matches!(self.state, TaskState::Waiting | TaskState::Queued)
    }

    /// Whether it is one of those that a dump asks where they wait: not one that lies in the queue of
    /// the background tasks.
    pub(super) fn is_asked(&self) -> bool {
        let class = self.class.unwrap_or_default().effective;
        let waits_for_turn = self.state == TaskState::Queued && class == Priority::Background;
        self.is_idle() && !waits_for_turn
    }

    /// The task.
    pub fn id(&self) -> Id {
        self.task.id
    }

    /// The name it was given by [`task::Builder`](crate::task::Builder).
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_deref()
    }

    /// The class that it is polled by: its own, or the one that it is lifted to while others await
    /// it. `None` if that is not known: of a task that has not waited yet, unless it is a background
    /// task.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::task::Priority;
    ///
    /// let runtime = executor::Builder::new().build()?;
    /// let background = runtime.handle().with_priority(Priority::Background);
    /// background.spawn(std::future::pending::<()>());
    /// let dump = runtime.handle().dump_tasks();
    /// assert_eq!(dump.tasks()[0].priority(), Some(Priority::Background));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn priority(&self) -> Option<Priority> {
        self.class.map(|class| class.effective)
    }

    /// Its own class, which it has while nobody awaits it, and gives on to what it spawns. `None`: as
    /// for [`priority`](TaskInfo::priority).
    pub fn own_priority(&self) -> Option<Priority> {
        self.class.map(|class| class.own)
    }

    /// `, background, lifted to interactive`; nothing for a normal task, and for one whose class is not
    /// known.
    pub(super) fn class_text(&self) -> ClassText {
        ClassText(self.class.unwrap_or_default())
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
        // What was seen in a poll is not of the wait after it: `begins_to_wait`.
        let is_of_poll =
            |detail: &&Detail| self.state == TaskState::Waiting && detail.doing == Doing::Running;
        let detail = self.detail.as_ref().filter(|detail| !is_of_poll(detail));
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
        write!(f, "{}{}: {}", self.task, self.class_text(), self.doing())?;
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

/// A class in a dump.
pub(super) struct ClassText(Class);

/// How a dump calls a class.
pub(super) fn name_of(class: Priority) -> &'static str {
    match class {
        Priority::Background => "background",
        Priority::Normal => "normal",
        Priority::Interactive => "interactive",
    }
}

impl fmt::Display for ClassText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Class { own, effective } = self.0;
        if self.0 != Class::default() {
            write!(f, ", {}", name_of(own))?;
        }
        if effective != own {
            write!(f, ", lifted to {}", name_of(effective))?;
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
            now: crate::clock::now(),
            has_no_waker: false,
            is_registered: true,
            class: Some(Class::default()),
            future: None,
            stacks: Vec::new(),
            last_stacks: Vec::new(),
            futurelocks: Vec::new(),
            omitted_stacks: 0,
        }
    }
}
