//! The network of the simulation that the calling thread is in.

use std::io;

use crate::simulated::{Kind, world_if_any};

use super::{Moment, Network, NetworkId};

/// Does something with the network, and wakes whom that concerns.
///
/// # Errors
///
/// When the thread is in no simulation.
pub(crate) fn with_network<R>(
    op: impl FnOnce(&mut Network, &mut Moment<'_>) -> R,
) -> io::Result<R> {
    let Some(world) = world_if_any() else {
        return Err(io::Error::other("this thread is in no simulation"));
    };
    let mut choose = |n, rarity| world.choose(Kind::Network, n, rarity);
    let (result, wakes) = world.with_network(|net| {
        let result = op(net, &mut Moment::new(world.now(), &mut choose));
        (result, net.take_wakes())
    });
    wakes.iter().for_each(|poller| poller.wake());
    Ok(result)
}

/// The same for something that belongs to this network.
///
/// # Errors
///
/// When the thread is not in the simulation of that network.
pub(crate) fn with_network_of<R>(
    id: NetworkId,
    op: impl FnOnce(&mut Network, &mut Moment<'_>) -> R,
) -> io::Result<R> {
    let result = with_network(|net, at| (net.id() == id).then(|| op(net, at)))?;
    result.ok_or_else(|| io::Error::other("this thread is in another simulation"))
}
