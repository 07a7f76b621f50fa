//! The client of the server: a process of its own, the same for all sides.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

const CONNECTIONS: u32 = 64;
/// Each connection has a question so often, whether or not the answer before was late.
const PERIOD: Duration = Duration::from_millis(10);

/// Asks on all connections until standard input ends; then prints when each question was due, in nanoseconds since
/// 1970, and how many nanoseconds later its answer had come. Of a question without an answer, or that could not even be
/// asked since the one before it has none, how old it was: else a server that answers nobody would look quick.
pub(crate) fn run(addr: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (begin, begin_1970) = (Instant::now(), since_1970(SystemTime::now()));
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            Arc::new(Mutex::new(Questions::new(
                begin + PERIOD * number / CONNECTIONS,
            )))
        })
        .collect();
    let noted = connections.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let now = Instant::now();
        let mut text = String::new();
        for questions in noted {
            for (due, took) in questions.lock().expect("nobody panics").until(now) {
                let at = begin_1970 + (due - begin).as_nanos();
                text += &format!("{at} {}\n", took.as_nanos());
            }
        }
        let _ = std::io::stdout().write_all(text.as_bytes());
        std::process::exit(0);
    });
    runtime.expect("a reactor").block_on(async {
        let asking = connections
            .into_iter()
            .map(|questions| ask(addr, questions));
        futures::future::join_all(asking).await;
    });
}

/// Those of a connection.
struct Questions {
    /// When they were due, and how much later the answer came.
    answered: Vec<(Instant, Duration)>,
    /// The first that has none.
    due: Instant,
}

impl Questions {
    fn new(due: Instant) -> Questions {
        let answered = Vec::new();
        Questions { answered, due }
    }

    /// All that were due until now.
    fn until(&self, now: Instant) -> Vec<(Instant, Duration)> {
        let mut all = self.answered.clone();
        let mut due = self.due;
        while due < now {
            all.push((due, now - due));
            due += PERIOD;
        }
        all
    }
}

async fn ask(addr: SocketAddr, questions: Arc<Mutex<Questions>>) {
    let mut stream = TcpStream::connect(addr).await.expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    let mut buffer = [7; 64];
    loop {
        let due = questions.lock().expect("nobody panics").due;
        let mut begin = due;
        if Instant::now() < due {
            sleep_until(due).await;
            // For what this timer is late, a millisecond mostly, the server can do nothing.
            begin = Instant::now();
        }
        stream.write_all(&buffer).await.expect("write");
        stream.read_exact(&mut buffer).await.expect("read");
        let mut questions = questions.lock().expect("nobody panics");
        questions.answered.push((due, begin.elapsed()));
        questions.due += PERIOD;
    }
}

fn since_1970(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos())
}

/// A client at work.
pub(super) struct Client(Child);

impl Client {
    pub(super) fn start(addr: SocketAddr) -> Client {
        let program = std::env::var_os("SCOREBOARD_CLIENT").expect("the parent says where it is");
        let child = Command::new(program)
            .args(["priorities-client", &addr.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Client(child.expect("a process"))
    }

    pub(super) fn process(&self) -> u32 {
        self.0.id()
    }

    /// Stops it; how long answers took, in milliseconds, to questions that were due in this time.
    pub(super) fn stop(mut self, begin: SystemTime, end: SystemTime) -> Vec<f64> {
        drop(self.0.stdin.take());
        let mut text = String::new();
        let mut out = self.0.stdout.take().expect("it is piped");
        out.read_to_string(&mut text).expect("text");
        self.0.wait().expect("it ends");
        let (begin, end) = (since_1970(begin), since_1970(end));
        let trips = text.lines().filter_map(|line| {
            let (at, took) = line.split_once(' ')?;
            let at: u128 = at.parse().ok()?;
            let took: f64 = took.parse().ok()?;
            (begin..=end).contains(&at).then_some(took / 1e6)
        });
        let mut trips: Vec<f64> = trips.collect();
        trips.sort_by(f64::total_cmp);
        trips
    }
}
