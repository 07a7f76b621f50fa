//! Every operation of `net` and `io` takes part in the cooperative budget: a task whose operations are all ready at once still
//! yields, after 128 of them.

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::pin::pin;

use executor::io::Async;
use executor::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};

const BUDGET: usize = 128;
const ROUNDS: usize = 3 * BUDGET + 1;
const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Does something often in one task, which need never wait for it, and counts the polls.
async fn yields(what: &str, mut operation: impl AsyncFnMut()) {
    // As many units as there are.
    executor::task::yield_now().await;
    let mut polls = 0;
    let mut rounds = pin!(async {
        for _ in 0..ROUNDS {
            operation().await;
        }
    });
    poll_fn(|cx| {
        polls += 1;
        rounds.as_mut().poll(cx)
    })
    .await;
    assert!(polls > ROUNDS / BUDGET, "{what}: {polls} polls");
}

fn in_a_task(body: impl Future<Output = ()> + 'static) {
    executor::block_on(async { executor::spawn_local(body).await.unwrap() });
}

#[test]
fn tcp() {
    in_a_task(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut near = TcpStream::connect(address).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        far.write_all(&[7; ROUNDS + 1]).await.unwrap();
        far.flush().await.unwrap();
        near.peek(&mut [0; ROUNDS + 1]).await.unwrap();
        let mut one = [0];
        yields("peek", async || {
            near.peek(&mut [0]).await.unwrap();
        })
        .await;
        yields("readable", async || near.readable().await.unwrap()).await;
        yields("writable", async || near.writable().await.unwrap()).await;
        yields("read", async || near.read_exact(&mut one).await.unwrap()).await;
        yields("write", async || near.write_all(&one).await.unwrap()).await;
        yields("bind", async || {
            TcpListener::bind(ANY).await.unwrap();
        })
        .await;
        yields("lookup_host", async || {
            assert_eq!(lookup_host(address).await.unwrap().count(), 1);
        })
        .await;
        yields("connect, accept", async || {
            let near = TcpSocket::new_v4().unwrap().connect(address).await.unwrap();
            near.set_linger(Some(std::time::Duration::ZERO)).unwrap();
            listener.accept().await.unwrap();
        })
        .await;
        let mut waiting = Vec::new();
        for _ in 0..ROUNDS {
            waiting.push(TcpStream::connect(address).await.unwrap());
        }
        yields("accept", async || {
            listener.accept().await.unwrap();
        })
        .await;
        waiting.clear();
        for _ in 0..ROUNDS {
            waiting.push(TcpStream::connect(address).await.unwrap());
        }
        let mut incoming = listener.incoming();
        yields("incoming", async || {
            incoming.next().await.unwrap().unwrap();
        })
        .await;
    });
}

#[test]
fn udp() {
    in_a_task(async {
        // Others see the sockets without the budget.
        let [near, far] = [(); 2].map(|()| std::net::UdpSocket::bind(ANY).unwrap());
        let [a, b] = [&near, &far].map(|of| UdpSocket::try_from(of.try_clone().unwrap()).unwrap());
        let (to_a, to_b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        yields("bind", async || {
            UdpSocket::bind(ANY).await.unwrap();
        })
        .await;
        yields("connect", async || a.connect(to_b).await.unwrap()).await;
        b.connect(to_a).await.unwrap();
        yields("send", async || {
            a.send(b"x").await.unwrap();
        })
        .await;
        yields("poll_send_to", async || {
            poll_fn(|cx| a.poll_send_to(cx, b"x", to_b)).await.unwrap();
        })
        .await;
        yields("send_to", async || {
            a.send_to(b"x", to_b).await.unwrap();
        })
        .await;
        yields("readable", async || b.readable().await.unwrap()).await;
        yields("writable", async || b.writable().await.unwrap()).await;
        yields("peek", async || {
            b.peek(&mut [0]).await.unwrap();
        })
        .await;
        yields("peek_from", async || {
            b.peek_from(&mut [0]).await.unwrap();
        })
        .await;
        // The queue may be shorter than what was sent.
        let mut count = 0;
        let mut refill = || {
            if count % 16 == 0 {
                while far.recv(&mut [0]).is_ok() {}
                (0..16).for_each(|_| assert_eq!(near.send(b"x").unwrap(), 1));
            }
            count += 1;
        };
        yields("recv", async || {
            refill();
            b.recv(&mut [0]).await.unwrap();
        })
        .await;
        yields("recv_from", async || {
            refill();
            b.recv_from(&mut [0]).await.unwrap();
        })
        .await;
        yields("poll_recv_from", async || {
            refill();
            poll_fn(|cx| b.poll_recv_from(cx, &mut [0])).await.unwrap();
        })
        .await;
    });
}

#[test]
fn any_object() {
    in_a_task(async {
        #[cfg(unix)]
        let (reader, writer) = std::io::pipe().unwrap();
        #[cfg(not(unix))]
        let (reader, writer) = crate::common::streams::std_pair();
        let (mut reader, mut writer) = (Async::new(reader).unwrap(), Async::new(writer).unwrap());
        yields("write_with", async || {
            writer.write_with(|mut io| io.write(b"x")).await.unwrap();
        })
        .await;
        yields("readable", async || reader.readable().await.unwrap()).await;
        yields("writable", async || writer.writable().await.unwrap()).await;
        yields("poll_readable", async || {
            poll_fn(|cx| reader.poll_readable(cx)).await.unwrap();
        })
        .await;
        yields("poll_writable", async || {
            poll_fn(|cx| writer.poll_writable(cx)).await.unwrap();
        })
        .await;
        yields("read_with", async || {
            reader.read_with(|mut io| io.read(&mut [0])).await.unwrap();
        })
        .await;
        yields("write", async || writer.write_all(b"x").await.unwrap()).await;
        yields("read", async || reader.read_exact(&mut [0]).await.unwrap()).await;
        yields("an operation's error", async || {
            let error: std::io::Result<()> = reader
                .read_with(|_| Err(std::io::ErrorKind::Other.into()))
                .await;
            assert!(error.is_err());
        })
        .await;
    });
}

/// Sockets that only those systems have.
#[cfg(unix)]
mod unix {
    use executor::net::unix::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

    fn path(name: &str) -> std::path::PathBuf {
        let name = format!("executor-budget-{name}-{}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn streams() {
        in_a_task(async {
            let (mut near, mut far) = UnixStream::pair().unwrap();
            far.write_all(&[7; ROUNDS]).await.unwrap();
            let mut one = [0];
            yields("readable", async || near.readable().await.unwrap()).await;
            yields("writable", async || near.writable().await.unwrap()).await;
            yields("read", async || near.read_exact(&mut one).await.unwrap()).await;
            yields("write", async || {
                near.write_all(&one).await.unwrap();
                rustix::io::read(&far, &mut [0]).unwrap();
            })
            .await;

            let path = path("stream");
            let listener = UnixListener::bind(&path).unwrap();
            let address = listener.local_addr().unwrap();
            yields("connect, accept", async || {
                let near = std::os::unix::net::UnixStream::connect(&path).unwrap();
                listener.accept().await.unwrap();
                drop(near);
            })
            .await;
            yields("connect", async || {
                UnixStream::connect(&path).await.unwrap();
                rustix::net::accept(&listener).unwrap();
            })
            .await;
            yields("connect_addr, incoming", async || {
                UnixStream::connect_addr(&address).await.unwrap();
                listener.incoming().next().await.unwrap().unwrap();
            })
            .await;
            std::fs::remove_file(path).unwrap();
        });
    }

    #[test]
    fn datagrams() {
        in_a_task(async {
            let path = path("datagram");
            let near = UnixDatagram::unbound().unwrap();
            let far = UnixDatagram::bind(&path).unwrap();
            let take = || rustix::io::read(&far, &mut [0; 16]).unwrap();
            yields("send_to", async || {
                near.send_to(b"x", &path).await.unwrap();
                take();
            })
            .await;
            near.connect(&path).unwrap();
            yields("send", async || {
                near.send(b"x").await.unwrap();
                take();
            })
            .await;
            let give = || rustix::io::write(&near, b"x").unwrap();
            yields("recv", async || {
                give();
                far.recv(&mut [0]).await.unwrap();
            })
            .await;
            yields("recv_from", async || {
                give();
                far.recv_from(&mut [0]).await.unwrap();
            })
            .await;
            give();
            yields("readable", async || far.readable().await.unwrap()).await;
            yields("writable", async || near.writable().await.unwrap()).await;
            std::fs::remove_file(path).unwrap();
        });
    }
}
