//! A scenario in a process of its own, so that it can hang, die, be stopped, or run out of something, alone.

use std::io::Read;
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How to start the scenario of one row on one runtime.
pub(crate) struct Child {
    pub(crate) row: &'static str,
    pub(crate) runtime: &'static str,
}

/// How it went.
pub(crate) struct Ended {
    /// What the scenario gave; empty if it did not come to its end.
    pub(crate) figures: Vec<f64>,
    /// `None`: it was still running at its limit, and was killed.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) errors: String,
}

impl Ended {
    pub(crate) fn hung(&self) -> bool {
        self.status.is_none()
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl Child {
    /// The command, behind `wrapper` (`strace -f ..`, `taskset -c 0`, ..).
    pub(crate) fn command(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let program = std::env::current_exe().expect("own path");
        let mut command = match wrapper {
            [] => Command::new(&program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&program);
                command
            }
        };
        command
            .args(["child", self.runtime, self.row])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end, or kills it after `limit`.
    pub(crate) fn run(&self, wrapper: &[&str], args: &[&str], limit: Duration) -> Ended {
        let mut command = self.command(wrapper, args);
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("{command:?}: {error}");
        });
        end(process, limit)
    }
}

/// Waits for a process, or kills it with its children after `limit`.
pub(crate) fn end(mut process: Process, limit: Duration) -> Ended {
    let out = process.stdout.take().map(read_all);
    let err = process.stderr.take().map(read_all);
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = process.try_wait().expect("own child") {
            break Some(status);
        }
        if Instant::now() >= until {
            kill_family(process.id());
            let _ = process.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.map_or(String::new(), |reader| reader.join().expect("a reader"))
    };
    let (out, errors) = (text(out), text(err));
    Ended {
        figures: match status {
            Some(status) if status.success() => figures(&out),
            _ => Vec::new(),
        },
        status,
        errors,
    }
}

fn figures(text: &str) -> Vec<f64> {
    text.split_whitespace()
        .map(|word| word.parse().unwrap_or(f64::NAN))
        .collect()
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Kills a process and the children that it has now: `strace` leaves its own behind.
fn kill_family(id: u32) {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        if let Ok(child) = child.parse() {
            kill_family(child);
        }
    }
    // SAFETY: a plain system call, on a process that is ours and not reaped yet.
    unsafe { libc::kill(id as libc::pid_t, libc::SIGKILL) };
}
