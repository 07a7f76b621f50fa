//! Two connected streams for unit tests. Both block.

#[cfg(not(unix))]
pub(crate) use std::net::TcpStream as Stream;
#[cfg(unix)]
pub(crate) use std::os::unix::net::UnixStream as Stream;

/// What one end writes the other end can read at once.
#[cfg(unix)]
pub(crate) fn pair() -> (Stream, Stream) {
    Stream::pair().unwrap()
}

/// By TCP, as there is nothing else.
#[cfg(not(unix))]
pub(crate) fn pair() -> (Stream, Stream) {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = Stream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for end in [&near, &far] {
        end.set_nodelay(true).unwrap();
    }
    (near, far)
}
