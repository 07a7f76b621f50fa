//! No descriptors left: an error each time, never a spin or a hang, and everything works again afterwards.
//!
//! Alone in its file, because the limit is the whole process's.
#![cfg(all(unix, feature = "net"))]

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

use executor::net::{TcpListener, TcpStream, UdpSocket};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Forbids descriptors from the lowest free number on; gives the limit back when dropped.
struct NoDescriptors(Rlimit);

impl NoDescriptors {
    fn new() -> NoDescriptors {
        let before = getrlimit(Resource::Nofile);
        let free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
        let none = Rlimit {
            current: Some(free as u64),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, none).unwrap();
        NoDescriptors(before)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

#[test]
fn running_out_of_descriptors_is_an_error_each_time_and_passes() {
    executor::block_on(async {
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let listener = TcpListener::bind(any).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();

        let limit = NoDescriptors::new();
        for _ in 0..3 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(EMFILE));
        }
        let error = listener.incoming().next().await.unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(EMFILE));
        assert!(TcpStream::connect(address).await.is_err());
        assert!(UdpSocket::bind(any).await.is_err());
        // In a task, too, where nothing else runs meanwhile.
        let (listener, error) = executor::spawn(async move {
            let error = listener.accept().await.unwrap_err();
            (listener, error)
        })
        .await
        .unwrap();
        assert_eq!(error.raw_os_error(), Some(EMFILE));
        drop(limit);

        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut buf = [0; 5];
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"hello");
    });
}

/// "Too many open files", the same number on every Unix.
const EMFILE: i32 = 24;
