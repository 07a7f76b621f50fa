//! The threads of one runtime: started alike, counted, and joined at the end.

use std::io;

use event_listener::Event;
#[cfg(not(target_family = "wasm"))]
use event_listener::Listener;

#[cfg(any(feature = "sim", target_family = "wasm"))]
use crate::clock;
use crate::clock::Instant;
use crate::machine::pinned;
use crate::scheduler::lifecycle::settings::{Lease, Settings};
use crate::scheduler::this_thread;
use crate::sync::thread::{self, JoinHandle, ThreadId};
use crate::sync::{Arc, HAS_THREADS, Mutex, no_threads};
use crate::tasks::{catch_panic, drop_catching};

#[derive(Debug, Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
    /// Notified when a thread ends.
    ended: Event,
}

#[derive(Debug, Default)]
struct State {
    alive: usize,
    /// No more threads are started, and who ends leaves its handle to be joined.
    closed: bool,
    /// A handle is here from its start until its thread ends. A thread that ends before its handle
    /// was put in is found in `early`.
    handles: Vec<JoinHandle<()>>,
    early: Vec<ThreadId>,
    /// That of the runtime, and of all its threads.
    #[cfg(feature = "sim")]
    simulation: Option<u64>,
}

/// What a thread's body has to do with the runtime's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// It polls tasks, which expect it. A body that is not called must put back what it carries.
    Needed,
    /// The runtime does not end without this body.
    Wanted,
}

impl Threads {
    /// Starts a thread that runs `body` inside the runtime's context.
    ///
    /// The thread holds a lease, so what it works on outlives it. When the runtime's context
    /// throws, the body is called without it or is dropped, see [`Context`]; in neither case while
    /// the thread unwinds.
    pub(crate) fn start(
        &'static self,
        lease: Arc<Lease>,
        settings: &Arc<Settings>,
        context: Context,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        #[cfg(feature = "sim")]
        if self.are_simulated_elsewhere() {
            let reason = "a thread from outside of a simulation starts none in it";
            return Err(io::Error::other(reason));
        }
        self.state.lock().alive += 1;
        let mut builder = thread::Builder::new().name(settings.next_thread_name());
        if let Some(size) = settings.thread_stack_size {
            builder = builder.stack_size(size);
        }
        let settings = settings.clone();
        let member = Member {
            threads: self,
            lease: lease.clone(),
        };
        let spawned = builder.spawn(pinned::unpinned(move || {
            let member = member;
            this_thread::set_member_of(member.lease.shared());
            let mut body = Some(body);
            catch_panic(|| {
                (settings.wrap_thread)(&member.lease, &mut || {
                    body.take().into_iter().for_each(|body| body())
                })
            });
            // The context has thrown before it called the body.
            match context {
                Context::Wanted => body.take().into_iter().for_each(|body| catch_panic(body)),
                Context::Needed => drop_catching(body.take()),
            }
            drop_catching(settings);
        }));
        match spawned {
            Ok(handle) => {
                self.keep(handle);
                Ok(())
            }
            // The member that was not started has left.
            Err(error) => Err(error),
        }
    }

    /// Whether more threads may be started.
    pub(crate) fn admit(&self) -> io::Result<()> {
        if !HAS_THREADS {
            return Err(no_threads());
        }
        match self.state.lock().closed {
            false => Ok(()),
            true => Err(io::Error::other("the runtime is shutting down")),
        }
    }

    fn keep(&self, handle: JoinHandle<()>) {
        let mut state = self.state.lock();
        let id = handle.thread().id();
        match state.early.iter().position(|&early| early == id) {
            // Dropping the handle detaches a thread that has nothing left to do.
            Some(index) if !state.closed => drop(state.early.swap_remove(index)),
            _ => state.handles.push(handle),
        }
    }

    fn leave(&self) {
        let id = thread::current().id();
        let mut state = self.state.lock();
        state.alive -= 1;
        if !state.closed {
            match state
                .handles
                .iter()
                .position(|handle| handle.thread().id() == id)
            {
                Some(index) => drop(state.handles.swap_remove(index)),
                None => state.early.push(id),
            }
        }
        drop(state);
        self.ended.notify(usize::MAX);
    }

    /// Threads that have been started and have not ended.
    pub(crate) fn alive(&self) -> usize {
        self.state.lock().alive
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
    }

    pub(crate) fn reopen(&self) {
        *self.state.lock() = State {
            #[cfg(feature = "sim")]
            simulation: crate::simulated::id(),
            ..State::default()
        };
    }

    /// Whether the threads are those of a simulation that the calling thread is not in. It may be
    /// over, and then they do nothing any more.
    #[cfg(feature = "sim")]
    pub(crate) fn are_simulated_elsewhere(&self) -> bool {
        let simulation = self.state.lock().simulation;
        simulation.is_some() && simulation != crate::simulated::id()
    }

    #[cfg(feature = "sim")]
    pub(crate) fn are_simulated(&self) -> bool {
        self.state.lock().simulation.is_some()
    }

    /// After `close`: waits until all threads have ended and joins them. False: the deadline came
    /// first.
    pub(crate) fn join_blocking(&self, deadline: Option<Instant>) -> bool {
        loop {
            event_listener::listener!(self.ended => listener);
            if self.alive() == 0 {
                break;
            }
            let notified = match deadline {
                #[cfg(feature = "sim")]
                _ if crate::simulated::is_here() => thread::wait_for(listener, || {
                    deadline.map(|end| end.saturating_duration_since(clock::now()))
                }),
                #[cfg(target_family = "wasm")]
                _ => thread::wait_for(listener, || {
                    deadline.map(|end| end.saturating_duration_since(clock::now()))
                }),
                #[cfg(not(target_family = "wasm"))]
                None => {
                    listener.wait();
                    true
                }
                #[cfg(not(target_family = "wasm"))]
                Some(deadline) => listener.wait_deadline(deadline).is_some(),
            };
            if !notified && self.alive() != 0 {
                return false;
            }
        }
        let handles = std::mem::take(&mut self.state.lock().handles);
        let this = thread::current().id();
        for handle in handles {
            if handle.thread().id() != this {
                // It has left its body: this takes no longer than the end of a thread.
                let _ = handle.join();
            }
        }
        true
    }
}

/// One thread, counted from before it starts until it has ended, however that happens.
struct Member {
    threads: &'static Threads,
    lease: Arc<Lease>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.threads.leave();
        // The lease goes last: with it the scheduler may be given to another runtime.
    }
}
