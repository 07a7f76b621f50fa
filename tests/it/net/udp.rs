//! UDP: datagrams, connected and not, several receivers, errors that belong to an earlier datagram.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use executor::net::UdpSocket;

/// What Windows says besides when a datagram does not fit.
const WSAEMSGSIZE: i32 = 10040;

async fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

#[test]
fn datagrams_keep_their_bounds_and_sender() {
    executor::block_on(async {
        let (a, b) = (socket().await, socket().await);
        let to = b.local_addr().unwrap();
        assert_eq!(a.send_to(b"one", to).await.unwrap(), 3);
        assert_eq!(a.send_to(b"three", format!("{to}")).await.unwrap(), 5);
        let mut buf = [0; 4];
        let (len, from) = b.peek_from(&mut buf).await.unwrap();
        assert_eq!((&buf[..len], from), (&b"one"[..], a.local_addr().unwrap()));
        assert_eq!(b.recv_from(&mut buf).await.unwrap(), (len, from));
        // What does not fit is lost, not left for the next.
        let long = b.recv_from(&mut buf).await;
        match cfg!(windows) {
            false => assert_eq!(long.unwrap().0, 4),
            true => assert_eq!(long.unwrap_err().raw_os_error(), Some(WSAEMSGSIZE)),
        }
        a.send_to(b"", to).await.unwrap();
        assert_eq!(b.recv_from(&mut buf).await.unwrap().0, 0);
    });
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    executor::block_on(async {
        let (a, b, stranger) = (socket().await, socket().await, socket().await);
        a.connect(b.local_addr().unwrap()).await.unwrap();
        b.connect(a.local_addr().unwrap()).await.unwrap();
        assert_eq!(a.peer_addr().unwrap(), b.local_addr().unwrap());
        stranger
            .send_to(b"no", b.local_addr().unwrap())
            .await
            .unwrap();
        a.send(b"yes").await.unwrap();
        let mut buf = [0; 8];
        b.readable().await.unwrap();
        assert_eq!(b.peek(&mut buf).await.unwrap(), 3);
        assert_eq!(b.recv(&mut buf).await.unwrap(), 3);
        assert_eq!(&buf[..3], b"yes");
    });
}

#[test]
fn a_refused_datagram_is_reported_once() {
    executor::block_on(async {
        let (a, gone) = (socket().await, socket().await);
        a.connect(gone.local_addr().unwrap()).await.unwrap();
        drop(gone);
        a.send(b"x").await.unwrap();
        let error = a.recv(&mut [0; 8]).await.unwrap_err();
        let refused = match cfg!(windows) {
            false => io::ErrorKind::ConnectionRefused,
            true => io::ErrorKind::ConnectionReset,
        };
        assert_eq!(error.kind(), refused);
        assert!(a.take_error().unwrap().is_none());
    });
}

#[test]
fn every_receiver_of_one_socket_gets_one() {
    executor::block_on(async {
        let (a, b) = (socket().await, Arc::new(socket().await));
        let receivers: Vec<_> = (0..16)
            .map(|_| {
                let b = Arc::clone(&b);
                executor::spawn(async move { b.recv_from(&mut [0; 8]).await })
            })
            .collect();
        for _ in 0..16 {
            a.writable().await.unwrap();
            a.send_to(b"x", b.local_addr().unwrap()).await.unwrap();
        }
        for receiver in receivers {
            assert_eq!(receiver.await.unwrap().unwrap().0, 1);
        }
    });
}

#[test]
fn options_reach_the_socket() {
    executor::block_on(async {
        let a = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        a.set_broadcast(true).unwrap();
        assert!(a.broadcast().unwrap());
        a.set_ttl(9).unwrap();
        assert_eq!(a.ttl().unwrap(), 9);
        a.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(a.multicast_ttl_v4().unwrap(), 3);
        a.set_multicast_loop_v4(false).unwrap();
        assert!(!a.multicast_loop_v4().unwrap());
        let error = a.join_multicast_v4(&Ipv4Addr::LOCALHOST, &Ipv4Addr::UNSPECIFIED);
        assert!(error.is_err(), "not a multicast address");
    });
}

/// With the traits of this system.
macro_rules! take_the_descriptor_out {
    ($as_raw:ident, $into_raw:ident, $Owned:ident, $from_raw:ident) => {
        executor::block_on(async {
            let a = socket().await;
            let number = a.$as_raw();
            let std = a.into_std().unwrap();
            assert_eq!(std.$as_raw(), number);
            let a = UdpSocket::try_from(std).unwrap();
            let raw = a.$into_raw();
            assert_eq!(raw, number);
            // SAFETY: the socket has just given the descriptor away.
            drop(unsafe { $Owned::$from_raw(raw) });
        })
    };
}

#[cfg(unix)]
#[test]
fn the_descriptor_can_be_taken_out() {
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
    take_the_descriptor_out!(as_raw_fd, into_raw_fd, OwnedFd, from_raw_fd);
}

#[cfg(windows)]
#[test]
fn the_descriptor_can_be_taken_out() {
    use std::os::windows::io::{AsRawSocket, FromRawSocket, IntoRawSocket, OwnedSocket};
    take_the_descriptor_out!(as_raw_socket, into_raw_socket, OwnedSocket, from_raw_socket);
}
