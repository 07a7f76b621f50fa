//! System calls of sockets: with their flags in the same call where the system allows that, without
//! `SIGPIPE`, and into memory that is not initialised.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use real::io::ReadBuf;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny};

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// Apple's sockets have an option for it instead, which `std` and `socket2` set.
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::empty();

/// Up to this many bytes are copied into one buffer before they are sent: `send` is cheaper than
/// `sendmsg`, which first fetches a header and the list of slices.
const FLAT: usize = 512;

/// Accepts a connection whose socket is close-on-exec and non-blocking.
pub(super) fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    #[cfg(not(target_vendor = "apple"))]
    let accepted = {
        use rustix::net::SocketFlags;
        rustix::net::acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?
    };
    #[cfg(target_vendor = "apple")]
    let accepted = {
        let (socket, peer) = rustix::net::acceptfrom(listener)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        rustix::net::sockopt::set_socket_nosigpipe(&socket, true)?;
        (socket, peer)
    };
    Ok(accepted)
}

/// Starts to connect. `Ok` may mean "in progress": the socket becomes writable when the outcome is
/// known.
pub(super) fn start_connect(
    socket: &socket2::Socket,
    address: &socket2::SockAddr,
) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        result => result,
    }
}

#[inline]
pub(super) fn send(socket: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, SEND_FLAGS)?)
}

pub(super) fn send_vectored(socket: impl AsFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let len: usize = bufs.iter().map(|buf| buf.len()).sum();
    if len <= FLAT {
        let mut flat = [0; FLAT];
        let mut filled = 0;
        for buf in bufs {
            flat[filled..filled + buf.len()].copy_from_slice(buf);
            filled += buf.len();
        }
        return send(socket, &flat[..len]);
    }
    // The most that one call takes on every system; a longer list becomes a short write.
    const MAX_SLICES: usize = 1024;
    let bufs = &bufs[..bufs.len().min(MAX_SLICES)];
    let mut control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(
        socket,
        bufs,
        &mut control,
        SEND_FLAGS,
    )?)
}

/// Fills a part of a buffer by a system call. `call` returns how many bytes it has initialised.
#[inline]
fn fill<R>(
    buf: &mut ReadBuf<'_>,
    call: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<(usize, R)>,
) -> io::Result<(usize, R)> {
    // SAFETY: the calls below only write initialised bytes.
    let unfilled = unsafe { buf.unfilled_mut() };
    let (len, more) = call(unfilled)?;
    // SAFETY: `call` has initialised that many bytes from the beginning of the unfilled part on.
    unsafe { buf.assume_init(len) };
    buf.advance(len);
    Ok((len, more))
}

/// Receives into the unfilled part of a buffer.
#[inline]
pub(super) fn recv_into(
    socket: impl AsFd,
    buf: &mut ReadBuf<'_>,
    flags: RecvFlags,
) -> io::Result<usize> {
    let call = |unfilled: &mut [MaybeUninit<u8>]| {
        let ((read, _), _) = rustix::net::recv(socket, unfilled, flags)?;
        Ok((read.len(), ()))
    };
    Ok(fill(buf, call)?.0)
}

/// The same, with the address of the sender.
pub(super) fn recv_from_into(
    socket: impl AsFd,
    buf: &mut ReadBuf<'_>,
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    fill(buf, |unfilled| {
        let ((read, _), _, sender) = rustix::net::recvfrom(socket, unfilled, flags)?;
        Ok((read.len(), sender))
    })
}

/// Reads from any descriptor into the unfilled part of a buffer.
#[inline]
pub(super) fn read_into(fd: impl AsFd, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
    let call = |unfilled: &mut [MaybeUninit<u8>]| {
        let (read, _) = rustix::io::read(fd, unfilled)?;
        Ok((read.len(), ()))
    };
    Ok(fill(buf, call)?.0)
}

/// Lets `read` fill the next chunk of a buffer of bytes.
#[cfg(feature = "io-util")]
pub(super) fn into_buf_mut<B: bytes::BufMut, R>(
    buf: &mut B,
    read: impl FnOnce(&mut ReadBuf<'_>) -> io::Result<R>,
) -> io::Result<R> {
    // SAFETY: a `ReadBuf` writes initialised bytes only.
    let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let mut chunk = ReadBuf::uninit(chunk);
    let result = read(&mut chunk)?;
    let len = chunk.filled().len();
    // SAFETY: that many bytes of the chunk are filled, and so initialised.
    unsafe { buf.advance_mut(len) };
    Ok(result)
}

/// The IP address of a peer.
pub(super) fn ip(address: Option<SocketAddrAny>) -> io::Result<std::net::SocketAddr> {
    let address = address.ok_or_else(|| io::Error::other("the system tells no address"))?;
    Ok(address.try_into()?)
}

/// The address of a peer of a Unix socket. Without a name if the system tells none.
pub(super) fn unix(address: Option<SocketAddrAny>) -> io::Result<std::os::unix::net::SocketAddr> {
    use std::os::unix::net::SocketAddr;

    let Some(address) = address else {
        return SocketAddr::from_pathname("");
    };
    let address = rustix::net::SocketAddrUnix::try_from(address)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.abstract_name() {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    match address.path_bytes() {
        Some(path) => {
            use std::os::unix::ffi::OsStrExt;
            SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))
        }
        None => SocketAddr::from_pathname(""),
    }
}
