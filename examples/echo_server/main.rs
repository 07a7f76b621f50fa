//! A TCP echo server: one task per connection.
//!
//! `cargo run --release --example echo_server [-- ADDR]` serves (default 127.0.0.1:7777).
//! `cargo run --release --example echo_server -- --load [--connections N] [--seconds S]` serves on a free port, drives
//! it from the same process over N connections (default 1000) and prints the rate and the errors.

mod load;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use executor::net::{TcpListener, TcpStream};
use futures::{AsyncReadExt, AsyncWriteExt};

#[executor::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some("--load") => load::run(&args[1..]).await,
        addr => listen_and_serve(addr.unwrap_or("127.0.0.1:7777")).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen_and_serve(addr: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(addr).await?;
    println!("echoing on {}", listener.local_addr()?);
    serve(listener).await;
    Ok(())
}

async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // Dropping the handle detaches the task.
            Ok((stream, _)) => drop(executor::spawn(echo(stream))),
            Err(error) => {
                // Most likely out of descriptors: without a pause this loop would only burn its processor.
                eprintln!("accept: {error}");
                executor::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}
