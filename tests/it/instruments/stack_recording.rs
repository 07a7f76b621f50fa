//! Where tasks wait, recorded all the time; and futures that were woken and are not polled.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use executor::runtime::{Builder, Frame, TaskInfo, TaskState};
use executor::task::{Id, yield_now};
use executor::time::sleep;
use executor::{Handle, JoinHandle, Runtime};
use futures::StreamExt;
use futures::future::{Either, join, select};
use futures::stream::FuturesUnordered;

use crate::common::{PATIENCE, wait_until};

/// A wake that leads nowhere is told after a second.
const LASTING: Duration = Duration::from_millis(1200);

fn runtime(every: u32) -> Runtime {
    let builder = Builder::new().worker_threads(2).record_stacks(every);
    builder.build().unwrap()
}

fn info(handle: &Handle, id: Id) -> TaskInfo {
    let dump = handle.dump_tasks();
    let task = dump.tasks().iter().find(|task| task.id() == id);
    task.expect("it lives").clone()
}

/// What is said of the task when that is so.
#[track_caller]
fn until(what: &str, handle: &Handle, id: Id, is_so: impl Fn(&TaskInfo) -> bool) -> TaskInfo {
    let mut found = None;
    wait_until(what, || {
        let dump = handle.dump_tasks();
        let task = dump.tasks().iter().find(|task| task.id() == id);
        found = task.filter(|task| is_so(task)).cloned();
        found.is_some()
    });
    found.expect("it was found")
}

async fn leaf() {
    pending::<()>().await;
}

async fn waits_in_a_chain(event: async_channel::Receiver<()>) {
    event.recv().await.unwrap();
    leaf().await;
}

#[test]
fn a_dump_that_touches_no_task_shows_where_each_waits() {
    let runtime = runtime(1);
    let (send, receive) = async_channel::bounded(1);
    let task = runtime.spawn(async move { waits_in_a_chain(receive).await });
    let of_task = || info(runtime.handle(), task.id());
    let waits = |task: &TaskInfo| task.stacks().len() == 1;
    let stack = until("it waits", runtime.handle(), task.id(), waits).stacks()[0].clone();
    // Where lines are known, a function may have no name but "async fn".
    let is_here = |frame: &Frame| {
        frame
            .name()
            .is_some_and(|name| name.contains("waits_in_a_chain"))
            || frame.file().is_some_and(|file| file.ends_with(file!()))
    };
    assert!(stack.frames().any(|frame| is_here(&frame)), "{stack}");
    assert!(of_task().last_stacks().is_empty());
    let dump = runtime.handle().dump_tasks().to_string();
    assert!(
        dump.contains("waits_in_a_chain") || dump.contains(file!()),
        "{dump}"
    );
    // It goes on, to a leaf that keeps no waker.
    send.try_send(()).unwrap();
    wait_until("the table keeps none", || of_task().has_no_waker());
    assert_eq!(
        (of_task().stacks(), of_task().last_stacks()),
        (&[][..], &[stack][..])
    );
    let dump = runtime.handle().dump_tasks().to_string();
    assert!(dump.contains("\n      last waited at:\n"), "{dump}");
}

#[test]
fn a_task_that_blocks_shows_where_it_waited_last() {
    let (report, reported) = std::sync::mpsc::channel();
    let runtime = Builder::new().worker_threads(1).record_stacks(1);
    let runtime = runtime
        .on_stall(move |stall| _ = report.send(stall.clone()))
        .build()
        .unwrap();
    let (go, blocks) = std::sync::mpsc::channel::<()>();
    let task = runtime.spawn(async move {
        sleep(Duration::from_millis(1)).await;
        _ = blocks.recv();
    });
    let blocks = |task: &TaskInfo| task.state() == TaskState::Blocked;
    let info = until("it blocks", runtime.handle(), task.id(), blocks);
    assert_eq!((info.stacks().len(), info.last_stacks().len()), (0, 1));
    let stall = reported.recv_timeout(PATIENCE).expect("a report");
    assert_eq!(stall.last_stacks(), info.last_stacks());
    assert!(
        stall.to_string().contains("\n    last waited at:\n"),
        "{stall}"
    );
    let left = runtime.shutdown_timeout(Duration::ZERO);
    assert_eq!(left.blocked()[0].last_stacks(), info.last_stacks());
    drop(go);
}

#[test]
fn a_dump_by_polls_and_the_recording_agree() {
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        let (one, other) = (
            sleep(Duration::from_secs(1000)),
            sleep(Duration::from_secs(2000)),
        );
        join(one, other).await;
    });
    let waits = |task: &TaskInfo| task.stacks().len() == 2;
    until("it waits", runtime.handle(), task.id(), waits);
    let dump = runtime.handle().dump_stacks(Duration::from_secs(10));
    assert_eq!(
        (dump.tasks()[0].stacks().len(), dump.num_unreached()),
        (2, 0)
    );
    // The dump has its answer before that poll has ended.
    let recorded = until("it waits again", runtime.handle(), task.id(), waits);
    assert!(recorded.futurelocks().is_empty());
}

#[test]
fn off_and_every_so_many_th() {
    for (every, most) in [(0, 0), (8, 10)] {
        let runtime = runtime(every);
        let tasks: Vec<_> = (0..80)
            .map(|_| runtime.spawn(sleep(Duration::from_secs(1000))))
            .collect();
        for task in &tasks {
            let waits = |task: &TaskInfo| task.state() == TaskState::Waiting;
            until("it waits", runtime.handle(), task.id(), waits);
        }
        let dump = runtime.handle().dump_tasks();
        let with_stack = dump
            .tasks()
            .iter()
            .filter(|task| !task.stacks().is_empty())
            .count();
        assert!(with_stack <= most, "{with_stack} of 80");
        assert_eq!(with_stack > 0, every > 0);
    }
}

#[test]
fn tasks_that_have_ended_leave_nothing_and_wakers_outlive_the_runtime() {
    let runtime = runtime(1);
    let event = event_listener::Event::new();
    let mut listener = Box::pin(event.listen());
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keeps = kept.clone();
    let task = runtime.spawn(std::future::poll_fn(move |cx| {
        *keeps.lock().unwrap() = Some(cx.waker().clone());
        listener.as_mut().poll(cx)
    }));
    let waits = |task: &TaskInfo| task.stacks().len() == 2;
    until("it waits", runtime.handle(), task.id(), waits);
    drop(runtime);
    let waker = kept.lock().unwrap().take().unwrap();
    waker.wake_by_ref();
    waker.wake();
    event.notify(1);
    assert!(executor::block_on(task).unwrap_err().is_cancelled());
}

/// What a test holds, and how a task of it waits.
trait Lock: Send + Sync + 'static {
    type Guard<'a>: Send;
    fn new() -> Self;
    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send;
}

impl Lock for async_lock::Mutex<()> {
    type Guard<'a> = async_lock::MutexGuard<'a, ()>;
    fn new() -> Self {
        async_lock::Mutex::new(())
    }
    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        async_lock::Mutex::lock(self)
    }
}

impl Lock for tokio::sync::Mutex<()> {
    type Guard<'a> = tokio::sync::MutexGuard<'a, ()>;
    fn new() -> Self {
        tokio::sync::Mutex::new(())
    }
    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        tokio::sync::Mutex::lock(self)
    }
}

impl Lock for futures::lock::Mutex<()> {
    type Guard<'a> = futures::lock::MutexGuard<'a, ()>;
    fn new() -> Self {
        futures::lock::Mutex::new(())
    }
    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        futures::lock::Mutex::lock(self)
    }
}

async fn use_lock<L: Lock>(lock: &L) {
    let _guard = lock.lock().await;
}

/// What becomes of the arm that has lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arm {
    Stays,
    IsDropped,
    /// When the lock has been handed to it.
    IsDroppedLater,
}

/// The example of RFD 609.
fn futurelock<L: Lock>(runtime: &Runtime, arm: Arm, then_sleeps: bool) -> JoinHandle<()> {
    let lock = Arc::new(L::new());
    let held = lock.clone();
    let (has_it, wants) = async_channel::bounded::<()>(1);
    drop(runtime.spawn(async move {
        let _guard = held.lock().await;
        has_it.send(()).await.unwrap();
        sleep(Duration::from_millis(300)).await;
    }));
    runtime.spawn(async move {
        wants.recv().await.unwrap();
        let mut first = Some(Box::pin(use_lock(&*lock)));
        let time = pin!(sleep(Duration::from_millis(50)));
        match select(first.as_mut().unwrap(), time).await {
            Either::Left(_) => panic!("the lock is held for longer"),
            Either::Right(_) => {}
        }
        if arm == Arm::IsDroppedLater {
            sleep(Duration::from_millis(600)).await;
        }
        if arm != Arm::Stays {
            drop(first.take());
        }
        if then_sleeps {
            sleep(Duration::from_secs(1000)).await;
        }
        use_lock(&*lock).await;
        // Not reached if it is stuck.
        pending().await
    })
}

fn names(task: &TaskInfo) -> Vec<String> {
    let frames = task
        .futurelocks()
        .iter()
        .flat_map(|lock| lock.stack().frames().collect::<Vec<_>>());
    frames
        .filter_map(|frame| Some(frame.name()?.to_owned()))
        .collect()
}

#[test]
fn a_lock_that_is_handed_to_a_future_that_is_not_polled_is_told() {
    let runtime = runtime(1);
    let tasks = [
        futurelock::<tokio::sync::Mutex<()>>(&runtime, Arm::Stays, false),
        futurelock::<async_lock::Mutex<()>>(&runtime, Arm::Stays, false),
        // This one is given to who asks first, which is the same task, so that goes on. But nobody
        // else is woken.
        futurelock::<futures::lock::Mutex<()>>(&runtime, Arm::Stays, true),
    ];
    for task in &tasks {
        let is_told = |task: &TaskInfo| !task.futurelocks().is_empty();
        let info = until("it is told", runtime.handle(), task.id(), is_told);
        assert_eq!(
            (info.futurelocks().len(), info.stacks().len()),
            (1, 1),
            "{info}"
        );
        assert_ne!(info.futurelocks()[0].stack(), &info.stacks()[0]);
        assert!(info.futurelocks()[0].since() >= Duration::from_secs(1));
        let names = names(&info);
        assert!(
            names.iter().any(|name| name.contains("use_lock")),
            "{names:?}"
        );
    }
    let dump = runtime
        .handle()
        .dump_stacks(Duration::from_secs(10))
        .to_string();
    assert_eq!(
        dump.matches("\n      futurelock: the task has not polled ")
            .count(),
        3,
        "{dump}"
    );
    // Also where there is no debug information, but names.
    let mut stacks = dump.split("\n      futurelock: ").skip(1);
    let is_marked = |lines: &str| lines.contains("\n    > ");
    assert!(
        stacks.all(|stack| is_marked(stack.split("\n  task ").next().unwrap())),
        "{dump}"
    );
}

#[test]
fn an_arm_that_was_dropped_is_not_told() {
    let runtime = runtime(1);
    let dropped = [Arm::IsDropped, Arm::IsDroppedLater].map(|arm| {
        [
            futurelock::<tokio::sync::Mutex<()>>(&runtime, arm, true),
            futurelock::<async_lock::Mutex<()>>(&runtime, arm, true),
            futurelock::<futures::lock::Mutex<()>>(&runtime, arm, true),
        ]
    });
    // When the arm that stays is told, those before it would have been.
    let kept = futurelock::<async_lock::Mutex<()>>(&runtime, Arm::Stays, true);
    let is_told = |task: &TaskInfo| !task.futurelocks().is_empty();
    until("the kept one is told", runtime.handle(), kept.id(), is_told);
    std::thread::sleep(LASTING);
    for task in dropped.as_flattened() {
        let info = info(runtime.handle(), task.id());
        assert!(info.futurelocks().is_empty(), "{info}");
    }
}

/// Children that wait for a permit each, and a task that takes its time between two.
fn unordered(runtime: &Runtime, is_polled: bool) -> JoinHandle<()> {
    let lock = Arc::new(async_lock::Mutex::new(()));
    let guard = lock.try_lock_arc().unwrap();
    drop(runtime.spawn(async move {
        sleep(Duration::from_millis(200)).await;
        drop(guard);
    }));
    runtime.spawn(async move {
        let mut children = FuturesUnordered::new();
        for number in 0..2 {
            let lock = lock.clone();
            children.push(async move {
                match number {
                    0 => sleep(Duration::from_millis(50)).await,
                    _ => use_lock(&*lock).await,
                }
            });
        }
        children.next().await;
        if is_polled {
            children.next().await;
            pending::<()>().await;
        }
        sleep(Duration::from_secs(1000)).await;
        drop(children);
    })
}

#[test]
fn children_that_are_woken_and_not_polled_are_told() {
    let runtime = runtime(1);
    // The one that is not told first: when the other is told it would have been.
    let [polled, snoozed] = [true, false].map(|is_polled| unordered(&runtime, is_polled));
    let is_told = |task: &TaskInfo| !task.futurelocks().is_empty();
    let names = names(&until(
        "it is told",
        runtime.handle(),
        snoozed.id(),
        is_told,
    ));
    assert!(
        names
            .iter()
            .any(|name| name.contains("FuturesUnordered") || name.starts_with("poll_next<")),
        "{names:?}"
    );
    assert!(info(runtime.handle(), polled.id()).futurelocks().is_empty());
}

/// Programs in which nothing is wrong.
#[test]
fn who_does_no_harm_is_not_told() {
    let runtime = runtime(1);
    let lock = || {
        let lock = Arc::new(async_lock::Mutex::new(()));
        let guard = lock.try_lock_arc().unwrap();
        drop(executor::spawn(async move {
            sleep(Duration::from_millis(100)).await;
            drop(guard);
        }));
        lock
    };
    let _entered = runtime.handle().enter();

    let done = lock();
    let one_arm_is_done = executor::spawn(async move {
        join(use_lock(&*done), sleep(Duration::from_secs(1000))).await;
    });

    let (send, receive) = async_channel::unbounded();
    let (later, stream) = (send.clone(), receive.clone());
    drop(executor::spawn(async move {
        sleep(Duration::from_millis(100)).await;
        later.send(()).await.unwrap();
    }));
    let a_receiver_was_dropped = executor::spawn(async move {
        select(pin!(receive.recv()), pin!(sleep(Duration::from_millis(20)))).await;
        sleep(Duration::from_secs(1000)).await;
        drop((send, receive));
    });

    let (send, mut queue) = tokio::sync::mpsc::unbounded_channel();
    drop(executor::spawn(async move {
        sleep(Duration::from_millis(100)).await;
        send.send(()).unwrap();
        pending::<()>().await;
    }));
    let a_queue_is_not_read = executor::spawn(async move {
        select(pin!(queue.recv()), pin!(sleep(Duration::from_millis(20)))).await;
        sleep(Duration::from_secs(1000)).await;
        drop(queue);
    });

    let a_stream_is_not_read = executor::spawn(async move {
        let mut stream = pin!(stream);
        select(stream.next(), pin!(sleep(Duration::from_millis(20)))).await;
        sleep(Duration::from_secs(1000)).await;
    });

    let looped = lock();
    let selects_in_a_loop = executor::spawn(async move {
        let mut first = Box::pin(use_lock(&*looped));
        loop {
            let time = pin!(sleep(Duration::from_millis(5)));
            if let Either::Left(_) = select(&mut first, time).await {
                break;
            }
        }
        sleep(Duration::from_secs(1000)).await;
    });

    let shared = lock();
    let buffers = executor::spawn(async move {
        let jobs = futures::stream::iter(0..4).map(|_| use_lock(&*shared));
        jobs.buffered(2).for_each(|()| yield_now()).await;
        sleep(Duration::from_secs(1000)).await;
    });

    let tasks = [
        ("a stream is not read", a_stream_is_not_read),
        ("one arm of a join is done", one_arm_is_done),
        ("a receiver was dropped", a_receiver_was_dropped),
        ("a queue is not read", a_queue_is_not_read),
        ("selects in a loop", selects_in_a_loop),
        ("a buffered stream", buffers),
    ];
    // The latest wake of any comes 0.1 s after its spawn.
    std::thread::sleep(2 * LASTING);
    for (what, task) in &tasks {
        let info = info(runtime.handle(), task.id());
        assert_eq!(info.state(), TaskState::Waiting, "{what}");
        assert!(
            info.futurelocks().is_empty(),
            "{what}: {:#?}",
            info.futurelocks()
        );
    }
}

/// A spurious poll must not do what the task does not do by itself.
#[test]
fn a_task_that_waits_for_two_things_is_polled_once_more_and_then_rests() {
    let runtime = runtime(1);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = polls.clone();
    let task = runtime.spawn(async move {
        let mut both = pin!(join(
            sleep(Duration::from_secs(1000)),
            sleep(Duration::from_secs(2000))
        ));
        std::future::poll_fn(|cx| -> Poll<()> {
            counted.fetch_add(1, SeqCst);
            both.as_mut().poll(cx).map(drop)
        })
        .await;
    });
    wait_until("it is polled twice", || polls.load(SeqCst) == 2);
    let waits = |task: &TaskInfo| task.stacks().len() == 2;
    until("it waits", runtime.handle(), task.id(), waits);
    runtime.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
    assert_eq!(polls.load(SeqCst), 2);
}
