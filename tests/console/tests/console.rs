//! What the console is told of the program's tasks, over gRPC as it is told it, against what the program itself has counted.

use std::collections::HashMap;
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use console_api::field::{Name, Value};
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, TaskDetailsRequest, Update};
use console_api::tasks::{Stats, Task, task_details::PollTimesHistogram};
use prost_types::Timestamp;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

const LIMIT: Duration = Duration::from_secs(60);

/// The program, which ends with this.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    socket: PathBuf,
}

impl Program {
    fn start() -> Program {
        let socket = format!("executor-console-{}", std::process::id());
        let socket = std::env::temp_dir().join(socket);
        let mut child = Command::new(env!("CARGO_BIN_EXE_watched"))
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Program {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            socket,
        }
    }

    async fn connect(&mut self) -> InstrumentClient<Channel> {
        let address = format!("unix://{}", self.socket.display());
        let endpoint = Endpoint::from_shared(address).unwrap();
        let begin = Instant::now();
        loop {
            match endpoint.connect().await {
                Ok(channel) => return InstrumentClient::new(channel),
                Err(error) => assert!(begin.elapsed() < LIMIT, "{error:?}"),
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the program has ended: {ended:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops what goes on, and gives what the program says of its tasks.
    fn stop(&mut self) -> Vec<Known> {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
        let lines = (&mut self.output).lines().map(Result::unwrap);
        lines
            .take_while(|line| line != "end")
            .map(|line| Known::from(&line))
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.socket));
    }
}

/// A task as the program knows it.
#[derive(Debug)]
struct Known {
    kind: String,
    name: String,
    spawned_at: String,
    counts: [u64; 4],
    busy: Duration,
}

impl Known {
    fn from(line: &str) -> Known {
        let parts: Vec<&str> = line.split('\t').collect();
        let [kind, name, spawned_at] = [0, 1, 2].map(|at| parts[at].to_owned());
        let [polls, wakes, self_wakes, wakers, busy] =
            [3, 4, 5, 6, 7].map(|at| parts[at].parse().unwrap());
        Known {
            kind,
            name,
            spawned_at,
            counts: [polls, wakes, self_wakes, wakers],
            busy: Duration::from_nanos(busy),
        }
    }
}

/// A task as the console knows it.
#[derive(Clone, Debug)]
struct Seen {
    id: u64,
    kind: String,
    name: String,
    fields: HashMap<String, Value>,
    spawned_at: String,
    stats: Stats,
}

impl Seen {
    fn from(task: Task, stats: Stats) -> Seen {
        let fields: HashMap<_, _> = task
            .fields
            .into_iter()
            .map(|field| match (field.name, field.value) {
                (Some(Name::StrName(name)), Some(value)) => (name, value),
                other => panic!("a field without name or value: {other:?}"),
            })
            .collect();
        let text = |name: &str| match fields.get(name) {
            Some(Value::StrVal(text) | Value::DebugVal(text)) => text.clone(),
            None => String::new(),
            other => panic!("{name}: {other:?}"),
        };
        let at = task.location.expect("a location");
        let (line, column) = (at.line.unwrap(), at.column.unwrap());
        Seen {
            id: task.id.unwrap().id,
            kind: text("kind"),
            name: text("task.name"),
            fields: fields.clone(),
            spawned_at: format!("{}:{line}:{column}", at.file.unwrap()),
            stats,
        }
    }

    /// Polls, wakes, those by itself, wakers that somebody has.
    fn counts(&self) -> [u64; 4] {
        let Stats {
            wakes, self_wakes, ..
        } = self.stats;
        let wakers = self.stats.waker_clones - self.stats.waker_drops;
        [self.polls().polls, wakes, self_wakes, wakers]
    }

    fn polls(&self) -> &console_api::PollStats {
        self.stats.poll_stats.as_ref().unwrap()
    }

    fn busy(&self) -> Duration {
        self.polls().busy_time.unwrap().try_into().unwrap()
    }

    /// As the console derives what it shows in its column "State".
    fn state(&self) -> &'static str {
        let time = |at: Option<Timestamp>| at.map(|at| (at.seconds, at.nanos));
        let (begun, ended) = (self.polls().last_poll_started, self.polls().last_poll_ended);
        if self.stats.dropped_at.is_some() {
            "completed"
        } else if time(begun) > time(ended) {
            "running"
        } else if time(self.stats.last_wake) > time(begun) {
            "scheduled"
        } else {
            "idle"
        }
    }
}

/// Everything that was received.
struct Console {
    updates: Streaming<Update>,
    tasks: HashMap<u64, Task>,
    stats: HashMap<u64, Stats>,
}

impl Console {
    /// Reads one update more.
    async fn read(&mut self) {
        let update = tokio::time::timeout(LIMIT, self.updates.message()).await;
        let update = update.expect("an update in time").unwrap().expect("no end");
        let update = update.task_update.unwrap();
        assert_eq!(update.dropped_events, 0);
        let tasks = update.new_tasks.into_iter();
        self.tasks
            .extend(tasks.map(|task| (task.id.unwrap().id, task)));
        self.stats.extend(update.stats_update);
    }

    /// The tasks that have figures, by where they were spawned.
    fn seen(&self) -> HashMap<String, Seen> {
        let mut seen = HashMap::new();
        for (id, task) in &self.tasks {
            let Some(stats) = self.stats.get(id) else {
                continue;
            };
            let task = Seen::from(task.clone(), *stats);
            let other = seen.insert(task.spawned_at.clone(), task);
            assert!(other.is_none(), "two tasks at one place: {other:?}");
        }
        seen
    }

    fn named(&self, name: &str) -> Option<Seen> {
        self.seen().into_values().find(|seen| seen.name == name)
    }

    /// Reads updates until they say so; not for ever.
    #[track_caller]
    fn until(
        &mut self,
        what: &'static str,
        so: impl Fn(&Console) -> bool,
    ) -> impl Future<Output = ()> {
        let begin = Instant::now();
        async move {
            while !so(self) {
                assert!(begin.elapsed() < LIMIT, "{what}: not in {:#?}", self.seen());
                self.read().await;
            }
        }
    }
}

#[test]
fn the_console_sees_what_the_tasks_have_counted() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut program = Program::start();
    runtime.block_on(async {
        let mut client = program.connect().await;
        let updates = client.watch_updates(InstrumentRequest {}).await.unwrap();
        let mut console = Console {
            updates: updates.into_inner(),
            tasks: HashMap::new(),
            stats: HashMap::new(),
        };
        // While it goes on. The last one that is spawned is the job that reads.
        let jobs = |console: &Console| {
            let seen = console.seen();
            let jobs = seen.values().filter(|task| task.kind == "blocking");
            jobs.filter(|job| job.state() == "running").count()
        };
        console
            .until("two jobs", |console| jobs(console) == 2)
            .await;
        let ticks = |console: &Console| console.named("ticks").map(|task| task.polls().polls);
        console.until("ticks", |seen| ticks(seen) >= Some(5)).await;
        details(&mut client, &console.named("computes").unwrap()).await;

        let known = program.stop();
        // What has happened may still be on its way here. An update is made every 0.1 s.
        let done = |console: &Console| {
            let seen = console.seen();
            let counts = |known: &Known| Some(seen.get(&known.spawned_at)?.counts());
            known
                .iter()
                .all(|known| counts(known) == Some(known.counts))
        };
        let begin = Instant::now();
        while !done(&console) && begin.elapsed() < Duration::from_secs(5) {
            console.read().await;
        }
        compare(console.seen(), &known);
    });
}

fn compare(mut seen: HashMap<String, Seen>, known: &[Known]) {
    let mut wrong = Vec::new();
    for known in known {
        let Known {
            kind,
            name,
            spawned_at,
            counts,
            busy,
        } = known;
        let Some(seen) = seen.remove(spawned_at) else {
            wrong.push(format!("{kind} {name:?} of {spawned_at} is not there"));
            continue;
        };
        let state = match (&kind[..], &name[..]) {
            ("local", _) | (_, "waits" | "woken" | "lost") => "idle",
            _ => "completed",
        };
        let expected = (kind, name, *counts, state);
        let found = (&seen.kind, &seen.name, seen.counts(), seen.state());
        if expected != found {
            wrong.push(format!("{expected:?} was seen as {found:?}"));
        }
        if seen.busy() < *busy {
            wrong.push(format!("{name:?}: {:?} of {busy:?} busy", seen.busy()));
        }
        // Nobody woke it, so it waited for a processor before its first poll only, which is not counted.
        let scheduled = Duration::try_from(seen.stats.scheduled_time.unwrap()).unwrap();
        if counts[1] == 0 && scheduled != Duration::ZERO {
            wrong.push(format!(
                "{name:?} was never woken but scheduled for {scheduled:?}"
            ));
        }
        let numbers = ["task.id", "size.bytes"].map(|name| seen.fields.get(name));
        if !matches!(numbers, [Some(Value::U64Val(1..)), Some(Value::U64Val(_))]) {
            wrong.push(format!("{name:?} has {numbers:?}"));
        }
    }
    // The program itself is left.
    for seen in seen.values().filter(|seen| seen.kind != "block_on") {
        wrong.push(format!("the program does not know {seen:?}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), 1, "block_on");
}

/// What the console asks for when one of the tasks is looked at.
async fn details(client: &mut InstrumentClient<Channel>, task: &Seen) {
    let id = Some(task.id.into());
    let details = client.watch_task_details(TaskDetailsRequest { id }).await;
    let details = details.unwrap().into_inner().message().await.unwrap();
    let times = details.unwrap().poll_times_histogram;
    let Some(PollTimesHistogram::Histogram(times)) = times else {
        panic!("no poll times: {times:?}")
    };
    assert!(times.max_value >= 5_000_000, "no poll of 5 ms: {times:?}");
}
