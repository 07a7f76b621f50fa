//! Options of UDP sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::SockRef;

use super::UdpSocket;
use crate::net::macros::{impl_ip_options, impl_options};

impl_options! {
    UdpSocket, |socket| socket.io.get_ref();
    /// Whether it may send to broadcast addresses.
    broadcast, set_broadcast: bool = broadcast, set_broadcast;
    /// Whether it receives its own multicast datagrams of IPv4.
    multicast_loop_v4, set_multicast_loop_v4: bool = multicast_loop_v4, set_multicast_loop_v4;
    /// The time to live of its multicast datagrams of IPv4.
    multicast_ttl_v4, set_multicast_ttl_v4: u32 = multicast_ttl_v4, set_multicast_ttl_v4;
    /// Whether it receives its own multicast datagrams of IPv6.
    multicast_loop_v6, set_multicast_loop_v6: bool = multicast_loop_v6, set_multicast_loop_v6;
    /// The time to live of its packets.
    ttl, set_ttl: u32 = ttl, set_ttl;
}
impl_ip_options!(UdpSocket, |socket| SockRef::from(socket));

impl UdpSocket {
    /// Joins a multicast group of IPv4.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().join_multicast_v4(&multiaddr, &interface)
    }

    /// Joins a multicast group of IPv6.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a multicast group of IPv4.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v4(&multiaddr, &interface)
    }

    /// Leaves a multicast group of IPv6.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v6(multiaddr, interface)
    }
}
