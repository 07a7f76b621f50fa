//! How tests fail: they run again, under the usual harness, in a process that may fail.

use std::io;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, full_name, this_program};

/// A process in which the harness has run ignored tests.
pub(super) struct Harness {
    printed: String,
}

impl Harness {
    /// Those of the caller's `module_path!()`, so many at a time. A hang becomes a failure.
    #[track_caller]
    pub(super) fn run(module: &str, tests: &[&str], threads: usize) -> Harness {
        let names = tests.iter().map(|test| full_name(module, test));
        let mut child = this_program()
            .args(names)
            .args(["--exact", "--ignored"])
            .arg(format!("--test-threads={threads}"))
            .env_remove("RUST_BACKTRACE")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let readers = [
            thread::spawn(|| io::read_to_string(stdout).unwrap()),
            thread::spawn(|| io::read_to_string(stderr).unwrap()),
        ];
        let begin = Instant::now();
        let hung = loop {
            if child.try_wait().unwrap().is_some() {
                break false;
            }
            if begin.elapsed() > 3 * PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                break true;
            }
            thread::sleep(Duration::from_millis(20));
        };
        let [printed, errors] = readers.map(|reader| reader.join().unwrap());
        let printed = printed + &errors;
        assert!(!hung, "{printed}");
        Harness { printed }
    }

    #[track_caller]
    pub(super) fn ended(&self, passed: usize, failed: usize) {
        self.said(&format!("{passed} passed; {failed} failed"));
    }

    #[track_caller]
    pub(super) fn said(&self, what: &str) {
        assert!(self.printed.contains(what), "{what}:\n{}", self.printed);
    }

    /// So many times.
    #[track_caller]
    pub(super) fn said_each(&self, what: &str, times: usize) {
        let count = self.printed.matches(what).count();
        assert_eq!(count, times, "{what}:\n{}", self.printed);
    }
}
