//! [`Compat`]: a tokio context for a single future (feature `tokio-compat`).
//!
//! Every thread of a runtime (workers, spare and blocking threads) and every caller of `block_on`
//! is in a tokio context. So libraries that call `tokio::spawn`, `tokio::time` or `tokio::net` work
//! unchanged inside this crate's tasks.
//!
//! ```
//! let sum = executor::block_on(executor::spawn(async {
//!     let one = tokio::spawn(async {
//!         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
//!         1
//!     });
//!     one.await.unwrap() + 1
//! }));
//! assert_eq!(sum.unwrap(), 2);
//! ```
//!
//! - The first runtime of this crate starts one tokio runtime for the whole process, with threads
//!   `executor-tokio`: as many as a runtime of this crate has processors by default. It is never
//!   dropped. [`Builder::tokio_handle`](crate::runtime::Builder::tokio_handle) sets another one
//!   instead. A tokio context that the calling thread happens to be in is not used.
//! - A task that the library spawns runs on those threads, not on this crate's processors, and its
//!   sockets and timers are tokio's. If a task of this crate awaits one of the library's futures,
//!   that future runs in this crate's task. A task on those threads that blocks delays others there:
//!   the package `tokio` of this crate's repository does not have that limit (docs/tokio.md).
//! - tokio's cooperative budget does not apply to this crate's tasks. A loop over a tokio socket
//!   that is always ready must yield by itself.
//! - `tokio::task::spawn_local` and `tokio::task::LocalSet` need tokio's own `block_on`.
//!   `tokio::task::block_in_place` only calls its closure; the monitor of this crate notices a poll
//!   that blocks.
//! - An entered [`Handle`](crate::Handle::enter) alone does not enter tokio.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::runtime::Foreign;

pin_project! {
    /// Gives one future a tokio context wherever it is polled: on another executor, or in a runtime
    /// of this crate that was built without one.
    ///
    /// Tasks of this crate do not need it, since their threads have entered a context. `Compat`
    /// enters its context for each poll and for the drop of the future, and leaves it afterwards,
    /// so nothing else on the thread sees it.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::compat::Compat;
    /// use std::time::Duration;
    ///
    /// let later = Compat::new(async {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     tokio::spawn(async { 42 }).await.unwrap()
    /// });
    /// // Any executor; this one knows neither tokio nor us.
    /// assert_eq!(futures::executor::block_on(later), 42);
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Compat<F> {
        context: Foreign,
        // `None` only while it is being dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Compat<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.context.enter();
            this.future.set(None);
        }
    }
}

impl<F> Compat<F> {
    /// Uses the context of the calling thread's runtime, or that of the process outside any.
    ///
    /// # Panics
    ///
    /// When the process's tokio runtime is needed and cannot be started. [`Compat::try_new`]
    /// returns the error instead.
    pub fn new(future: F) -> Compat<F> {
        match Compat::try_new(future) {
            Ok(compat) => compat,
            Err(error) => panic!("Compat::new: tokio could not be started: {error}"),
        }
    }

    /// Like [`Compat::new`], but returns the error.
    ///
    /// # Errors
    ///
    /// When the process's tokio runtime is needed and cannot be started. The future is dropped.
    pub fn try_new(future: F) -> io::Result<Compat<F>> {
        Ok(Compat {
            context: Foreign::current()?,
            future: Some(future),
        })
    }
}

impl<F: Future> Future for Compat<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.context.enter();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => unreachable!("taken out by drop, after which nobody polls"),
        }
    }
}

impl<F: fmt::Debug> fmt::Debug for Compat<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compat").field(&self.future).finish()
    }
}
