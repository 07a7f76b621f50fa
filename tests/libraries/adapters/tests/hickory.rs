//! hickory's resolver and client with `HickoryRuntime`, against a small server on our own sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use executor::JoinHandle;
use executor::compat::HickoryRuntime;
use executor::net::{TcpListener, TcpStream, UdpSocket};
use futures::future::join_all;
use hickory_net::client::{Client, ClientHandle};
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::{DnsError, NetError};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use libraries_adapters::{alive_tasks, assert_no_tokio_context, test, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The questions that came.
#[derive(Default)]
struct Asked {
    udp: AtomicUsize,
    tcp: AtomicUsize,
    connections: AtomicUsize,
}

impl Asked {
    fn counts(&self) -> (usize, usize) {
        (self.udp.load(Relaxed), self.tcp.load(Relaxed))
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The zone: `host-N.test.` is 10.0.0.N, `alias.test.` another name for `host-7.test.`; `big.test.` has more texts than
/// a datagram holds; `silent.test.` gets no answer, and nothing else exists. Over UDP a big answer is cut off.
fn answer(question: &[u8], udp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let asked = query.name().to_ascii().to_lowercase();
    let mut add = |owner: &str, data: RData| {
        answer.add_answer(Record::from_rdata(name(owner), 300, data));
    };
    let host = |number: &str| Ipv4Addr::new(10, 0, 0, number.parse().unwrap());
    let number = asked
        .strip_prefix("host-")
        .and_then(|rest| rest.strip_suffix(".test."));
    match (asked.as_str(), number, query.query_type()) {
        ("silent.test.", ..) => return None,
        ("alias.test.", _, RecordType::A) => {
            add("alias.test.", RData::CNAME(CNAME(name("host-7.test."))));
            add("host-7.test.", RData::A(A(host("7"))));
        }
        ("big.test.", _, RecordType::TXT) if udp => answer.metadata.truncation = true,
        ("big.test.", _, RecordType::TXT) => {
            for n in 0..100 {
                add(
                    "big.test.",
                    RData::TXT(TXT::new(vec![format!("{n}:{}", "x".repeat(200))])),
                );
            }
        }
        (_, Some(number), RecordType::A) => add(&asked, RData::A(A(host(number)))),
        (_, Some(number), RecordType::AAAA) => {
            add(&asked, RData::AAAA(AAAA(host(number).to_ipv6_mapped())));
        }
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 60, 60, 60, 300);
            answer.add_authority(Record::from_rdata(name("test."), 300, RData::SOA(soa)));
        }
    }
    Some(answer.to_vec().unwrap())
}

struct Server {
    address: SocketAddr,
    asked: Arc<Asked>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Server {
    /// On one port for both protocols.
    async fn start() -> Server {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // Somebody else may have the port.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let asked = Arc::<Asked>::default();
        let tasks = [
            executor::spawn(serve_udp(udp, asked.clone())),
            executor::spawn(serve_tcp(tcp, asked.clone())),
        ];
        Server {
            address,
            asked,
            tasks,
        }
    }

    fn resolver(&self, change: impl FnOnce(&mut ResolverOpts)) -> Resolver<HickoryRuntime> {
        let connection = |protocol| {
            let mut connection = ConnectionConfig::new(protocol);
            connection.port = self.address.port();
            connection
        };
        let connections = vec![
            connection(ProtocolConfig::Udp),
            connection(ProtocolConfig::Tcp),
        ];
        let server = NameServerConfig::new(self.address.ip(), true, connections);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder = Resolver::builder_with_config(config, HickoryRuntime);
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = Duration::from_secs(30);
        change(options);
        builder.build().unwrap()
    }
}

async fn serve_udp(socket: UdpSocket, asked: Arc<Asked>) {
    let mut buf = [0; 4096];
    loop {
        let (len, from) = socket.recv_from(&mut buf).await.unwrap();
        asked.udp.fetch_add(1, Relaxed);
        if let Some(answer) = answer(&buf[..len], true) {
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, asked: Arc<Asked>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        asked.connections.fetch_add(1, Relaxed);
        executor::spawn(serve_stream(stream, asked.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, asked: Arc<Asked>) {
    let mut question = Vec::new();
    while let Ok(len) = stream.read_u16().await {
        question.resize(usize::from(len), 0);
        stream.read_exact(&mut question).await.unwrap();
        asked.tcp.fetch_add(1, Relaxed);
        if let Some(answer) = answer(&question, false) {
            stream.write_u16(answer.len() as u16).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

#[test]
fn names_resolve_to_what_the_server_says() {
    test(async {
        assert_no_tokio_context();
        let server = Server::start().await;
        let resolver = server.resolver(|_| {});
        let found: Vec<_> = resolver
            .lookup_ip("host-1.test.")
            .await
            .unwrap()
            .iter()
            .collect();
        assert!(found.contains(&address(1)), "{found:?}");
        let found = resolver
            .lookup("host-2.test.", RecordType::AAAA)
            .await
            .unwrap();
        let mapped = Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped();
        assert_eq!(found.answers()[0].data, RData::AAAA(AAAA(mapped)));
        let found = resolver.lookup("alias.test.", RecordType::A).await.unwrap();
        let data: Vec<_> = found
            .answers()
            .iter()
            .map(|record| record.data.clone())
            .collect();
        let alias = RData::CNAME(CNAME(name("host-7.test.")));
        assert_eq!(data, [alias, RData::A(A(Ipv4Addr::new(10, 0, 0, 7)))]);
        assert_eq!(server.asked.tcp.load(Relaxed), 0);
    });
}

#[test]
fn a_name_that_does_not_exist_is_an_error_that_says_so() {
    test(async {
        let server = Server::start().await;
        let resolver = server.resolver(|_| {});
        let error = resolver
            .lookup("nowhere.test.", RecordType::A)
            .await
            .unwrap_err();
        assert!(error.is_nx_domain(), "{error:?}");
        // It is remembered, too.
        let error = resolver
            .lookup("nowhere.test.", RecordType::A)
            .await
            .unwrap_err();
        assert!(error.is_nx_domain(), "{error:?}");
        assert_eq!(server.asked.counts(), (1, 0));
    });
}

#[test]
fn a_cut_off_answer_is_asked_for_again_over_tcp() {
    test(async {
        let server = Server::start().await;
        let resolver = server.resolver(|_| {});
        let found = resolver.lookup("big.test.", RecordType::TXT).await.unwrap();
        assert_eq!(found.answers().len(), 100);
        assert_eq!(server.asked.counts(), (1, 1));
        assert_eq!(server.asked.connections.load(Relaxed), 1);
    });
}

#[test]
fn a_cached_answer_is_not_asked_for_again() {
    test(async {
        let server = Server::start().await;
        let resolver = server.resolver(|_| {});
        for _ in 0..50 {
            resolver
                .lookup("host-3.test.", RecordType::A)
                .await
                .unwrap();
        }
        assert_eq!(server.asked.counts(), (1, 0));
        resolver.clear_cache();
        resolver
            .lookup("host-3.test.", RecordType::A)
            .await
            .unwrap();
        assert_eq!(server.asked.counts(), (2, 0));
    });
}

#[test]
fn a_server_that_does_not_answer_is_a_timeout_after_all_tries() {
    // Time enough for three tries, a third of a second apart, also on a busy machine.
    const TIMEOUT: Duration = Duration::from_secs(2);
    test(async {
        let server = Server::start().await;
        let stream = UdpClientStream::builder(server.address, HickoryRuntime)
            .with_timeout(Some(TIMEOUT))
            .with_max_retries(3)
            .build();
        let (mut client, driver) = Client::<HickoryRuntime>::from_sender(stream);
        executor::spawn(driver);
        let begin = Instant::now();
        let error = client
            .query(name("silent.test."), DNSClass::IN, RecordType::A)
            .await;
        assert!(matches!(error.unwrap_err(), NetError::Timeout));
        assert!(begin.elapsed() >= TIMEOUT);
        until(|| server.asked.counts() == (3, 0)).await;
    });
}

#[test]
fn a_resolver_gives_up_in_time_on_a_server_that_does_not_answer() {
    const TIMEOUT: Duration = Duration::from_millis(100);
    test(async {
        let server = Server::start().await;
        let resolver = server.resolver(|options| {
            options.timeout = TIMEOUT;
            options.attempts = 1;
        });
        let begin = Instant::now();
        let error = resolver
            .lookup("silent.test.", RecordType::A)
            .await
            .unwrap_err();
        assert!(
            !matches!(error, NetError::Dns(DnsError::NoRecordsFound(_))),
            "{error:?}"
        );
        assert!(begin.elapsed() >= TIMEOUT);
        assert!(server.asked.udp.load(Relaxed) >= 1);
    });
}

#[test]
fn many_lookups_at_once_get_their_own_answers() {
    test(async {
        let server = Server::start().await;
        let resolver = server.resolver(|options| options.max_active_requests = 200);
        let lookup = |n: u8| {
            let resolver = resolver.clone();
            executor::spawn(async move {
                let found = resolver
                    .lookup(format!("host-{n}.test."), RecordType::A)
                    .await
                    .unwrap();
                assert_eq!(
                    found.answers()[0].data,
                    RData::A(A(Ipv4Addr::new(10, 0, 0, n)))
                );
            })
        };
        for done in join_all((0..200).map(lookup)).await {
            done.unwrap();
        }
        assert_eq!(server.asked.tcp.load(Relaxed), 0);
        assert!(server.asked.udp.load(Relaxed) >= 200);
    });
}

#[test]
fn many_questions_go_over_one_tcp_connection() {
    test(async {
        let before = alive_tasks();
        let server = Server::start().await;
        let (stream, sender) = TcpClientStream::new(server.address, None, None, HickoryRuntime);
        let (client, driver) = Client::<HickoryRuntime>::new(stream.await.unwrap(), sender);
        executor::spawn(driver);
        let query = |n: u8| {
            let mut client = client.clone();
            async move {
                let name = name(&format!("host-{n}.test."));
                let answer = client
                    .query(name, DNSClass::IN, RecordType::A)
                    .await
                    .unwrap();
                assert_eq!(
                    answer.answers[0].data,
                    RData::A(A(Ipv4Addr::new(10, 0, 0, n)))
                );
            }
        };
        // hickory lets 32 be in flight at once.
        for part in 0..8 {
            join_all((0..25).map(|n| query(part * 25 + n))).await;
        }
        assert_eq!(server.asked.counts(), (0, 200));
        assert_eq!(server.asked.connections.load(Relaxed), 1);
        drop((client, server));
        until(|| alive_tasks() == before).await;
    });
}

#[test]
fn a_connection_is_made_from_the_address_that_was_asked_for() {
    test(async {
        let server = Server::start().await;
        let local = SocketAddr::from(([127, 0, 0, 2], 0));
        let (stream, _) = TcpClientStream::new(server.address, Some(local), None, HickoryRuntime);
        drop(stream.await.unwrap());
        // Nobody listens here any more.
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let (stream, _) = TcpClientStream::new(nobody, None, None, HickoryRuntime);
        assert!(stream.await.is_err());
        until(|| server.asked.connections.load(Relaxed) == 1).await;
    });
}
