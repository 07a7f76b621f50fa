//! Polls that block their threads: what timers and sockets notice of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::Child;
use crate::rows::{Figure, NEVER, Row, scenario};
use crate::runtimes::Runtime;
use crate::tools::{p99, quick};

pub(super) const ROW: Row = Row {
    name: "blocked_workers",
    what: "3, then 4, of 4 workers blocked for 4 s by tasks whose poll is thread::sleep; 20 tasks tick each 5 ms, a client thread echoes over TCP",
    figures: &[
        Figure {
            name: "3 of 4: timers late, p99",
            unit: "ms",
            at_most: Some(5.0),
        },
        Figure {
            name: "3 of 4: echo, p99",
            unit: "ms",
            at_most: Some(20.0),
        },
        Figure {
            name: "4 of 4: timers late, p99",
            unit: "ms",
            at_most: Some(5.0),
        },
        Figure {
            name: "4 of 4: echo, p99",
            unit: "ms",
            at_most: Some(20.0),
        },
    ],
    scenario: scenario!(run),
    measure,
};

const WORKERS: usize = 4;
/// So late it is as good as never.
const PATIENCE: Duration = Duration::from_secs(1);

fn measure(child: &Child) -> Vec<f64> {
    let seconds = if quick() { "1.5" } else { "4" };
    let mut figures = Vec::new();
    for blocked in ["3", "4"] {
        let ended = child.run(&[], &[blocked, seconds], Duration::from_secs(30));
        match ended.succeeded() {
            true => figures.extend(ended.figures),
            false => figures.extend([NEVER; 2]),
        }
    }
    figures
}

type Lates = Arc<Mutex<Vec<f64>>>;

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let blocked: usize = args[0].parse().expect("a number");
    let time = Duration::from_secs_f64(args[1].parse().expect("seconds"));
    let runtime = R::start(WORKERS, 2).expect("threads and descriptors");
    let addr = serve(&runtime);
    let mut client = connect(addr);
    // The connection's task exists and waits; everything is warm.
    for _ in 0..50 {
        echo(&mut client);
    }
    let lates = Lates::default();
    let dues: Vec<_> = (0..20).map(|_| tick(&runtime, &lates)).collect();
    thread::sleep(Duration::from_millis(100));
    for _ in 0..blocked {
        drop(runtime.spawn(async move { thread::sleep(time) }));
    }
    thread::sleep(Duration::from_millis(100));
    lock(&lates).clear();
    let mut echoes = Vec::new();
    let until = Instant::now() + time.saturating_sub(Duration::from_millis(300));
    while Instant::now() < until {
        echoes.push(echo(&mut client));
        thread::sleep(Duration::from_millis(2));
        if echoes.last() == Some(&NEVER) {
            break;
        }
    }
    let mut lates = std::mem::take(&mut *lock(&lates));
    for due in dues {
        let open = Instant::now().saturating_duration_since(*lock(&due));
        lates.extend((open > PATIENCE).then_some(NEVER));
    }
    runtime.stop(Duration::from_secs(10));
    vec![p99(&mut lates), p99(&mut echoes)]
}

/// Notes how late each tick comes; gives when the next is due.
fn tick<R: Runtime>(runtime: &R, lates: &Lates) -> Arc<Mutex<Instant>> {
    const PERIOD: Duration = Duration::from_millis(5);
    let due = Arc::new(Mutex::new(Instant::now()));
    let (own, lates) = (Arc::clone(&due), Arc::clone(lates));
    drop(runtime.spawn(async move {
        loop {
            let next = Instant::now() + PERIOD;
            *lock(&own) = next;
            R::sleep(PERIOD).await;
            let late = Instant::now().saturating_duration_since(next);
            lock(&lates).push(late.as_secs_f64() * 1e3);
        }
    }));
    due
}

fn serve<R: Runtime>(runtime: &R) -> SocketAddr {
    let (bound, address) = std::sync::mpsc::channel();
    let own = runtime.clone();
    drop(runtime.spawn(async move {
        let (listener, addr) = R::listen().await.expect("a free port");
        bound.send(addr).expect("it is waited for");
        while let Ok(mut stream) = R::accept(&listener).await {
            drop(own.spawn(async move {
                let mut buffer = [0; 8];
                while let Ok(()) = stream.read_exact(&mut buffer).await {
                    if stream.write_all(&buffer).await.is_err() {
                        break;
                    }
                }
            }));
        }
    }));
    address.recv().expect("the task binds")
}

fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(addr).expect("it listens");
    client.set_nodelay(true).expect("an option");
    client.set_read_timeout(Some(PATIENCE)).expect("an option");
    client
}

fn echo(client: &mut TcpStream) -> f64 {
    let begin = Instant::now();
    let mut answer = [0; 8];
    let echoed = client
        .write_all(&[7; 8])
        .and_then(|()| client.read_exact(&mut answer));
    match echoed {
        Ok(()) => begin.elapsed().as_secs_f64() * 1e3,
        Err(_) => NEVER,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
