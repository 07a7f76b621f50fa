//! QUIC with quinn: an echo server and a client in one program. Sockets, timers and tasks of both are ours, through
//! `QuinnRuntime`; the certificate is made on the spot.
//!
//! `cargo run --release --manifest-path examples/libraries/Cargo.toml --bin quic` sends 4 MB on each of four
//! streams of one connection, compares what comes back, and prints how fast that was.

use std::error::Error;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use executor::compat::QuinnRuntime;
use futures::{future::try_join_all, try_join};
use libraries_examples::no_arguments;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const STREAMS: usize = 4;
const BYTES: usize = 4_000_000;

#[executor::main]
async fn main() -> Outcome<()> {
    no_arguments();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (own.cert.der(), own.signing_key.into());
    let config = ServerConfig::with_single_cert(vec![certificate.clone()], key)?;
    let server = endpoint(Some(config))?;
    let served = executor::spawn(serve(server.clone()));

    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(certificate.clone())?;
    let config = ClientConfig::with_root_certificates(trusted.into())?;
    let (client, address) = (endpoint(None)?, server.local_addr()?);
    let connection = client.connect_with(config, address, "localhost")?.await?;
    let begin = Instant::now();
    try_join_all((0..STREAMS).map(|_| trip(&connection))).await?;
    let rate = (STREAMS * BYTES) as f64 / 1e6 / begin.elapsed().as_secs_f64();
    println!("{STREAMS} x {BYTES} bytes came back, {rate:.0} MB/s each way");
    connection.close(0u32.into(), b"done");
    served.await?
}

fn endpoint(server: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    Endpoint::new(Default::default(), server, socket, Arc::new(QuinnRuntime))
}

/// Serves one connection, until the client closes it.
async fn serve(server: Endpoint) -> Outcome<()> {
    let connection = server.accept().await.ok_or("nobody came")?.await?;
    while let Ok((send, receive)) = connection.accept_bi().await {
        drop(executor::spawn(echo(send, receive)));
    }
    Ok(())
}

async fn echo(mut send: SendStream, mut receive: RecvStream) -> Outcome<()> {
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await? {
        send.write_chunk(chunk.bytes).await?;
    }
    Ok(send.finish()?)
}

/// Sends and receives at once.
async fn trip(connection: &Connection) -> Outcome<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    let message: Vec<u8> = (0..BYTES).map(|n| n as u8).collect();
    let sent = async {
        send.write_all(&message).await?;
        Outcome::Ok(send.finish()?)
    };
    let received = async { Ok(receive.read_to_end(BYTES).await?) };
    let ((), received) = try_join!(sent, received)?;
    assert!(received == message, "other bytes came back");
    Ok(())
}
