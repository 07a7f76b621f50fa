//! `axum::serve` when descriptors run out: our listener waits between its attempts, then goes on. In a process of its own,
//! whose limit is lowered.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use executor::net::TcpListener;
use libraries_tokio_context::bounded;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Set in the process whose descriptors run out.
const INSIDE: &str = "TEST_DESCRIPTORS_RUN_OUT";
const HELLO: &str = "\r\n\r\nhello";
const NAME: &str = "a_server_without_descriptors_pauses_and_goes_on";

#[test]
fn a_server_without_descriptors_pauses_and_goes_on() {
    match env::var_os(INSIDE) {
        Some(_) => bounded(inside),
        None => bounded(outside),
    }
}

/// Keeps asking the other process; tells it to go on after its second attempt to accept. Counts these: they are a second apart.
fn outside() {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let begin = Instant::now();
    let mut attempts = 0;
    let goes_on = Arc::new(AtomicBool::new(false));
    let mut asking = None;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(address) = line.strip_prefix("serving on ") {
            let address = address.parse().unwrap();
            let goes_on = goes_on.clone();
            // One that is answered found a descriptor that the runtime itself had just closed.
            asking = Some(std::thread::spawn(move || {
                loop {
                    let answer = ask(address);
                    if goes_on.load(SeqCst) {
                        // The process may have ended before this answer was out.
                        return;
                    }
                    assert!(answer.unwrap().ends_with(HELLO));
                }
            }));
        } else if line.starts_with("executor: accept: ") {
            assert!(line.contains("Too many open files"), "{line}");
            attempts += 1;
            if attempts == 2 {
                goes_on.store(true, SeqCst);
                stdin.write_all(b"go on\n").unwrap();
            }
        } else {
            eprintln!("{line}");
        }
    }
    assert!(child.wait().unwrap().success());
    asking.unwrap().join().unwrap();
    assert!(attempts >= 2);
    assert!(
        attempts <= 1 + begin.elapsed().as_secs(),
        "{attempts} attempts"
    );
}

fn inside() {
    let runtime = libraries_tokio_context::processors(1);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(|| async { "hello" }));
    let server = runtime.spawn(async { axum::serve(listener, app).await });

    let before = getrlimit(Resource::Nofile);
    let mut lowered = before;
    lowered.current = Some(256);
    setrlimit(Resource::Nofile, lowered).unwrap();
    // Again and again: the runtime's monitor opens and closes a file now and then.
    let go_on = Arc::new(AtomicBool::new(false));
    let filler = std::thread::spawn({
        let go_on = go_on.clone();
        move || {
            let mut filling = Vec::new();
            while !go_on.load(SeqCst) {
                match std::fs::File::open("/dev/null") {
                    Ok(file) => filling.push(file),
                    Err(_) => std::thread::yield_now(),
                }
            }
        }
    });
    eprintln!("serving on {address}");

    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "go on\n");
    go_on.store(true, SeqCst);
    filler.join().unwrap();
    setrlimit(Resource::Nofile, before).unwrap();
    for _ in 0..10 {
        assert!(ask(address).unwrap().ends_with(HELLO));
    }
    server.abort();
    assert!(runtime.block_on(server).unwrap_err().is_cancelled());
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
