//! The way between two hosts: how long a packet takes, and whether it arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{HostId, Moment};

/// A packet to the host itself.
const LOOPBACK: Duration = Duration::from_micros(10);
/// A packet to another host: two racks of one data centre.
const BETWEEN: Duration = Duration::from_micros(500);
/// A packet that takes longer than the shortest time is one of so many.
const LATE: u32 = 16;
/// Steps between the shortest and the longest time.
const STEPS: u32 = 16;
/// When a lost packet of a stream is first sent again, as on Linux; then after twice the time.
pub(super) const RESEND: Duration = Duration::from_millis(200);
/// A packet is lost so often in a row at most.
const LOSSES: u32 = 6;

/// From one host to another, or to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) from: HostId,
    pub(super) to: HostId,
}

impl Route {
    /// From a host to itself.
    pub(super) fn within(host: HostId) -> Route {
        Route {
            from: host,
            to: host,
        }
    }

    /// The way back.
    pub(super) fn back(self) -> Route {
        Route {
            from: self.to,
            to: self.from,
        }
    }
}

/// How often something happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rate {
    Never,
    /// To one packet of so many, at least two. The ordinary packet is spared.
    OneIn(u32),
    /// To all but one packet of so many, at least two. It happens to the ordinary packet, so a run
    /// that is shrunk keeps what its program has set up.
    AllButOneIn(u32),
    Always,
}

impl Rate {
    fn happens(self, at: &mut Moment<'_>) -> bool {
        match self {
            Rate::Never => false,
            Rate::OneIn(count) => at.choose(2, count) != 0,
            Rate::AllButOneIn(count) => at.choose(2, count) == 0,
            Rate::Always => true,
        }
    }
}

/// The links that a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// Those between any two hosts, also between later ones.
    All,
    Of(HostId, HostId),
}

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
    /// How many packets are lost.
    pub(crate) loss: Rate,
    /// How many datagrams arrive twice.
    pub(crate) duplication: Rate,
    pub(crate) is_partitioned: bool,
}

impl Link {
    fn of(shortest: Duration) -> Link {
        Link {
            shortest,
            longest: 3 * shortest,
            loss: Rate::Never,
            duplication: Rate::Never,
            is_partitioned: false,
        }
    }

    /// How long a packet takes.
    pub(super) fn latency(&self, at: &mut Moment<'_>) -> Duration {
        let range = self.longest.saturating_sub(self.shortest);
        if range.is_zero() {
            return self.shortest;
        }
        self.shortest + range / (STEPS - 1) * at.choose(STEPS, LATE)
    }

    pub(super) fn loses(&self, at: &mut Moment<'_>) -> bool {
        self.loss.happens(at)
    }

    pub(super) fn doubles(&self, at: &mut Moment<'_>) -> bool {
        self.duplication.happens(at)
    }

    /// How long a packet of a stream takes, which is sent again until it arrives.
    pub(super) fn reliable(&self, at: &mut Moment<'_>) -> Duration {
        let mut latency = Duration::ZERO;
        let mut resend = RESEND;
        for _ in 0..LOSSES {
            if !self.loses(at) {
                break;
            }
            latency += resend;
            resend *= 2;
        }
        latency.saturating_add(self.latency(at))
    }
}

/// All links.
#[derive(Debug)]
pub(super) struct Links {
    loopback: Link,
    default: Link,
    /// Links that differ from the default, by the smaller and the larger host.
    pairs: BTreeMap<(HostId, HostId), Link>,
}

impl Links {
    pub(super) fn new() -> Links {
        Links {
            loopback: Link {
                longest: 2 * LOOPBACK,
                ..Link::of(LOOPBACK)
            },
            default: Link::of(BETWEEN),
            pairs: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, route: Route) -> Link {
        let Route { from, to } = route;
        if from == to {
            return self.loopback;
        }
        let pair = (from.min(to), from.max(to));
        self.pairs.get(&pair).copied().unwrap_or(self.default)
    }

    pub(super) fn change(&mut self, pair: Pair, change: impl Fn(&mut Link)) {
        match pair {
            Pair::All => {
                change(&mut self.default);
                self.pairs.values_mut().for_each(change);
            }
            Pair::Of(a, b) if a == b => change(&mut self.loopback),
            Pair::Of(a, b) => {
                let link = self.pairs.entry((a.min(b), a.max(b)));
                change(link.or_insert(self.default));
            }
        }
    }
}
