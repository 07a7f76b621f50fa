//! Two connected streams, for tests that need something to wait for and do not care what. A Unix pair where there is one: it
//! has no port, and what one end writes the other end can read at once. A TCP connection elsewhere.

#[cfg(all(unix, feature = "net"))]
pub(crate) use executor::net::unix::UnixStream as Stream;
#[cfg(unix)]
pub(crate) use std::os::unix::net::UnixStream as StdStream;

#[cfg(all(not(unix), feature = "net"))]
pub(crate) use executor::net::TcpStream as Stream;
#[cfg(not(unix))]
pub(crate) use std::net::TcpStream as StdStream;

/// Both block.
#[cfg(unix)]
pub(crate) fn std_pair() -> (StdStream, StdStream) {
    StdStream::pair().unwrap()
}

/// Both block.
#[cfg(not(unix))]
pub(crate) fn std_pair() -> (StdStream, StdStream) {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, peer) = listener.accept().unwrap();
    assert_eq!(near.local_addr().unwrap(), peer);
    for end in [&near, &far] {
        end.set_nodelay(true).unwrap();
    }
    (near, far)
}

/// Of the current runtime.
#[cfg(feature = "net")]
pub(crate) fn pair() -> (Stream, Stream) {
    let (near, far) = std_pair();
    (
        Stream::try_from(near).unwrap(),
        Stream::try_from(far).unwrap(),
    )
}

/// The number of its descriptor, which comes again when it is closed.
pub(crate) fn number(stream: &StdStream) -> u64 {
    #[cfg(unix)]
    return std::os::fd::AsRawFd::as_raw_fd(stream) as u64;
    #[cfg(windows)]
    return std::os::windows::io::AsRawSocket::as_raw_socket(stream);
}
