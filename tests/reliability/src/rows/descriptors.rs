//! No more descriptors: a server that accepts at the limit, and runtimes that start near it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::{self, Child};
use crate::process;
use crate::rows::{Figure, NEVER, NONE, Row, scenario};
use crate::runtimes::Runtime;
use crate::tools::{cpu_and_sleeps, quick, set_limit};

pub(super) const ROW: Row = Row {
    name: "descriptors",
    what: "a server that may have 64 descriptors and 100 clients; for 2 s at the limit, then its connections are closed. \
           After an error its loop sleeps for 10 ms, or yields. And: starting with 0 to 7 free descriptors",
    figures: &[
        Figure {
            name: "sleeps: CPU at the limit",
            unit: "%",
            at_most: Some(5.0),
        },
        Figure {
            name: "sleeps: errors of accept",
            unit: "per s",
            at_most: Some(110.0),
        },
        Figure {
            name: "sleeps: last client served after",
            unit: "ms",
            at_most: Some(1000.0),
        },
        Figure {
            name: "sleeps: clients lost",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "yields: CPU at the limit",
            unit: "%",
            at_most: None,
        },
        Figure {
            name: "yields: errors of accept",
            unit: "per s",
            at_most: None,
        },
        Figure {
            name: "yields: last client served after",
            unit: "ms",
            at_most: Some(1000.0),
        },
        Figure {
            name: "yields: clients lost",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "starts of 8 that panic, hang or leak",
            unit: "",
            at_most: Some(0.0),
        },
    ],
    scenario: scenario!(run),
    measure,
};

const CLIENTS: usize = 100;
const DESCRIPTORS: u64 = 64;

fn measure(child: &Child) -> Vec<f64> {
    let mut figures = Vec::new();
    for manner in ["sleeps", "yields"] {
        let at_limit = if quick() { "500" } else { "2000" };
        figures.extend(
            serve_clients(child, manner, at_limit).unwrap_or_else(|error| {
                eprintln!("descriptors {} {manner}: {error}", child.runtime);
                [NEVER; 4]
            }),
        );
    }
    let bad = (0..8).filter(|free| !starts(child, *free)).count();
    figures.push(bad as f64);
    figures
}

/// Whether a start with so few free descriptors goes well, or fails well.
fn starts(child: &Child, free: usize) -> bool {
    let ended = child.run(&[], &["start", &free.to_string()], Duration::from_secs(10));
    let well = ended.succeeded() && ended.figures[1..] == [0.0, 0.0];
    if std::env::var_os("RELIABILITY_VERBOSE").is_some() {
        eprintln!(
            "descriptors {} start with {free}: {:?}",
            child.runtime, ended.figures
        );
    }
    if !well {
        let last = ended.errors.lines().last().unwrap_or_default();
        eprintln!(
            "descriptors {} start with {free}: {:?} {:?} {last}",
            child.runtime, ended.status, ended.figures
        );
    }
    well
}

/// The clients' side, in the process that has descriptors.
fn serve_clients(child: &Child, manner: &str, at_limit: &str) -> std::io::Result<[f64; 4]> {
    let control = TcpListener::bind("127.0.0.1:0")?;
    let addr = control.local_addr()?.to_string();
    let process = child
        .command(&[], &[manner, &addr, at_limit])
        .stdin(Stdio::null())
        .spawn()?;
    let done = drive_clients(&control);
    let ended = child::end(process, Duration::from_secs(10));
    if !ended.succeeded() {
        eprintln!(
            "descriptors {} {manner}: {:?} {}",
            child.runtime, ended.status, ended.errors
        );
    }
    done
}

fn drive_clients(control: &TcpListener) -> std::io::Result<[f64; 4]> {
    let (control, _) = control.accept()?;
    control.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(control.try_clone()?).lines();
    let mut line = || {
        lines
            .next()
            .unwrap_or(Err(std::io::ErrorKind::UnexpectedEof.into()))
    };
    let server: SocketAddr = line()?.parse().map_err(std::io::Error::other)?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = TcpStream::connect(server)?;
        client.write_all(&(number as u64).to_ne_bytes())?;
        clients.push(client);
    }
    let at_limit = line()?;
    let numbers: Vec<f64> = (at_limit.split(' '))
        .filter_map(|word| word.parse().ok())
        .collect();
    (&control).write_all(b"free\n")?;
    let freed = Instant::now();
    let (mut lost, mut last) = (0, Duration::ZERO);
    for (number, client) in clients.iter_mut().enumerate() {
        let left = Duration::from_secs(5).saturating_sub(freed.elapsed());
        client.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut answer = [0; 8];
        match client.read_exact(&mut answer) {
            Ok(()) if answer == (number as u64).to_ne_bytes() => last = freed.elapsed(),
            _ => lost += 1,
        }
    }
    (&control).write_all(b"end\n")?;
    Ok([
        numbers.first().copied().unwrap_or(NONE),
        numbers.get(1).copied().unwrap_or(NONE),
        last.as_secs_f64() * 1e3,
        f64::from(lost),
    ])
}

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    match args[0].as_str() {
        "start" => start::<R>(args[1].parse().expect("a number")),
        manner => serve::<R>(manner == "yields", &args[1], &args[2]),
    }
}

/// Gives whether it failed, whether it panicked, and how many descriptors and threads are left of a start that failed.
fn start<R: Runtime>(free: u64) -> Vec<f64> {
    let before = process::usage();
    let usual = set_limit(libc::RLIMIT_NOFILE, below_which(free));
    let mut failed = false;
    let started = catch_unwind(AssertUnwindSafe(|| match R::start(2, 2) {
        Ok(runtime) => {
            // smol's reactor starts with the first that needs it.
            runtime.block_on(R::sleep(Duration::from_millis(1)));
            runtime.stop(Duration::from_secs(5));
        }
        Err(_) => failed = true,
    }));
    set_limit(libc::RLIMIT_NOFILE, usual);
    process::settle();
    let after = process::usage();
    let left = after.descriptors + after.threads - before.descriptors - before.threads;
    vec![
        f64::from(u8::from(failed)),
        f64::from(u8::from(started.is_err())),
        if failed { left as f64 } else { 0.0 },
    ]
}

/// The number below which so many descriptors are free.
fn below_which(mut free: u64) -> u64 {
    let mut number = 0;
    loop {
        // SAFETY: a question about a number, whatever it stands for.
        let is_free = unsafe { libc::fcntl(number, libc::F_GETFD) } < 0;
        if is_free && free == 0 {
            return number as u64;
        }
        free -= u64::from(is_free);
        number += 1;
    }
}

/// What the server's tasks share.
struct Server<S> {
    /// The connections that are held open; `None`: they are closed when they are served.
    held: Mutex<Option<Vec<S>>>,
    errors: AtomicUsize,
}

fn serve<R: Runtime>(yields: bool, control: &str, at_limit: &str) -> Vec<f64> {
    let at_limit = Duration::from_millis(at_limit.parse().expect("milliseconds"));
    let mut control = TcpStream::connect(control).expect("it is waited for");
    set_limit(libc::RLIMIT_NOFILE, DESCRIPTORS);
    let runtime = R::start(2, 2).expect("there is enough for this");
    let server = Arc::new(Server::<R::Stream> {
        held: Mutex::new(Some(Vec::new())),
        errors: AtomicUsize::new(0),
    });
    let (bound, address) = std::sync::mpsc::channel();
    let (own, shared) = (runtime.clone(), Arc::clone(&server));
    drop(runtime.spawn(async move {
        let (listener, addr) = R::listen().await.expect("a free port");
        bound.send(addr).expect("it is waited for");
        accept::<R>(own, listener, shared, yields).await;
    }));
    writeln!(control, "{}", address.recv().expect("it is bound")).expect("the other side");
    while server.errors.load(Ordering::Relaxed) == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    // Whoever was accepted is being served still.
    thread::sleep(Duration::from_millis(200));
    let errors = server.errors.load(Ordering::Relaxed);
    let (cpu, begin) = (cpu_and_sleeps().0, Instant::now());
    thread::sleep(at_limit);
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = (cpu_and_sleeps().0 - cpu) / seconds * 100.0;
    let errors = (server.errors.load(Ordering::Relaxed) - errors) as f64 / seconds;
    writeln!(control, "{cpu} {errors}").expect("the other side");
    let mut lines = BufReader::new(control).lines();
    let _free = lines.next();
    drop(held(&server).take());
    let _end = lines.next();
    runtime.stop(Duration::from_secs(5));
    vec![0.0]
}

async fn accept<R: Runtime>(
    runtime: R,
    listener: R::Listener,
    server: Arc<Server<R::Stream>>,
    yields: bool,
) {
    loop {
        match R::accept(&listener).await {
            Ok(mut stream) => {
                let server = Arc::clone(&server);
                drop(runtime.spawn(async move {
                    let mut buffer = [0; 8];
                    if stream.read_exact(&mut buffer).await.is_ok() {
                        let _ = stream.write_all(&buffer).await;
                    }
                    if let Some(held) = &mut *held(&server) {
                        held.push(stream);
                    }
                }));
            }
            Err(_) => {
                server.errors.fetch_add(1, Ordering::Relaxed);
                match yields {
                    true => R::yield_now().await,
                    false => R::sleep(Duration::from_millis(10)).await,
                }
            }
        }
    }
}

fn held<S>(server: &Server<S>) -> std::sync::MutexGuard<'_, Option<Vec<S>>> {
    server.held.lock().unwrap_or_else(PoisonError::into_inner)
}
