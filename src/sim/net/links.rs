//! The links of a simulation, as a program changes them.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::simulated::net::{
    HostId, Link, MAIN, NetworkId, Pair, Rate, with_network, with_network_of,
};

/// Links of the network, to be changed: made by [`between`], [`everywhere`] and [`loopback`].
///
/// # Examples
///
/// ```
/// use executor::sim::{self, net::Host};
/// use std::time::Duration;
///
/// sim::check(10, || async {
///     let _server = Host::new("server", [10, 0, 0, 2]).unwrap();
///     sim::net::between("main", "server")
///         .latency(Duration::from_millis(20)..=Duration::from_millis(80))
///         .loss(0.01);
/// });
/// ```
///
/// They are of the simulation that they were made in, and of no use in another one.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    network: NetworkId,
    pair: Pair,
}

/// The link between two hosts. That of a host with itself is the [`loopback`] of all.
///
/// # Panics
///
/// If there is no host of such a name, and outside of a simulation.
#[track_caller]
pub fn between(one: &str, other: &str) -> Links {
    Links::of(Pair::Of(id_of(one), id_of(other)))
}

/// The links between any two hosts, also between those that do not exist yet.
///
/// # Panics
///
/// Outside of a simulation.
#[must_use]
#[track_caller]
pub fn everywhere() -> Links {
    Links::of(Pair::All)
}

/// The way of a host to itself, which is never partitioned.
///
/// # Panics
///
/// Outside of a simulation.
#[must_use]
#[track_caller]
pub fn loopback() -> Links {
    Links::of(Pair::Of(MAIN, MAIN))
}

#[track_caller]
fn id_of(name: &str) -> HostId {
    match in_simulation(with_network(|net, _| net.host_named(name))) {
        Some(id) => id,
        None => panic!("there is no host {name:?}"),
    }
}

impl Links {
    #[track_caller]
    fn of(pair: Pair) -> Links {
        let network = in_simulation(with_network(|net, _| net.id()));
        Links { network, pair }
    }

    /// How long a packet takes: mostly the shortest of these times.
    ///
    /// # Panics
    ///
    /// If the range is empty, and outside of a simulation.
    #[track_caller]
    pub fn latency(self, range: RangeInclusive<Duration>) -> Links {
        assert!(!range.is_empty(), "the range of a latency is empty");
        let (shortest, longest) = range.into_inner();
        self.change(|link| (link.shortest, link.longest) = (shortest, longest))
    }

    /// How many packets are lost, as a part of all: 0 loses none, 1 loses all. Up to a half, it is
    /// rounded to one of a whole number of packets; beyond that, to all but one of a whole number.
    /// A lost packet of TCP is sent again after 200 ms, then after twice the time, and so on; after
    /// six losses in a row it arrives.
    ///
    /// Which packets are lost is a choice of the run. Where a run is repeated by choices that do
    /// not say it, a packet arrives if the rate is a half or less, and is lost otherwise.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1, and outside of a simulation.
    #[track_caller]
    pub fn loss(self, rate: f64) -> Links {
        let rate = rate_of(rate);
        self.change(|link| link.loss = rate)
    }

    /// How many UDP datagrams arrive twice, as a part of all. It is rounded as
    /// [`loss`](Links::loss) is.
    ///
    /// # Panics
    ///
    /// If it is not between 0 and 1, and outside of a simulation.
    #[track_caller]
    pub fn duplication(self, rate: f64) -> Links {
        let rate = rate_of(rate);
        self.change(|link| link.duplication = rate)
    }

    /// Cuts the links. From now on nothing arrives, also of what is under way: datagrams are lost,
    /// and TCP waits until the links are healed or it gives up.
    ///
    /// # Panics
    ///
    /// Outside of a simulation.
    #[track_caller]
    pub fn partition(self) -> Links {
        in_simulation(with_network_of(self.network, |net, at| {
            net.partition(self.pair, at);
        }));
        self
    }

    /// Mends the links. TCP sends again what was lost, at once or within some hundreds of
    /// milliseconds.
    ///
    /// # Panics
    ///
    /// Outside of a simulation.
    #[track_caller]
    pub fn heal(self) -> Links {
        in_simulation(with_network_of(self.network, |net, at| {
            net.heal(self.pair, at);
        }));
        self
    }

    #[track_caller]
    fn change(self, change: impl Fn(&mut Link)) -> Links {
        in_simulation(with_network_of(self.network, |net, _| {
            net.change_links(self.pair, change);
        }));
        self
    }
}

#[track_caller]
fn in_simulation<T>(result: io::Result<T>) -> T {
    match result {
        Ok(result) => result,
        Err(error) => panic!("{error}, so there is no network to be changed"),
    }
}

#[track_caller]
fn rate_of(part: f64) -> Rate {
    assert!(
        (0.0..=1.0).contains(&part),
        "a rate must be between 0 and 1"
    );
    // At most what a `u32` holds: the cast saturates.
    let one_in = |part: f64| (1.0 / part).round() as u32;
    match part {
        0.0 => Rate::Never,
        1.0 => Rate::Always,
        part if part <= 0.5 => Rate::OneIn(one_in(part)),
        part => Rate::AllButOneIn(one_in(1.0 - part)),
    }
}
