//! What a subscriber of `tracing` is told.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::common::alone;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What was told of one span.
#[derive(Clone, Debug, Default)]
struct Told {
    name: &'static str,
    fields: HashMap<String, String>,
    parent: Option<u64>,
    is_contextual: bool,
    entered: usize,
    exited: usize,
    closed: usize,
    /// How often each operation on a waker.
    wakers: HashMap<String, usize>,
}

/// The wake of this task is told for as long as another thread could want to poll it for.
const SLOW: &str = "told slowly";
/// The wake of this task makes the subscriber panic.
const PANICS: &str = "told with a panic";

thread_local! {
    /// The spans that this thread is in.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Writes everything down, by the number of the span.
struct Recorder {
    next: AtomicU64,
    spans: &'static Mutex<HashMap<u64, Told>>,
}

struct Fields(HashMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}").trim_matches('"').to_owned();
        self.0.insert(field.name().to_owned(), text);
    }
}

impl Recorder {
    fn tell<T>(&self, span: u64, what: impl FnOnce(&mut Told) -> T) -> T {
        what(self.spans.lock().unwrap().entry(span).or_default())
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["executor::task", "runtime::waker"].contains(&metadata.target())
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(HashMap::new());
        span.record(&mut fields);
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        self.tell(id, |told| {
            told.name = span.metadata().name();
            told.fields = fields.0;
            told.parent = span.parent().map(Id::into_u64);
            told.is_contextual = span.is_contextual();
        });
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(HashMap::new());
        event.record(&mut fields);
        let span = fields.0["task.id"].parse().unwrap();
        let op = fields.0.remove("op").unwrap();
        let wakes = op.starts_with("waker.wake");
        let name = self.tell(span, |told| {
            *told.wakers.entry(op).or_default() += 1;
            told.fields.get("task.name").cloned()
        });
        match name.as_deref() {
            Some(SLOW) if wakes => {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(100) {
                    let polls = self.tell(span, |told| told.entered);
                    assert_eq!(polls, 1, "polled before the wake is told");
                    std::thread::yield_now();
                }
            }
            Some(PANICS) if wakes => panic!("as it should"),
            _ => {}
        }
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|spans| spans.push(span.into_u64()));
        self.tell(span.into_u64(), |told| told.entered += 1);
    }

    fn exit(&self, span: &Id) {
        let left = ENTERED.with_borrow_mut(Vec::pop);
        assert_eq!(left, Some(span.into_u64()));
        self.tell(span.into_u64(), |told| told.exited += 1);
    }

    fn try_close(&self, span: Id) -> bool {
        self.tell(span.into_u64(), |told| told.closed += 1);
        true
    }
}

/// The one subscriber of the process, which is why each test has one of its own.
fn record() -> &'static Mutex<HashMap<u64, Told>> {
    static SPANS: OnceLock<Mutex<HashMap<u64, Told>>> = OnceLock::new();
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let spans = SPANS.get_or_init(Mutex::default);
    INSTALLED.get_or_init(|| {
        let next = AtomicU64::new(1);
        tracing::subscriber::set_global_default(Recorder { next, spans }).unwrap();
    });
    spans
}

#[track_caller]
fn told_of(field: &str, value: &str) -> Told {
    let spans = record().lock().unwrap();
    let mut found = spans
        .values()
        .filter(|told| told.fields.get(field).is_some_and(|found| found == value));
    let told = found.next().expect("a span").clone();
    assert!(found.next().is_none(), "one span");
    told
}

fn named<F>(name: &str, future: F) -> executor::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    executor::task::Builder::new().name(name).spawn(future)
}

#[test]
fn each_poll_enters_the_one_span_and_the_drop_one_inside_it() {
    if !alone(
        module_path!(),
        "each_poll_enters_the_one_span_and_the_drop_one_inside_it",
    ) {
        return;
    }
    record();
    struct Dropped(mpsc::Sender<Vec<u64>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(ENTERED.with_borrow(Vec::clone)).unwrap();
        }
    }
    let (tx, rx) = mpsc::channel();
    let (mut polls, dropped) = (0, Dropped(tx));
    let three_polls = poll_fn(move |cx| {
        polls += 1;
        dropped.0.send(ENTERED.with_borrow(Vec::clone)).unwrap();
        if polls == 3 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    let task = named("three polls", three_polls);
    let (id, line) = (task.id().to_string(), line!());
    executor::block_on(task).unwrap();
    let told = told_of("task.name", "three polls");
    // A subscriber counts the entries as polls.
    assert_eq!((told.entered, told.exited), (3, 3));
    let [polls @ .., dropped] = &rx.iter().collect::<Vec<_>>()[..] else {
        panic!("not polled")
    };
    let [span] = polls[0][..] else {
        panic!("polled in {:?}", polls[0])
    };
    assert_eq!(polls, [[span]; 3]);
    let [around_drop] = dropped[..] else {
        panic!("dropped in {dropped:?}")
    };
    let around_drop = record().lock().unwrap()[&around_drop].clone();
    assert_eq!((around_drop.name, around_drop.parent), ("drop", Some(span)));
    assert_eq!((around_drop.entered, around_drop.closed), (1, 1));
    assert_eq!(
        told.wakers,
        HashMap::from([("waker.wake_by_ref".to_owned(), 2)])
    );
    assert_eq!((told.parent, told.is_contextual), (None, false));
    assert_eq!(
        (&told.fields["kind"][..], &told.fields["task.id"]),
        ("task", &id)
    );
    assert!(told.fields["loc.file"].ends_with(file!()));
    assert!(told.fields["loc.line"].parse::<u32>().unwrap() < line);
    assert!(told.fields["size.bytes"].parse::<usize>().unwrap() > 0);
}

/// A task that ends with its second poll, and the waker for that.
fn woken_once(name: &str) -> (executor::JoinHandle<()>, Waker) {
    let (tx, rx) = mpsc::channel();
    let mut polled = false;
    let future = poll_fn(move |cx| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        tx.send(cx.waker().clone()).unwrap();
        Poll::Pending
    });
    (named(name, future), rx.recv().unwrap())
}

#[test]
fn a_wake_is_told_before_the_poll_that_it_leads_to() {
    if !alone(
        module_path!(),
        "a_wake_is_told_before_the_poll_that_it_leads_to",
    ) {
        return;
    }
    record();
    let (task, waker) = woken_once(SLOW);
    waker.wake();
    executor::block_on(task).unwrap();
    assert_eq!(told_of("task.name", SLOW).entered, 2);
}

#[test]
fn a_subscriber_that_panics_at_a_wake_does_not_lose_it() {
    if !alone(
        module_path!(),
        "a_subscriber_that_panics_at_a_wake_does_not_lose_it",
    ) {
        return;
    }
    record();
    let (task, waker) = woken_once(PANICS);
    assert!(catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err());
    executor::block_on(task).unwrap();
    assert_eq!(told_of("task.name", PANICS).entered, 2);
}

#[test]
fn whatever_happens_to_a_waker_is_told_once() {
    if !alone(module_path!(), "whatever_happens_to_a_waker_is_told_once") {
        return;
    }
    record();
    let (tx, rx) = mpsc::channel::<Waker>();
    let mut polled = false;
    let task = named(
        "wakers",
        poll_fn(move |cx| {
            if polled {
                return Poll::Ready(());
            }
            polled = true;
            for _ in 0..3 {
                tx.send(cx.waker().clone()).unwrap();
            }
            Poll::Pending
        }),
    );
    let [first, second, third] = [(); 3].map(|()| rx.recv().unwrap());
    assert!(first.will_wake(&second));
    drop(third);
    second.wake_by_ref();
    executor::block_on(task).unwrap();
    // Too late to wake anybody, and harmless.
    first.wake();
    drop(second);
    let told = told_of("task.name", "wakers");
    let expected = [
        ("waker.clone", 3),
        ("waker.drop", 2),
        ("waker.wake", 1),
        ("waker.wake_by_ref", 1),
    ];
    assert_eq!(
        told.wakers,
        HashMap::from(expected.map(|(op, times)| (op.to_owned(), times)))
    );
}

#[test]
fn a_span_ends_with_its_task_however_that_ends() {
    if !alone(
        module_path!(),
        "a_span_ends_with_its_task_however_that_ends",
    ) {
        return;
    }
    record();
    let runtime = executor::runtime::Builder::new()
        .worker_threads(1)
        .build()
        .unwrap();
    let entered = runtime.handle().enter();
    let panics = named("panics", async { panic!("as it should") });
    assert!(runtime.block_on(panics).unwrap_err().is_panic());
    let aborted = named("aborted", std::future::pending::<()>());
    aborted.abort();
    assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
    drop(named("shut down", std::future::pending::<()>()));
    drop(entered);
    drop(runtime);
    for name in ["panics", "aborted", "shut down"] {
        let told = told_of("task.name", name);
        assert_eq!((told.closed, told.entered), (1, told.exited), "{name}");
    }
}

#[test]
fn jobs_local_tasks_and_block_on_are_told_apart() {
    if !alone(
        module_path!(),
        "jobs_local_tasks_and_block_on_are_told_apart",
    ) {
        return;
    }
    record();
    let (mut job, mut local) = (0, 0);
    executor::block_on(async {
        job = line!() + 1;
        executor::spawn_blocking(|| ()).await.unwrap();
        local = line!() + 1;
        executor::spawn_local(async {}).await.unwrap();
    });
    for (line, kind) in [(job, "blocking"), (local, "local"), (job - 2, "block_on")] {
        let told = told_of("loc.line", &line.to_string());
        assert_eq!((&told.fields["kind"][..], told.closed), (kind, 1));
    }
}
