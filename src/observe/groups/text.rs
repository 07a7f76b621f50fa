//! A dump as a text: a group a paragraph, with a mark at the lines of the program's own files.
//!
//! The places of a task are a tree, as it may wait for several futures: the calls that all have in
//! common come first, and each branch is numbered and indented below. So it is read from the task's
//! first future inwards, and a line is never far from the one that it continues.

use std::fmt;

use super::TaskGroup;
use crate::observe::task_dump::TaskDump;
use crate::observe::task_info::{Counted, TaskInfo};
use crate::stacks::{Frame, Origin, TaskStack, readable_type};

/// Tasks of a group that are named, at most.
const NAMED: usize = 3;

/// A run of calls in libraries is shortened from this length on.
const SHORTENED: usize = 4;

impl fmt::Display for TaskGroup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_group(f, self, "")
    }
}

/// A task a line. If it is known where tasks wait, those that do the same are one entry: see
/// [`TaskGroup`].
impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_stacks() {
            return write_dump(f, self);
        }
        for block_on in &self.block_ons {
            writeln!(f, "  {block_on}")?;
        }
        writeln!(f, "{}", Counted(self.alive, "task"))?;
        for task in &self.tasks {
            writeln!(f, "  {task}")?;
        }
        write_unlisted(f, self)
    }
}

/// The line about tasks of which nothing is known, if there are any.
fn write_unlisted(f: &mut fmt::Formatter<'_>, dump: &TaskDump) -> fmt::Result {
    match dump.num_unlisted() {
        0 => Ok(()),
        unlisted => writeln!(f, "  and {unlisted} that have not been polled yet"),
    }
}

/// The form of a dump that knows where tasks wait.
fn write_dump(f: &mut fmt::Formatter<'_>, dump: &TaskDump) -> fmt::Result {
    for block_on in &dump.block_ons {
        write!(f, "  {block_on}")?;
        let (future, stacks) = (block_on.future(), block_on.stacks());
        Places::new(f, "  ", future).write(stacks, 0)?;
        writeln!(f)?;
    }
    writeln!(f, "{}", Counted(dump.alive, "task"))?;
    for group in dump.groups() {
        f.write_str("  ")?;
        write_group(f, &group, "  ")?;
        if dump.unreached > 0 && group.first().is_asked() && group.future().is_none() {
            write!(
                f,
                "\n      not polled in time, so that it is not known where"
            )?;
        }
        writeln!(f)?;
    }
    write_unlisted(f, dump)?;
    match dump.unreached {
        0 => Ok(()),
        unreached => {
            let tasks = Counted(unreached as u64, "task");
            writeln!(f, "  {tasks} not polled in time for this dump")
        }
    }
}

fn write_group(f: &mut fmt::Formatter<'_>, group: &TaskGroup<'_>, margin: &str) -> fmt::Result {
    match group.tasks() {
        [task] => write!(f, "{task}")?,
        _ => write_head(f, group)?,
    }
    let mut places = Places::new(f, margin, group.future());
    places.write(group.stacks(), group.num_omitted_stacks())?;
    places.write_recorded(group.first())
}

/// A task, and below it where it waits or is blocked.
pub(in crate::observe) fn write_task(
    f: &mut fmt::Formatter<'_>,
    task: &TaskInfo,
    margin: &str,
) -> fmt::Result {
    write!(f, "{task}")?;
    let mut places = Places::new(f, margin, task.future());
    places.write(task.stacks(), task.omitted_stacks)?;
    places.write_recorded(task)
}

/// Where a task waited last, below a line about it.
pub(in crate::observe) fn write_last_waited(
    f: &mut fmt::Formatter<'_>,
    stacks: &[TaskStack],
) -> fmt::Result {
    Places::new(f, "", None).last_waited(stacks)
}

/// About several tasks, as [`TaskInfo`](crate::runtime::TaskInfo) writes it about one.
fn write_head(f: &mut fmt::Formatter<'_>, group: &TaskGroup<'_>) -> fmt::Result {
    let tasks = group.tasks();
    write!(f, "{}", Counted(tasks.len() as u64, "task"))?;
    if let Some(location) = group.location() {
        write!(f, ", spawned at {location}")?;
    }
    let first = group.first();
    write!(f, "{}: {}", first.class_text(), first.doing())?;
    if let Some(call) = group.blocked_in() {
        write!(f, " in {call}")?;
    }
    if let Some(longest) = group.longest() {
        write!(f, " for up to {longest:.3?}")?;
    }
    let polls: Option<u64> = tasks.iter().map(|task| task.poll_count()).sum();
    let busy = tasks.iter().map(|task| task.busy_duration());
    if let (Some(polls), Some(busy)) = (polls, busy.sum::<Option<std::time::Duration>>()) {
        write!(f, "; {}, {busy:.1?} in them", Counted(polls, "poll"))?;
    }
    if group.has_no_waker() {
        f.write_str("; nobody has a waker of them")?;
    }
    for (number, task) in tasks.iter().take(NAMED).enumerate() {
        let separator = if number == 0 { ":" } else { "," };
        write!(f, "{separator} {}", task.id())?;
        if let Some(name) = task.name() {
            write!(f, " {name:?}")?;
        }
    }
    match tasks.len() > NAMED {
        true => f.write_str(", .."),
        false => Ok(()),
    }
}

/// Where a task waits, written below the line about it.
struct Places<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    margin: &'a str,
    /// Its first future, by which the program's own frames are known where there is no debug
    /// information.
    future: Option<&'a str>,
}

/// A part of a stack, the outermost call first.
type Calls<'a> = &'a [Frame];

/// The calls of each stack, the outermost first.
fn outermost_first<'a>(stacks: impl IntoIterator<Item = &'a TaskStack>) -> Vec<Vec<Frame>> {
    let reversed = |stack: &TaskStack| {
        let mut frames: Vec<Frame> = stack.frames().collect();
        frames.reverse();
        frames
    };
    stacks.into_iter().map(reversed).collect()
}

impl<'a, 'b> Places<'a, 'b> {
    fn new(
        out: &'a mut fmt::Formatter<'b>,
        margin: &'a str,
        future: Option<&'a str>,
    ) -> Places<'a, 'b> {
        Places {
            out,
            margin,
            future,
        }
    }

    /// Its first future, and where it waits.
    fn write(&mut self, stacks: &[TaskStack], omitted: usize) -> fmt::Result {
        if self.future.is_none() && stacks.is_empty() {
            return Ok(());
        }
        let frames = outermost_first(stacks);
        let first = frames.first().and_then(|frames| frames.first());
        if let Some(readable) = self.future.map(readable_type) {
            if !first.is_some_and(|first| first.is_of_type(&readable)) {
                self.line(' ', "", format_args!("future {readable}"))?;
            }
        }
        if stacks.is_empty() {
            let why = format_args!("its poll has not cloned the waker");
            return self.line(' ', "", why);
        }
        self.stacks(&frames)?;
        match omitted {
            0 => Ok(()),
            more => self.line(' ', "", format_args!("and for {more} more")),
        }
    }

    /// What was recorded of this task beside where it waits.
    fn write_recorded(&mut self, task: &TaskInfo) -> fmt::Result {
        self.last_waited(task.last_stacks())?;
        for futurelock in task.futurelocks() {
            let since = futurelock.since();
            let told = format_args!(
                "futurelock: the task has not polled this future since it was woken {since:.1?} ago:"
            );
            self.line(' ', "", told)?;
            self.stacks(&outermost_first([futurelock.stack()]))?;
        }
        Ok(())
    }

    fn last_waited(&mut self, stacks: &[TaskStack]) -> fmt::Result {
        if stacks.is_empty() {
            return Ok(());
        }
        self.line(' ', "", format_args!("last waited at:"))?;
        self.stacks(&outermost_first(stacks))
    }

    fn stacks(&mut self, stacks: &[Vec<Frame>]) -> fmt::Result {
        let stacks: Vec<Calls<'_>> = stacks.iter().map(Vec::as_slice).collect();
        self.tree(&stacks, &Indent::default())
    }

    /// The calls that lead to several futures, which begin at the same one.
    fn tree(&mut self, stacks: &[Calls<'_>], indent: &Indent) -> fmt::Result {
        let Some((first, others)) = stacks.split_first() else {
            return Ok(());
        };
        let common = others.iter().fold(first.len(), |common, other| {
            let pairs = first[..common].iter().zip(*other);
            pairs.take_while(|(a, b)| a.is_at_line_of(b)).count()
        });
        let rests = stacks.iter().map(|stack| &stack[common..]);
        let branches = branches(rests);
        let mut indent = indent.clone();
        if branches.len() == 1 && stacks.len() > 1 {
            let count = format_args!("waits for {} futures at the same place:", stacks.len());
            self.line(' ', &indent.next(), count)?;
        }
        self.chain(&first[..common], &mut indent)?;
        match &branches[..] {
            [_] => Ok(()),
            _ => {
                let count = format_args!("waits for {} futures at once:", stacks.len());
                self.line(' ', &indent.next(), count)?;
                let inner = indent.next();
                branches.iter().zip(1..).try_for_each(|(branch, number)| {
                    let indent = Indent {
                        first: format!("{inner}{number}. "),
                        others: format!("{inner}   "),
                        is_used: false,
                    };
                    match branch[0] {
                        [] => self.line(' ', &indent.first, format_args!("that call itself")),
                        _ => self.tree(branch, &indent),
                    }
                })
            }
        }
    }

    /// Calls that lead to the same.
    fn chain(&mut self, frames: Calls<'_>, indent: &mut Indent) -> fmt::Result {
        let future = self.future;
        let is_own = |frame: &Frame| frame.origin(future) == Origin::Program;
        for run in frames.chunk_by(|a, b| !is_own(a) && !is_own(b)) {
            match run {
                [own] if is_own(own) => self.frame('>', own, indent)?,
                [first, between @ .., last] if run.len() >= SHORTENED => {
                    self.frame(' ', first, indent)?;
                    let packages = packages(between.iter().map(|frame| frame.origin(future)));
                    let calls = format_args!(".. {} calls in {packages} ..", between.len());
                    self.line(' ', &indent.next(), calls)?;
                    self.frame(' ', last, indent)?;
                }
                _ => run
                    .iter()
                    .try_for_each(|frame| self.frame(' ', frame, indent))?,
            }
            if run.iter().any(Frame::hides_futures) {
                let unseen = format_args!("the futures of a FuturesUnordered are not seen");
                self.line(' ', &indent.next(), unseen)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, mark: char, frame: &Frame, indent: &mut Indent) -> fmt::Result {
        self.line(mark, &indent.next(), format_args!("{frame}"))
    }

    fn line(&mut self, mark: char, indent: &str, text: fmt::Arguments<'_>) -> fmt::Result {
        let margin = self.margin;
        write!(self.out, "\n{margin}  {mark} {indent}{text}")
    }
}

/// What stands before the first line of a branch, and before the others.
#[derive(Clone, Default)]
struct Indent {
    first: String,
    others: String,
    is_used: bool,
}

impl Indent {
    fn next(&mut self) -> String {
        match std::mem::replace(&mut self.is_used, true) {
            true => self.others.clone(),
            false => self.first.clone(),
        }
    }
}

/// Puts those together that go on with the same call.
fn branches<'a>(stacks: impl Iterator<Item = Calls<'a>>) -> Vec<Vec<Calls<'a>>> {
    let mut branches: Vec<Vec<Calls<'_>>> = Vec::new();
    for stack in stacks {
        let goes_on_as = |branch: &&mut Vec<Calls<'_>>| match (branch[0].first(), stack.first()) {
            (Some(a), Some(b)) => a.is_at_line_of(b),
            (a, b) => a.is_none() && b.is_none(),
        };
        match branches.iter_mut().find(goes_on_as) {
            Some(branch) => branch.push(stack),
            None => branches.push(vec![stack]),
        }
    }
    branches
}

/// Each once, in this order.
fn packages<'a>(origins: impl Iterator<Item = Origin<'a>>) -> String {
    let mut packages: Vec<&str> = Vec::new();
    for origin in origins {
        if let Origin::Library(package) = origin {
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    }
    packages.join(", ")
}
