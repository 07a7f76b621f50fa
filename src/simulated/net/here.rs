//! The network of the simulation that the calling thread is in.

use std::io;

use crate::simulated::{Kind, world_if_any};

use super::{Moment, Network};

/// Does something with the network, and wakes whom that concerns.
///
/// # Errors
///
/// When the thread is in no simulation.
pub(crate) fn with_network<R>(
    op: impl FnOnce(&mut Network, &mut Moment<'_>) -> R,
) -> io::Result<R> {
    let Some(world) = world_if_any() else {
        return Err(io::Error::other("the simulation of this socket is over"));
    };
    let mut choose = |n, rarity| world.choose(Kind::Network, n, rarity);
    let (result, wakes) = world.with_network(|net| {
        let result = op(net, &mut Moment::new(world.now(), &mut choose));
        (result, net.take_wakes())
    });
    wakes.iter().for_each(|poller| poller.wake());
    Ok(result)
}
