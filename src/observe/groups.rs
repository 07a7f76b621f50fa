//! Tasks that do the same at the same place, counted.
//!
//! Ten thousand tasks that wait for one lock are one entry of a dump, as in Go's profile of
//! goroutines. They are compared by the addresses of their stacks, and symbols are looked up once
//! for each group.
//!
//! | written as | in |
//! |---|---|
//! | a text for people | [`text`] |
//! | JSON | [`json`](mod@json) |

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::time::Duration;

use super::task_dump::TaskDump;
use super::task_info::{TaskInfo, TaskState};
use crate::stacks::TaskStack;
use crate::tasks::{Id, Priority};

mod json;
#[cfg(test)]
mod tests;
mod text;

pub(super) use text::{write_last_waited, write_task};

/// Tasks of a [`TaskDump`] that were spawned at the same place and do the same: that wait at the
/// same place, if it is known where they wait.
///
/// `Display` writes a line about the tasks, with the one that has done so for longest at the
/// beginning, and below it where they wait, from the task's first future inwards: the last line is
/// what they wait for. Lines with `>` are in the program's own files. Of longer runs of calls in
/// libraries only the first and the last are written; [`stacks`](TaskGroup::stacks) has all.
///
/// ```text
/// 10000 tasks, spawned at src/main.rs:61:28: waiting for up to 4.302s: 11, 12, 13, ..
///   > shop::serve at src/main.rs:10
///   > shop::pick at src/main.rs:7
///     async_lock::mutex::Lock::poll at event-listener-strategy-0.5.4/src/lib.rs:264
///     .. 9 calls in event-listener-strategy, async-lock, event-listener ..
///     event_listener::TaskRef::into_task at event-listener-5.4.2/src/lib.rs:1351
/// ```
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = executor::Builder::new().build()?;
/// let dump = runtime.handle().dump_stacks(Duration::from_secs(1));
/// for group in dump.groups().iter().filter(|group| group.count() > 1000) {
///     println!("{group}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskGroup<'a> {
    /// At least one.
    tasks: Vec<&'a TaskInfo>,
    longest: Option<Duration>,
}

impl<'a> TaskGroup<'a> {
    fn first(&self) -> &'a TaskInfo {
        self.tasks[0]
    }

    /// How many tasks there are, at least one.
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// The tasks. First comes the one that has done this for longest, if that is known.
    pub fn tasks(&self) -> &[&'a TaskInfo] {
        &self.tasks
    }

    /// For how long the first has done this. `None`: as for [`TaskInfo::since`].
    pub fn longest(&self) -> Option<Duration> {
        self.longest
    }

    /// What they are doing.
    pub fn state(&self) -> TaskState {
        self.first().state()
    }

    /// See [`TaskInfo::blocked_in`].
    pub fn blocked_in(&self) -> Option<&'a str> {
        self.first().blocked_in()
    }

    /// Whether they are jobs of `spawn_blocking`.
    pub fn is_blocking_job(&self) -> bool {
        self.first().is_blocking_job()
    }

    /// See [`TaskInfo::priority`].
    pub fn priority(&self) -> Option<Priority> {
        self.first().priority()
    }

    /// See [`TaskInfo::own_priority`].
    pub fn own_priority(&self) -> Option<Priority> {
        self.first().own_priority()
    }

    /// See [`TaskInfo::has_no_waker`].
    pub fn has_no_waker(&self) -> bool {
        self.first().has_no_waker()
    }

    /// Where they were spawned.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.first().location()
    }

    /// The type of their first future: see [`TaskInfo::future`].
    pub fn future(&self) -> Option<&'static str> {
        self.first().future()
    }

    /// Where each of them waits: see [`TaskInfo::stacks`].
    pub fn stacks(&self) -> &'a [TaskStack] {
        self.first().stacks()
    }

    /// At how many places beyond those one of them waits, at most.
    pub fn num_omitted_stacks(&self) -> usize {
        let omitted = self.tasks.iter().map(|task| task.omitted_stacks);
        omitted.max().unwrap_or(0)
    }
}

impl TaskDump {
    /// The tasks, grouped by where they were spawned, what they do, and where they wait.
    ///
    /// The order is that of [`tasks`](TaskDump::tasks): first what is blocked, then what runs, what
    /// is queued, what waits. Of each kind those come first that have a
    /// [futurelock](TaskInfo::futurelocks), then those that have been so for longest, and if that is
    /// not known, or the same, those that are many.
    ///
    /// Looks up no symbol.
    pub fn groups(&self) -> Vec<TaskGroup<'_>> {
        let mut numbers: HashMap<Key<'_>, usize> = HashMap::new();
        let mut groups: Vec<TaskGroup<'_>> = Vec::new();
        for task in &self.tasks {
            let number = *numbers.entry(Key::of(task)).or_insert(groups.len());
            match groups.get_mut(number) {
                Some(group) => group.tasks.push(task),
                None => groups.push(TaskGroup {
                    tasks: vec![task],
                    longest: None,
                }),
            }
        }
        for group in &mut groups {
            group.longest = group.tasks.iter().filter_map(|task| task.since()).max();
        }
        groups.sort_by_key(|group| {
            let has_no_futurelock = group.first().futurelocks().is_empty();
            let longest = Reverse(group.longest);
            (
                group.state(),
                has_no_futurelock,
                longest,
                Reverse(group.count()),
            )
        });
        groups
    }
}

/// What the tasks of a group have in common.
struct Key<'a> {
    task: &'a TaskInfo,
    /// In an order of their own: what polls its futures in a random order has them in any.
    stacks: Cow<'a, [TaskStack]>,
}

impl<'a> Key<'a> {
    fn of(task: &'a TaskInfo) -> Key<'a> {
        let mut stacks = Cow::Borrowed(task.stacks());
        if stacks.len() > 1 {
            stacks
                .to_mut()
                .sort_unstable_by(|a, b| a.addresses().cmp(b.addresses()));
        }
        Key { task, stacks }
    }

    /// One with a futurelock stands alone.
    fn alone(&self) -> Option<Id> {
        (!self.task.futurelocks().is_empty()).then(|| self.task.id())
    }

    fn common(&self) -> impl PartialEq {
        let task = self.task;
        let (is_job, has_no_waker) = (task.is_blocking_job(), task.has_no_waker());
        let recorded = (task.class, task.last_stacks(), self.alone());
        let (call, future) = (task.blocked_in(), task.future());
        (task.state(), is_job, has_no_waker, call, future, recorded)
    }
}

impl Hash for Key<'_> {
    /// By a product: a hash of the standard library takes ten times as long for the addresses.
    fn hash<H: Hasher>(&self, state: &mut H) {
        const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
        let line = self.task.location().map_or(0, Location::line);
        // Else those that stand alone at one place would all be compared with each other.
        let alone = self.alone().map_or(0, Id::number);
        let addresses = self.stacks.iter().flat_map(|stack| stack.addresses());
        let hash = addresses.fold(u64::from(line) ^ alone, |hash, &address| {
            (hash.rotate_left(5) ^ address as u64).wrapping_mul(FACTOR)
        });
        state.write_u64(hash);
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Key<'_>) -> bool {
        // Tasks at the same place share their stack, mostly.
        let is_same =
            |(a, b): (&TaskStack, &TaskStack)| std::ptr::eq(a.addresses(), b.addresses()) || a == b;
        self.stacks.len() == other.stacks.len()
            && self.stacks.iter().zip(&*other.stacks).all(is_same)
            && self.task.location() == other.task.location()
            && self.common() == other.common()
    }
}

impl Eq for Key<'_> {}
