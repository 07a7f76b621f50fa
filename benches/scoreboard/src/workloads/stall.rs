//! What a task that blocks or computes does to the others.

use std::hint::spin_loop;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::process::threads;
use crate::support::ticks::{TICKERS, Ticks, quantile};
use crate::support::workloads::{at_once, serve, spin_until};
use crate::support::{Runtime, workers};

const BLOCK: Duration = Duration::from_millis(100);
const SPIN: Duration = Duration::from_millis(200);
/// How long the tickers have to themselves before and after.
const CALM: Duration = Duration::from_millis(50);
const MILLIS: f64 = 1e3;

/// Lateness of ticks beside tasks that block, p50 and p99.
pub(crate) fn block<R: Runtime>(runtime: &R) -> Vec<f64> {
    lateness(runtime, 4, || thread::sleep(BLOCK))
}

/// Likewise beside tasks that compute.
pub(crate) fn spin<R: Runtime>(runtime: &R) -> Vec<f64> {
    lateness(runtime, 2, || spin_until(Instant::now() + SPIN))
}

/// So many tasks at once that misbehave; three times after a first one to warm up.
fn lateness<R: Runtime>(runtime: &R, tasks: usize, misbehave: fn()) -> Vec<f64> {
    let mut late = Vec::new();
    for run in 0..4 {
        let ticks = runtime.run(async { Ticks::start::<R>(TICKERS) });
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

/// The p99 of ticks beside many tasks that block, the time it takes, and the threads.
pub(crate) fn storm<R: Runtime>(runtime: &R, times: usize) -> Vec<f64> {
    let ticks = runtime.run(async { Ticks::start::<R>(TICKERS) });
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
    let wall = (end - begin).as_secs_f64() * MILLIS;
    vec![quantile(&late, 0.99), wall, most]
}

/// Every worker is in a loop that nobody ends, for half a second: an echo client outside, and a ticker.
pub(crate) fn stuck<R: Runtime>(runtime: &R) -> Vec<f64> {
    let addr = runtime.run(async {
        let (mut listener, addr) = R::listen().await;
        R::detach(async move { serve::<R>(R::accept(&mut listener).await).await });
        addr
    });
    let mut client = connect(addr);
    let _ = round_trip(&mut client);
    let ticks = runtime.run(async { Ticks::start::<R>(1) });
    thread::sleep(CALM);
    let stop = Arc::new(AtomicBool::new(false));
    let (begun, wait) = mpsc::channel();
    for _ in 0..workers() {
        let (stop, begun) = (stop.clone(), begun.clone());
        runtime.spawn_from_outside(async move {
            begun.send(()).expect("somebody waits");
            while !stop.load(Ordering::Relaxed) {
                spin_loop();
            }
        });
    }
    (0..workers()).for_each(|_| wait.recv().expect("the loops begin"));
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
