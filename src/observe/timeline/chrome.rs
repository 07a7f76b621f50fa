//! The trace event format of Chrome, which Perfetto opens ("Trace Event Format", Google, JSON
//! object form).
//!
//! | what | phase | where |
//! |---|---|---|
//! | a poll, or a part of it | `X` | in the lane of its processor or thread; in a colour of its own (`cname`) if its task is of another class than `Normal` |
//! | from a wake to the poll | `s`, `f` | from the waker's lane to the poll's; a wake outside any poll gets a slice of its own |
//! | steals, parks, hand-overs, retakes | `i` | in the lane in which they happen |
//! | queues | `C` | a counter for each processor, one for the global queue |
//!
//! A runtime is a process there, and a processor or thread a thread of it. Times are in
//! microseconds since the recording began, with three decimals. `ci/readers.sh` asks the programs
//! that open such files what they see in ours; they are why slices that follow one another touch,
//! to the nanosecond, why arrows end within a slice and not where it begins, and why threads are
//! numbered as they are.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::{self, Write};

use super::event::Queue;
use super::lanes::{Arrow, Depth, Ending, Instant, Mark, Picture, Row, Slice, draw};
use super::log::{Log, TaskLabel};
use super::stamp;
use crate::observe::json::Quoted;
use crate::tasks::Priority;

/// Writes what was recorded; `label` says what is known of a task, by its word.
///
/// # Errors
///
/// Those of the writer.
pub(crate) fn write(
    out: impl Write,
    logs: &[Log],
    mut label: impl FnMut(u64) -> TaskLabel,
) -> io::Result<()> {
    let pictures: Vec<Picture> = logs.iter().map(draw).collect();
    let begin = logs.iter().map(|log| log.begin).min().unwrap_or(0);
    let mut page = Page {
        out,
        begin,
        runtime: 0,
        is_empty: true,
        arrows: 0,
        labels: HashMap::new(),
        label: &mut label,
    };
    page.out
        .write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    for (log, picture) in logs.iter().zip(&pictures) {
        page.runtime += 1;
        page.runtime(log, picture)?;
    }
    let lost: u64 = pictures.iter().map(|picture| picture.lost).sum();
    write!(
        page.out,
        "\n],\"otherData\":{{\"producer\":\"gosched\",\"lost_events\":{lost}}}}}\n"
    )?;
    page.out.flush()
}

struct Page<'a, W> {
    out: W,
    begin: u64,
    /// The number of the runtime that is being written, from 1.
    runtime: usize,
    is_empty: bool,
    arrows: u64,
    labels: HashMap<u64, TaskLabel>,
    label: &'a mut dyn FnMut(u64) -> TaskLabel,
}

impl<W: Write> Page<'_, W> {
    fn runtime(&mut self, log: &Log, picture: &Picture) -> io::Result<()> {
        let name = format!("{} ({})", log.name, self.runtime);
        self.event(format_args!(
            r#""ph":"M","name":"process_name","tid":0,"args":{{"name":{}}}"#,
            Quoted(&name)
        ))?;
        // Chrome's viewer would go by their names.
        let order = self.runtime;
        self.event(format_args!(
            r#""ph":"M","name":"process_sort_index","tid":0,"args":{{"sort_index":{order}}}"#
        ))?;
        let slices = picture.slices.iter().map(|slice| slice.row);
        let instants = picture.instants.iter().map(|instant| instant.row);
        let wakes = picture.arrows.iter().map(|arrow| arrow.from.0);
        let rows: BTreeSet<Row> = slices.chain(instants).chain(wakes).collect();
        for (order, row) in rows.into_iter().enumerate() {
            self.row(row, order)?;
        }
        for slice in &picture.slices {
            self.slice(slice)?;
        }
        for arrow in &picture.arrows {
            self.arrow(arrow, &picture.slices)?;
        }
        for instant in &picture.instants {
            self.instant(instant)?;
        }
        for depth in &picture.depths {
            self.depth(depth)?;
        }
        Ok(())
    }

    fn row(&mut self, row: Row, order: usize) -> io::Result<()> {
        let name = match row {
            Row::Processor(index) => format!("processor {index}"),
            Row::Monitor => "monitor".to_owned(),
            Row::Thread(thread) => format!("thread {thread} (without a processor)"),
        };
        let tid = self.tid(row);
        self.event(format_args!(
            r#""ph":"M","name":"thread_name","tid":{tid},"args":{{"name":{}}}"#,
            Quoted(&name)
        ))?;
        self.event(format_args!(
            r#""ph":"M","name":"thread_sort_index","tid":{tid},"args":{{"sort_index":{order}}}"#
        ))
    }

    fn slice(&mut self, slice: &Slice) -> io::Result<()> {
        let (ts, end) = (self.time(slice.begin), self.time(slice.end));
        // Not the rounded length: it would end elsewhere.
        let dur = Micros(end.0.saturating_sub(ts.0));
        let tid = self.tid(slice.row);
        let ending = match slice.ending {
            Ending::Returned => "returned",
            Ending::Finished => "task finished",
            Ending::MovedOn => "goes on without the processor",
            Ending::Unfinished => "still running",
        };
        let label = self.label(slice.task);
        let (title, task) = (label.title(), Args(&label));
        let title = Quoted(&title);
        // Colours of Chrome's viewer. Perfetto has its own, and shows the argument.
        let (colour, class) = match slice.class {
            Priority::Normal => ("", ""),
            Priority::Interactive => (
                r#","cname":"rail_response""#,
                r#","priority":"interactive""#,
            ),
            Priority::Background => (r#","cname":"grey""#, r#","priority":"background""#),
        };
        self.event(format_args!(
            r#""ph":"X","cat":"poll","name":{title},"tid":{tid},"ts":{ts},"dur":{dur}{colour},"args":{{{task},"poll":"{ending}"{class}}}"#
        ))
    }

    fn arrow(&mut self, arrow: &Arrow, slices: &[Slice]) -> io::Result<()> {
        self.arrows += 1;
        let id = self.arrows;
        let name = if arrow.is_spawn { "spawn" } else { "wake" };
        let (from, to) = (self.time(arrow.from.1), self.head(arrow.to, slices));
        let (source, target) = (self.tid(arrow.from.0), self.tid(arrow.to.0));
        if arrow.is_loose {
            let label = self.label(arrow.task);
            let title = format!("{name} {}", label.title());
            let (title, task) = (Quoted(&title), Args(&label));
            self.event(format_args!(
                r#""ph":"X","cat":"wake","name":{title},"tid":{source},"ts":{from},"dur":0.001,"args":{{{task}}}"#
            ))?;
        }
        self.event(format_args!(
            r#""ph":"s","cat":"wake","name":"{name}","id":{id},"tid":{source},"ts":{from}"#
        ))?;
        self.event(format_args!(
            r#""ph":"f","bp":"e","cat":"wake","name":"{name}","id":{id},"tid":{target},"ts":{to}"#
        ))
    }

    fn instant(&mut self, instant: &Instant) -> io::Result<()> {
        let (ts, tid) = (self.time(instant.at), self.tid(instant.row));
        let (name, args) = match instant.mark {
            Mark::Steal { from, count } => ("steal", format!(r#""from":{from},"tasks":{count}"#)),
            Mark::Park => ("park", String::new()),
            Mark::HandOff => ("handoff", String::new()),
            Mark::Retake { processor } => ("retake", format!(r#""processor":{processor}"#)),
        };
        self.event(format_args!(
            r#""ph":"i","s":"t","cat":"scheduler","name":"{name}","tid":{tid},"ts":{ts},"args":{{{args}}}"#
        ))
    }

    fn depth(&mut self, depth: &Depth) -> io::Result<()> {
        let (ts, runnables) = (self.time(depth.at), depth.runnables);
        let name = match depth.queue {
            Queue::Local(index) => format!("queue of processor {index}"),
            Queue::Global => "global queue".to_owned(),
            Queue::Blocking => "blocking queue".to_owned(),
        };
        self.event(format_args!(
            r#""ph":"C","name":"{name}","tid":0,"ts":{ts},"args":{{"runnables":{runnables}}}"#
        ))
    }

    fn event(&mut self, fields: fmt::Arguments<'_>) -> io::Result<()> {
        let separator = if std::mem::take(&mut self.is_empty) {
            ""
        } else {
            ","
        };
        let pid = self.runtime;
        writeln!(self.out, "{separator}")
            .and_then(|()| write!(self.out, r#"{{{fields},"pid":{pid}}}"#))
    }

    fn time(&self, at: u64) -> Micros {
        Micros(stamp::nanos(at.saturating_sub(self.begin)))
    }

    /// Where an arrow ends that leads to the slice that begins here. That moment belongs to the
    /// slice before as well, and Chrome's viewer takes that one: so, a nanosecond later, if there
    /// is one.
    fn head(&self, (row, begin): (Row, u64), slices: &[Slice]) -> Micros {
        let after = slices.partition_point(|slice| (slice.row, slice.begin) <= (row, begin));
        let end = after.checked_sub(1).map_or(begin, |last| slices[last].end);
        let (begin, end) = (self.time(begin), self.time(end));
        Micros(end.0.min(begin.0 + 1).max(begin.0))
    }

    /// Perfetto shows threads in the order of these numbers, whatever `thread_sort_index` says, but
    /// first the one that has the number of its process: that is processor 0.
    fn tid(&self, row: Row) -> u64 {
        match row {
            Row::Processor(index) => (self.runtime + index) as u64,
            Row::Monitor => MONITOR,
            Row::Thread(thread) => MONITOR + 1 + thread,
        }
    }

    fn label(&mut self, task: u64) -> TaskLabel {
        let label = self.labels.entry(task);
        label.or_insert_with(|| (self.label)(task)).clone()
    }
}

/// More than there can be processors and runtimes.
const MONITOR: u64 = 1 << 17;

/// Nanoseconds, written as microseconds.
#[derive(Clone, Copy)]
struct Micros(u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// What is known of a task, as arguments.
struct Args<'a>(&'a TaskLabel);

impl fmt::Display for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskLabel { id, name, location } = self.0;
        write!(f, r#""task":{id}"#)?;
        if let Some(name) = name {
            write!(f, r#","name":{}"#, Quoted(name))?;
        }
        if let Some((file, line, column)) = location {
            let place = format!("{file}:{line}:{column}");
            write!(f, r#","spawned at":{}"#, Quoted(&place))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, Kind};
    use super::super::log::{Lane, Place};
    use super::*;

    /// The polls follow on one another, and only the classes say which is which.
    #[test]
    fn a_poll_of_another_class_than_normal_has_a_colour_and_says_so() {
        let class = |class: Priority, stamp| Kind::Class.of(class as u64, stamp);
        let events: Vec<Event> = vec![
            Kind::Begin.of(1 << 20, 10),
            class(Priority::Interactive, 10),
            Kind::End.of(1 << 20, 20),
            Kind::End.of(2 << 20, 30),
            class(Priority::Background, 30),
            Kind::Done.of(3 << 20, 40),
        ];
        let log = Log {
            name: "classes".to_owned(),
            lanes: vec![Lane {
                place: Place::Processor {
                    index: 0,
                    instance: 0,
                },
                events,
                lost: 0,
                polling: None,
            }],
            begin: 0,
            end: 50,
        };
        let label = |tag: u64| TaskLabel {
            id: tag >> 20,
            ..TaskLabel::default()
        };
        let mut page = Vec::new();
        write(&mut page, &[log], label).unwrap();
        let page = String::from_utf8(page).unwrap();
        let polls = page.lines().filter(|line| line.contains(r#""cat":"poll""#));
        let seen = polls.map(|line| {
            let task = [1, 2, 3]
                .into_iter()
                .find(|id| line.contains(&format!("\"task\":{id}")));
            let class = ["interactive", "background"]
                .into_iter()
                .find(|class| line.contains(&format!("\"priority\":\"{class}\"")));
            (task, class, line.contains("cname"))
        });
        let expected = [
            (Some(1), Some("interactive"), true),
            (Some(2), None, false),
            (Some(3), Some("background"), true),
        ];
        assert_eq!(Vec::from_iter(seen), expected);
    }
}
