//! `EXECUTOR_DEBUG=schedtrace=..`: the state of the scheduler on standard error, in Go's format.
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
const FIRST: &str = "SCHED #ms: gomaxprocs=# idleprocs=# threads=# spinningthreads=# needspinning=0 idlethreads=# runqueue=# \
                     gcwaiting=false nmidlelocked=0 stopwait=0 sysmonwait=false";
const PROCESSOR: &str =
    "  P#: status=# schedtick=# syscalltick=# m=# runqsize=# gfreecnt=0 timerslen=#";
const THREAD: &str = "  M#: p=# curg=# mallocing=0 throwing=0 preemptoff= locks=0 dying=0 spinning=false blocked=# lockedg=nil";
const TASK: &str = "  G#: status=#(#) m=# lockedm=nil";

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

/// `None` is Go's `nil`.
#[track_caller]
fn number_or_nil(field: &str) -> Option<u64> {
    (field != "nil").then(|| number(field))
}

/// What a `SCHED` line and those below it say.
#[derive(Debug, Default)]
struct State {
    millis: u64,
    gomaxprocs: u64,
    idleprocs: u64,
    threads: u64,
    spinningthreads: u64,
    idlethreads: u64,
    runqueue: u64,
    /// Of the brief form.
    queues: Vec<u64>,
    schedticks: Vec<u64>,
    /// Of the long one.
    processors: Vec<Processor>,
    machines: Vec<Machine>,
    tasks: Vec<Task>,
}

#[derive(Debug)]
struct Processor {
    status: u64,
    schedtick: u64,
    syscalltick: u64,
    m: Option<u64>,
    runqsize: u64,
    timerslen: u64,
}

#[derive(Debug)]
struct Machine {
    id: u64,
    p: Option<u64>,
    curg: Option<u64>,
    blocked: bool,
}

#[derive(Debug)]
struct Task {
    id: u64,
    status: u64,
    m: Option<u64>,
}

impl State {
    #[track_caller]
    fn begin(line: &str, is_detailed: bool) -> State {
        let pattern = if is_detailed { FIRST } else { LINE };
        let fields = fields(line, pattern).unwrap_or_else(|| panic!("not Go's format: {line}"));
        let lists = if is_detailed { &[][..] } else { &fields[7..9] };
        let mut lists = lists.iter().map(|list| numbers(list));
        let state = State {
            millis: number(fields[0]),
            gomaxprocs: number(fields[1]),
            idleprocs: number(fields[2]),
            threads: number(fields[3]),
            spinningthreads: number(fields[4]),
            idlethreads: number(fields[5]),
            runqueue: number(fields[6]),
            queues: lists.next().unwrap_or_default(),
            schedticks: lists.next().unwrap_or_default(),
            ..State::default()
        };
        assert!(state.idleprocs <= state.gomaxprocs, "{line}");
        assert!(state.idlethreads < state.threads, "{line}");
        if !is_detailed {
            let lengths = (state.queues.len() as u64, state.schedticks.len() as u64);
            assert_eq!(lengths, (state.gomaxprocs, state.gomaxprocs), "{line}");
        }
        state
    }

    #[track_caller]
    fn add(&mut self, line: &str) {
        if let Some(fields) = fields(line, PROCESSOR) {
            assert_eq!(number(fields[0]), self.processors.len() as u64, "{line}");
            self.processors.push(Processor {
                status: number(fields[1]),
                schedtick: number(fields[2]),
                syscalltick: number(fields[3]),
                m: number_or_nil(fields[4]),
                runqsize: number(fields[5]),
                timerslen: number(fields[6]),
            });
        } else if let Some(fields) = fields(line, THREAD) {
            self.machines.push(Machine {
                id: number(fields[0]),
                p: number_or_nil(fields[1]),
                curg: number_or_nil(fields[2]),
                blocked: fields[3].parse().unwrap(),
            });
        } else if let Some(fields) = fields(line, TASK) {
            assert_eq!(fields[2], "", "a task that runs waits for nothing");
            self.tasks.push(Task {
                id: number(fields[0]),
                status: number(fields[1]),
                m: number_or_nil(fields[3]),
            });
        } else {
            panic!("not Go's format: {line}");
        }
    }

    /// What holds of any state in detail.
    #[track_caller]
    fn check_details(&self) {
        assert_eq!(self.processors.len() as u64, self.gomaxprocs, "{self:?}");
        for (index, processor) in self.processors.iter().enumerate() {
            assert_eq!(processor.status, u64::from(processor.m.is_some()));
            let holders = self.machines.iter();
            let mut holders = holders.filter(|machine| machine.p == Some(index as u64));
            assert_eq!(holders.next().map(|machine| machine.id), processor.m);
            assert!(holders.next().is_none(), "{self:?}");
        }
        for machine in &self.machines {
            assert_eq!(machine.blocked, machine.p.is_none(), "{self:?}");
        }
        let polled: Vec<_> = (self.machines.iter())
            .filter_map(|machine| Some((machine.curg?, Some(machine.id))))
            .collect();
        let running = self.tasks.iter().filter(|task| task.status == 2);
        let running = running.map(|task| (task.id, task.m));
        assert_eq!(polled, running.collect::<Vec<_>>(), "{self:?}");
        let mut others = self.tasks.iter().filter(|task| task.status != 2);
        assert!(
            others.all(|task| task.status == 4 && task.m.is_none()),
            "{self:?}"
        );
    }

    fn is_idle(&self) -> bool {
        self.idleprocs == self.gomaxprocs
    }
}

/// A test of this file in a process of its own.
struct Child {
    process: process::Child,
    errors: Lines<BufReader<ChildStderr>>,
    /// The line that ended the last state.
    next: Option<String>,
    is_detailed: bool,
}

impl Child {
    fn start(test: &str, debug: &str) -> Child {
        let mut process = command(test, debug).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap()).lines();
        Child {
            process,
            errors,
            next: None,
            is_detailed: debug.contains("scheddetail=1"),
        }
    }

    /// What it prints next of its own, before or between states.
    fn said(&mut self, what: &str) -> u64 {
        let mut lines = self.errors.by_ref().map(Result::unwrap);
        lines
            .find_map(|line| Some(number(line.strip_prefix(what)?)))
            .unwrap_or_else(|| panic!("it never said {what}"))
    }

    /// The next state. It is whole when the one after it begins.
    fn state(&mut self) -> State {
        let mut next = || {
            let mut lines = self.errors.by_ref().map(Result::unwrap);
            let ours = |line: &String| line.starts_with("SCHED ") || line.starts_with("  ");
            lines.find(ours).expect("lines while it runs")
        };
        let mut line = self.next.take().unwrap_or_else(&mut next);
        while !line.starts_with("SCHED ") {
            line = next();
        }
        let mut state = State::begin(&line, self.is_detailed);
        if self.is_detailed {
            line = next();
            while !line.starts_with("SCHED ") {
                state.add(&line);
                line = next();
            }
            self.next = Some(line);
            state.check_details();
        }
        state
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
#[ignore = "is run by tests below with the variable set"]
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

#[test]
fn details_of_an_idle_runtime() {
    within_patience(|| {
        let mut child = Child::start("child_is_idle", "scheddetail=1,schedtrace=1");
        let state = child.state_in_which(|state| state.is_idle() && state.machines.is_empty());
        assert_eq!(state.gomaxprocs, 3);
        assert!(state.tasks.is_empty());
        for processor in &state.processors {
            assert_eq!((processor.status, processor.m), (0, None));
            assert_eq!((processor.schedtick, processor.syscalltick), (0, 0));
            assert_eq!((processor.runqsize, processor.timerslen), (0, 0));
        }
        child.end();
    });
}

/// One processor and a task that is stuck in its first poll, with three behind it and two in the global queue.
#[test]
#[ignore = "is run by tests below with the variable set"]
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
    eprintln!("stuck: {}", stuck.id());
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
fn a_stuck_task_is_shown_with_the_thread_that_holds_the_processor() {
    within_patience(|| {
        let debug = "stall=0,retake=0,schedtrace=5,scheddetail=1";
        let mut child = Child::start("child_is_stuck", debug);
        let stuck = child.said("stuck: ");
        let state = child.state_in_which(|state| state.runqueue == 2);
        let [machine] = &state.machines[..] else {
            panic!("one thread holds the processor: {state:?}");
        };
        assert_eq!((machine.p, machine.blocked), (Some(0), false));
        assert_eq!(machine.curg, Some(stuck));
        let processor = &state.processors[0];
        assert_eq!((processor.schedtick, processor.syscalltick), (1, 0));
        assert_eq!(processor.runqsize, 3);
        child.end();
    });
}

#[test]
fn a_stuck_task_that_has_lost_its_processor_is_shown_with_a_blocked_thread() {
    within_patience(|| {
        let debug = "stall=0,schedtrace=5,scheddetail=1";
        let mut child = Child::start("child_is_stuck", debug);
        let stuck = child.said("stuck: ");
        // All that waited has been run by others.
        let others_ran = |state: &State| state.is_idle() && state.processors[0].schedtick == 6;
        let state =
            child.state_in_which(|state| others_ran(state) && state.processors[0].status == 0);
        let [machine] = &state.machines[..] else {
            panic!("one thread is stuck: {state:?}");
        };
        assert_eq!((machine.p, machine.blocked), (None, true));
        assert_eq!(machine.curg, Some(stuck));
        let processor = &state.processors[0];
        assert_eq!((state.runqueue, processor.runqsize), (0, 0));
        assert_eq!(processor.syscalltick, 1, "the retake");
        child.end();
    });
}

/// Each of three tasks hands its processor over, then three others sleep.
#[cfg(feature = "time")]
#[test]
#[ignore = "is run by the test below with the variable set"]
fn child_sleeps() {
    use std::time::Duration;

    let runtime = processors(1);
    for _ in 0..3 {
        let blocks = runtime.spawn(async { executor::block_in_place(|| {}) });
        runtime.block_on(blocks).unwrap();
    }
    for _ in 0..3 {
        drop(runtime.spawn(executor::time::sleep(Duration::from_secs(3600))));
    }
    until_the_end();
}

#[cfg(feature = "time")]
#[test]
fn timers_and_hand_overs_are_counted() {
    within_patience(|| {
        let debug = "stall=0,retake=0,schedtrace=5,scheddetail=1";
        let mut child = Child::start("child_sleeps", debug);
        let state = child.state_in_which(|state| state.processors[0].timerslen == 3);
        let processor = &state.processors[0];
        assert_eq!((processor.schedtick, processor.syscalltick), (6, 3));
        let waiting = state.tasks.iter().filter(|task| task.status == 4);
        assert_eq!(waiting.count(), 3, "{state:?}");
        child.end();
    });
}

/// Stuck tasks that are saved by the monitor alone, one after the other.
#[test]
#[ignore = "is run by the test below with the variable set"]
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
            .map(|line| State::begin(&line, false).millis);
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
