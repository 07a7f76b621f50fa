//! quinn with its own runtime of tokio: streams, datagrams and the end of a connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use libraries_adapters::certificates::{NAME, client_config, server_config};
use libraries_adapters::pattern;
use libraries_tokio_context::{everywhere, output};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, ConnectionError, Endpoint, ServerConfig};

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn server() -> Endpoint {
    let crypto = QuicServerConfig::try_from(server_config()).unwrap();
    Endpoint::server(ServerConfig::with_crypto(Arc::new(crypto)), HERE).unwrap()
}

fn client() -> Endpoint {
    let crypto = QuicClientConfig::try_from(client_config()).unwrap();
    let mut endpoint = Endpoint::client(HERE).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    endpoint
}

#[test]
fn streams_and_datagrams_of_one_connection_keep_to_themselves() {
    const STREAMS: u64 = 20;
    everywhere(|| async {
        let server = server();
        let address = server.local_addr().unwrap();
        let accepting = server.clone();
        let serving = tokio::spawn(async move {
            let connection = accepting.accept().await.unwrap().await.unwrap();
            let datagram = connection.read_datagram().await.unwrap();
            connection.send_datagram(datagram).unwrap();
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                let (mut send, mut recv) = connection.accept_bi().await.unwrap();
                streams.push(tokio::spawn(async move {
                    let copied = tokio::io::copy(&mut recv, &mut send).await.unwrap();
                    send.finish().unwrap();
                    copied
                }));
            }
            let mut sum = 0;
            for stream in streams {
                sum += output(stream).await;
            }
            assert!(matches!(
                connection.closed().await,
                ConnectionError::ApplicationClosed(_)
            ));
            sum
        });
        let client = client();
        let connection = client.connect(address, NAME).unwrap().await.unwrap();
        connection.send_datagram("hello".into()).unwrap();
        assert_eq!(connection.read_datagram().await.unwrap(), "hello");
        let streams: Vec<_> = (0..STREAMS)
            .map(|n| {
                let connection = connection.clone();
                tokio::spawn(async move {
                    let (mut send, mut recv) = connection.open_bi().await.unwrap();
                    let bytes = pattern(100_000, n);
                    let sent = async {
                        send.write_all(&bytes).await.unwrap();
                        send.finish().unwrap();
                    };
                    let ((), back) = futures::join!(sent, recv.read_to_end(200_000));
                    assert!(back.unwrap() == bytes);
                })
            })
            .collect();
        for stream in streams {
            output(stream).await;
        }
        connection.close(7u32.into(), b"done");
        assert_eq!(output(serving).await, 100_000 * STREAMS);
        client.wait_idle().await;
        server.close(0u32.into(), b"");
        server.wait_idle().await;
    });
}
