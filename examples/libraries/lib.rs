//! What these programs share: their arguments, and a client with which the servers check themselves.

use std::io;
use std::net::SocketAddr;

use executor::net::TcpStream;
use futures::{AsyncReadExt, AsyncWriteExt};

/// Whether `--check` is given, and where to listen: then on any free port, else on `port`. Other arguments end the program.
pub fn check_or_serve(port: u16) -> (bool, SocketAddr) {
    let args: Vec<String> = std::env::args().collect();
    let (check, port) = match &args[..] {
        [_] => (false, port),
        [_, check] if check == "--check" => (true, 0),
        _ => usage(&args, " [-- --check]"),
    };
    (check, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Arguments end the program.
pub fn no_arguments() {
    let args: Vec<String> = std::env::args().collect();
    if args.len() > 1 {
        usage(&args, "")
    }
}

fn usage(args: &[String], known: &str) -> ! {
    let program = args[0].rsplit('/').next().unwrap_or_default();
    let wrong = args[1..].join(" ");
    eprintln!("{program}: unknown arguments: {wrong}; usage: --bin {program}{known}");
    std::process::exit(2)
}

/// Asks over a connection of its own, such as `GET /`, and gives the body of the answer.
///
/// # Errors
///
/// When the connection fails, or the answer is not `200 OK`.
pub async fn request(server: SocketAddr, what: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("{what} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("{what}: {answer}"))),
    }
}
