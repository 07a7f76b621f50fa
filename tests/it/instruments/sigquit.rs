//! `EXECUTOR_DEBUG=sigquit=1`: SIGQUIT prints the tasks of all runtimes, and the program goes on.
//!
//! Each test runs another of this file in a process of its own, talks to it by its standard input and output, and ends it by
//! closing the input.

use std::fs::File;
use std::future::pending;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use executor::runtime::{Builder, Runtime};
use executor::task;

use futures::future::{BoxFuture, FutureExt, join_all};

use super::child::{Child, talk};
use crate::common::{ignored, wait_until, within_patience};

const SWITCH: &str = "sigquit=1";
const HEAD: &str = "executor: SIGQUIT: ";

fn start(test: &str, debug: &str, pause: Duration) -> Child {
    let program = ignored(module_path!(), test);
    // No file is to be left of a process that the signal ends.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -c 0; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .env("EXECUTOR_DEBUG", debug);
    Child::start(command, pause)
}

fn quit(child: &Child) {
    let pid = rustix::process::Pid::from_child(&child.child);
    rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
}

fn runtime(name: &str, processors: usize) -> Runtime {
    let builder = Builder::new().worker_threads(processors);
    builder.thread_name(name).build().unwrap()
}

/// It waits for ever, and is listed.
fn spawn_named(runtime: &Runtime, name: &str) -> executor::JoinHandle<()> {
    let entered = runtime.handle().enter();
    let task = task::Builder::new().name(name).spawn(pending::<()>());
    let id = task.id();
    drop(entered);
    wait_until("it waits", || {
        let dump = runtime.handle().dump_tasks();
        dump.tasks().iter().any(|task| task.id() == id)
    });
    task
}

const WAITS: u32 = line!() + 2;
async fn waits_for_letters(letters: async_channel::Receiver<()>) {
    _ = letters.recv().await;
}

#[test]
#[ignore = "sigquit_prints_the_tasks_of_all_runtimes_and_the_program_goes_on starts it in a process of its own"]
fn child_has_two_runtimes() {
    // A shell starts programs in the background with this signal ignored.
    // SAFETY: no handler is set.
    unsafe { libc::signal(libc::SIGQUIT, libc::SIG_DFL) };
    let mut runtimes = vec![runtime("first", 2), runtime("second", 1)];
    let (_post, letters) = async_channel::bounded(1);
    drop(runtimes[1].spawn(waits_for_letters(letters)));
    drop(spawn_named(&runtimes[0], "mail"));
    drop(spawn_named(&runtimes[1], "print"));
    let mut last: Option<executor::JoinHandle<()>> = None;
    talk(|line| match line {
        "drop" => runtimes.clear(),
        round => {
            // One at a time: of many that do the same a list names three.
            if let Some(last) = last.replace(spawn_named(&runtimes[0], round)) {
                last.abort();
            }
        }
    });
}

#[test]
fn sigquit_prints_the_tasks_of_all_runtimes_and_the_program_goes_on() {
    within_patience(|| {
        let mut child = start("child_has_two_runtimes", SWITCH, Duration::ZERO);
        for round in 1..=2 {
            quit(&child);
            child.wait_until_said("the tasks", |text| {
                text.matches(" \"print\", spawned at ").count() == round
                    && text.matches(" \"mail\", spawned at ").count() == round
            });
        }
        let place = format!("    > async fn at {}:{WAITS}\n", file!());
        assert!(child.text.contains(&place), "{}", child.text);
        let heads = |text: &str, head: &str| text.matches(&format!("{HEAD}{head}\n")).count();
        assert_eq!(
            heads(&child.text, "runtime \"first\" (2 processors):"),
            2,
            "{}",
            child.text
        );
        assert_eq!(
            heads(&child.text, "runtime \"second\" (1 processor):"),
            2,
            "{}",
            child.text
        );
        child.next("drop");
        quit(&child);
        child.wait_until_said("that there is none", |text| {
            heads(text, "there is no runtime") == 1
        });
        let text = child.end_well();
        assert_eq!(text.matches(HEAD).count(), 5, "{text}");
    });
}

#[test]
fn of_two_signals_in_a_row_the_last_is_answered() {
    within_patience(|| {
        let mut child = start("child_has_two_runtimes", SWITCH, Duration::ZERO);
        for round in 0..100 {
            let name = format!("round {round}.");
            child.next(&name);
            quit(&child);
            quit(&child);
            // A list that was begun before the signals does not have it.
            child.wait_until_said(&name, |text| text.contains(&name));
        }
        let text = child.end_well();
        let lists = text.matches("\"first\"").count();
        assert!((100..=200).contains(&lists), "{lists}");
    });
}

#[test]
fn without_the_switch_the_signal_ends_the_program() {
    within_patience(|| {
        for debug in ["", "sigquit=0", "sigquit=yes"] {
            let child = start("child_has_two_runtimes", debug, Duration::ZERO);
            quit(&child);
            let pid = child.child.id();
            wait_until("it has ended", || {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_ok_and(|stat| stat.contains(") Z "))
            });
            let (text, status, _) = child.end();
            assert_eq!(status.signal(), Some(3), "{text}");
            assert!(!text.contains(HEAD), "{text}");
        }
    });
}

static BEFORE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn before(_: libc::c_int) {
    BEFORE.fetch_add(1, SeqCst);
}

#[test]
#[ignore = "handlers_of_the_program_are_called_too starts it in a process of its own"]
fn child_has_handlers() {
    let handler = before as extern "C" fn(libc::c_int);
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGQUIT, handler as libc::sighandler_t) };
    let runtime = runtime("handled", 1);
    let after = Arc::new(AtomicUsize::new(0));
    let counts = after.clone();
    let count = move || {
        counts.fetch_add(1, SeqCst);
    };
    // SAFETY: the handler only counts.
    unsafe { signal_hook::low_level::register(libc::SIGQUIT, count) }.unwrap();
    talk(|_| {});
    // The list may be written before the last handler of a signal has run.
    wait_until("all have run", || after.load(SeqCst) == 3);
    assert_eq!((BEFORE.load(SeqCst), after.load(SeqCst)), (3, 3));
    drop(runtime);
}

#[test]
fn handlers_of_the_program_are_called_too() {
    within_patience(|| {
        let mut child = start("child_has_handlers", SWITCH, Duration::ZERO);
        for round in 1..=3 {
            quit(&child);
            child.wait_until_said("the tasks", |text| text.matches(HEAD).count() == round);
        }
        child.end_well();
    });
}

/// So many places to wait at. Each task waits at some of them, and no two at the same ones: so each has an entry of its own,
/// and in all that is more than standard error's queue takes.
const PLACES: usize = 11;
const MANY: usize = (1 << PLACES) - 1;

async fn waits<const PLACE: usize>() {
    executor::time::sleep(Duration::from_secs(3600 + PLACE as u64)).await;
}

#[test]
#[ignore = "a_long_list_is_written_whole_even_if_the_program_ends_meanwhile starts it in a process of its own"]
fn child_has_many_tasks() {
    type Place = fn() -> BoxFuture<'static, ()>;
    let places: [Place; PLACES] = [
        || waits::<0>().boxed(),
        || waits::<1>().boxed(),
        || waits::<2>().boxed(),
        || waits::<3>().boxed(),
        || waits::<4>().boxed(),
        || waits::<5>().boxed(),
        || waits::<6>().boxed(),
        || waits::<7>().boxed(),
        || waits::<8>().boxed(),
        || waits::<9>().boxed(),
        || waits::<10>().boxed(),
    ];
    let runtime = runtime("many", 2);
    for chosen in 1..=MANY {
        let chosen_places = (0..PLACES).filter(|place| chosen >> place & 1 != 0);
        let all = join_all(chosen_places.map(|place| places[place]()));
        drop(runtime.spawn(all));
    }
    wait_until("all wait", || {
        runtime.handle().dump_tasks().num_unlisted() == 0
    });
    talk(|_| {});
    // Its end would wait for the list to be written.
    process::exit(0);
}

#[test]
fn a_long_list_is_written_whole_even_if_the_program_ends_meanwhile() {
    within_patience(|| {
        // In all it takes longer than one write may take when the process ends.
        let mut child = start("child_has_many_tasks", SWITCH, Duration::from_millis(6));
        quit(&child);
        child.wait_until_said("the beginning", |text| text.contains(HEAD));
        let (text, status, _) = child.end();
        assert!(status.success(), "{status}");
        assert_eq!(text.matches(", spawned at ").count(), MANY);
        assert!(text.len() > 3 << 19, "{}", text.len());
        assert!(!text.contains("could not be written"));
    });
}

/// In the child of a fork the signal prints what the child has, and nothing in its parent.
#[test]
#[ignore = "a_fork_answers_for_itself starts it in a process of its own"]
fn child_forks() {
    let parents = runtime("parent", 1);
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (read, write) = rustix::pipe::pipe_with(flags).unwrap();
    let (wait, release) = rustix::pipe::pipe_with(flags).unwrap();
    // SAFETY: the child uses what other threads of the parent may have locked only through this crate, which is the test.
    match unsafe { libc::fork() } {
        0 => {
            drop((read, release));
            // SAFETY: both are open, and whatever else uses the second goes on with the first.
            assert_eq!(unsafe { libc::dup2(write.as_raw_fd(), 2) }, 2);
            drop(write);
            let quit = || {
                // SAFETY: the signal has a handler, of this crate.
                unsafe { libc::raise(libc::SIGQUIT) };
            };
            quit();
            let runtime = runtime("child", 1);
            quit();
            let mut wait = File::from(wait);
            let _ = wait.read(&mut [0]);
            drop(runtime);
            process::exit(0);
        }
        child => {
            drop((write, wait));
            let mut read = BufReader::new(File::from(read));
            let mut text = String::new();
            while !text.contains("0 tasks\n") {
                assert_ne!(read.read_line(&mut text).unwrap(), 0, "{text}");
            }
            drop(release);
            read.read_to_string(&mut text).unwrap();
            let mut status = 0;
            // SAFETY: the child is this process's, and nobody else waits for it.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "{text}");
            let head = format!("{HEAD}runtime \"child\" (1 processor):\n0 tasks\n");
            assert_eq!(text, head);
        }
    }
    // After this one, what was there before it would have been printed.
    talk(|_| {});
    drop(parents);
}

#[test]
fn a_fork_answers_for_itself() {
    within_patience(|| {
        let mut child = start("child_forks", SWITCH, Duration::ZERO);
        assert_eq!(child.text, "");
        quit(&child);
        child.wait_until_said("the tasks", |text| text.contains("0 tasks\n"));
        let text = child.end_well();
        assert_eq!(text.matches(HEAD).count(), 1, "{text}");
        assert!(text.contains("runtime \"parent\""), "{text}");
    });
}
