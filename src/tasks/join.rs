//! The two handles of a task, and the error of a task that gave no output.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::control::Control;
use super::registry::Entry;
use super::{Id, Meta, Outcome, Priority, budget, current, lift, registration};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Mutex};

/// Waits for a task, and can abort it.
///
/// Awaiting the handle gives the task's output, or a [`JoinError`] if the task panicked or was
/// cancelled. The task's future has been dropped by then.
///
/// Dropping the handle detaches the task: it runs on, and its output is dropped when it ends.
///
/// While a task awaits the handle, the task behind it has at least the class of the one that awaits
/// it: see [`Priority`].
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe: the task keeps the output until the handle takes it.
///
/// # Panics
///
/// When polled after it has given its result. If a waker that awaits the handle panics when it is
/// woken, the process aborts.
///
/// # Examples
///
/// ```
/// let handle = executor::spawn(async { 6 * 7 });
/// assert_eq!(executor::block_on(handle).unwrap(), 42);
/// ```
pub struct JoinHandle<T> {
    /// `None` only inside `drop`.
    task: Option<async_task::Task<Outcome<T>, Meta>>,
}

impl<T> JoinHandle<T> {
    #[inline]
    pub(super) fn new(task: async_task::Task<Outcome<T>, Meta>) -> JoinHandle<T> {
        JoinHandle { task: Some(task) }
    }

    #[inline]
    pub(super) fn task(&self) -> &async_task::Task<Outcome<T>, Meta> {
        self.task.as_ref().expect("present until drop")
    }

    /// Asks the task to stop.
    ///
    /// The task ends at its next suspension point: its executor drops the future, and the handle
    /// resolves to a cancelled [`JoinError`]. A task that has finished keeps its output. If an
    /// abort races with completion, the handle gives either. A blocking job that has begun runs on.
    ///
    /// # Examples
    ///
    /// ```
    /// let handle = executor::spawn(std::future::pending::<()>());
    /// handle.abort();
    /// assert!(executor::block_on(handle).unwrap_err().is_cancelled());
    /// ```
    pub fn abort(&self) {
        lift::abort(self.task().metadata());
    }

    /// Gives the task another class.
    ///
    /// What the task spawns from its next poll on, or earlier, inherits it. If the class rises, a task that waits
    /// is polled once more, as it lifts what it awaits. A task that lies in the queue of the
    /// background tasks moves to that of its new class; one in another queue stays there until its
    /// next poll. While the task is [lifted](Priority), it is polled by the higher of the two
    /// classes. Without effect on a task that has finished.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::task::Priority;
    ///
    /// let handle = executor::spawn(async { "compacted" });
    /// handle.set_priority(Priority::Background);
    /// assert_eq!(executor::block_on(handle).unwrap(), "compacted");
    /// ```
    pub fn set_priority(&self, priority: Priority) {
        let meta = self.task().metadata();
        // Relaxed: an abort handle that is made meanwhile sets its class after this one, or before.
        let seen = meta.registration.load(Ordering::Relaxed);
        let control = match seen & registration::CONTROLLED {
            0 => None,
            _ => Control::find(meta.id()),
        };
        match control {
            Some(control) => control.set_priority_of(meta, priority),
            None => lift::tell(lift::set_own(meta, priority), meta),
        }
    }

    /// A handle that can abort the task but not wait for it.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(self.controlled())
    }

    fn controlled(&self) -> Aborts {
        Aborts::Controlled(self.id(), self.control())
    }

    /// Whether the task has a place in its registry.
    fn is_registered(&self) -> bool {
        Entry::of(self.task().metadata()).is_some()
    }

    /// The task's control, which is made if there is none.
    fn control(&self) -> Arc<Control> {
        let meta = self.task().metadata();
        let id = meta.id();
        let control = Control::insert(id, None);
        let attach = |seen: u32| {
            let waker = Entry::in_word(meta, seen).and_then(Entry::waker);
            waker.is_some_and(|waker| control.attach(waker))
        };
        let mut seen = meta.registration.load(Ordering::Acquire);
        let mut is_attached = false;
        loop {
            // Attached before `CONTROLLED` is set: `Registered::look` counts the control's waker as
            // soon as it sees `CONTROLLED`. If the task registers after that, its poll attaches, and
            // a task that is being polled is not said to have no waker.
            is_attached = is_attached || attach(seen);
            // AcqRel: pairs with the load in `Registered::look`, and with the `fetch_or` of the key
            // in `enter_registry`.
            match meta.registration.compare_exchange(
                seen,
                seen | registration::CONTROLLED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(changed) => seen = changed,
            }
        }
        if seen & registration::FINISHED != 0 {
            Control::remove(id);
            control.finish();
        }
        control
    }

    /// Whether the task has finished: its output or its error can be taken without waiting.
    pub fn is_finished(&self) -> bool {
        self.task().is_finished()
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        self.task().metadata().id()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(progress) = budget::poll_proceed(cx) else {
            return Poll::Pending;
        };
        let task = self.task.as_mut().expect("present until drop");
        match Pin::new(&mut *task).poll(cx) {
            Poll::Ready(outcome) => {
                progress.made();
                Poll::Ready(outcome.into_result())
            }
            Poll::Pending => {
                let meta = task.metadata();
                let seen = meta.registration.load(Ordering::Relaxed);
                if (seen | current::class()) & registration::CLASS != 0 {
                    lift::awaited(meta);
                }
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            // Relaxed: what lifts is the poll of this handle.
            let seen = task.metadata().registration.load(Ordering::Relaxed);
            if seen & registration::CLASS != 0 {
                lift::fall_back(task.metadata());
            }
            task.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Aborts a task without waiting for it. Made by [`JoinHandle::abort_handle`] and by `JoinSet`.
///
/// # Examples
///
/// ```
/// let handle = executor::spawn(std::future::pending::<()>());
/// let abort = handle.abort_handle();
/// std::thread::spawn(move || abort.abort());
/// assert!(executor::block_on(handle).unwrap_err().is_cancelled());
/// ```
#[derive(Clone)]
pub struct AbortHandle(Aborts);

/// How an abort handle reaches its task.
enum Aborts {
    /// Through the task's own handle, which nothing awaits. It costs nothing, but a task has only
    /// one.
    Handle(JoinHandle<()>),
    /// Through the control, which the task and all its other abort handles share.
    Controlled(Id, Arc<Control>),
}

/// A task that has only this handle may be lifted by its set, and stays so.
impl Drop for Aborts {
    #[inline]
    fn drop(&mut self) {
        if let Aborts::Handle(handle) = self {
            if let Some(task) = handle.task.take() {
                task.detach();
            }
        }
    }
}

impl Clone for Aborts {
    fn clone(&self) -> Aborts {
        match self {
            Aborts::Handle(handle) => handle.controlled(),
            Aborts::Controlled(id, control) => Aborts::Controlled(*id, control.clone()),
        }
    }
}

impl AbortHandle {
    /// The abort handle of a task whose output does not go to its join handle.
    #[inline]
    pub(super) fn new(handle: JoinHandle<()>) -> AbortHandle {
        AbortHandle(Aborts::Handle(handle))
    }

    /// Asks the task to stop, like [`JoinHandle::abort`].
    pub fn abort(&self) {
        match &self.0 {
            Aborts::Handle(handle) => handle.abort(),
            Aborts::Controlled(_, control) => control.abort(),
        }
    }

    /// Gives the task another class, as [`JoinHandle::set_priority`] does. Of a task that has not been
    /// polled yet, and was not spawned as a background task, the class changes with its first poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use executor::task::{JoinSet, Priority};
    ///
    /// executor::run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { "index" }).set_priority(Priority::Background);
    ///     assert_eq!(set.join_next().await.unwrap().unwrap(), "index");
    /// });
    /// ```
    pub fn set_priority(&self, priority: Priority) {
        lift::note_set_by_handle();
        match &self.0 {
            Aborts::Handle(handle) if handle.is_registered() => handle.set_priority(priority),
            Aborts::Handle(handle) => handle.control().set_priority(priority),
            Aborts::Controlled(_, control) => control.set_priority(priority),
        }
    }

    /// Whether the task's future has been dropped.
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Aborts::Handle(handle) => {
                let meta = handle.task().metadata();
                let seen = meta.registration.load(Ordering::Acquire);
                seen & registration::COUNTED == registration::COUNTED
            }
            Aborts::Controlled(_, control) => control.is_finished(),
        }
    }

    /// The task's id.
    pub fn id(&self) -> Id {
        match &self.0 {
            Aborts::Handle(handle) => handle.id(),
            Aborts::Controlled(id, _) => *id,
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Why a task gave no output: it panicked, or it was cancelled (aborted, or its runtime shut down).
///
/// # Examples
///
/// ```
/// let handle = executor::spawn(async { panic!("no luck") });
/// let error = executor::block_on(handle).unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "no luck");
/// ```
pub struct JoinError(Box<Inner>);

struct Inner {
    id: Id,
    kind: Kind,
}

enum Kind {
    Cancelled,
    /// Because of this error: the task never began, as no thread could be created for it, or it could
    /// not wait, as its runtime had no room for one more task that does.
    Refused(io::Error),
    /// The lock makes the payload `Sync`; no two threads ever contend for it.
    Panic(Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    #[cold]
    pub(crate) fn cancelled(id: Id) -> JoinError {
        JoinError(Box::new(Inner {
            id,
            kind: Kind::Cancelled,
        }))
    }

    #[cold]
    pub(crate) fn refused(id: Id, error: io::Error) -> JoinError {
        JoinError(Box::new(Inner {
            id,
            kind: Kind::Refused(error),
        }))
    }

    #[cold]
    pub(crate) fn panic(id: Id, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError(Box::new(Inner {
            id,
            kind: Kind::Panic(Mutex::new(payload)),
        }))
    }

    /// Whether the task was cancelled: it was aborted, or its runtime shut down, or it could not go
    /// on, as no thread could be created for it, or as its runtime had no room for one more task that
    /// waits. In the last two cases [`source`](std::error::Error::source) says why.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.kind, Kind::Panic(_))
    }

    /// The payload of the task's panic.
    ///
    /// # Panics
    ///
    /// When the task did not panic. [`try_into_panic`](JoinError::try_into_panic) returns the error
    /// instead.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.try_into_panic()
            .expect("JoinError::into_panic called on a task that was cancelled")
    }

    /// The payload of the task's panic.
    ///
    /// # Errors
    ///
    /// The error itself, if the task was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        let Inner { id, kind } = *self.0;
        match kind {
            Kind::Panic(payload) => {
                // Swapped out: not every build's lock can be taken apart without poisoning.
                let empty: Box<dyn Any + Send> = Box::new(());
                Ok(std::mem::replace(&mut *payload.lock(), empty))
            }
            kind => Err(JoinError(Box::new(Inner { id, kind }))),
        }
    }

    /// The id of the task.
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// The panic's message, if it is a string as `panic!` makes them.
    fn message(&self) -> Option<String> {
        let Kind::Panic(payload) = &self.0.kind else {
            return None;
        };
        let payload = payload.lock();
        payload
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.kind, self.message()) {
            (Kind::Cancelled, _) => write!(f, "task {} was cancelled", self.0.id),
            (Kind::Refused(error), _) => write!(f, "task {} could not go on: {error}", self.0.id),
            (Kind::Panic(_), Some(message)) => {
                write!(f, "task {} panicked with message {message:?}", self.0.id)
            }
            (Kind::Panic(_), None) => write!(f, "task {} panicked", self.0.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple("JoinError");
        match (&self.0.kind, self.message()) {
            (Kind::Cancelled, _) => out.field(&"cancelled"),
            (Kind::Refused(error), _) => out.field(error),
            (Kind::Panic(_), message) => out.field(&"panic").field(&message),
        }
        .field(&self.0.id)
        .finish()
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        let kind = match &error.0.kind {
            Kind::Refused(cause) => cause.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
