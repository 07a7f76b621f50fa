//! `EXECUTOR_DEBUG=schedtrace=..`: the state of the scheduler on standard error, in Go's line.
//!
//! Each test runs another of this file in a process of its own, reads what that prints until it has seen what it wants, and
//! then ends it by closing its standard input.

use std::io::{self, BufRead, BufReader, Lines, Read};
use std::process::{self, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use crate::common::stuck::Stuck;
use crate::common::{ignored, processors, within_patience};

/// What Go prints; `#` is a number, or what else the field may hold.
const LINE: &str = "SCHED #ms: gomaxprocs=# idleprocs=# threads=# spinningthreads=# needspinning=0 idlethreads=# runqueue=# \
                    [ # ] schedticks=[ # ]";

/// The fields of a line, if it is as the pattern says.
fn fields<'a>(line: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split('#');
    let mut rest = line.strip_prefix(pieces.next()?)?;
    let mut found = Vec::new();
    for piece in pieces {
        let end = match piece {
            "" => rest.len(),
            piece => rest.find(piece)?,
        };
        found.push(&rest[..end]);
        rest = &rest[end + piece.len()..];
    }
    rest.is_empty().then_some(found)
}

#[track_caller]
fn number(field: &str) -> u64 {
    assert!(field.bytes().all(|byte| byte.is_ascii_digit()), "{field:?}");
    field.parse().unwrap()
}

#[track_caller]
fn numbers(field: &str) -> Vec<u64> {
    field.split(' ').map(number).collect()
}

/// What a line says.
#[derive(Debug)]
struct State {
    millis: u64,
    gomaxprocs: u64,
    idleprocs: u64,
    threads: u64,
    spinningthreads: u64,
    idlethreads: u64,
    runqueue: u64,
    queues: Vec<u64>,
    schedticks: Vec<u64>,
}

impl State {
    #[track_caller]
    fn of(line: &str) -> State {
        let fields = fields(line, LINE).unwrap_or_else(|| panic!("not Go's format: {line}"));
        let state = State {
            millis: number(fields[0]),
            gomaxprocs: number(fields[1]),
            idleprocs: number(fields[2]),
            threads: number(fields[3]),
            spinningthreads: number(fields[4]),
            idlethreads: number(fields[5]),
            runqueue: number(fields[6]),
            queues: numbers(fields[7]),
            schedticks: numbers(fields[8]),
        };
        assert!(state.idleprocs <= state.gomaxprocs, "{line}");
        assert!(state.idlethreads < state.threads, "{line}");
        let lengths = (state.queues.len() as u64, state.schedticks.len() as u64);
        assert_eq!(lengths, (state.gomaxprocs, state.gomaxprocs), "{line}");
        state
    }

    fn is_idle(&self) -> bool {
        self.idleprocs == self.gomaxprocs
    }
}

/// A test of this file in a process of its own.
struct Child {
    process: process::Child,
    errors: Lines<BufReader<ChildStderr>>,
}

impl Child {
    fn start(test: &str, debug: &str) -> Child {
        let mut process = command(test, debug).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap()).lines();
        Child { process, errors }
    }

    /// The next state.
    fn state(&mut self) -> State {
        let mut lines = self.errors.by_ref().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("SCHED "));
        State::of(&line.expect("lines while it runs"))
    }

    /// The next state of which this holds.
    fn state_in_which(&mut self, holds: impl Fn(&State) -> bool) -> State {
        loop {
            let state = self.state();
            if holds(&state) {
                return state;
            }
        }
    }

    /// Lets it end.
    fn end(mut self) {
        drop(self.process.stdin.take());
        self.errors.by_ref().for_each(drop);
        let output = self.process.wait_with_output().unwrap();
        assert_passed(&output);
    }
}

fn command(test: &str, debug: &str) -> Command {
    let mut command = ignored(module_path!(), test);
    command
        .env("EXECUTOR_DEBUG", debug)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

#[track_caller]
fn assert_passed(output: &process::Output) {
    // A name that no test has is a success, too.
    let ran_it = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(output.status.success() && ran_it, "{output:?}");
}

/// In the child: until its parent has seen enough.
fn until_the_end() {
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
#[ignore = "lines_come_while_all_is_idle starts it in a process of its own"]
fn child_is_idle() {
    let runtime = processors(3);
    until_the_end();
    drop(runtime);
}

#[test]
fn lines_come_while_all_is_idle() {
    within_patience(|| {
        let mut child = Child::start("child_is_idle", "schedtrace=20");
        // Three workers, of whom one waits for the network, and the monitor. Who writes the lines is not the runtime's.
        let is_settled =
            |state: &State| state.is_idle() && (state.threads, state.idlethreads) == (4, 2);
        let mut before = child.state_in_which(is_settled).millis;
        for _ in 0..5 {
            let state = child.state();
            assert_eq!((state.gomaxprocs, state.idleprocs), (3, 3), "{state:?}");
            assert_eq!((state.spinningthreads, state.runqueue), (0, 0), "{state:?}");
            assert_eq!((state.threads, state.idlethreads), (4, 2), "{state:?}");
            assert!(state.millis >= before + 20, "{state:?} after {before}");
            before = state.millis;
            assert_eq!((state.queues, state.schedticks), (vec![0; 3], vec![0; 3]));
        }
        child.end();
    });
}

/// One processor and a task that is stuck in its first poll, with three behind it and two in the global queue.
#[test]
#[ignore = "what_waits_is_counted_where_it_waits starts it in a process of its own"]
fn child_is_stuck() {
    let runtime = processors(1);
    let (begin, begun) = mpsc::channel();
    let stuck = runtime.spawn(async move {
        for _ in 0..3 {
            drop(executor::spawn(async {}));
        }
        begin.send(()).unwrap();
        until_the_end();
    });
    begun.recv().unwrap();
    let waiting = [runtime.spawn(async {}), runtime.spawn(async {})];
    runtime.block_on(stuck).unwrap();
    for task in waiting {
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn what_waits_is_counted_where_it_waits() {
    within_patience(|| {
        let debug = "stall=0,retake=0,schedtrace=5";
        let mut child = Child::start("child_is_stuck", debug);
        let state = child.state_in_which(|state| state.runqueue == 2);
        assert_eq!((state.gomaxprocs, state.idleprocs), (1, 0));
        assert_eq!((state.queues, state.schedticks), (vec![3], vec![1]));
        child.end();
    });
}

#[test]
fn polls_are_counted_where_they_began() {
    within_patience(|| {
        let mut child = Child::start("child_is_stuck", "stall=0,schedtrace=5");
        // The stuck task has lost its processor, and all that waited has been run by others.
        let state = child.state_in_which(|state| state.is_idle() && state.schedticks == [6]);
        assert_eq!((state.runqueue, state.queues), (0, vec![0]));
        child.end();
    });
}

#[test]
fn go_s_details_are_not_understood() {
    within_patience(|| {
        let mut child = Child::start("child_is_idle", "scheddetail=1,schedtrace=20");
        let mut lines = child.errors.by_ref().map(Result::unwrap);
        let said = lines.find(|line| line.contains("scheddetail=1"));
        assert!(said.unwrap().contains("is not understood and ignored"));
        child.state();
        child.end();
    });
}

/// Stuck tasks that are saved by the monitor alone, one after the other.
#[test]
#[ignore = "lines_that_nobody_reads_hold_nobody_up_and_do_not_pile_up starts it in a process of its own"]
fn child_is_not_read() {
    let runtime = processors(1);
    let rescue = |way: Stuck| {
        let stuck = runtime.spawn(async move { way.until_another_ran() });
        runtime.block_on(stuck).unwrap();
    };
    rescue(Stuck::Blocked);
    // The monitor's time has begun by now.
    let begin = Instant::now();
    for way in [Stuck::Spinning, Stuck::Blocked, Stuck::Spinning] {
        rescue(way);
    }
    println!("\nmillis: {}", begin.elapsed().as_millis());
    until_the_end();
}

/// A pipe that holds as many empty lines as it can.
#[cfg(unix)]
#[allow(clippy::incompatible_msrv)] // As in other tests: only the crate itself is compiled by that old a compiler.
fn full_pipe() -> (PipeReader, Stdio) {
    // No child of another test inherits its ends, and so keeps it open.
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    for length in [4096, 1] {
        while rustix::io::write(&writer, &b"\n".repeat(length)).is_ok() {}
    }
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (BufReader::new(reader), writer.into())
}

#[cfg(unix)]
#[allow(clippy::incompatible_msrv)]
type PipeReader = BufReader<std::io::PipeReader>;

#[cfg(unix)]
#[test]
fn lines_that_nobody_reads_hold_nobody_up_and_do_not_pile_up() {
    within_patience(|| {
        let (errors, full) = full_pipe();
        let mut process = command("child_is_not_read", "stall=0,schedtrace=1")
            .stderr(full)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = said.by_ref().map(Result::unwrap);
        let millis = said.find_map(|line| Some(number(line.strip_prefix("millis: ")?)));
        let millis = millis.expect("the monitor does its work");
        let lines = errors.lines().map(Result::unwrap);
        let mut states = lines
            .filter(|line| line.starts_with("SCHED "))
            .map(|line| State::of(&line).millis);
        let first = states.next().expect("it was on its way all the time");
        let second = states.next().expect("lines come again");
        drop(process.stdin.take());
        let others: Vec<_> = [second].into_iter().chain(states).collect();
        assert!(
            others.iter().all(|&later| later >= millis),
            "{first}, {others:?}: not all after {millis}, when somebody began to read"
        );
        assert!(others.is_sorted(), "{others:?}");
        assert!(said.any(|line| line.contains("1 passed")));
        assert!(process.wait().unwrap().success());
    });
}
