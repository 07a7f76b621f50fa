//! The contexts of other runtimes that the threads of a runtime enter. Empty without the features
//! that ask for one.
//!
//! Feature `tokio-compat`: a tokio context is a thread-local handle of a tokio runtime.
//! `tokio::spawn` looks for it, and so do tokio's sockets and timers when they are made, some also
//! when they are polled or dropped. So each thread that runs foreign code for a runtime of this
//! crate enters one:
//!
//! 1. The first runtime of this crate starts one tokio runtime for the whole process, with as many
//!    workers as a runtime has processors by default; it is never dropped. A runtime that was given
//!    a handle by [`Builder::tokio_handle`](super::Builder::tokio_handle) uses that one.
//! 2. Each thread of a runtime enters the handle once, before anything else, and leaves it last:
//!    workers, spare threads that take over a processor, blocking threads, the monitor. A poll
//!    costs nothing more.
//! 3. The caller of each `block_on` enters it for the time of the call. Afterwards the context that
//!    it had entered before is current again, even if the future panics.
//!
//! A context that the thread happens to be in is never used: it belongs to a runtime that may end
//! before this crate's runtime does.
//!
//! [`Handle::enter`](super::Handle::enter) does not enter the context: tokio panics if guards are
//! dropped out of order, and this crate's guards do not.

use std::io;
use std::marker::PhantomData;

/// The contexts that a runtime gives to its threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Foreign {
    /// `None` until the runtime is built.
    #[cfg(feature = "tokio-compat")]
    tokio: Option<tokio::runtime::Handle>,
}

/// Keeps the contexts entered while it exists.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    #[cfg(feature = "tokio-compat")]
    _tokio: Option<tokio::runtime::EnterGuard<'a>>,
    _foreign: PhantomData<&'a Foreign>,
}

impl Foreign {
    /// Contexts with this tokio runtime instead of the one of the process.
    #[cfg(feature = "tokio-compat")]
    pub(super) fn with_tokio(handle: tokio::runtime::Handle) -> Foreign {
        Foreign {
            tokio: Some(handle),
        }
    }

    /// The contexts of the runtime that this thread is in, or else those of the process.
    #[cfg(feature = "tokio-compat")]
    pub(crate) fn current() -> io::Result<Foreign> {
        match super::context::current_handle() {
            Some(handle) => Ok(handle.foreign),
            None => Foreign::default().completed(),
        }
    }

    /// Fills in what the user has not set.
    ///
    /// # Errors
    ///
    /// When threads or descriptors cannot be created.
    #[cfg_attr(
        not(feature = "tokio-compat"),
        allow(unused_mut, clippy::unnecessary_wraps)
    )]
    pub(super) fn completed(mut self) -> io::Result<Foreign> {
        // Guards of a context are dropped in the reverse order on one thread of the system, and
        // simulated threads share one.
        #[cfg(all(feature = "tokio-compat", feature = "sim"))]
        if crate::simulated::is_here() {
            return Ok(Foreign::default());
        }
        #[cfg(feature = "tokio-compat")]
        if self.tokio.is_none() {
            self.tokio = Some(tokio_of_process()?);
        }
        Ok(self)
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        Entered {
            #[cfg(feature = "tokio-compat")]
            _tokio: self.tokio.as_ref().and_then(enter_tokio),
            _foreign: PhantomData,
        }
    }
}

#[cfg(feature = "tokio-compat")]
static PROCESS: crate::sync::fork::PerProcess<tokio::runtime::Runtime> =
    crate::sync::fork::PerProcess::new();

/// Takes the lock of the process's tokio runtime, for a fork.
#[cfg(feature = "tokio-compat")]
pub(super) fn hold() -> impl Sized + 'static {
    PROCESS.hold()
}

#[cfg(not(feature = "tokio-compat"))]
pub(super) fn hold() {}

#[cfg(feature = "tokio-compat")]
fn tokio_of_process() -> io::Result<tokio::runtime::Handle> {
    use tokio::runtime::Builder;

    use crate::machine::{affinity, pinned};
    use crate::observe::{CpusReader, CpusSource};

    if let Some(runtime) = PROCESS.get() {
        return Ok(runtime.handle().clone());
    }
    let mut builder = Builder::new_multi_thread();
    // An unusable setting concerns runtimes that do not say how many they want.
    if let Ok(workers) = super::usable::workers_of_environment() {
        let cpus = || CpusReader::new(&CpusSource::default()).available();
        builder.worker_threads(workers.unwrap_or_else(cpus));
    }
    // Else they would begin with the one CPU of this thread.
    if let Some(whole) = pinned::whole() {
        builder.on_thread_start(move || _ = affinity::pin(affinity::Thread::Current, whole));
    }
    let built = builder.thread_name("executor-tokio").enable_all().build();
    let mut built = Some(built?);
    let runtime = PROCESS.get_or_init(|| match built.take() {
        Some(runtime) => runtime,
        None => unreachable!("an initialiser runs once"),
    });
    // If two threads come here at once, one of them is late. A plain drop of its runtime would
    // wait, and that panics inside a tokio task.
    if let Some(late) = built {
        late.shutdown_background();
    }
    Ok(runtime.handle().clone())
}

/// `None` while the thread's locals are being destroyed: then tokio has no context.
#[cfg(feature = "tokio-compat")]
fn enter_tokio(handle: &tokio::runtime::Handle) -> Option<tokio::runtime::EnterGuard<'_>> {
    match tokio::runtime::Handle::try_current() {
        Err(error) if error.is_thread_local_destroyed() => None,
        _ => Some(handle.enter()),
    }
}
