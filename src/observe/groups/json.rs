//! A dump as JSON.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, Write};
use std::panic::Location;
use std::time::Duration;

use super::TaskGroup;
use crate::observe::block_ons::BlockOnInfo;
use crate::observe::futurelock::Futurelock;
use crate::observe::json::Quoted;
use crate::observe::task_dump::TaskDump;
use crate::observe::task_info::{TaskInfo, TaskState, name_of};
use crate::stacks::{Frame, TaskStack};

impl TaskDump {
    /// Writes the dump as JSON, for programs.
    ///
    /// ```text
    /// {
    ///   "alive": 10004, "unlisted": 0, "unreached": 0,
    ///   "block_ons": [{"at": PLACE, "future": "..", "stacks": [STACK, ..]}, ..],
    ///   "groups": [{
    ///     "count": 10000,
    ///     "state": "waiting",              or "blocked", "running", "queued"
    ///     "blocked_in": null,              or "futex", ..
    ///     "is_blocking_job": false,
    ///     "priority": "normal",            or "background", "interactive"
    ///     "own_priority": "normal",        another one if it is lifted
    ///     "has_no_waker": false,
    ///     "longest_seconds": 4.302,
    ///     "spawned_at": PLACE,             {"file": "src/main.rs", "line": 61, "column": 28}
    ///     "future": "shop::serve::{{closure}}",
    ///     "omitted_stacks": 0,
    ///     "stacks": [STACK, ..],           [{"name": .., "file": .., "line": .., "address": "0x.."}, ..]
    ///     "last_stacks": [STACK, ..],
    ///     "futurelocks": [{"since_seconds": 1.8, "stack": STACK}, ..],
    ///     "tasks": [{"id": 11, "name": "picker"}, ..]
    ///   }, ..]
    /// }
    /// ```
    ///
    /// What is not known is `null`. The groups are those of [`groups`](TaskDump::groups), in that
    /// order, with all their tasks; the frames of a stack are all of
    /// [`TaskStack::frames`](super::TaskStack::frames), the innermost first.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = executor::Builder::new().build()?;
    /// let dump = runtime.handle().dump_stacks(Duration::from_secs(1));
    /// let mut json = Vec::new();
    /// dump.write_json(&mut json)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_json(&self, out: impl io::Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        writeln!(
            out,
            r#"{{"alive":{},"unlisted":{},"unreached":{},"#,
            self.alive,
            self.num_unlisted(),
            self.num_unreached()
        )?;
        let block_ons = List(|| self.block_ons.iter().map(BlockOn));
        let groups = self.groups();
        let groups = List(|| groups.iter().map(Group));
        writeln!(out, r#""block_ons":{block_ons},"groups":{groups}}}"#)?;
        out.flush()
    }
}

struct Group<'a>(&'a TaskGroup<'a>);

impl Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.0;
        let state = match group.state() {
            TaskState::Blocked => "blocked",
            TaskState::Running => "running",
            TaskState::Queued => "queued",
            TaskState::Waiting => "waiting",
        };
        write!(
            f,
            concat!(
                "\n{{\"count\":{},\"state\":\"{}\",\"blocked_in\":{},\"is_blocking_job\":{},",
                "\"priority\":{},\"own_priority\":{},",
                "\"has_no_waker\":{},\"longest_seconds\":{},\"spawned_at\":{},\"future\":{},\"omitted_stacks\":{},",
                "\n\"stacks\":{},\n\"last_stacks\":{},\n\"futurelocks\":{},\n\"tasks\":{}}}"
            ),
            group.count(),
            state,
            OrNull(group.blocked_in().map(Quoted)),
            group.is_blocking_job(),
            OrNull(group.priority().map(name_of).map(Quoted)),
            OrNull(group.own_priority().map(name_of).map(Quoted)),
            group.has_no_waker(),
            OrNull(group.longest().as_ref().map(Duration::as_secs_f64)),
            OrNull(group.location().map(Place)),
            OrNull(group.future().map(Quoted)),
            group.num_omitted_stacks(),
            List(|| group.stacks().iter().map(Stack)),
            List(|| group.first().last_stacks().iter().map(Stack)),
            List(|| group.first().futurelocks().iter().map(Lock)),
            List(|| group.tasks().iter().copied().map(Task)),
        )
    }
}

struct Task<'a>(&'a TaskInfo);

impl Display for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, name) = (self.0.id(), OrNull(self.0.name().map(Quoted)));
        write!(f, r#"{{"id":{id},"name":{name}}}"#)
    }
}

struct Lock<'a>(&'a Futurelock);

impl Display for Lock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (since, stack) = (self.0.since().as_secs_f64(), Stack(self.0.stack()));
        write!(f, r#"{{"since_seconds":{since},"stack":{stack}}}"#)
    }
}

struct BlockOn<'a>(&'a BlockOnInfo);

impl Display for BlockOn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, future) = (Place(self.0.location()), self.0.future().map(Quoted));
        let (future, stacks) = (OrNull(future), List(|| self.0.stacks().iter().map(Stack)));
        write!(f, r#"{{"at":{at},"future":{future},"stacks":{stacks}}}"#)
    }
}

struct Place<'a>(&'a Location<'a>);

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, column) = (self.0.file(), self.0.line(), self.0.column());
        let file = Quoted(file);
        write!(f, r#"{{"file":{file},"line":{line},"column":{column}}}"#)
    }
}

struct Stack<'a>(&'a TaskStack);

impl Display for Stack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", List(|| self.0.frames().map(Call)))
    }
}

struct Call(Frame);

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.0.file().map(|file| file.to_string_lossy());
        write!(
            f,
            "\n{{\"name\":{},\"file\":{},\"line\":{},\"address\":\"{:#x}\"}}",
            OrNull(self.0.name().map(Quoted)),
            OrNull(file.as_deref().map(Quoted)),
            OrNull(self.0.line()),
            self.0.address(),
        )
    }
}

struct OrNull<T>(Option<T>);

impl<T: Display> Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// An array of what the function gives.
struct List<F>(F);

impl<F, I> Display for List<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Display>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (number, item) in (self.0)().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            write!(f, "{separator}{item}")?;
        }
        f.write_str("]")
    }
}
