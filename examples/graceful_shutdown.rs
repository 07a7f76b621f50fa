//! Stopping a server without cutting off its clients: on Ctrl-C it accepts nobody new, lets the requests in flight
//! finish, and gives up on what is left at a deadline.
//!
//! `cargo run --release --example graceful_shutdown` serves on a free port until Ctrl-C, or until Enter on Windows.
//! With `-- --after MS` it stops itself after MS milliseconds and sends itself eight requests meanwhile, one of
//! them too slow for the deadline, so that there is something to watch.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream};
use executor::task::JoinSet;
use executor::time::{sleep, timeout};
use futures::future::{Either, FutureExt, select};
use futures::{AsyncReadExt, AsyncWriteExt};

const DRAIN: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let after = std::env::args().skip_while(|arg| arg != "--after").nth(1);
    let after = after
        .map(|ms| ms.parse().map(Duration::from_millis))
        .transpose()?;
    let runtime = executor::Builder::new().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("serving on {}; {STOPS_BY} stops", listener.local_addr()?);
        if after.is_some() {
            for work in [100, 200, 300, 400, 500, 600, 700, 10_000] {
                drop(executor::spawn(request(listener.local_addr()?, work)));
            }
        }
        serve(listener, pin!(stop_signal(after))).await
    })?;
    // Every task that is left is cancelled; blocking jobs that have begun get this long to end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    println!("stopped");
    Ok(())
}

async fn serve(
    listener: TcpListener,
    mut stop: impl Future<Output = std::io::Result<()>> + Unpin,
) -> std::io::Result<()> {
    let mut requests = JoinSet::new();
    loop {
        match select(pin!(listener.accept()), &mut stop).await {
            Either::Left((accepted, _)) => drop(requests.spawn(answer(accepted?.0))),
            Either::Right((stopped, _)) => break stopped?,
        }
        while requests.join_next().now_or_never().flatten().is_some() {} // forget the finished ones
    }
    drop(listener); // from here on connecting is refused
    println!("stopping: {} requests in flight", requests.len());
    let drained = timeout(DRAIN, async {
        while requests.join_next().await.is_some() {}
    })
    .await;
    if drained.is_err() {
        println!("giving up on {} after {DRAIN:?}", requests.len());
        requests.shutdown().await;
    }
    Ok(())
}

/// A request is the number of milliseconds to work, two bytes; the answer is the word `done`.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut work = [0; 2];
    stream.read_exact(&mut work).await?;
    sleep(Duration::from_millis(u16::from_be_bytes(work).into())).await;
    stream.write_all(b"done").await
}

async fn request(addr: std::net::SocketAddr, work: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(&work.to_be_bytes()).await?;
    let ended = if stream.read_exact(&mut [0; 4]).await.is_ok() {
        "was answered"
    } else {
        "was cut off"
    };
    println!("the request of {work} ms {ended}");
    Ok(())
}

/// Ends when the user says so, or after `after`.
async fn stop_signal(after: Option<Duration>) -> std::io::Result<()> {
    match after {
        Some(after) => {
            sleep(after).await;
            Ok(())
        }
        None => user_stops().await,
    }
}

#[cfg(unix)]
const STOPS_BY: &str = "Ctrl-C";

/// Ctrl-C arrives as a byte on a socket.
#[cfg(unix)]
async fn user_stops() -> std::io::Result<()> {
    let (theirs, ours) = std::os::unix::net::UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, theirs)?;
    let mut ours = executor::net::unix::UnixStream::try_from(ours)?;
    ours.read(&mut [0; 1]).await.map(drop)
}

#[cfg(not(unix))]
const STOPS_BY: &str = "Enter";

/// Standard input is no socket, so a thread waits for it.
#[cfg(not(unix))]
async fn user_stops() -> std::io::Result<()> {
    let reading = executor::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    reading.await?.map(drop)
}
