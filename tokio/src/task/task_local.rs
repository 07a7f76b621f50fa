//! Values of a task: the real tokio's, which are in thread-locals while the task is polled.
//!
//! A simulated thread that waits in a poll gives its place to others. So in a simulation it takes
//! the values of the scopes that it is in with it ([`Kept`]). A value that is borrowed by `with`
//! meanwhile stays where it is, and others see it.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use real::task::futures as real_futures;

use crate::simulated::{self, Place};

#[doc(hidden)]
pub use real::task::LocalKey as RealKey;

/// Declares values of tasks: see tokio's documentation of the macro of this name.
#[macro_export]
macro_rules! task_local {
    () => {};

    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attr])* $vis static $name: $t);
        $crate::task_local!($($rest)*);
    };

    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty) => {
        $(#[$attr])*
        $vis static $name: $crate::task::LocalKey<$t> = {
            ::std::thread_local! {
                static __KEY: ::std::cell::RefCell<::std::option::Option<$t>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            $crate::task::LocalKey {
                real: $crate::__RealLocalKey { inner: __KEY },
            }
        };
    };
}

std::thread_local! {
    /// The keys in whose scopes this thread is, the innermost last. Empty outside of simulations.
    static SCOPES: RefCell<Vec<&'static dyn Key>> = const { RefCell::new(Vec::new()) };
}

/// A key of any type.
trait Key {
    /// `None`: there is no value, or it is borrowed.
    fn take(&'static self) -> Option<Box<dyn Any>>;
    fn put(&'static self, value: Box<dyn Any>);
}

/// The scopes of a simulated thread, and their values.
#[derive(Default)]
struct Kept(Vec<Taken>);

type Taken = (&'static dyn Key, Option<Box<dyn Any>>);

impl simulated::Kept for Kept {
    const PLACE: Place = Place::TaskLocals;

    fn exchange(&mut self) {
        let scopes = SCOPES.try_with(RefCell::take).unwrap_or_default();
        // One that is entered twice has no value the second time.
        let taken = scopes.into_iter().map(|key| (key, key.take())).collect();
        let put = mem::replace(&mut self.0, taken);
        for (key, value) in put {
            if let Some(value) = value {
                key.put(value);
            }
            let _ = SCOPES.try_with(|scopes| scopes.borrow_mut().push(key));
        }
    }
}

/// A scope of a key that this thread is in.
struct Scope {
    is_kept: bool,
}

impl Scope {
    fn enter(key: &'static dyn Key) -> Scope {
        let is_kept = simulated::is_here();
        if is_kept {
            simulated::keep::<Kept>();
            let _ = SCOPES.try_with(|scopes| scopes.borrow_mut().push(key));
        }
        Scope { is_kept }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.is_kept {
            let _ = SCOPES.try_with(|scopes| scopes.borrow_mut().pop());
        }
    }
}

/// A value that each task has for itself: see tokio's documentation of the type of this name.
pub struct LocalKey<T: 'static> {
    #[doc(hidden)]
    pub real: RealKey<T>,
}

impl<T: 'static> Key for LocalKey<T> {
    fn take(&'static self) -> Option<Box<dyn Any>> {
        let take = |place: &RefCell<Option<T>>| place.try_borrow_mut().ok()?.take();
        let value = self.real.inner.try_with(take).ok()??;
        Some(Box::new(value))
    }

    fn put(&'static self, value: Box<dyn Any>) {
        if let Ok(value) = value.downcast::<T>() {
            let _ = (self.real.inner).try_with(|place| place.replace(Some(*value)));
        }
    }
}

impl<T: 'static> LocalKey<T> {
    /// A future that has this value while it is polled.
    pub fn scope<F>(&'static self, value: T, f: F) -> TaskLocalFuture<T, F>
    where
        F: Future,
    {
        TaskLocalFuture {
            key: self,
            real: self.real.scope(value, f),
        }
    }

    /// Calls a closure that has this value meanwhile.
    ///
    /// # Panics
    ///
    /// Inside of [`with`](Self::with) of this key.
    #[track_caller]
    pub fn sync_scope<F, R>(&'static self, value: T, f: F) -> R
    where
        F: FnOnce() -> R,
    {
        let _scope = Scope::enter(self);
        self.real.sync_scope(value, f)
    }

    /// Calls a closure with the value.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.real.with(f)
    }

    /// Calls a closure with the value.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        self.real.try_with(f).map_err(|_| AccessError(()))
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.real.get()
    }

    /// A copy of the value.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.real.try_get().map_err(|_| AccessError(()))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        #[pin]
        real: real_futures::TaskLocalFuture<T, F>,
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value out. A poll after that finds none.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().real.take_value()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _scope = Scope::enter(*this.key);
        this.real.poll(cx)
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.real.fmt(f)
    }
}

/// There is no value: of [`LocalKey::try_with`].
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct AccessError(());

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("task-local value not set")
    }
}

impl Error for AccessError {}
