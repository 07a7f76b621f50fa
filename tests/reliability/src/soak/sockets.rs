//! Sockets: echo servers, and clients that use them well or badly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures::{AsyncReadExt, AsyncWriteExt};

use super::acts::part;
use super::fault;
use super::ledger::Kind;
use super::plan::{Fate, split};
use super::watched::{self, Entry, Handle};
use super::world::World;
use crate::runtimes::Runtime;

/// Accepts for ever, a task per connection.
pub(crate) fn serve<R: Runtime>(
    world: &Arc<World<R>>,
    listener: R::Listener,
    seed: u64,
) -> Handle<R> {
    let entry = Entry {
        kind: Kind::Listener,
        seed,
        marked: true,
    };
    let runtime = world.runtime.clone();
    watched::spawn(&world.runtime, entry, async move {
        for number in 0.. {
            match R::accept(&listener).await {
                Ok(stream) => {
                    let entry = Entry {
                        kind: Kind::Echo,
                        seed: split(seed, number),
                        marked: number % 2 == 0,
                    };
                    drop(watched::spawn(&runtime, entry, async move {
                        let _ = echo::<R>(stream).await;
                        entry.value()
                    }));
                }
                Err(error) => {
                    fault::broken("accept failed", &error.to_string());
                    R::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        entry.value()
    })
}

/// Until the other side says no more, or is gone.
async fn echo<R: Runtime>(mut stream: R::Stream) -> std::io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return stream.close().await;
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

pub(crate) async fn client<R: Runtime>(world: Arc<World<R>>, entry: Entry, mut rng: Rng) {
    let addr: SocketAddr = world.servers[rng.usize(..world.servers.len())];
    let mut stream = match R::connect(addr).await {
        Ok(stream) => stream,
        Err(error) => return fault::broken("connect failed", &error.to_string()),
    };
    for trip in 0..rng.u64(..4) {
        if let Err(error) = there_and_back::<R>(&mut stream, split(entry.seed, trip)).await {
            return fault::broken("an echo failed", &error.to_string());
        }
    }
    match rng.u32(..5) {
        0 => half_close::<R>(stream).await,
        // With an answer on its way.
        1 => drop(stream.write(&[1; 300]).await),
        2 => read_in_vain(&world, entry, stream, &mut rng).await,
        3 => {
            // A read that is given up leaves the stream as it was.
            let wait = Duration::from_micros(rng.u64(..2000));
            if R::timeout(wait, stream.read(&mut [0; 1])).await.is_some() {
                fault::broken("read what nobody wrote", "");
            }
            if let Err(error) = there_and_back::<R>(&mut stream, entry.seed).await {
                fault::broken("an echo after a time-out failed", &error.to_string());
            }
        }
        _ => drop(stream.close().await),
    }
}

/// What comes back must be this task's own.
async fn there_and_back<R: Runtime>(stream: &mut R::Stream, seed: u64) -> std::io::Result<()> {
    let sent: Vec<u8> = (0..32)
        .flat_map(|number| split(seed, number).to_le_bytes())
        .collect();
    stream.write_all(&sent).await?;
    let mut received = vec![0; sent.len()];
    stream.read_exact(&mut received).await?;
    if received != sent {
        fault::broken("an echo of another's", "");
    }
    Ok(())
}

async fn half_close<R: Runtime>(mut stream: R::Stream) {
    let mut rest = Vec::new();
    let closed = async {
        stream.write_all(b"the last").await?;
        stream.close().await?;
        stream.read_to_end(&mut rest).await
    };
    match closed.await {
        Ok(_) if rest == b"the last" => {}
        Ok(_) => fault::broken("half closed, the rest is not what was sent", ""),
        Err(error) => fault::broken("half closing failed", &error.to_string()),
    }
}

/// A task that waits for a socket is cancelled.
async fn read_in_vain<R: Runtime>(
    world: &Arc<World<R>>,
    entry: Entry,
    mut stream: R::Stream,
    rng: &mut Rng,
) {
    let reader = part(world, entry, Kind::Reader, 0, async move {
        // Whoever was to cancel it may be cancelled first.
        let limit = Duration::from_secs(1);
        if R::timeout(limit, stream.read(&mut [0; 1])).await.is_some() {
            fault::broken("read what nobody wrote", "");
        }
    });
    let after = Duration::from_micros(rng.u64(..2000));
    super::acts::meet(world, entry, 1, reader, Fate::Cancelled(after)).await;
}
