//! The other side: clients that send 64-byte messages and wait for each to come back.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use executor::net::{TcpListener, TcpStream};
use futures::{AsyncReadExt, AsyncWriteExt};

pub(crate) async fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let number = |name: &str, default: u64| match args.iter().position(|arg| arg == name) {
        Some(at) => args
            .get(at + 1)
            .and_then(|n| n.parse().ok())
            .ok_or(format!("{name} needs a number")),
        None => Ok(default),
    };
    let (connections, seconds) = (number("--connections", 1000)?, number("--seconds", 5)?);
    want_descriptors(2 * connections + 64)?;
    load(connections, Duration::from_secs(seconds)).await
}

/// Fails when any connection met an error.
async fn load(connections: u64, time: Duration) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    drop(executor::spawn(super::serve(listener))); // detached
    let begin = Instant::now();
    let drive = |_| executor::spawn(drive(addr, begin + time));
    let clients: Vec<_> = (0..connections).map(drive).collect();
    let (mut trips, mut errors) = (0, 0);
    for client in clients {
        match client.await? {
            Ok(n) => trips += n,
            Err(error) => {
                errors += 1;
                eprintln!("connection: {error}");
            }
        }
    }
    let rate = trips as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{connections} connections: {trips} round trips, {rate:.0} per second, {errors} errors"
    );
    if errors == 0 {
        Ok(())
    } else {
        Err(format!("{errors} connections failed").into())
    }
}

async fn drive(addr: SocketAddr, end: Instant) -> io::Result<u64> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (message, mut answer, mut trips) = ([7; 64], [0; 64], 0);
    while Instant::now() < end {
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        if answer != message {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the echo changed the message",
            ));
        }
        trips += 1;
    }
    Ok(trips)
}

/// Raises the soft limit on open descriptors to `count` if it is lower.
#[cfg(unix)]
fn want_descriptors(count: u64) -> Result<(), Box<dyn Error>> {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    if let Some(most) = limit.maximum.filter(|&most| most < count) {
        return Err(
            format!("this load needs {count} open descriptors, {most} is the hard limit").into(),
        );
    }
    if limit.current.is_some_and(|current| current < count) {
        limit.current = Some(count);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

/// There is no such limit.
#[cfg(not(unix))]
fn want_descriptors(_: u64) -> Result<(), Box<dyn Error>> {
    Ok(())
}
