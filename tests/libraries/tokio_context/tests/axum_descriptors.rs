//! `axum::serve` when descriptors run out: our listener waits between its attempts, then goes on. In a process of its own,
//! whose limit is lowered.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Instant;

use axum::Router;
use axum::routing::get;
use executor::net::TcpListener;
use libraries_tokio_context::bounded;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Set in the process whose descriptors run out.
const INSIDE: &str = "TEST_DESCRIPTORS_RUN_OUT";
const NAME: &str = "a_server_without_descriptors_pauses_and_goes_on";

#[test]
fn a_server_without_descriptors_pauses_and_goes_on() {
    match env::var_os(INSIDE) {
        Some(_) => bounded(inside),
        None => bounded(outside),
    }
}

/// Tells the other process to go on after its second attempt; counts its attempts, which are a second apart.
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
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.starts_with("executor: accept: ") {
            assert!(line.contains("Too many open files"), "{line}");
            attempts += 1;
            if attempts == 2 {
                stdin.write_all(b"go on\n").unwrap();
            }
        } else {
            eprintln!("{line}");
        }
    }
    assert!(child.wait().unwrap().success());
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

    // A connection needs two descriptors: the client's is the last one that there is. Nothing was accepted before, whose
    // descriptor could be free again a moment later.
    let spare = std::fs::File::open("/dev/null").unwrap();
    let before = getrlimit(Resource::Nofile);
    let mut lowered = before;
    lowered.current = Some(spare.as_raw_fd() as u64 + 1);
    let mut filling = Vec::new();
    setrlimit(Resource::Nofile, lowered).unwrap();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        filling.push(file);
    }
    drop(spare);
    let waiting = std::thread::spawn(move || ask(address));

    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "go on\n");
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(waiting.join().unwrap().unwrap().ends_with("\r\n\r\nhello"));
    for _ in 0..10 {
        assert!(ask(address).unwrap().ends_with("\r\n\r\nhello"));
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
