//! The address of a Unix socket.

use std::ffi::OsStr;
use std::fmt;
use std::io;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as Std;
use std::path::Path;

use socket2::SockAddr;

/// The address of a Unix socket.
#[derive(Clone)]
pub struct SocketAddr(pub(super) Std);

impl SocketAddr {
    /// The address of a path. On Linux, one that begins with a zero byte is an abstract name.
    pub(super) fn of_path(path: &Path) -> io::Result<SocketAddr> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"\0") {
            return Std::from_abstract_name(name).map(SocketAddr);
        }
        Std::from_pathname(path).map(SocketAddr)
    }

    /// The same address for `socket2`.
    pub(super) fn to_socket2(&self) -> io::Result<SockAddr> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(name) = self.0.as_abstract_name() {
            return SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()));
        }
        SockAddr::unix(self.0.as_pathname().unwrap_or(Path::new("")))
    }

    /// Whether the socket has no address.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if it has one.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The abstract name, if it has one.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_name()
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Std> for SocketAddr {
    fn from(address: Std) -> SocketAddr {
        SocketAddr(address)
    }
}

impl From<SocketAddr> for Std {
    fn from(address: SocketAddr) -> Std {
        address.0
    }
}
