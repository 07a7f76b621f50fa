//! Threads of the system, and of a simulation: whoever is in one starts, waits and ends there.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Wake, Waker};
use std::thread as system;
use std::time::Duration;

use super::{Arc, lock::Mutex};
use crate::simulated::{self, world_if_any};

pub(crate) use std::thread::available_parallelism;
/// Of the thread of the system.
pub(crate) use std::thread::panicking;
/// Likewise.
pub(crate) use std::thread::scope;
#[cfg(test)]
pub(crate) use std::thread::yield_now;

#[derive(Clone)]
pub(crate) enum Thread {
    System(system::Thread),
    Simulated(simulated::Thread),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ThreadId {
    System(system::ThreadId),
    Simulated(u64),
}

pub(crate) fn current() -> Thread {
    match world_if_any() {
        None => Thread::System(system::current()),
        Some(world) => Thread::Simulated(world.current()),
    }
}

impl Thread {
    #[inline]
    pub(crate) fn unpark(&self) {
        match self {
            Thread::System(thread) => thread.unpark(),
            Thread::Simulated(thread) => thread.unpark(),
        }
    }

    /// Simulated threads have none.
    #[cfg(feature = "macros")]
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Thread::System(thread) => thread.name(),
            Thread::Simulated(_) => None,
        }
    }

    pub(crate) fn id(&self) -> ThreadId {
        match self {
            Thread::System(thread) => ThreadId::System(thread.id()),
            Thread::Simulated(thread) => ThreadId::Simulated(thread.id()),
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

pub(crate) fn park() {
    match world_if_any() {
        None => system::park(),
        Some(world) => world.park(None, false),
    }
}

pub(crate) fn park_timeout(timeout: Duration) {
    match world_if_any() {
        None => system::park_timeout(timeout),
        Some(world) => world.park(Some(timeout), false),
    }
}

/// [`park`], where the program waits and not the runtime: when a simulation is over, this unwinds.
pub(crate) fn park_in_user_code() {
    match world_if_any() {
        None => system::park(),
        Some(world) => world.park(None, true),
    }
}

/// [`park_timeout`], likewise.
pub(crate) fn park_timeout_in_user_code(timeout: Duration) {
    match world_if_any() {
        None => system::park_timeout(timeout),
        Some(world) => world.park(Some(timeout), true),
    }
}

pub(crate) fn sleep(time: Duration) {
    match world_if_any() {
        None => system::sleep(time),
        Some(world) => world.sleep(time, false),
    }
}

/// Waits for a future in a simulation, as others wait for a listener of `event_listener`. False: no
/// time was left.
pub(crate) fn wait_for(
    mut future: impl Future<Output = ()> + Unpin,
    left: impl Fn() -> Option<Duration>,
) -> bool {
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut context = Context::from_waker(&waker);
    while Pin::new(&mut future).poll(&mut context).is_pending() {
        match left() {
            Some(Duration::ZERO) => return false,
            Some(left) => park_timeout(left),
            None => park(),
        }
    }
    true
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
#[track_caller]
pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(f).expect("the system has threads")
}

#[derive(Debug)]
pub(crate) struct Builder {
    system: system::Builder,
    stack_size: Option<usize>,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            system: system::Builder::new(),
            stack_size: None,
        }
    }

    pub(crate) fn name(self, name: String) -> Builder {
        Builder {
            system: self.system.name(name),
            ..self
        }
    }

    pub(crate) fn stack_size(self, size: usize) -> Builder {
        Builder {
            system: self.system.stack_size(size),
            stack_size: Some(size),
        }
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let Some(world) = world_if_any() else {
            return self.spawn_on_system(f);
        };
        let output = Arc::new(Mutex::new(None));
        let place = output.clone();
        let body = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(f));
            if result.is_err() {
                simulated::note_panic();
            }
            *place.lock() = Some(result);
        });
        let thread = world.start(body, self.stack_size)?;
        let handle = Thread::Simulated(thread.clone());
        Ok(JoinHandle {
            thread: handle,
            inner: Inner::Simulated { thread, output },
        })
    }

    fn spawn_on_system<T: Send + 'static>(
        self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let inner = self.system.spawn(f)?;
        Ok(JoinHandle {
            thread: Thread::System(inner.thread().clone()),
            inner: Inner::System(inner),
        })
    }
}

/// For threads that belong to the process, and to no runtime.
pub(crate) fn spawn_on_system<T: Send + 'static>(
    builder: Builder,
    f: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    builder.spawn_on_system(f)
}

pub(crate) struct JoinHandle<T> {
    thread: Thread,
    inner: Inner<T>,
}

enum Inner<T> {
    System(system::JoinHandle<T>),
    Simulated {
        thread: simulated::Thread,
        output: Arc<Mutex<Option<system::Result<T>>>>,
    },
}

impl<T> JoinHandle<T> {
    pub(crate) fn thread(&self) -> &Thread {
        &self.thread
    }

    pub(crate) fn join(self) -> system::Result<T> {
        match self.inner {
            Inner::System(handle) => handle.join(),
            Inner::Simulated { thread, output } => {
                if let Some(world) = world_if_any() {
                    thread.join(&world);
                }
                let output = output.lock().take();
                // Not there: it was joined from outside of the simulation.
                output.unwrap_or_else(|| Err(Box::new("the simulated thread has not ended")))
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_finished(&self) -> bool {
        match &self.inner {
            Inner::System(handle) => handle.is_finished(),
            Inner::Simulated { thread, .. } => thread.has_ended(),
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle")
            .field(&self.thread.id())
            .finish()
    }
}
