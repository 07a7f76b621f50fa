//! No descriptors left: an error each time, never a spin or a hang, and everything works again afterwards.
//!
//! Each in a process of its own, because the limit is the whole process's.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::{alone, within_patience};
use executor::net::{TcpListener, TcpStream, UdpSocket};
use futures::StreamExt;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows no descriptors but the first three, which are always there; gives the limit back when dropped. Not "those that are
/// open": one of them may be closed meanwhile, as the monitor's file is.
struct NoDescriptors(Rlimit);

impl NoDescriptors {
    fn new() -> NoDescriptors {
        let before = getrlimit(Resource::Nofile);
        let none = Rlimit {
            current: Some(3),
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
    let this_test = "running_out_of_descriptors_is_an_error_each_time_and_passes";
    if !alone(module_path!(), this_test) {
        return;
    }
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

/// A server that answers an error by trying again is busy then, as any loop is, and no worse: others have their turns.
#[test]
fn an_accept_loop_at_the_limit_keeps_nobody_from_running_and_goes_on_afterwards() {
    let this_test = "an_accept_loop_at_the_limit_keeps_nobody_from_running_and_goes_on_afterwards";
    if alone(module_path!(), this_test) {
        within_patience(accept_at_the_limit);
    }
}

fn accept_at_the_limit() {
    // Without a second thread: a loop that lets nobody else run would have its processor taken, and all would be well.
    let builder = executor::Builder::new().worker_threads(1).max_threads(1);
    let runtime = builder.build().unwrap();
    let errors = Arc::new(AtomicUsize::new(0));
    let (counted, others) = (errors.clone(), errors.clone());
    let (listener, client) = runtime
        .block_on(runtime.spawn(async {
            let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
            let listener = TcpListener::bind(any).await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await;
            (listener, client.unwrap())
        }))
        .unwrap();
    let limit = NoDescriptors::new();
    let accepts = runtime.spawn(async move {
        loop {
            match listener.accept().await {
                Ok((server, _)) => return server,
                Err(error) => assert_eq!(error.raw_os_error(), Some(EMFILE)),
            }
            counted.fetch_add(1, SeqCst);
        }
    });
    // One poll of the loop is a budget of errors.
    let turns = runtime.spawn(async move {
        while others.load(SeqCst) == 0 {
            executor::task::yield_now().await;
        }
        let before = others.load(SeqCst);
        for _ in 0..100 {
            executor::task::yield_now().await;
        }
        others.load(SeqCst) - before
    });
    let between = runtime.block_on(turns).unwrap();
    assert!(between <= 101 * 128, "{between} errors in 100 turns");
    drop(limit);
    let server = runtime.block_on(accepts).unwrap();
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
}

/// "Too many open files", the same number on every Unix.
const EMFILE: i32 = 24;
