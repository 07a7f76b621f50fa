//! What subscribers of `tracing` and recorders of `metrics` are told.

#[cfg(feature = "tracing")]
mod spans {
    use std::collections::HashMap;
    use std::fmt::Debug;
    use std::future::{Future, poll_fn};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock};
    use std::task::{Poll, Waker};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// What was told of one span.
    #[derive(Clone, Debug, Default)]
    struct Told {
        fields: HashMap<String, String>,
        has_parent: bool,
        entered: usize,
        exited: usize,
        closed: usize,
        /// How often each operation on a waker.
        wakers: HashMap<String, usize>,
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
        fn tell(&self, span: u64, what: impl FnOnce(&mut Told)) {
            what(self.spans.lock().unwrap().entry(span).or_default());
        }
    }

    impl Subscriber for Recorder {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.name() == "runtime.spawn" || metadata.target() == "runtime::waker"
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let mut fields = Fields(HashMap::new());
            span.record(&mut fields);
            let id = self.next.fetch_add(1, Ordering::SeqCst);
            self.tell(id, |told| {
                told.fields = fields.0;
                told.has_parent = span.is_contextual() || span.parent().is_some();
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
            self.tell(span, |told| *told.wakers.entry(op).or_default() += 1);
        }

        fn enter(&self, span: &Id) {
            self.tell(span.into_u64(), |told| told.entered += 1);
        }

        fn exit(&self, span: &Id) {
            self.tell(span.into_u64(), |told| told.exited += 1);
        }

        fn try_close(&self, span: Id) -> bool {
            self.tell(span.into_u64(), |told| told.closed += 1);
            true
        }
    }

    /// The one subscriber of this process; each test looks for its own tasks in it.
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
    fn each_poll_and_the_drop_are_inside_the_one_span() {
        record();
        struct InSpan(tracing::Span);
        impl Drop for InSpan {
            fn drop(&mut self) {
                assert_eq!(tracing::Span::current().id(), self.0.id());
            }
        }
        let mut polls = 0;
        let task = named("three polls", async move {
            let _dropped_inside = InSpan(tracing::Span::current());
            poll_fn(move |cx| {
                polls += 1;
                if polls == 3 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        });
        let (id, line) = (task.id().to_string(), line!());
        executor::block_on(task).unwrap();
        let told = told_of("task.name", "three polls");
        // Three polls and the drop of what is left of the future.
        assert_eq!((told.entered, told.exited), (4, 4));
        assert_eq!(
            told.wakers,
            HashMap::from([("waker.wake_by_ref".to_owned(), 2)])
        );
        assert!(!told.has_parent);
        assert_eq!(
            (&told.fields["kind"][..], &told.fields["task.id"]),
            ("task", &id)
        );
        assert!(told.fields["loc.file"].ends_with("tests/observed.rs"));
        assert!(told.fields["loc.line"].parse::<u32>().unwrap() < line);
        assert!(told.fields["size.bytes"].parse::<usize>().unwrap() > 0);
    }

    #[test]
    fn whatever_happens_to_a_waker_is_told_once() {
        record();
        let (tx, rx) = std::sync::mpsc::channel::<Waker>();
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
}

#[cfg(feature = "metrics")]
mod figures {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    /// Keeps the last value of everything, by its name and labels.
    #[derive(Default)]
    struct Last(Mutex<HashMap<String, Arc<AtomicU64>>>);

    impl Last {
        fn cell(&self, key: &Key) -> Arc<AtomicU64> {
            let labels: Vec<_> = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let name = format!("{}{{{}}}", key.name(), labels.join(","));
            self.0.lock().unwrap().entry(name).or_default().clone()
        }

        fn bits(&self, name: &str) -> u64 {
            self.0.lock().unwrap()[name].load(Ordering::SeqCst)
        }
    }

    impl Recorder for Last {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.cell(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.cell(key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn figures_of_two_runtimes_are_told_apart() {
        let last = Last::default();
        for (name, workers, tasks) in [("one", 1, 3), ("two", 2, 5)] {
            let runtime = executor::runtime::Builder::new()
                .worker_threads(workers)
                .build()
                .unwrap();
            for _ in 0..tasks {
                runtime.block_on(runtime.spawn(async {})).unwrap();
            }
            let metrics = runtime.metrics();
            metrics::with_local_recorder(&last, || metrics.publish(name));
            let polls: u64 = (0..workers)
                .map(|worker| {
                    let labels = format!("runtime={name},worker={worker}");
                    let polls = last.bits(&format!("executor_worker_polls_total{{{labels}}}"));
                    assert_eq!(polls, metrics.worker_poll_count(worker));
                    polls
                })
                .sum();
            assert!(polls >= tasks);
        }
        let gauge = |name: &str| f64::from_bits(last.bits(name));
        assert_eq!(gauge("executor_workers{runtime=one}"), 1.0);
        assert_eq!(gauge("executor_workers{runtime=two}"), 2.0);
        assert_eq!(last.bits("executor_spawned_tasks_total{runtime=one}"), 3);
        assert_eq!(last.bits("executor_spawned_tasks_total{runtime=two}"), 5);
    }
}
