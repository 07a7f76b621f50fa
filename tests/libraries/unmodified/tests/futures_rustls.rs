//! TLS of `futures-rustls` over our TCP streams.

use std::io::{Error, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;

use executor::net::TcpStream;
use executor::spawn;
use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, join};
use futures_rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use futures_rustls::rustls::crypto::ring::default_provider;
use futures_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, ProtocolVersion,
    RootCertStore, ServerConfig, SupportedProtocolVersion, version,
};
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream, client, server};
use libraries_unmodified::{bytes, connected, everywhere};

/// A megabyte, and a bit that fills no record.
const LEN: usize = 1024 * 1024 + 17;

/// A client that trusts the server, which is called `localhost`.
fn configured(versions: &[&'static SupportedProtocolVersion]) -> (TlsConnector, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.into();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    (Arc::new(client).into(), Arc::new(server).into())
}

/// A new connection, with both results of the handshake.
async fn handshake(
    (connector, acceptor): (TlsConnector, TlsAcceptor),
    name: &'static str,
) -> (
    Result<client::TlsStream<TcpStream>, Error>,
    Result<server::TlsStream<TcpStream>, Error>,
) {
    let (client, server) = connected().await;
    let name = ServerName::try_from(name).unwrap();
    let server = spawn(async move { acceptor.accept(server).await });
    let client = connector.connect(name, client).await;
    (client, server.await.unwrap())
}

async fn pair() -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (client, server) = handshake(configured(&[&version::TLS13]), "localhost").await;
    (client.unwrap().into(), server.unwrap().into())
}

/// What rustls said.
fn tls_error(error: &Error) -> &TlsError {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// Sends and receives at the same time, in two tasks.
async fn exchange(stream: TlsStream<TcpStream>, out: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let writing = spawn(async move {
        for piece in out.chunks(50_000) {
            writer.write_all(piece).await.unwrap();
        }
        writer.close().await.unwrap();
        writer
    });
    let mut data = Vec::new();
    reader.read_to_end(&mut data).await.unwrap();
    writing.await.unwrap();
    data
}

#[test]
fn a_megabyte_each_way_at_once_arrives_whole_in_both_versions() {
    everywhere(async || {
        for (version, number) in [
            (&version::TLS12, ProtocolVersion::TLSv1_2),
            (&version::TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let (client, server) = handshake(configured(&[version]), "localhost").await;
            let (client, server) = (client.unwrap(), server.unwrap());
            assert_eq!(client.get_ref().1.protocol_version(), Some(number));
            let (from_client, from_server) = (bytes(LEN, 1), bytes(LEN, 2));
            let client = spawn(exchange(client.into(), from_client.clone()));
            let server = spawn(exchange(server.into(), from_server.clone()));
            let (at_client, at_server) = join!(client, server);
            assert!(at_client.unwrap() == from_server, "the bytes differ");
            assert!(at_server.unwrap() == from_client, "the bytes differ");
        }
    });
}

#[test]
fn connections_at_once_keep_their_bytes_apart() {
    everywhere(async || {
        let configured = configured(&[&version::TLS13]);
        let connections = (0..16).map(|n| {
            let configured = configured.clone();
            spawn(async move {
                let (client, server) = handshake(configured, "localhost").await;
                let echo = spawn(async move {
                    let mut data = Vec::new();
                    let mut server = server.unwrap();
                    server.read_to_end(&mut data).await.unwrap();
                    server.write_all(&data).await.unwrap();
                    server.close().await.unwrap();
                });
                let out = bytes(20_000 + n, n as u64);
                let same = exchange(client.unwrap().into(), out.clone()).await == out;
                echo.await.unwrap();
                same
            })
        });
        let whole = join_all(connections).await.into_iter().map(Result::unwrap);
        assert_eq!(whole.filter(|&same| same).count(), 16);
    });
}

#[test]
fn a_wrong_name_is_an_error_on_both_sides() {
    everywhere(async || {
        let (client, server) = handshake(configured(&[&version::TLS13]), "example.com").await;
        let error = client.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(matches!(
            tls_error(&error),
            TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
        ));
        let error = server.unwrap_err();
        let alert = TlsError::AlertReceived(AlertDescription::BadCertificate);
        assert_eq!(*tls_error(&error), alert);
    });
}

#[test]
fn a_stranger_is_not_trusted() {
    everywhere(async || {
        let (connector, _) = configured(&[&version::TLS13]);
        let (_, acceptor) = configured(&[&version::TLS13]);
        let (client, server) = handshake((connector, acceptor), "localhost").await;
        let error = client.unwrap_err();
        assert!(matches!(tls_error(&error), TlsError::InvalidCertificate(_)));
        assert!(server.is_err());
    });
}

#[test]
fn a_close_is_told_from_a_cut() {
    everywhere(async || {
        let (mut client, mut server) = pair().await;
        let reading = spawn(async move {
            let mut data = Vec::new();
            server.read_to_end(&mut data).await.unwrap();
            assert_eq!(data, b"all of it");
            // The other direction is still open.
            server.write_all(b"seen").await.unwrap();
            server.close().await.unwrap();
        });
        client.write_all(b"all of it").await.unwrap();
        client.close().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "seen");
        reading.await.unwrap();

        let (mut client, mut server) = pair().await;
        let reading = spawn(async move {
            let mut data = Vec::new();
            let error = server.read_to_end(&mut data).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            assert_eq!(data, b"a part of it");
        });
        client.write_all(b"a part of it").await.unwrap();
        client.flush().await.unwrap();
        // Not by dropping it: the session tickets that it has not read would make that a reset.
        client.get_ref().0.shutdown(Shutdown::Write).unwrap();
        reading.await.unwrap();
    });
}

#[test]
fn a_client_that_speaks_no_tls_ends_the_handshake() {
    everywhere(async || {
        let (_, acceptor) = configured(&[&version::TLS13]);
        let (mut client, server) = connected().await;
        let server = spawn(async move { acceptor.accept(server).await });
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(
            server.await.unwrap().unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    });
}
