//! The scenarios that all runtimes share.

use std::hint::spin_loop;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Runtime, WORKERS};
use crate::ticks::{TICKERS, Ticks, quantile};

const BLOCK: Duration = Duration::from_millis(100);
const SPIN: Duration = Duration::from_millis(200);
/// How long the tickers have to themselves before and after.
const CALM: Duration = Duration::from_millis(50);
const MILLIS: f64 = 1e3;

pub(crate) fn measure<R: Runtime>(runtime: &R, row: &str) -> Vec<f64> {
    let block = || thread::sleep(BLOCK);
    match row {
        "block" => lateness(runtime, 4, block),
        "spin" => lateness(runtime, 2, || spin_until(Instant::now() + SPIN)),
        "storm" => storm(runtime, if is_stalled(R::NAME) { 1 } else { 3 }),
        "stuck" => stuck(runtime),
        "idle" => idle(runtime),
        _ => unreachable!("main has checked the name"),
    }
}

/// Runtimes on which a blocked task holds up the others.
fn is_stalled(runtime: &str) -> bool {
    runtime != "gosched"
}

/// Computes, and looks at the clock now and then.
pub(crate) fn spin_until(end: Instant) {
    while Instant::now() < end {
        (0..1000).for_each(|_| spin_loop());
    }
}

/// So many tasks at once that misbehave; three times after a first one to warm up.
fn lateness<R: Runtime>(runtime: &R, tasks: usize, misbehave: fn()) -> Vec<f64> {
    let mut late = Vec::new();
    for run in 0..4 {
        let ticks = inside(runtime, async { Ticks::start::<R>(TICKERS) });
        thread::sleep(CALM);
        let begin = Instant::now();
        at_once(runtime, tasks, misbehave);
        let end = Instant::now();
        thread::sleep(CALM);
        ticks.stop();
        if run > 0 {
            late.extend(ticks.late_between(begin, end));
        }
    }
    late.sort_by(f64::total_cmp);
    vec![quantile(&late, 0.5), quantile(&late, 0.99)]
}

/// Runs a future as a task.
pub(crate) fn inside<R: Runtime, F>(runtime: &R, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime.block_on(async { R::spawn(future).await })
}

pub(crate) fn at_once<R: Runtime>(runtime: &R, tasks: usize, misbehave: fn()) {
    inside(runtime, async move {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| R::spawn(async move { misbehave() }))
            .collect();
        for task in tasks {
            task.await;
        }
    });
}

fn storm<R: Runtime>(runtime: &R, times: usize) -> Vec<f64> {
    let ticks = inside(runtime, async { Ticks::start::<R>(TICKERS) });
    thread::sleep(CALM);
    let begin = Instant::now();
    let mut most = 0.0;
    for _ in 0..times {
        at_once(runtime, 200, || thread::sleep(BLOCK));
        most = threads().max(most);
    }
    let end = Instant::now();
    thread::sleep(CALM);
    ticks.stop();
    let late = ticks.late_between(begin, end);
    thread::sleep(Duration::from_secs(2));
    let wall = (end - begin).as_secs_f64() * MILLIS;
    vec![quantile(&late, 0.99), wall, most, threads()]
}

/// Threads of this process; not a number where the system does not tell.
pub(crate) fn threads() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or(f64::NAN)
}

/// Every worker is in a loop that nobody ends, for half a second: an echo client outside, and a ticker.
fn stuck<R: Runtime>(runtime: &R) -> Vec<f64> {
    let addr = inside(runtime, async {
        let (mut listener, addr) = R::listen().await;
        R::detach(async move { serve::<R>(R::accept(&mut listener).await).await });
        addr
    });
    let mut client = connect(addr);
    let _ = round_trip(&mut client);
    let ticks = inside(runtime, async { Ticks::start::<R>(1) });
    thread::sleep(CALM);
    let stop = Arc::new(AtomicBool::new(false));
    let (begun, wait) = mpsc::channel();
    for _ in 0..WORKERS {
        let (stop, begun) = (stop.clone(), begun.clone());
        runtime.spawn_from_outside(async move {
            begun.send(()).expect("somebody waits");
            while !stop.load(Ordering::Relaxed) {
                spin_loop();
            }
        });
    }
    (0..WORKERS).for_each(|_| wait.recv().expect("the loops begin"));
    let begin = Instant::now();
    let mut trips = Vec::new();
    let mut alive = true;
    while alive && begin.elapsed() < Duration::from_millis(500) {
        match round_trip(&mut client) {
            Some(time) => trips.push(time),
            None => alive = false,
        }
        thread::sleep(Duration::from_millis(1));
    }
    let end = Instant::now();
    stop.store(true, Ordering::Relaxed);
    if !alive {
        return vec![f64::NAN; 4];
    }
    thread::sleep(CALM);
    let late = ticks.late_between(begin, end);
    trips.sort_by(f64::total_cmp);
    vec![
        quantile(&trips, 0.99),
        quantile(&trips, 1.0),
        quantile(&late, 0.99),
        quantile(&late, 1.0),
    ]
}

async fn serve<R: Runtime>(mut stream: R::Stream) {
    let mut buffer = [0; 64];
    loop {
        let length = R::read(&mut stream, &mut buffer).await;
        if length == 0 {
            return;
        }
        R::write_all(&mut stream, &buffer[..length]).await;
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(addr).expect("connect");
    client.set_nodelay(true).expect("nodelay");
    let patience = Some(Duration::from_secs(1));
    client.set_read_timeout(patience).expect("time-out");
    client
}

/// In milliseconds. `None`: no answer within a second.
fn round_trip(client: &mut TcpStream) -> Option<f64> {
    let begin = Instant::now();
    let mut buffer = [7; 64];
    client.write_all(&buffer).ok()?;
    client.read_exact(&mut buffer).ok()?;
    Some(begin.elapsed().as_secs_f64() * MILLIS)
}

/// CPU time of the process.
fn idle<R: Runtime>(runtime: &R) -> Vec<f64> {
    at_once(runtime, 100, || {});
    thread::sleep(Duration::from_millis(100));
    let before = cpu_time();
    thread::sleep(Duration::from_secs(2));
    vec![(cpu_time() - before).as_secs_f64() * MILLIS]
}

pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
