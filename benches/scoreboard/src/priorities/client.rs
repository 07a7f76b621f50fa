//! The client of the server: a process of its own, the same for all sides.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const CONNECTIONS: u32 = 64;
/// Each connection asks so often, whether or not the answer before was late.
const PERIOD: Duration = Duration::from_millis(10);

/// Asks on all connections until standard input ends; then prints when each question was asked, in nanoseconds since
/// 1970, and how many nanoseconds its answer took.
pub(crate) fn run(addr: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let trips = Arc::new(Mutex::new(Vec::new()));
    let noted = trips.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let mut text = String::new();
        for (at, took) in noted.lock().expect("nobody panics").iter() {
            text += &format!("{at} {took}\n");
        }
        let _ = std::io::stdout().write_all(text.as_bytes());
        std::process::exit(0);
    });
    runtime.expect("a reactor").block_on(async {
        let asking = (0..CONNECTIONS).map(|number| ask(addr, number, trips.clone()));
        futures::future::join_all(asking).await;
    });
}

async fn ask(addr: SocketAddr, number: u32, trips: Arc<Mutex<Vec<(u128, u128)>>>) {
    let mut stream = TcpStream::connect(addr).await.expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    let mut clock = interval_at(Instant::now() + PERIOD * number / CONNECTIONS, PERIOD);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [7; 64];
    loop {
        clock.tick().await;
        let (at, begin) = (since_1970(SystemTime::now()), Instant::now());
        stream.write_all(&buffer).await.expect("write");
        stream.read_exact(&mut buffer).await.expect("read");
        let took = begin.elapsed().as_nanos();
        trips.lock().expect("nobody panics").push((at, took));
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

    /// Stops it; how long answers took, in milliseconds, to what was asked in this time.
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
