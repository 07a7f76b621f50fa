//! Recording timelines: on demand, from a runtime's beginning to its end, and all the time for the
//! case of a failure.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::collect::{log, logs};
use super::instruments::record_everywhere;
use super::stack_dump::{WITHIN, dump_stacks};
use super::timeline::{self, Log, TaskLabel, stamp};
use super::{OnIncident, each, of};
use crate::clock::{self, Instant};
use crate::scheduler::Shared;
use crate::stderr;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::tasks::{self, Id};

/// When the recording that [`start`] has begun began.
static STARTED: Mutex<Option<u64>> = Mutex::new(None);

/// Takes the lock of that, for a fork.
pub(crate) fn hold() -> impl Sized + 'static {
    STARTED.lock()
}

/// Begins to record a timeline of all runtimes of this process, also of those that begin later.
///
/// Each processor keeps the last 262,144 of its events, or what
/// [`Builder::trace_events`](crate::Builder::trace_events) says: about two seconds if it polls
/// 100,000 tasks a second. Older ones are overwritten, and counted. A poll costs some 30 ns more
/// meanwhile, and so does a wake. If a recording is going on, it begins anew.
///
/// That is up to 4 MiB for each processor. They are kept afterwards, for the next recording of the
/// same runtime or of one that comes after it.
///
/// # Examples
///
/// ```
/// executor::trace::start();
/// executor::run(async { executor::task::yield_now().await });
/// let mut json = Vec::new();
/// executor::trace::stop(&mut json)?;
/// assert!(json.starts_with(b"{"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn start() {
    stamp::prepare();
    // Held to the end: who stops at the same time comes before or after.
    let mut started = STARTED.lock();
    if started.replace(stamp::now()).is_none() {
        tasks::keep_names(true);
        record_everywhere(true);
    }
}

/// Ends what [`start`] has begun, and writes it in the trace event format of Chrome, which
/// [Perfetto](https://ui.perfetto.dev) and `chrome://tracing` open.
///
/// There is a lane for each processor, and for each thread that ran part of a poll, or a blocking
/// job, without one. A slice is a poll and bears the task's name, or where it was spawned; an arrow
/// leads to it from whoever woke the task. Steals, parks, hand-overs and retakes are marks, the
/// lengths of the queues counters. `otherData.lost_events` says how many events were overwritten.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if nothing is being recorded; else those of the
/// writer, and then the recording has ended all the same.
pub fn stop(out: impl Write) -> io::Result<()> {
    let mut started = STARTED.lock();
    let Some(begin) = started.take() else {
        let reason = "trace::stop: nothing is being recorded; trace::start begins it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    };
    record_everywhere(false);
    let logs = logs(begin, true);
    each(|shared, observer| observer.instruments.forget_log(shared));
    let names = tasks::ended_names();
    tasks::keep_names(false);
    drop(started);
    write(out, &logs, &names)
}

/// Writes what has been recorded so far and goes on recording: what [`start`] has begun, and what
/// [`Builder::flight_recorder`](crate::Builder::flight_recorder) and
/// [`Builder::trace_to`](crate::Builder::trace_to) keep.
///
/// # Errors
///
/// Those of the writer. Where nothing is being recorded, an empty timeline is written.
pub fn snapshot(out: impl Write) -> io::Result<()> {
    write(out, &logs(0, false), &tasks::ended_names())
}

fn write(out: impl Write, logs: &[Log], names: &HashMap<Id, Arc<str>>) -> io::Result<()> {
    timeline::write(BufWriter::new(out), logs, |tag| label(tag, names))
}

fn label(tag: u64, names: &HashMap<Id, Arc<str>>) -> TaskLabel {
    let task = tasks::describe(tag);
    let name = task.name.or_else(|| names.get(&task.id).cloned());
    TaskLabel {
        id: task.id.number(),
        name: name.map(|name| name.to_string()),
        location: task.location.map(|at| (at.file(), at.line(), at.column())),
    }
}

/// The timeline of one runtime, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Recording {
    file: File,
    path: PathBuf,
    begin: u64,
}

impl Recording {
    /// The file is made now, so that one that cannot be made is not found out at the end.
    pub(crate) fn begin(shared: &'static Shared, path: PathBuf, file: File) -> Recording {
        tasks::keep_names(true);
        Recording {
            file,
            path,
            begin: of(shared).instruments.begin_recording(shared),
        }
    }

    /// Writes what there is. If that fails, it is said on standard error: there is nobody else to
    /// tell.
    pub(crate) fn end(self, shared: &'static Shared) {
        let instruments = &of(shared).instruments;
        let logs = [log(shared, self.begin)];
        let written = write(&self.file, &logs, &tasks::ended_names());
        instruments.end_recording(shared);
        {
            // Whoever stops at the same time has read before, or reads afterwards what there is
            // then: no more is written here.
            let _started = STARTED.lock();
            instruments.forget_log(shared);
        }
        tasks::keep_names(false);
        if let Err(error) = written {
            let path = self.path.display();
            stderr::say(format_args!(
                "the timeline cannot be written to {path}: {error}"
            ));
        }
    }
}

/// Writes the last of the timeline, and the tasks, when something has gone wrong.
pub(crate) struct FlightRecorder {
    path: PathBuf,
    /// How many files there are, and since when.
    written: Mutex<(usize, Option<Instant>)>,
}

/// So soon after a file there is no other one.
const QUIET: Duration = Duration::from_secs(10);

const MOST_FILES: usize = 16;

/// In place of the timeline's extension: the file with the tasks, as text.
const TASKS: &str = "tasks.txt";

impl FlightRecorder {
    pub(crate) fn new(path: PathBuf) -> FlightRecorder {
        tasks::keep_names(true);
        FlightRecorder {
            path,
            written: Mutex::new((0, None)),
        }
    }

    pub(crate) fn from_environment() -> Option<PathBuf> {
        let path = std::env::var_os("EXECUTOR_FLIGHT_RECORDER").filter(|path| !path.is_empty())?;
        Some(PathBuf::from(path))
    }

    pub(crate) fn into_hook(self) -> OnIncident {
        Arc::new(move |shared, incident| {
            if let Some(path) = self.next_file(clock::now()) {
                // Before the dump: its polls are recorded, too, and would overwrite what led here.
                let recorded = [log(shared, 0)];
                // Before the timeline is written, which may take a while: the tasks are to be seen
                // as they were.
                let tasks = format!("{incident}\n{}", dump_stacks(shared, WITHIN));
                let tasks_path = path.with_extension(TASKS);
                let files = [
                    (write_flight(&path, &recorded), &path),
                    (fs::write(&tasks_path, tasks), &tasks_path),
                ];
                report_files(incident, &files);
            }
        })
    }

    /// `None`: there was one just now, or there are enough.
    fn next_file(&self, now: Instant) -> Option<PathBuf> {
        let mut written = self.written.lock();
        let (count, last) = &mut *written;
        if *count == MOST_FILES || last.is_some_and(|last| now - last < QUIET) {
            return None;
        }
        *count += 1;
        *last = Some(now);
        Some(numbered(&self.path, *count))
    }
}

fn write_flight(path: &Path, recorded: &[Log]) -> io::Result<()> {
    write(File::create(path)?, recorded, &tasks::ended_names())
}

/// Says which files tell more of the incident, and which could not be written.
fn report_files(incident: &str, files: &[(io::Result<()>, &PathBuf)]) {
    let written = files.iter().filter(|(written, _)| written.is_ok());
    let names: Vec<_> = written.map(|(_, path)| path.to_string_lossy()).collect();
    if !names.is_empty() {
        stderr::say(format_args!("{}", see(incident, &names.join(" and "))));
    }
    for (written, path) in files {
        if let Err(error) = written {
            let path = path.display();
            stderr::say(format_args!("{path} cannot be written: {error}"));
        }
    }
}

/// Without the stacks that an incident may have below its first line: they are in the files.
fn see(incident: &str, names: &str) -> String {
    let line = incident.lines().next().unwrap_or_default();
    format!("{line}: see {names}")
}

impl Drop for FlightRecorder {
    fn drop(&mut self) {
        tasks::keep_names(false);
    }
}

/// The environment variable that names a file for the timeline.
const VARIABLE: &str = "EXECUTOR_TRACE";

/// The file that the environment asks for, for one runtime: the second one of a process gets
/// another.
pub(crate) fn from_environment() -> Option<(PathBuf, File)> {
    static RUNTIMES: AtomicUsize = AtomicUsize::new(0);

    let path = PathBuf::from(std::env::var_os(VARIABLE).filter(|path| !path.is_empty())?);
    let path = numbered(&path, RUNTIMES.fetch_add(1, Ordering::Relaxed) + 1);
    match File::create(&path) {
        Ok(file) => Some((path, file)),
        Err(error) => {
            let path = path.display();
            stderr::say(format_args!("{VARIABLE}: {path} cannot be made: {error}"));
            None
        }
    }
}

/// `trace.json`, `trace-2.json`, `trace-3.json`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_recorder_does_not_fill_the_disk() {
        let recorder = FlightRecorder::new(PathBuf::from("flight.json"));
        let begin = Instant::now();
        assert_eq!(recorder.next_file(begin), Some("flight.json".into()));
        assert_eq!(recorder.next_file(begin + QUIET / 2), None);
        assert_eq!(
            recorder.next_file(begin + QUIET),
            Some("flight-2.json".into())
        );
        let later = (2..100).filter_map(|round| recorder.next_file(begin + QUIET * round));
        assert_eq!(later.count(), MOST_FILES - 2);
    }

    #[test]
    fn each_timeline_has_a_file_of_tasks_of_its_own() {
        for (timeline, tasks) in [
            ("a/flight.json", "a/flight.tasks.txt"),
            ("flight-2.json", "flight-2.tasks.txt"),
            ("flight", "flight.tasks.txt"),
            ("flight.tasks.txt", "flight.tasks.tasks.txt"),
        ] {
            assert_eq!(Path::new(timeline).with_extension(TASKS), Path::new(tasks));
        }
    }

    #[test]
    fn files_of_several_runtimes_have_numbers() {
        let numbered = |path, number| numbered(Path::new(path), number);
        assert_eq!(numbered("a/trace.json", 1), Path::new("a/trace.json"));
        assert_eq!(numbered("a/trace.json", 2), Path::new("a/trace-2.json"));
        assert_eq!(numbered("trace", 3), Path::new("trace-3"));
        assert_eq!(numbered("a.b/.hidden", 3), Path::new("a.b/.hidden-3"));
    }

    #[test]
    fn an_incident_with_stacks_is_said_in_a_line() {
        let incident = "has blocked\n    last waited at:\n      main.rs:7";
        assert_eq!(see(incident, "a and b"), "has blocked: see a and b");
    }
}
