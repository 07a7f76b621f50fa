//! Registering an object as it is, and the errors of that.

use std::error::Error;
use std::fmt;
use std::io;

use crate::reactor::ShutDown;
use crate::sys::{self, AsDescriptor};

use super::Async;

impl<T: AsDescriptor> Async<T> {
    /// Like [`Async::new`], for an object that is in non-blocking mode already: changes nothing
    /// about it.
    ///
    /// # Errors
    ///
    /// As for [`Async::new`]. The error gives the object back.
    ///
    /// # Examples
    ///
    /// ```
    /// executor::block_on(async {
    ///     let file = std::fs::File::open("Cargo.toml")?;
    ///     // A regular file cannot be waited on.
    ///     let error = executor::io::Async::from_nonblocking(file).unwrap_err();
    ///     let (file, error) = error.into_parts();
    ///     assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    ///     assert!(file.metadata()?.len() > 0);
    ///     std::io::Result::Ok(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn from_nonblocking(io: T) -> Result<Async<T>, RegisterError<T>> {
        let registered = crate::runtime::context::reactor()
            .and_then(|reactor| crate::reactor::Reactor::register(&reactor, sys::borrow(&io)));
        match registered {
            Ok(source) => Ok(Async {
                source,
                io: Some(io),
            }),
            Err(error) => Err(RegisterError { io, error }),
        }
    }
}

/// An object could not be registered. The error has it.
pub struct RegisterError<T> {
    io: T,
    error: io::Error,
}

impl<T> RegisterError<T> {
    /// The object, and why it could not be registered.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.io, self.error)
    }
}

impl<T> fmt::Debug for RegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for RegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for RegisterError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<T> From<RegisterError<T>> for io::Error {
    fn from(error: RegisterError<T>) -> io::Error {
        error.error
    }
}

/// Whether an error says that the runtime of an object has shut down, so that nobody can wait for
/// the object any more.
///
/// # Examples
///
/// ```
/// let runtime = executor::Builder::new().build()?;
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// let socket = {
///     let _entered = runtime.handle().enter();
///     executor::io::Async::new(socket)?
/// };
/// drop(runtime);
/// let error = executor::block_on(socket.readable()).unwrap_err();
/// assert!(executor::io::is_shutdown(&error));
/// # std::io::Result::Ok(())
/// ```
pub fn is_shutdown(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ShutDown>())
}
