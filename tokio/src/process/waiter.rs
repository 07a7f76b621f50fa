//! Waits for a child's end.
//!
//! # Protocol
//!
//! 1. A child has a pidfd, which can be read when it has ended. It is registered with the runtime
//!    that has spawned the child.
//! 2. If that runtime has shut down, the next poll registers another pidfd with the runtime of its
//!    own thread. The number of the child still means the child, since it is free only after
//!    somebody has asked for the child's status.
//! 3. Without pidfds (before Linux 5.3), a wait listens for SIGCHLD. It first polls the listener,
//!    and then asks whether the child has ended. So an end after the question raises a signal that
//!    the listener hears of.
//! 4. A child that is being traced has ended for its pidfd before it has for its parent. Then step
//!    3 is what tells.
//! 5. A child that is dropped alive becomes an orphan (`orphans`), killed or not.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::task::{Context, Poll, ready};

use executor::io::Async;
use real::task::coop::poll_proceed;

use super::{orphans, pipe};
use crate::context;
use crate::runtime::is_rt_shutdown_err;
use crate::signal::registry::{self, Listener};

/// A child, until its end is known.
pub(super) struct Waiter {
    /// `None` only while this is dropped.
    child: Option<Child>,
    signs: Signs,
    kill_on_drop: bool,
}

/// What tells of the end.
enum Signs {
    Nothing,
    Pidfd(Async<OwnedFd>),
    /// Step 3.
    Signal(Listener),
}

impl Waiter {
    pub(super) fn new(child: Child, kill_on_drop: bool) -> Waiter {
        Waiter {
            child: Some(child),
            signs: Signs::Nothing,
            kill_on_drop,
        }
    }

    /// Steps 1 and 2.
    ///
    /// # Panics
    ///
    /// Outside a runtime, and if the builder of the runtime has not enabled I/O.
    #[track_caller]
    pub(super) fn register(&mut self) -> io::Result<()> {
        let runtime = context::expect_io();
        let _entered = runtime.shared().executor().enter();
        self.signs = match open_pidfd(self.id()) {
            Some(pidfd) => Signs::Pidfd(Async::new(pidfd).map_err(pipe::from_reactor)?),
            None => Signs::Signal(registry::listen(libc::SIGCHLD)?),
        };
        Ok(())
    }

    fn child(&mut self) -> &mut Child {
        match &mut self.child {
            Some(child) => child,
            None => unreachable!("taken only by drop"),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The child's pipes are taken by whoever makes this.
    pub(super) fn std(&mut self) -> &mut Child {
        self.child()
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child().kill()?;
        self.kill_on_drop = false;
        Ok(())
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child().try_wait()?;
        if status.is_some() {
            self.kill_on_drop = false;
        }
        Ok(status)
    }

    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let progress = ready!(poll_proceed(cx));
        let result = ready!(self.poll_end(cx));
        progress.made_progress();
        Poll::Ready(result)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        loop {
            match &mut self.signs {
                Signs::Nothing => self.register()?,
                Signs::Pidfd(pidfd) => {
                    let readable = ready!(pidfd.poll_readable(cx));
                    match readable.map_err(pipe::from_reactor) {
                        Ok(()) => {
                            if let Some(status) = self.try_wait()? {
                                return Poll::Ready(Ok(status));
                            }
                            // Step 4.
                            self.signs = Signs::Signal(registry::listen(libc::SIGCHLD)?);
                        }
                        Err(error) if is_rt_shutdown_err(&error) => self.register()?,
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Signs::Signal(listener) => {
                    let heard = listener.poll(cx);
                    if let Some(status) = self.try_wait()? {
                        return Poll::Ready(Ok(status));
                    }
                    ready!(heard);
                }
            }
        }
    }
}

impl Drop for Waiter {
    /// Step 5.
    fn drop(&mut self) {
        if self.kill_on_drop {
            // A child that has ended cannot be killed.
            let _ = self.kill();
        }
        if let Some(mut child) = self.child.take() {
            if !matches!(child.try_wait(), Ok(Some(_))) {
                orphans::adopt(child);
            }
        }
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("pid", &self.id()).finish()
    }
}

/// A pidfd of a child that nobody has waited for. `None`: step 3.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_pidfd(id: u32) -> Option<OwnedFd> {
    use std::os::fd::{FromRawFd, RawFd};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Whether the system has said that it knows no pidfds. It only saves a call: `Relaxed`.
    static UNKNOWN: AtomicBool = AtomicBool::new(false);

    if UNKNOWN.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: this system call takes two numbers, and reads no memory of the process.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
    if fd >= 0 {
        // SAFETY: the call has opened the descriptor, and nobody else knows it.
        return Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
    }
    if io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        UNKNOWN.store(true, Ordering::Relaxed);
    }
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_pidfd(_id: u32) -> Option<OwnedFd> {
    None
}

#[cfg(all(test, feature = "rt"))]
mod tests {
    use std::future::poll_fn;
    use std::process::{Command, Stdio};

    use super::*;

    /// What happens on a system without pidfds.
    #[test]
    fn signal_tells_of_the_end() {
        let mut builder = crate::runtime::Builder::new_current_thread();
        let rt = builder.enable_all().build().unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let mut waiter = Waiter::new(child, false);
        waiter.signs = Signs::Signal(registry::listen(libc::SIGCHLD).unwrap());
        rt.block_on(async {
            assert!(poll_fn(|cx| Poll::Ready(waiter.poll_wait(cx).is_pending())).await);
            drop(stdin);
            let status = poll_fn(|cx| waiter.poll_wait(cx)).await.unwrap();
            assert!(status.success());
        });
    }
}
