//! Every descriptor that the runtime opens closes on `exec`: a program that a task starts inherits no socket, and no
//! epoll instance either, whose events it could take.
//!
//! In a process of its own, because it looks at all descriptors there. The reference is what was open before.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use executor::io::Async;
use executor::net::unix::{UnixDatagram, UnixListener, UnixStream};
use executor::net::{TcpListener, TcpStream, UdpSocket};
use executor::runtime::Builder;
use executor::time::timeout;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::common::{alone, wait_until, within_patience};

/// `O_CLOEXEC` as `/proc/self/fdinfo` shows it, in octal.
const CLOSES_ON_EXEC: u32 = 0o2000000;

/// What is open: by number, what it is and whether it closes on `exec`.
fn descriptors() -> BTreeMap<i32, (String, bool)> {
    let mut open = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        // Other threads may close theirs.
        let Ok(what) = fs::read_link(entry.path()) else {
            continue;
        };
        let what = what.to_string_lossy().into_owned();
        if what.starts_with("/proc/") && what.ends_with("/fd") {
            // The descriptor of this very walk.
            continue;
        }
        let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else {
            continue;
        };
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        open.insert(number, (what, flags & CLOSES_ON_EXEC != 0));
    }
    open
}

/// Those that were not open before, and of them those that `exec` leaves open.
fn opened_since(before: &BTreeMap<i32, (String, bool)>) -> (BTreeMap<i32, String>, Vec<String>) {
    let mut opened = BTreeMap::new();
    let mut left = Vec::new();
    for (number, (what, closes)) in descriptors() {
        if before.contains_key(&number) {
            continue;
        }
        if !closes {
            left.push(format!("{number}: {what}"));
        }
        opened.insert(number, what);
    }
    (opened, left)
}

/// Calls `look` with everything open at once that this crate can open.
async fn with_everything_open(folder: &Path, look: impl FnOnce(&[i32])) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = futures::join!(TcpStream::connect(address), listener.accept());
    let (client, (server, _)) = (client.unwrap(), server.unwrap());
    // The lookup is a job on a thread of the pool.
    let name = ("localhost", address.port());
    let (named, accepted) = futures::join!(TcpStream::connect(name), listener.accept());
    let (named, (accepted, _)) = (named.unwrap(), accepted.unwrap());
    let udp = UdpSocket::bind(any).await.unwrap();
    let path = folder.join("listener");
    let unix = UnixListener::bind(&path).unwrap();
    let (dialled, answered) = futures::join!(UnixStream::connect(&path), unix.accept());
    let (dialled, (answered, _)) = (dialled.unwrap(), answered.unwrap());
    let (one, other) = UnixStream::pair().unwrap();
    let datagram = UnixDatagram::bind(folder.join("datagram")).unwrap();
    let unbound = UnixDatagram::unbound().unwrap();
    let (left, right) = UnixDatagram::pair().unwrap();
    let (reader, _writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let reader = Async::new(reader).unwrap();
    assert!(
        timeout(Duration::from_millis(1), reader.readable())
            .await
            .is_err()
    );
    look(&[
        listener.as_raw_fd(),
        client.as_raw_fd(),
        server.as_raw_fd(),
        named.as_raw_fd(),
        accepted.as_raw_fd(),
        udp.as_raw_fd(),
        unix.as_raw_fd(),
        dialled.as_raw_fd(),
        answered.as_raw_fd(),
        one.as_raw_fd(),
        other.as_raw_fd(),
        datagram.as_raw_fd(),
        unbound.as_raw_fd(),
        left.as_raw_fd(),
        right.as_raw_fd(),
        reader.as_raw_fd(),
    ]);
}

#[test]
fn no_descriptor_survives_exec() {
    if !alone(module_path!(), "no_descriptor_survives_exec") {
        return;
    }
    within_patience(|| {
        let before = descriptors();
        let folder = std::env::temp_dir().join(format!("executor-exec-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        runtime.block_on(with_everything_open(&folder, |sockets| {
            let (opened, left) = opened_since(&before);
            assert!(left.is_empty(), "{left:#?}");
            for socket in sockets {
                assert!(opened.contains_key(socket), "{socket} of {opened:#?}");
            }
            for kind in ["eventpoll", "eventfd", "timerfd"] {
                let has = opened.values().any(|what| what.contains(kind));
                assert!(has, "{kind} in {opened:#?}");
            }
        }));
        fs::remove_dir_all(&folder).unwrap();

        // What the monitor reads of a blocked thread is open while it looks at that one.
        let (release, released) = mpsc::channel::<()>();
        let blocked = runtime.spawn(async move { released.recv().is_err() });
        wait_until("the monitor looks at the blocked thread", || {
            let (opened, left) = opened_since(&before);
            assert!(left.is_empty(), "{left:#?}");
            opened.values().any(|what| what.ends_with("/stat"))
        });
        drop(release);
        assert!(runtime.block_on(blocked).unwrap());

        // The rule finds its fault.
        let _both = pipe_with(PipeFlags::empty()).unwrap();
        let (_, left) = opened_since(&before);
        assert_eq!(left.len(), 2, "{left:#?}");
        assert!(left.iter().all(|what| what.contains("pipe")), "{left:#?}");
    });
}
