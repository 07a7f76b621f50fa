//! The handles of a task, and the error of a task without an output.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use real::task::coop::poll_proceed;

use super::Id;

/// Waits for a task, and can abort it. Dropping it detaches the task.
pub struct JoinHandle<T> {
    task: executor::JoinHandle<T>,
    /// As in the real tokio, it is for one thread if the output is.
    output: PhantomData<Mutex<T>>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: executor::JoinHandle<T>) -> JoinHandle<T> {
        JoinHandle {
            task,
            output: PhantomData,
        }
    }

    /// Asks the task to stop.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// A handle that can abort the task, but not wait for it.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            task: self.task.abort_handle(),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        Id::new(self.task.id())
    }
}

impl<T> Unpin for JoinHandle<T> {}

// A panic of the task comes out as an error, whatever its output is.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let progress = ready!(poll_proceed(cx));
        let result = ready!(Pin::new(&mut self.task).poll(cx));
        progress.made_progress();
        Poll::Ready(result.map_err(JoinError::new))
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .finish()
    }
}

/// Can abort a task, but not wait for it.
#[derive(Clone)]
pub struct AbortHandle {
    task: executor::task::AbortHandle,
}

impl AbortHandle {
    /// Asks the task to stop.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        Id::new(self.task.id())
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .finish()
    }
}

/// Why a task has no output.
pub struct JoinError {
    id: Id,
    reason: Reason,
}

enum Reason {
    Cancelled,
    /// The lock makes the error `Sync`.
    Panic(Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    fn new(error: executor::JoinError) -> JoinError {
        let id = Id::new(error.id());
        let reason = match error.try_into_panic() {
            Ok(payload) => Reason::Panic(Mutex::new(payload)),
            Err(_) => Reason::Cancelled,
        };
        JoinError { id, reason }
    }

    /// Whether the task was aborted, or its runtime has shut down.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.reason, Reason::Cancelled)
    }

    /// Whether the task has panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.reason, Reason::Panic(_))
    }

    /// What the task has panicked with.
    ///
    /// # Panics
    ///
    /// If it has not.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .expect("`JoinError` reason is not a panic.")
    }

    /// What the task has panicked with.
    ///
    /// # Errors
    ///
    /// The error itself, if the task has not panicked.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match self.reason {
            Reason::Panic(payload) => Ok(payload.into_inner().unwrap_or_else(|e| e.into_inner())),
            Reason::Cancelled => Err(self),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The message of the panic, if it has one. `None`: there was no panic.
    fn message(&self) -> Option<Option<String>> {
        let Reason::Panic(payload) = &self.reason else {
            return None;
        };
        let payload = payload.lock().unwrap_or_else(|e| e.into_inner());
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&'static str>().copied());
        Some(text.map(String::from))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            None => write!(f, "task {} was cancelled", self.id),
            Some(Some(text)) => write!(f, "task {} panicked with message {text:?}", self.id),
            Some(None) => write!(f, "task {} panicked", self.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            None => write!(f, "JoinError::Cancelled({:?})", self.id),
            Some(Some(text)) => write!(f, "JoinError::Panic({:?}, {text:?}, ...)", self.id),
            Some(None) => write!(f, "JoinError::Panic({:?}, ...)", self.id),
        }
    }
}

impl Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(match error.reason {
            Reason::Cancelled => "task was cancelled",
            Reason::Panic(_) => "task panicked",
        })
    }
}
