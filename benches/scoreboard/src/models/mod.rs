//! The six models of running tasks, side by side: five small executors and this crate, on the same workloads.
//!
//! Each executor is a static of its module, so a process has one of each model at most; a measurement is a process of its own
//! (`models --child MODEL ROW [TASKS]`), and ends with it.

mod chart;
mod contest;
mod distributed;
mod measure;
mod one_thread;
mod panel;
mod places;
mod report;
mod rows;
mod shared_queue;
mod thread_per_task;
mod thread_pool;

use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::{fs, io};

use async_task::{Runnable, Task};

use crate::support::{Gosched, Scheduler};
use contest::Contest;

const USAGE: &str = "usage: scoreboard models [--rounds N] [--record FOLDER] [ROW...]
--record: write docs/models.svg and the tables of docs/models.md in this checkout";

/// A way of running tasks.
trait Model: Scheduler {
    const TITLE: &'static str;
    /// A task that waits keeps its thread.
    const KEEPS_THREAD: bool;

    /// Makes a call in a task that blocks the thread, and says so first to a scheduler that wants to know.
    fn blocking(call: impl FnOnce()) {
        call();
    }

    /// Queues looked at per search that found something, and the nanoseconds of a search. Not a number where nobody counts.
    fn searches() -> [f64; 2] {
        [f64::NAN; 2]
    }
}

impl Model for Gosched {
    const TITLE: &'static str = "M:P:N, this crate";
    const KEEPS_THREAD: bool = false;
}

/// A model as the rows see it.
struct Entry {
    name: &'static str,
    title: &'static str,
    keeps_thread: bool,
    /// The figures of a row; the number is that of the tasks where it is not the row's own.
    measure: fn(&str, Option<usize>) -> Vec<f64>,
}

impl Entry {
    const fn of<M: Model>() -> Entry {
        Entry {
            name: M::NAME,
            title: M::TITLE,
            keeps_thread: M::KEEPS_THREAD,
            measure: |row, tasks| measure::measure(&M::start(), row, tasks),
        }
    }
}

/// In the order of the story.
const MODELS: [Entry; 6] = [
    Entry::of::<thread_per_task::ThreadPerTask>(),
    Entry::of::<one_thread::OneThread>(),
    Entry::of::<thread_pool::ThreadPool>(),
    Entry::of::<shared_queue::SharedQueue>(),
    Entry::of::<distributed::Distributed>(),
    Entry::of::<Gosched>(),
];

pub(crate) fn main(args: &[&str]) {
    match args {
        ["--child", model, row] => child(model, row, None),
        ["--child", model, row, tasks] => child(model, row, Some(tasks)),
        _ => match plan(args) {
            Some((rounds, wanted, record)) => {
                let contest = Contest::run(rounds, &wanted);
                print!("{}", report::all(&contest, &wanted));
                if let Some(folder) = record {
                    write(&contest, &folder).expect("the checkout can be written");
                }
            }
            None => {
                let rows: Vec<_> = rows::ROWS.iter().map(|row| row.name).collect();
                eprintln!("{USAGE}\nrows: {}", rows.join(" "));
                std::process::exit(2);
            }
        },
    }
}

/// Tables and picture.
fn write(contest: &Contest, checkout: &Path) -> io::Result<()> {
    report::record(contest, &checkout.join("docs/models.md"))?;
    fs::write(checkout.join("docs/models.svg"), chart::svg(contest))
}

/// What the arguments ask for: rounds, rows, and where to record.
fn plan(args: &[&str]) -> Option<(usize, Vec<&'static rows::Row>, Option<PathBuf>)> {
    let (mut rounds, mut wanted, mut record) = (3, Vec::new(), None);
    let mut args = args.iter();
    while let Some(&arg) = args.next() {
        match arg {
            "--rounds" => rounds = args.next()?.parse().ok().filter(|&rounds| rounds > 0)?,
            "--record" => record = Some(PathBuf::from(args.next()?)),
            name => wanted.push(rows::ROWS.iter().find(|row| row.name == name)?),
        }
    }
    if wanted.is_empty() {
        wanted.extend(rows::ROWS);
    }
    Some((rounds, wanted, record))
}

fn child(model: &str, row: &str, tasks: Option<&str>) {
    let entry = MODELS.iter().find(|entry| entry.name == model);
    let entry = entry.expect("the parent knows the models");
    let tasks = tasks.map(|tasks| tasks.parse().expect("a number"));
    let figures = (entry.measure)(row, tasks);
    let words: Vec<_> = figures.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
    // Whatever still waits or blocks ends here.
    std::process::exit(0);
}

/// Starts a thread that nobody joins. A process that has run out of them says so and ends: its measurement has failed.
fn start_thread(work: impl FnOnce() + Send + 'static) {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let before = STARTED.fetch_add(1, Ordering::Relaxed);
    if let Err(error) = std::thread::Builder::new().spawn(work) {
        eprintln!("no thread any more after {before} of them: {error}");
        std::process::exit(3);
    }
}

/// A task on its own allocation, scheduled.
fn create<F, S>(future: F, schedule: S) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Fn(Runnable) + Send + Sync + 'static,
{
    let builder = async_task::Builder::new().propagate_panic(true);
    let (runnable, task) = builder.spawn(|()| future, schedule);
    runnable.schedule();
    task
}

/// Waits for a future on a thread that runs no tasks.
fn outside<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

/// To the end of whatever queue a wake leads to.
fn yield_to_queue() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
