//! Readiness that belongs to somebody else, or to nobody: descriptor numbers that come again while events are on their way, both
//! directions of one socket at once, and events that another one has used up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use executor::io::Async;
use executor::task::yield_now;
use executor::time::sleep;
use executor::{Runtime, spawn};

use crate::common::streams::{StdStream, number, std_pair};
use crate::common::{on_runtimes, wait_until};

type Socket = Arc<Async<StdStream>>;

fn pair() -> (Socket, Socket) {
    let (near, far) = std_pair();
    let async_socket = |socket| Arc::new(Async::new(socket).unwrap());
    (async_socket(near), async_socket(far))
}

async fn read_exact(socket: &Async<StdStream>, buf: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buf.len() {
        match socket
            .read_with(|mut socket| socket.read(&mut buf[filled..]))
            .await?
        {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(())
}

async fn write_all(socket: &Async<StdStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = socket.write_with(|mut socket| socket.write(bytes)).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Each task opens and closes sockets whose numbers the others have just given back, with events on their way to the old ones.
/// What comes over a socket names its owner.
#[test]
fn no_event_and_no_byte_of_a_descriptor_reaches_its_next_owner() {
    const OWNERS: u64 = 16;
    const ROUNDS: u64 = 200;
    on_runtimes(|runtime| {
        let numbers = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
        let owners: Vec<_> = (0..OWNERS)
            .map(|owner| {
                let numbers = numbers.clone();
                runtime.spawn(async move {
                    for round in 0..ROUNDS {
                        let name = (owner * ROUNDS + round).to_ne_bytes();
                        let (near, far) = pair();
                        numbers.lock().unwrap().insert(number(near.get_ref()));
                        let waiting = near.clone();
                        let reader = spawn(async move {
                            let mut buf = [0; 8];
                            read_exact(&waiting, &mut buf).await.map(|()| buf)
                        });
                        match round % 4 {
                            // The reader is gone, or not, when the event for it comes.
                            0 => {
                                reader.abort();
                                write_all(&far, &name).await.unwrap();
                                assert!(reader.await.is_err());
                            }
                            1 => {
                                yield_now().await;
                                write_all(&far, &name[..4]).await.unwrap();
                                drop(far);
                                let error = reader.await.unwrap().unwrap_err();
                                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                            }
                            2 => {
                                write_all(&far, &name).await.unwrap();
                                assert_eq!(reader.await.unwrap().unwrap(), name);
                                // Nothing more: an event from somebody else would say so.
                                let mut buf = [0];
                                let next = near.get_ref().read(&mut buf).map_err(|e| e.kind());
                                assert_eq!(next, Err(ErrorKind::WouldBlock));
                            }
                            _ => {
                                write_all(&far, &name[..4]).await.unwrap();
                                yield_now().await;
                                write_all(&far, &name[4..]).await.unwrap();
                                assert_eq!(reader.await.unwrap().unwrap(), name);
                            }
                        }
                    }
                })
            })
            .collect();
        for owner in owners {
            runtime.block_on(owner).unwrap();
        }
        // They did come again.
        let numbers = numbers.lock().unwrap().len() as u64;
        assert!(numbers < OWNERS * ROUNDS / 4, "{numbers}");
    });
}

/// Both ends write more than fits before they read, each in two tasks: on one descriptor a reader and a writer wait at once.
#[test]
fn a_reader_and_a_writer_wait_on_one_socket_at_once() {
    // More than the buffers of both ends take: those of TCP grow to some MiB each.
    const LENGTH: usize = if cfg!(unix) { 4 << 20 } else { 64 << 20 };
    on_runtimes(|runtime| {
        let (near, far) = runtime.block_on(async { pair() });
        let begin = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for socket in [near, far] {
            let (writer, reader) = (socket.clone(), socket);
            let full = begin.clone();
            tasks.push(runtime.spawn(async move {
                let chunk = vec![7; 64 * 1024];
                let mut written = 0;
                while written < LENGTH {
                    let wrote = match writer.get_ref().write(&chunk) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            // Both writers are here before anybody reads.
                            if written < LENGTH / 2 {
                                full.fetch_add(1, SeqCst);
                            }
                            writer.write_with(|mut socket| socket.write(&chunk)).await
                        }
                        wrote => wrote,
                    };
                    written += wrote.unwrap();
                }
                // Ends the other one's stream.
                writer
                    .get_ref()
                    .shutdown(std::net::Shutdown::Write)
                    .unwrap();
                written
            }));
            let full = begin.clone();
            tasks.push(runtime.spawn(async move {
                while full.load(SeqCst) < 2 {
                    yield_now().await;
                }
                let mut buf = vec![0; 16 * 1024];
                let mut read = 0;
                loop {
                    match reader
                        .read_with(|mut socket| socket.read(&mut buf))
                        .await
                        .unwrap()
                    {
                        0 => return read,
                        more => read += more,
                    }
                }
            }));
        }
        let counts: Vec<usize> = tasks
            .into_iter()
            .map(|task| runtime.block_on(task).unwrap())
            .collect();
        assert_eq!(counts[0], counts[3]);
        assert_eq!(counts[2], counts[1]);
    });
}

/// Two wait for one direction: an event wakes both, and one finds nothing. It must be woken again by the next one; and who waits
/// for the other direction meanwhile is not forgotten.
#[test]
fn who_finds_an_event_used_up_is_woken_by_the_next() {
    const BYTES: usize = 500;
    on_runtimes(|runtime| {
        let (near, far) = runtime.block_on(async { pair() });
        // Nobody reads this direction: the writer waits for room until the end.
        let stuffed = near.clone();
        let writer = runtime.spawn(async move {
            let chunk = vec![0; 64 * 1024];
            loop {
                let written = stuffed.write_with(|mut socket| socket.write(&chunk)).await;
                if let Err(error) = written {
                    return error.kind();
                }
            }
        });
        let got = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (near, got) = (near.clone(), got.clone());
                runtime.spawn(async move {
                    let mut own = 0;
                    loop {
                        let mut buf = [0];
                        match near.read_with(|mut socket| socket.read(&mut buf)).await {
                            Ok(1) => own += 1,
                            // Closed upon what the writer has sent: a reset.
                            _ => return own,
                        }
                        got.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        for sent in 1..=BYTES {
            assert_eq!(far.get_ref().write(b"x").unwrap(), 1);
            wait_until("somebody has it", || got.load(SeqCst) == sent);
        }
        drop(far);
        let each = readers
            .into_iter()
            .map(|reader| runtime.block_on(reader).unwrap());
        assert_eq!(each.sum::<usize>(), BYTES);
        let kind = runtime.block_on(writer).unwrap();
        assert!(
            matches!(
                kind,
                // Windows has the third.
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
            ),
            "{kind:?}"
        );
    });
}

/// Whoever takes the data without asking the runtime leaves the waiter an event for nothing. It goes on waiting, and the next
/// byte that is left to it ends that.
#[test]
fn an_event_whose_data_a_stranger_takes_does_not_end_a_wait() {
    on_runtimes(|runtime| {
        let (near, far) = runtime.block_on(async { pair() });
        let (waiting, waits) = (near.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = waits.clone();
        let waiter = runtime.spawn(async move {
            loop {
                counted.fetch_add(1, SeqCst);
                waiting.readable().await.unwrap();
                let mut buf = [0];
                match waiting.get_ref().read(&mut buf) {
                    Ok(read) => return (read, buf),
                    // It was there when `readable` looked.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        });
        wait_until("it waits", || waits.load(SeqCst) == 1);
        let mut taken = 0;
        for _ in 0..200 {
            far.get_ref().write_all(b"y").unwrap();
            // Often before the event has been seen.
            match near.get_ref().read(&mut [0]) {
                Ok(1) => taken += 1,
                // The waiter was faster.
                _ => break,
            }
        }
        assert!(waits.load(SeqCst) <= taken + 1, "a wait ended for nothing");
        far.get_ref().write_all(b"z").unwrap();
        let (read, byte) = runtime.block_on(waiter).unwrap();
        assert_eq!((read, byte), (1, if taken == 200 { *b"z" } else { *b"y" }));
    });
}

/// A listener and a connection that come and go under one number, with a timer beside them in each round.
#[test]
fn a_listener_s_number_becomes_a_stream_s_and_back() {
    fn round(runtime: &Runtime) {
        runtime
            .block_on(runtime.spawn(async {
                let listener = Async::new(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
                let address = listener.get_ref().local_addr().unwrap();
                let waits = spawn(async move {
                    let accepted = listener.read_with(|listener| listener.accept()).await;
                    // The number is free for the next socket, with a connection queued at it.
                    drop(listener);
                    accepted.unwrap().0
                });
                let client = Async::new(TcpStream::connect(address).unwrap()).unwrap();
                let second = TcpStream::connect(address);
                let server = Async::new(waits.await.unwrap()).unwrap();
                client
                    .write_with(|mut socket| socket.write(b"ping"))
                    .await
                    .unwrap();
                drop(second);
                let mut buf = [0; 8];
                let read = server
                    .read_with(|mut socket| socket.read(&mut buf))
                    .await
                    .unwrap();
                assert_eq!(&buf[..read], b"ping");
                sleep(Duration::from_micros(100)).await;
            }))
            .unwrap();
    }
    on_runtimes(|runtime| (0..100).for_each(|_| round(&runtime)));
}
