//! The network of the simulation that the calling thread is in.

use std::io;

use super::{Moment, Network};

/// Does something with the network, and wakes whom that concerns.
///
/// # Errors
///
/// When the thread is in no simulation.
pub(crate) fn with_network<R>(
    op: impl FnOnce(&mut Network, &mut Moment<'_>) -> R,
) -> io::Result<R> {
    let now = crate::simulated::now();
    let mut choose = crate::simulated::choose;
    let done = crate::simulated::network(|net| {
        let result = op(net, &mut Moment::new(now, &mut choose));
        (result, net.take_wakes())
    });
    let Some((result, wakes)) = done else {
        return Err(io::Error::other("the simulation of this socket is over"));
    };
    wakes.iter().for_each(|poller| poller.wake());
    Ok(result)
}
