//! The user's hooks around tasks.

use std::cell::RefCell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use crate::sync::Arc;
use crate::tasks::priority::of_spawned;
use crate::tasks::{self, Id, Priority, catch_panic};

/// A task, as hooks are told of it.
///
/// # Examples
///
/// ```
/// let runtime = executor::runtime::Builder::new()
///     .on_task_spawn(|task| println!("{} comes from {:?}", task.id(), task.location()))
///     .build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskMeta {
    task: tasks::Description,
    class: Priority,
}

impl TaskMeta {
    /// The task.
    pub fn id(&self) -> Id {
        self.task.id
    }

    /// The name it was given by [`task::Builder`](crate::task::Builder).
    pub fn name(&self) -> Option<&str> {
        self.task.name.as_deref()
    }

    /// Where it was spawned.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.task.location
    }

    /// Its class when it was spawned, or when the poll began that a hook is told of.
    pub fn priority(&self) -> Priority {
        self.class
    }
}

pub(crate) type Hook = Arc<dyn Fn(&TaskMeta) + Send + Sync>;

/// What a builder has set.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) spawned: Option<Hook>,
    pub(crate) before_poll: Option<Hook>,
    pub(crate) after_poll: Option<Hook>,
    pub(crate) terminated: Option<Hook>,
}

impl Hooks {
    pub(crate) fn is_empty(&self) -> bool {
        let Hooks {
            spawned,
            before_poll,
            after_poll,
            terminated,
        } = self;
        [spawned, before_poll, after_poll, terminated]
            .iter()
            .all(|hook| hook.is_none())
    }

    /// What they are told of a task. Asked for while it exists: afterwards it has no name.
    pub(super) fn meta(task: &tasks::Meta) -> TaskMeta {
        TaskMeta {
            task: tasks::describe(task.tag()),
            class: task.class().effective,
        }
    }

    /// [`meta`](Hooks::meta) of a task that this thread has just spawned.
    pub(super) fn spawned_meta(tag: u64) -> TaskMeta {
        TaskMeta {
            task: tasks::describe(tag),
            class: of_spawned(tag),
        }
    }

    pub(super) fn call(hook: &Option<Hook>, task: &TaskMeta) {
        if let Some(hook) = hook {
            catch_panic(|| hook(task));
        }
    }
}

/// A reference of the thread's own.
pub(super) type HooksHere = Rc<Arc<Hooks>>;

std::thread_local! {
    /// On a worker: the hooks of its runtime, which are there before it begins and do not change.
    /// So a poll that is observed takes no lock, and counts no reference that other workers count,
    /// too.
    static OF_WORKER: RefCell<Option<HooksHere>> = const { RefCell::new(None) };
}

/// What this module keeps for a thread that is simulated, while another one runs.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Kept(Option<HooksHere>);

#[cfg(feature = "sim")]
impl Kept {
    pub(crate) fn exchange(&mut self) {
        OF_WORKER.with_borrow_mut(|hooks| std::mem::swap(hooks, &mut self.0));
    }
}

/// The calling thread becomes a worker of the runtime that has these, or is none any more.
pub(super) fn set_of_worker(hooks: Option<Arc<Hooks>>) {
    let before = OF_WORKER.try_with(|place| place.replace(hooks.map(Rc::new)));
    drop(before);
}

/// What was set so. `None`: the thread ends, and has let go of it.
pub(super) fn of_worker() -> Option<Option<HooksHere>> {
    OF_WORKER.try_with(|place| place.borrow().clone()).ok()
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("is_empty", &self.is_empty())
            .finish()
    }
}
