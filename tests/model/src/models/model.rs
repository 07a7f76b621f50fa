//! What the models of the scheduler have in common: a real scheduler, tasks that a book is kept of, and threads.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use super::book::Book;
use crate::machine::{self, Topology};
use crate::scheduler::lifecycle::settings::{Lease, Settings};
use crate::scheduler::lifecycle::threads::Context;
use crate::scheduler::lifecycle::{CountedWorker, settings};
use crate::scheduler::monitor::Rounds;
use crate::scheduler::monitor::watch::Watch;
use crate::scheduler::netpoll::Netpoll;
use crate::scheduler::observer::Observer;
use crate::scheduler::processor::{Core, Processor, Submitted};
use crate::scheduler::submit::{OnPool, OnWorkers};
use crate::scheduler::{Placement, Shared, monitor, this_thread, worker};
use crate::sync::thread;
use crate::sync::{self, Arc, Condvar, Mutex};
use crate::tasks::class::Class;
use crate::tasks::{self, JoinHandle, Priority, Purpose, Runnable, Schedule};
use crate::twin;

/// What a model is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    pub(super) processors: usize,
    /// There may be so many more.
    pub(super) more_processors: usize,
    pub(super) tasks: usize,
    /// Each of the first so many tasks spawns two others when it runs.
    pub(super) parents: usize,
    /// Each of the first so many tasks blocks its thread until all others have run.
    pub(super) blockers: usize,
    /// An idle worker may wait with the driver. Else the thread of the model has it all the time.
    pub(super) driver: bool,
    /// The last task leaves the closing to the model.
    pub(super) stays_open: bool,
    /// Runnables move one by one: what moves in a batch is seen by nobody meanwhile, and left to the monitor.
    pub(super) single: bool,
    /// So many rounds has the monitor.
    pub(super) rounds: usize,
    /// So many spares end.
    pub(super) keep_alives: usize,
    /// Workers are pinned to so many CPUs. Zero: to none.
    pub(super) pinned: usize,
    /// The edit of `twins.txt` that is in force.
    pub(super) twin: Option<&'static str>,
}

impl Plan {
    /// Processors and tasks, and nothing else.
    pub(super) fn new(processors: usize, tasks: usize, twin: Option<&'static str>) -> Plan {
        Plan {
            processors,
            tasks,
            twin,
            ..Plan::default()
        }
    }
}

/// A handle to the model.
#[derive(Clone)]
pub(super) struct Model(Arc<Ground>);

pub(super) struct Ground {
    pub(super) plan: Plan,
    pub(super) shared: &'static Shared,
    settings: Arc<Settings>,
    book: Book,
    /// Whether all tasks have run or were cancelled, for threads that block.
    ended: (Mutex<bool>, Condvar),
    /// Threads of the model itself.
    started: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Deref for Model {
    type Target = Ground;

    fn deref(&self) -> &Ground {
        &self.0
    }
}

#[derive(Debug)]
struct Blind;

impl Observer for Blind {}

/// What a task of a model does when it runs.
pub(super) type Body = Box<dyn FnOnce(&Model) + Send>;

/// A task of a model.
pub(super) struct Task {
    model: Model,
    number: usize,
    body: Option<Body>,
    /// So many polls come to nothing yet.
    pending: usize,
    /// Where its waker goes then.
    waker: Place,
}

pub(super) type Place = Arc<Mutex<Option<Waker>>>;

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Task>, cx: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(left) = self.pending.checked_sub(1) {
            self.pending = left;
            *self.waker.lock() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(body) = self.body.take() {
            let (model, number) = (self.model.clone(), self.number);
            model.run_task(number, body);
        }
        Poll::Ready(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.body.is_some() {
            self.model.cancel(self.number);
        }
    }
}

/// One execution. All cores are idle in the beginning.
pub(super) fn run(plan: Plan, scene: impl FnOnce(&Model)) {
    machine::reset(plan.single);
    thread::grant_timeouts([plan.rounds, plan.keep_alives]);
    twin::set(plan.twin);
    let room = plan.processors + plan.more_processors;
    let placement = match plan.pinned {
        0 => Placement::flat(),
        cpus => {
            machine::affinity::track();
            Placement::new(Arc::new(Topology::new(&[])), Some((0..cpus).collect()))
        }
    };
    let shared = Shared::leak(room, placement, Box::new(Blind)).expect("it is the first");
    let lease = Arc::new(Lease { shared });
    let settings = Arc::new(settings(plan.processors, room));
    let netpoll = Netpoll::new().expect("this kernel refuses nothing");
    shared.prepare(&lease, settings.clone(), netpoll.clone());
    // The first is taken first.
    let mut cores = shared.workers.idle.take_cores();
    cores.sort_by_key(|core| std::cmp::Reverse(core.index));
    shared.workers.idle.put_cores(cores);
    let driver = (!plan.driver).then(|| netpoll.try_driver().expect("nobody else is here"));
    let model = Model(Arc::new(Ground {
        plan,
        shared,
        settings,
        book: Book::new(plan.tasks),
        ended: (Mutex::new(false), Condvar::new()),
        started: Mutex::new(Vec::new()),
    }));
    scene(&model);
    model.settle();
    drop((driver, model));
    drop(netpoll);
    // A thread that has left its scheduler has still to drop its lease. That is the last thing it does.
    while Arc::strong_count(&lease) != 1 {
        thread::yield_now();
    }
    drop(lease);
    // SAFETY: the threads have ended, and with them the tasks and the model.
    unsafe { sync::free_leaked() };
}

fn settings(processors: usize, room: usize) -> Settings {
    Settings {
        worker_threads: processors,
        max_worker_threads: room,
        max_threads: 64,
        max_blocking_threads: 64,
        thread_keep_alive: Duration::from_secs(1),
        thread_name: String::new(),
        name_thread: None,
        thread_stack_size: None,
        wrap_thread: Box::new(|_, body| body()),
        has_start_hook: false,
        park_hooks: None,
        stall_threshold: Duration::MAX,
        seed: Some(1),
        retakes: true,
        background_limit: Some(1),
        placement: None,
    }
}

impl Model {
    /// Spawns a task, from a worker or from elsewhere.
    pub(super) fn spawn(&self, number: usize) {
        self.spawn_with(number, |_| ());
    }

    /// The same, of a task that does this.
    pub(super) fn spawn_with(&self, number: usize, body: impl FnOnce(&Model) + Send + 'static) {
        let runnable = self.task(number, body);
        self.shared.submit_new(runnable);
    }

    /// Spawns a task of this class that does this.
    pub(super) fn spawn_as(
        &self,
        class: Priority,
        number: usize,
        body: impl FnOnce(&Model) + Send + 'static,
    ) {
        let runnable = self.classed(class, number, body);
        self.shared.submit_new(runnable);
    }

    fn classed(
        &self,
        class: Priority,
        number: usize,
        body: impl FnOnce(&Model) + Send + 'static,
    ) -> Runnable {
        let runnable = self.task(number, body);
        runnable.metadata().put_class(Class::of(class));
        if class != Priority::Normal {
            self.shared.use_classes();
        }
        runnable
    }

    /// Spawns a task from a worker, as one that the next slot displaces: into the worker's queue.
    pub(super) fn queue(&self, number: usize) {
        let runnable = self.task(number, |_| ());
        this_thread::with_core(self.shared, |core| {
            core.processor.counters.spawned.add(1);
            core.queue.push(runnable);
        });
        self.shared.follow_push(Submitted::WakeOne);
    }

    /// A job of the blocking pool.
    pub(super) fn spawn_blocking(&self, number: usize) {
        let (runnable, _handle) =
            self.task_as::<OnPool>(number, Box::new(|_| ()), 0, Place::default());
        self.shared.submit_new_blocking(runnable);
    }

    /// A task that was spawned elsewhere and waits; so many polls come to nothing, of which one was. Its waker.
    pub(super) fn spawn_waiting(&self, number: usize, pending: usize) -> Waker {
        let (runnable, _handle, place) = self.pending_task(number, pending);
        assert!(self.shared.count_remote_spawn(), "nobody has closed yet");
        self.shared.poll_off_processor(runnable, Purpose::Run);
        let waker = place.lock().take();
        waker.expect("it waits")
    }

    /// Spawns a task of which so many polls come to nothing.
    pub(super) fn spawn_pending(&self, number: usize, pending: usize) -> JoinHandle<()> {
        let (runnable, handle, _) = self.pending_task(number, pending);
        self.shared.submit_new(runnable);
        handle
    }

    fn pending_task(&self, number: usize, pending: usize) -> (Runnable, JoinHandle<()>, Place) {
        let place = Place::default();
        let (runnable, handle) =
            self.task_as::<OnWorkers>(number, Box::new(|_| ()), pending, place.clone());
        (runnable, handle, place)
    }

    fn task(&self, number: usize, body: impl FnOnce(&Model) + Send + 'static) -> Runnable {
        (self.task_as::<OnWorkers>(number, Box::new(body), 0, Place::default())).0
    }

    fn task_as<S: Schedule>(
        &self,
        number: usize,
        body: Body,
        pending: usize,
        waker: Place,
    ) -> (Runnable, JoinHandle<()>) {
        let mut task = self.future(number);
        task.body = Some(body);
        task.pending = pending;
        task.waker = waker;
        tasks::create::<_, S>(task, 0, self.shared.registry)
    }

    /// The future of a task that runs at its first poll.
    pub(super) fn future(&self, number: usize) -> Task {
        Task {
            model: self.clone(),
            number,
            body: Some(Box::new(|_| ())),
            pending: 0,
            waker: Place::default(),
        }
    }

    fn run_task(&self, number: usize, body: Body) {
        let last = self.book.ran(number);
        if number < self.plan.parents {
            let first = self.plan.parents + 2 * number;
            self.spawn(first);
            self.spawn(first + 1);
        }
        self.ends(last);
        if number < self.plan.blockers {
            self.wait_ended();
        }
        body(self);
    }

    fn cancel(&self, number: usize) {
        let mut last = self.book.cancelled(number);
        if number < self.plan.parents {
            // Nobody will spawn them.
            let first = self.plan.parents + 2 * number;
            last |= self.book.cancelled(first);
            last |= self.book.cancelled(first + 1);
        }
        self.ends(last);
    }

    /// The last task closes the scheduler.
    fn ends(&self, last: bool) {
        if last {
            *self.ended.0.lock() = true;
            self.ended.1.notify_all();
            if !self.plan.stays_open {
                self.close();
            }
        }
    }

    pub(super) fn close(&self) {
        self.shared.close();
    }

    /// Blocks, as user code may, until all tasks have run or were cancelled.
    pub(super) fn wait_ended(&self) {
        let mut ended = self.ended.0.lock();
        while !*ended {
            ended = self.ended.1.wait(ended);
        }
    }

    /// Starts a worker for each core, as long as one is idle.
    pub(super) fn start_workers(&self) {
        for _ in 0..self.plan.processors {
            self.start_worker();
        }
    }

    /// Starts a worker for an idle core, if there is one.
    pub(super) fn start_worker(&self) -> Option<()> {
        let core = self.shared.workers.idle.pop_idle(0)?;
        self.start_on(core)
    }

    /// `None`: it is closed already.
    fn start_on(&self, core: Box<Core>) -> Option<()> {
        let (core, error) = match self.shared.start_worker(core, false) {
            Ok(()) => return Some(()),
            Err(back) => back,
        };
        assert!(self.shared.is_closed(), "{error}");
        self.shared.take_back(core, false);
        None
    }

    /// Starts a worker that holds a core, and polls this task first.
    pub(super) fn start_worker_with(
        &self,
        number: usize,
        body: impl FnOnce(&Model) + Send + 'static,
    ) {
        self.start_worker_as(Priority::Normal, number, body);
    }

    /// The same, with a task of this class.
    pub(super) fn start_worker_as(
        &self,
        class: Priority,
        number: usize,
        body: impl FnOnce(&Model) + Send + 'static,
    ) {
        let core = self.shared.workers.idle.pop_idle(0);
        let core = core.expect("a core is idle");
        assert!(self.shared.count_remote_spawn(), "nobody has closed yet");
        (core.queue).push(self.classed(class, number, body));
        self.start_on(core).expect("nobody has closed yet");
    }

    /// Starts a worker without a core.
    pub(super) fn start_spare(&self) {
        let shared = self.shared;
        let counted = CountedWorker::new(shared, usize::MAX).expect("there is no limit");
        let body = move || {
            let _counted = counted;
            worker::run(shared, None, false);
        };
        let started = shared.start_thread(&self.settings, Context::Needed, body);
        assert!(started.is_ok(), "threads can be started");
    }

    /// Starts the monitor's thread. It makes a round for each time-out of its own.
    pub(super) fn start_monitor(&self) {
        let shared = self.shared;
        let body = move || monitor::run(shared);
        let started = shared.start_thread(&self.settings, Context::Wanted, body);
        assert!(started.is_ok(), "threads can be started");
    }

    /// Starts a thread that does this and then waits for the closing, as the monitor's does, without its rounds.
    pub(super) fn start_monitor_after(&self, begin: impl FnOnce(&Model) + Send + 'static) {
        let model = self.clone();
        let body = move || {
            begin(&model);
            let shared = model.shared;
            drop(model);
            monitor::run(shared);
        };
        let started = (self.shared).start_thread(&self.settings, Context::Wanted, body);
        assert!(started.is_ok(), "threads can be started");
    }

    /// A thread of the blocking pool, say, runs a task that only it knows of.
    pub(super) fn run_elsewhere(&self, number: usize) {
        assert!(self.shared.count_remote_spawn(), "nobody has closed yet");
        let runnable = self.task(number, |_| ());
        self.thread(move |model| model.shared.poll_off_processor(runnable, Purpose::Run));
    }

    /// Starts a thread of the model, to be joined by [`Model::settle`].
    pub(super) fn thread(&self, body: impl FnOnce(&Model) + Send + 'static) {
        let model = self.clone();
        let handle = thread::spawn(move || body(&model));
        self.started.lock().push(handle);
    }

    /// The processor in this place, as it is at present.
    pub(super) fn processor(&self, index: usize) -> &'static Processor {
        self.shared.queues.slots()[index].current()
    }

    /// The monitor, in the hands of a model: it has found the polls of these processors stuck.
    pub(super) fn monitor(&self) -> Rounds {
        Rounds::new(self.shared)
    }

    /// Waits for all threads and checks the book.
    fn settle(&self) {
        loop {
            let Some(handle) = self.started.lock().pop() else {
                break;
            };
            handle.join().expect("a thread panicked");
        }
        assert!(self.shared.wait_closed(None));
        self.book.check();
        let idle = &self.shared.workers.idle;
        let wanted = self.shared.queues.num_processors();
        assert_eq!(
            (idle.num_idle(), idle.num_live()),
            (wanted, wanted),
            "a core is lost or counted wrongly"
        );
        assert!(self.shared.is_settled(), "something is counted still");
    }
}

/// Takes the processor in this place from its worker, if a thread holds it.
pub(super) fn retake(rounds: &mut Rounds, model: &Model, index: usize) {
    let processor = model.processor(index);
    rounds.last = machine::now();
    let places = model.shared.queues.slots().len();
    rounds.watches.resize_with(places, Watch::new);
    rounds.watches[index].look(processor, rounds.last, true);
    rounds.stuck(index, true, &mut 1);
}

/// A later round, in which it looks at what it has retaken, and for hidden work.
pub(super) fn later_round(rounds: &mut Rounds) {
    rounds.last = machine::now();
    rounds.check_all_detached();
    rounds.wake_for_hidden_work();
}

/// Something has come to pass. Who waits for it sees all that was before: it stands for the time in which every store
/// becomes visible.
#[derive(Clone, Default)]
pub(super) struct Event(Arc<(Mutex<bool>, Condvar)>);

impl Event {
    pub(super) fn set(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    pub(super) fn wait(&self) {
        let mut set = self.0.0.lock();
        while !*set {
            set = self.0.1.wait(set);
        }
    }
}

/// Starts a worker whose first poll, of task 0, does this, and waits until it has said that it is so far.
pub(super) fn begin(model: &Model, body: impl FnOnce(&Model, &Event) + Send + 'static) {
    begin_as(Priority::Normal, model, body);
}

/// The same, where task 0 is of this class.
pub(super) fn begin_as(
    class: Priority,
    model: &Model,
    body: impl FnOnce(&Model, &Event) + Send + 'static,
) {
    let so_far = Event::default();
    let says = so_far.clone();
    model.start_worker_as(class, 0, move |model| body(model, &says));
    so_far.wait();
}
