//! Standard error can harm nobody: closed, or full and never read, it ends nothing and holds up nothing.
//!
//! Each test runs another of this file in a process of its own, with a pipe of its own as standard error.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
#[cfg(feature = "axum-0-8")]
use std::process::Command;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, ignored, wait_until, within_patience};
use executor::Runtime;
use executor::runtime::Builder;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::PipeFlags;

/// Its ends, which no child of another test inherits: it would hold them open.
fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap()
}

/// One that nobody has read from: its end to read, and the other, in which there is no room.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = pipe();
    let flags = fcntl_getfl(&write).unwrap();
    fcntl_setfl(&write, flags | OFlags::NONBLOCK).unwrap();
    let mut file = File::from(write);
    for length in [4096, 1] {
        while file.write(&[b'\n'; 4096][..length]).is_ok() {}
    }
    fcntl_setfl(&file, flags).unwrap();
    (read, file.into())
}

fn start(test: &str, debug: &str, how: &str, stderr: OwnedFd) -> Child {
    ignored(module_path!(), test)
        .env("EXECUTOR_DEBUG", debug)
        .env(HOW, how)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap()
}

/// The child's end, within patience.
#[track_caller]
fn assert_ends_well(mut child: Child) {
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("hung");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let mut printed = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut printed).unwrap();
    // A name that no test has is a success, too.
    assert!(
        status.success() && printed.contains("1 passed"),
        "{status} {printed}"
    );
}

/// What a child is to do.
const HOW: &str = "EXECUTOR_TEST_STDERR";

fn how() -> String {
    std::env::var(HOW).unwrap()
}

/// A runtime that has something to say: of a stall, and, with `EXECUTOR_DEBUG`, of other things.
fn speaking() -> Runtime {
    let runtime = Builder::new()
        .worker_threads(1)
        .max_blocking_threads(1)
        .stall_threshold(Duration::from_millis(10))
        .build()
        .unwrap();
    let (release, released) = mpsc::channel::<()>();
    let stuck = runtime.spawn(async move { released.recv().unwrap_err() });
    wait_until("it is reported", || runtime.metrics().stall_count() == 1);
    drop(release);
    runtime.block_on(stuck).unwrap();
    // The only thread of the pool has something else to do than to write.
    runtime.block_on(runtime.spawn_blocking(|| {})).unwrap();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    runtime
}

#[test]
#[ignore = "a_full_pipe_that_nobody_reads_holds_up_no_task_no_job_and_no_end starts it in a process of its own"]
fn child_speaks_and_ends() {
    within_patience(|| {
        let runtime = speaking();
        match &*how() {
            "drop" => drop(runtime),
            "timeout" => {
                let report = runtime.shutdown_timeout(Duration::from_secs(10));
                assert!(report.is_complete(), "{report:?}");
            }
            "background" => runtime.shutdown_background(),
            "never" => std::mem::forget(runtime),
            how => panic!("{how}"),
        }
    });
}

const ENDS: [&str; 4] = ["drop", "timeout", "background", "never"];

#[test]
fn a_full_pipe_that_nobody_reads_holds_up_no_task_no_job_and_no_end() {
    for debug in ["", "schedtrace=1,mumble"] {
        for how in ENDS {
            let (_unread, full) = full_pipe();
            assert_ends_well(start("child_speaks_and_ends", debug, how, full));
        }
    }
}

#[test]
fn a_closed_pipe_ends_nothing() {
    for how in ENDS {
        let (read, write) = pipe();
        drop(read);
        let debug = "schedtrace=1,mumble";
        assert_ends_well(start("child_speaks_and_ends", debug, how, write));
    }
}

#[test]
#[ignore = "a_closed_pipe_raises_no_signal starts it in a process of its own"]
fn child_speaks_into_a_closed_pipe_with_default_signals() {
    // SAFETY: no handler of the program is set, and nobody else sets one meanwhile.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    drop(speaking());
}

/// The standard library ignores `SIGPIPE`, but a program may have it otherwise, or no Rust `main`.
#[test]
fn a_closed_pipe_raises_no_signal() {
    let (read, write) = pipe();
    drop(read);
    let test = "child_speaks_into_a_closed_pipe_with_default_signals";
    assert_ends_well(start(test, "mumble", "", write));
}

/// Each of them has this to say.
const LONG: usize = 100_000;
const RUNTIMES: usize = 20;

#[test]
#[ignore = "what_finds_no_room_is_counted_and_said_when_somebody_reads starts it in a process of its own"]
fn child_says_more_than_there_is_room_for() {
    for _ in 0..RUNTIMES {
        drop(Builder::new().worker_threads(1).build().unwrap());
    }
    println!("said");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn what_finds_no_room_is_counted_and_said_when_somebody_reads() {
    let (read, full) = full_pipe();
    let debug = "x".repeat(LONG);
    let mut child = start("child_says_more_than_there_is_room_for", &debug, "", full);
    let mut printed = Vec::new();
    let mut byte = [0];
    let mut stdout = child.stdout.take().unwrap();
    while !printed.ends_with(b"said\n") {
        stdout.read_exact(&mut byte).unwrap();
        printed.push(byte[0]);
    }
    child.stdout = Some(stdout);
    let reader = thread::spawn(move || {
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        text
    });
    drop(child.stdin.take());
    assert_ends_well(child);
    let text = reader.join().unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("executor: "))
        .collect();
    let (last, whole) = lines.split_last().expect("it was written at last");
    let dropped = last
        .strip_prefix("executor: ")
        .and_then(|line| line.strip_suffix(" messages could not be written here"))
        .unwrap_or_else(|| panic!("{last}"));
    let dropped: usize = dropped.parse().unwrap();
    assert!(
        whole.iter().all(|line| line.contains(&debug)),
        "in one piece each"
    );
    assert_eq!(whole.len() + dropped, RUNTIMES);
    // There is room for a mebibyte, and one may be on its way.
    assert!((10..=11).contains(&whole.len()), "{}", whole.len());
}

fn redirect_stderr(to: &impl AsRawFd) {
    // SAFETY: both are open, and whatever else uses the second goes on with the first.
    assert_eq!(unsafe { libc::dup2(to.as_raw_fd(), 2) }, 2);
}

#[test]
#[ignore = "the_lock_of_standard_error_is_free_while_the_crate_waits_for_room starts it in a process of its own"]
fn child_writes_there_itself() {
    let runtime = speaking();
    // By now the writer waits for room; if not yet, it harms nobody.
    thread::sleep(Duration::from_millis(50));
    let null = File::options().write(true).open("/dev/null").unwrap();
    redirect_stderr(&null);
    eprintln!("this may not wait for what waits");
    drop(runtime);
}

#[test]
fn the_lock_of_standard_error_is_free_while_the_crate_waits_for_room() {
    let (_unread, full) = full_pipe();
    assert_ends_well(start("child_writes_there_itself", "", "", full));
}

#[test]
#[ignore = "what_is_said_last_is_written_before_the_process_ends starts it in a process of its own"]
fn child_says_something_last() {
    drop(Builder::new().worker_threads(1).build().unwrap());
}

#[test]
fn what_is_said_last_is_written_before_the_process_ends() {
    for _ in 0..20 {
        let (read, write) = pipe();
        assert_ends_well(start("child_says_something_last", "mumble", "", write));
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text.matches("mumble").count(), 1, "{text}");
    }
}

/// In the child of a fork what the parent has queued is not written, and what the child says is.
#[test]
#[ignore = "a_fork_inherits_no_message starts it in a process of its own"]
fn child_forks_while_messages_wait() {
    let runtime = speaking();
    let (read, write) = pipe();
    // SAFETY: the child uses what other threads of the parent may have locked only through this crate, which is the test.
    match unsafe { libc::fork() } {
        0 => {
            redirect_stderr(&write);
            drop(Builder::new().worker_threads(1).build().unwrap());
            std::process::exit(0);
        }
        child => {
            drop(write);
            let mut text = String::new();
            File::from(read).read_to_string(&mut text).unwrap();
            let mut status = 0;
            // SAFETY: the child is this process's, and nobody else waits for it.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!((status, text.lines().count()), (0, 1), "{text}");
            assert!(text.contains("mumble"), "{text}");
        }
    }
    drop(runtime);
}

#[test]
fn a_fork_inherits_no_message() {
    let (_unread, full) = full_pipe();
    assert_ends_well(start("child_forks_while_messages_wait", "mumble", "", full));
}

/// The accept loop meets "too many open files" and says so.
#[cfg(feature = "axum-0-8")]
#[test]
#[ignore = "an_accept_loop_goes_on_without_standard_error starts it in a process of its own"]
fn child_runs_out_of_descriptors() {
    use axum::serve::Listener;
    use executor::time::sleep;

    executor::block_on(async {
        let listener = executor::net::TcpListener::bind("127.0.0.1:0").await;
        let mut listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        let mut open = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            open.push(file);
        }
        let accepted = executor::spawn(async move { Listener::accept(&mut listener).await });
        // It meets the error meanwhile; were it late, it would go on all the better.
        sleep(Duration::from_millis(200)).await;
        drop(open);
        accepted.await.unwrap();
        drop(stream);
    });
}

#[cfg(feature = "axum-0-8")]
#[test]
fn an_accept_loop_goes_on_without_standard_error() {
    for is_closed in [true, false] {
        let (_read, write) = if is_closed {
            let (read, write) = pipe();
            drop(read);
            (None, write)
        } else {
            let (read, write) = full_pipe();
            (Some(read), write)
        };
        let program = ignored(module_path!(), "child_runs_out_of_descriptors");
        let child = Command::new("sh")
            .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""])
            .arg(program.get_program())
            .args(program.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(write)
            .spawn()
            .unwrap();
        assert_ends_well(child);
    }
}
