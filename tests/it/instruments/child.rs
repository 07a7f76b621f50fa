//! A test in a process of its own, which is talked to by its standard input and output and ended by closing the input.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::common::PATIENCE;

/// The process.
pub(super) struct Child {
    pub(super) child: process::Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<process::ChildStdout>,
    errors: Receiver<Vec<u8>>,
    reader: JoinHandle<()>,
    /// What it has said on standard error so far.
    pub(super) text: String,
}

impl Child {
    /// Waits until it is [ready](talk). `pause`: how long to wait before each reading of its standard error.
    pub(super) fn start(mut command: Command, pause: Duration) -> Child {
        let mut child = command
            // A panic's backtrace takes as long as a stall.
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (said, errors) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                thread::sleep(pause);
                match stderr.read(&mut buffer) {
                    Ok(length @ 1..) => drop(said.send(buffer[..length].to_vec())),
                    _ => break,
                }
            }
        });
        let mut child = Child {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            errors,
            reader,
            text: String::new(),
        };
        child.wait_for_line("ready");
        child
    }

    fn wait_for_line(&mut self, wanted: &str) {
        let mut line = String::new();
        while line.trim_end() != wanted {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "{wanted}");
        }
    }

    /// Makes it go on with what it does next, and waits until it has.
    pub(super) fn next(&mut self, name: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{name}").unwrap();
        self.wait_for_line(name);
    }

    /// Waits until what it has said since the beginning is enough.
    #[track_caller]
    pub(super) fn wait_until_said(&mut self, what: &str, is_enough: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        while !is_enough(&self.text) {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            match self.errors.recv_timeout(left) {
                Ok(more) => self.text.push_str(&String::from_utf8_lossy(&more)),
                Err(_) => panic!("not said: {what}: {}", self.text),
            }
        }
    }

    /// What it has said in all, how it ended, and what else it printed.
    pub(super) fn end(mut self) -> (String, ExitStatus, String) {
        drop(self.stdin.take());
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        for more in self.errors.try_iter() {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        (self.text, status, printed)
    }

    /// As [`Child::end`], of one that ends well.
    #[track_caller]
    pub(super) fn end_well(self) -> String {
        let (text, status, printed) = self.end();
        assert!(
            status.success() && printed.contains("1 passed"),
            "{status} {printed} {text}"
        );
        text
    }
}

/// Child: prints a line of its own, as the harness prints without one.
fn tell(line: &str) {
    let mut stdout = io::stdout().lock();
    write!(stdout, "\n{line}\n").unwrap();
    stdout.flush().unwrap();
}

/// Child: tells that it is ready; calls `f` with each line that comes, and tells it.
pub(super) fn talk(mut f: impl FnMut(&str)) {
    tell("ready");
    for line in io::stdin().lines() {
        let line = line.unwrap();
        f(&line);
        tell(&line);
    }
}
