//! The halves of a Unix stream.

use super::{SocketAddr, UnixStream};
use crate::net::stream::impl_halves;

impl_halves!(UnixStream, SocketAddr);
