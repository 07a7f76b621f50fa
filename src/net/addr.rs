//! Socket addresses: the types that convert to them, and the resolution of names.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::tasks::budget::consume_budget;

use super::sockets;

/// Types that convert to socket addresses, as [`std::net::ToSocketAddrs`] does.
///
/// An address, an IP address with a port, a host name with a port, a string `"host:port"`, a slice
/// of addresses, and references to these. The trait cannot be implemented outside this crate.
pub trait ToSocketAddrs: sealed::Sealed {}

/// Resolves a name, or any other [`ToSocketAddrs`].
///
/// Numeric addresses are returned at once. The operating system resolves names on a thread for
/// blocking work.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a string that is not an address, otherwise
/// what the resolver says.
///
/// # Cancel safety
///
/// Cancel safe. A lookup that has begun continues, and its result is dropped.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// executor::block_on(async {
///     let mut addresses = executor::net::lookup_host("127.0.0.1:80").await?;
///     assert_eq!(addresses.next(), Some(([127, 0, 0, 1], 80).into()));
///     Ok(())
/// })
/// # }
/// ```
pub async fn lookup_host(
    host: impl ToSocketAddrs,
) -> io::Result<impl Iterator<Item = SocketAddr> + Send + 'static> {
    consume_budget().await;
    Ok(resolve(&host).await?.into_iter())
}

/// What is known of an address before anything blocks.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    Known(Vec<SocketAddr>),
    Name(String, u16),
}

mod sealed {
    pub trait Sealed {
        fn target(&self) -> std::io::Result<super::Target>;
    }
}
use sealed::Sealed;

/// The addresses of `host`; looks a name up. Reads `host` at once and does not keep it.
pub(super) fn resolve<A: ToSocketAddrs>(
    host: &A,
) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + use<A> {
    let target = host.target();
    async move {
        match target? {
            Target::Known(addresses) => Ok(addresses),
            Target::Name(host, port) => {
                let lookup = move || sockets::look_up(&host, port);
                crate::runtime::spawn::spawn_blocking(lookup).await?
            }
        }
    }
}

/// Tries the addresses of `host` in turn. Returns the first success, or else the last error.
pub(super) async fn try_each<T, F: Future<Output = io::Result<T>>>(
    host: impl ToSocketAddrs,
    attempt: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    consume_budget().await;
    let mut failure = None;
    for address in resolve(&host).await? {
        match attempt(address).await {
            Ok(done) => return Ok(done),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(no_address))
}

/// The error of a name without addresses, or of an empty slice.
pub(super) fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "there is no address to take: the name has none, or the list is empty",
    )
}

fn known(address: impl Into<SocketAddr>) -> io::Result<Target> {
    Ok(Target::Known(vec![address.into()]))
}

/// Implements the trait for types that are one address without a lookup.
macro_rules! numeric {
    ($($Type:ty),*) => {$(
        impl ToSocketAddrs for $Type {}
        impl Sealed for $Type {
            fn target(&self) -> io::Result<Target> {
                known(*self)
            }
        }
    )*};
}
numeric!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for (&str, u16) {}
impl Sealed for (&str, u16) {
    fn target(&self) -> io::Result<Target> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(ip) => known((ip, port)),
            Err(_) => Ok(Target::Name(host.to_owned(), port)),
        }
    }
}

impl ToSocketAddrs for (String, u16) {}
impl Sealed for (String, u16) {
    fn target(&self) -> io::Result<Target> {
        (self.0.as_str(), self.1).target()
    }
}

impl ToSocketAddrs for str {}
impl Sealed for str {
    fn target(&self) -> io::Result<Target> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return known(address);
        }
        let parts = self.rsplit_once(':');
        match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some(parts) => parts.target(),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an address must have the form host:port",
            )),
        }
    }
}

impl ToSocketAddrs for String {}
impl Sealed for String {
    fn target(&self) -> io::Result<Target> {
        self.as_str().target()
    }
}

impl ToSocketAddrs for [SocketAddr] {}
impl Sealed for [SocketAddr] {
    fn target(&self) -> io::Result<Target> {
        Ok(Target::Known(self.to_vec()))
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: ToSocketAddrs + ?Sized> Sealed for &T {
    fn target(&self) -> io::Result<Target> {
        (**self).target()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_address_is_never_looked_up() {
        let v4: SocketAddr = ([127, 0, 0, 1], 80).into();
        let v6: SocketAddr = (Ipv6Addr::LOCALHOST, 80).into();
        let is = |target: io::Result<Target>, address| {
            assert_eq!(target.unwrap(), Target::Known(vec![address]));
        };
        is("127.0.0.1:80".target(), v4);
        is("[::1]:80".target(), v6);
        is(("127.0.0.1", 80).target(), v4);
        is(("::1".to_owned(), 80).target(), v6);
        is((IpAddr::from([127, 0, 0, 1]), 80).target(), v4);
        is((&&[v6][..]).target(), v6);
    }

    #[test]
    fn a_name_is_looked_up_and_nonsense_is_refused() {
        let name = "example.org:443".target().unwrap();
        assert_eq!(name, Target::Name("example.org".to_owned(), 443));
        for nonsense in ["", "host", "host:", "host:port", "host:65536"] {
            let error = nonsense.target().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{nonsense}");
        }
    }
}
