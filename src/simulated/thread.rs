//! A simulated thread, as others know it, and as the loop that resumes it does.

use std::cell::{Cell, RefCell};
use std::io;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::{Locals, World, around};

/// As large as `std`'s. Pages are taken when they are touched first.
const STACK_SIZE: usize = 2 << 20;

/// Stacks of this many threads are kept for the next ones.
const STACKS_KEPT: usize = 64;

/// A handle of a simulated thread. May be used on any thread of the system.
#[derive(Clone, Debug)]
pub(crate) struct Thread(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    index: usize,
    /// Differs from that of all other simulated threads of the process.
    id: u64,
    /// A wait ends, or the next one, as with `std`'s. Whoever wakes the thread writes before that
    /// what the thread reads afterwards: release, acquire.
    token: AtomicBool,
    /// It has returned from its body. Pairs as the token does.
    has_ended: AtomicBool,
    /// Who waits for its end.
    joiner: Mutex<Option<Thread>>,
}

impl Thread {
    pub(super) fn new(index: usize) -> Thread {
        // Relaxed: only that they differ counts.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Thread(Arc::new(Inner {
            index,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            token: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            joiner: Mutex::new(None),
        }))
    }

    pub(crate) fn index(&self) -> usize {
        self.0.index
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn unpark(&self) {
        self.0.token.store(true, Ordering::Release);
    }

    pub(super) fn has_token(&self) -> bool {
        self.0.token.load(Ordering::Acquire)
    }

    pub(super) fn take_token(&self) -> bool {
        self.0.token.swap(false, Ordering::AcqRel)
    }

    fn end(&self) {
        self.0.has_ended.store(true, Ordering::Release);
        let joiner = self.0.joiner.lock();
        if let Some(joiner) = joiner.unwrap_or_else(PoisonError::into_inner).take() {
            joiner.unpark();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_ended.load(Ordering::Acquire)
    }

    /// Of the simulation's threads, one may wait for the end of this one.
    pub(crate) fn join(&self, world: &World) {
        while !self.has_ended() {
            let joiner = self.0.joiner.lock();
            *joiner.unwrap_or_else(PoisonError::into_inner) = Some(world.current());
            world.park(None, false);
        }
    }
}

/// What a thread is doing, as the monitor asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Running,
    Blocked,
}

/// When a thread runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    /// When it has a token, or at this time.
    Parked {
        until: Option<u64>,
        in_user_code: bool,
    },
    /// At this time.
    Asleep {
        since: u64,
        until: u64,
        computes: bool,
    },
    /// When no other thread is ready.
    Settling,
    Ended,
}

/// A thread, as the loop that resumes it knows it.
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) thread: Thread,
    pub(super) state: Cell<State>,
    /// What it has computed, in ns.
    pub(super) computed: Cell<u64>,
    /// How often others were chosen since it is ready.
    pub(super) passed_over: Cell<u32>,
    /// What it keeps in thread-locals while it runs is there, and else here.
    locals: RefCell<Box<dyn Locals>>,
    /// None: the root's, which has the stack of the thread of the system.
    coroutine: RefCell<Option<Coroutine<(), (), ()>>>,
    /// Whether its stack is as large as [`STACK_SIZE`].
    has_usual_stack: bool,
    /// By which it gives way. Null before it has begun, and for the root.
    yielder: Cell<*const Yielder<(), ()>>,
}

std::thread_local! {
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

impl Slot {
    pub(super) fn root(locals: Box<dyn Locals>) -> Rc<Slot> {
        Rc::new(Slot {
            index: 0,
            thread: Thread::new(0),
            state: Cell::new(State::Ready),
            computed: Cell::new(0),
            passed_over: Cell::new(0),
            locals: RefCell::new(locals),
            coroutine: RefCell::new(None),
            has_usual_stack: false,
            yielder: Cell::new(ptr::null()),
        })
    }

    /// `body` does not unwind. `stack_size`: `None` is [`STACK_SIZE`].
    pub(super) fn new(
        index: usize,
        locals: Box<dyn Locals>,
        body: Box<dyn FnOnce() + Send>,
        stack_size: Option<usize>,
    ) -> io::Result<Rc<Slot>> {
        let kept = match stack_size {
            None => STACKS.with(|stacks| stacks.borrow_mut().pop()),
            Some(_) => None,
        };
        // What cannot be had is an error, and no overflow.
        let size = stack_size.unwrap_or(STACK_SIZE).min(usize::MAX / 2);
        let stack = kept.map_or_else(|| DefaultStack::new(size), Ok)?;
        let slot = Rc::new(Slot {
            index,
            thread: Thread::new(index),
            state: Cell::new(State::Ready),
            computed: Cell::new(0),
            passed_over: Cell::new(0),
            locals: RefCell::new(locals),
            coroutine: RefCell::new(None),
            has_usual_stack: stack_size.is_none(),
            yielder: Cell::new(ptr::null()),
        });
        let own = Rc::downgrade(&slot);
        let run = move |yielder: &Yielder<(), ()>, ()| {
            if let Some(slot) = own.upgrade() {
                slot.yielder.set(ptr::from_ref(yielder));
            }
            around::call(body);
        };
        *slot.coroutine.borrow_mut() = Some(Coroutine::with_stack(stack, run));
        Ok(slot)
    }

    pub(super) fn exchange_locals(&self) {
        self.locals.borrow_mut().exchange();
    }

    /// Root: lets the thread run until it gives way, or ends.
    pub(super) fn resume(&self) {
        let mut coroutine = self.coroutine.borrow_mut();
        let Some(running) = coroutine.as_mut() else {
            return;
        };
        if running.resume(()) == CoroutineResult::Return(()) {
            self.yielder.set(ptr::null());
            let stack = coroutine.take().map(Coroutine::into_stack);
            STACKS.with(|stacks| {
                let mut stacks = stacks.borrow_mut();
                let is_kept = self.has_usual_stack && stacks.len() < STACKS_KEPT;
                stacks.extend(stack.filter(|_| is_kept));
            });
            self.state.set(State::Ended);
            self.thread.end();
        }
    }

    /// The thread itself: the root runs until it resumes this one.
    pub(super) fn suspend(&self) {
        let yielder = self.yielder.get();
        debug_assert!(
            !yielder.is_null(),
            "only a thread with a coroutine is suspended"
        );
        // SAFETY: the pointer was written by the body of this coroutine, whose first frame owns the
        // yielder, and is null again when that has returned. The caller is that thread, so the frame
        // is on the present stack.
        if let Some(yielder) = unsafe { yielder.as_ref() } {
            yielder.suspend(());
        }
    }

    /// Its stack stays as it is, for ever.
    pub(super) fn abandon(&self) {
        std::mem::forget(self.coroutine.borrow_mut().take());
    }
}
