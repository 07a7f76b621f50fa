//! Values of a task.
//!
//! Between polls a value is in the future of its scope. During a poll:
//!
//! * Outside of simulations it is in a thread-local of its key, as in the real tokio.
//! * In a simulation it is in the thread's list of scopes ([`SCOPES`]). A simulated thread that waits
//!   in a poll lets others run, so its list is taken away meanwhile ([`Kept`]). `with` holds a value
//!   by a reference count: the list can be taken away while a value is borrowed, too.
//!
//! So simulated threads do not see values of the thread that runs the simulation.

use std::any::Any;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use crate::simulated::{self, Place};

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

            $crate::task::LocalKey { inner: __KEY }
        };
    };
}

std::thread_local! {
    /// The scopes that this thread is in, the innermost last. Empty outside of simulations.
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
}

/// A scope of a simulated thread.
struct Scope {
    /// The address of the key.
    key: *const (),
    /// `None`: it was taken out before the poll.
    value: Option<Rc<dyn Any>>,
}

/// The scopes of a simulated thread.
#[derive(Default)]
struct Kept(Vec<Scope>);

impl simulated::Kept for Kept {
    const PLACE: Place = Place::TaskLocals;

    fn exchange(&mut self) {
        let _ = SCOPES.try_with(|scopes| mem::swap(&mut *scopes.borrow_mut(), &mut self.0));
    }
}

/// Why a scope cannot be entered.
enum ScopeError {
    Borrowed,
    Destroyed,
}

impl ScopeError {
    #[track_caller]
    fn panic(&self) -> ! {
        match self {
            ScopeError::Borrowed => {
                panic!("cannot enter a task-local scope while the task-local storage is borrowed")
            }
            ScopeError::Destroyed => panic!(
                "cannot enter a task-local scope during or after destruction of the underlying \
                 thread-local"
            ),
        }
    }
}

/// A value that each task has for itself: see tokio's documentation of the type of this name.
pub struct LocalKey<T: 'static> {
    #[doc(hidden)]
    pub inner: thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    /// A future that has this value while it is polled.
    pub fn scope<F>(&'static self, value: T, f: F) -> TaskLocalFuture<T, F>
    where
        F: Future,
    {
        TaskLocalFuture {
            key: self,
            slot: Some(value),
            future: Some(f),
            _pinned: PhantomPinned,
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
        match self.within(&mut Some(value), f) {
            Ok(output) => output,
            Err(error) => error.panic(),
        }
    }

    /// Calls `f` with what is in `slot` as the value, and puts that back there.
    fn within<R>(
        &'static self,
        slot: &mut Option<T>,
        f: impl FnOnce() -> R,
    ) -> Result<R, ScopeError> {
        if simulated::is_here() {
            return self.within_simulated(slot, f);
        }

        struct PutBack<'a, T: 'static>(&'static LocalKey<T>, &'a mut Option<T>);

        impl<T: 'static> Drop for PutBack<'_, T> {
            fn drop(&mut self) {
                // It was not borrowed before, and who has borrowed it inside has returned.
                let PutBack(key, slot) = self;
                key.inner
                    .with(|place| mem::swap(*slot, &mut *place.borrow_mut()));
            }
        }

        let enter = |place: &RefCell<Option<T>>| match place.try_borrow_mut() {
            Ok(mut value) => {
                mem::swap(slot, &mut *value);
                Ok(())
            }
            Err(_) => Err(ScopeError::Borrowed),
        };
        (self.inner.try_with(enter)).unwrap_or(Err(ScopeError::Destroyed))?;
        let _put_back = PutBack(self, slot);
        Ok(f())
    }

    fn within_simulated<R>(
        &'static self,
        slot: &mut Option<T>,
        f: impl FnOnce() -> R,
    ) -> Result<R, ScopeError> {
        struct PutBack<'a, T: 'static>(&'a mut Option<T>);

        impl<T: 'static> Drop for PutBack<'_, T> {
            fn drop(&mut self) {
                let left = SCOPES.try_with(|scopes| scopes.borrow_mut().pop());
                let value = left.ok().flatten().and_then(|scope| scope.value);
                // Who has borrowed it inside has returned: this is the only reference.
                *self.0 = value.and_then(|value| Rc::into_inner(value.downcast::<T>().ok()?));
            }
        }

        simulated::keep::<Kept>();
        // Beside the reference of the scope there is one here.
        let is_borrowed = |value| Rc::strong_count(&value) > 2;
        if self.simulated().is_some_and(is_borrowed) {
            return Err(ScopeError::Borrowed);
        }
        let scope = Scope {
            key: self.address(),
            value: slot.take().map(|value| Rc::new(value) as Rc<dyn Any>),
        };
        let enter = |scopes: &RefCell<Vec<Scope>>| scopes.borrow_mut().push(scope);
        (SCOPES.try_with(enter)).map_err(|_| ScopeError::Destroyed)?;
        let _put_back = PutBack(slot);
        Ok(f())
    }

    fn address(&'static self) -> *const () {
        (&raw const *self).cast()
    }

    /// The value that this simulated thread has.
    fn simulated(&'static self) -> Option<Rc<T>> {
        let innermost = |scopes: &RefCell<Vec<Scope>>| {
            let scopes = scopes.borrow();
            let scope = scopes
                .iter()
                .rev()
                .find(|scope| scope.key == self.address())?;
            scope.value.clone()
        };
        SCOPES.try_with(innermost).ok()??.downcast().ok()
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
        match self.try_with(f) {
            Ok(output) => output,
            Err(_) => panic!("cannot access a task-local storage value without setting it first"),
        }
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
        let output = match simulated::is_here() {
            true => self.simulated().map(|value| f(&value)),
            false => (self.inner.try_with(|place| place.borrow().as_ref().map(f)))
                .ok()
                .flatten(),
        };
        output.ok_or(AccessError(()))
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
        self.with(T::clone)
    }

    /// A copy of the value.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("LocalKey { .. }")
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // The value, except during a poll.
        slot: Option<T>,
        // `None`: it is complete.
        #[pin]
        future: Option<F>,
        #[pin]
        _pinned: PhantomPinned,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if mem::needs_drop::<F>() && this.future.is_some() {
                // Where the scope cannot be entered, the future is dropped without the value, as a
                // field.
                let _ = this.key.within(this.slot, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value out. A poll after that finds none.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().slot.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let polled = this.key.within(this.slot, || {
            let polled = this.future.as_mut().as_pin_mut()?.poll(cx);
            if polled.is_ready() {
                this.future.set(None);
            }
            Some(polled)
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("`TaskLocalFuture` polled after completion"),
            Err(error) => error.panic(),
        }
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value: &dyn fmt::Debug = match &self.slot {
            Some(value) => value,
            None => &format_args!("<missing>"),
        };
        f.debug_struct("TaskLocalFuture")
            .field("value", value)
            .finish()
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
