//! The trace event format, as far as timelines use it: what each kind of event must have and may have, and what must be true
//! of all of them together. What other programs make of it, `ci/readers.sh` asks them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

/// Process and thread, as the format has it.
pub(crate) type Lane = (u64, u64);

/// A poll, or a part of one, or a wake outside any: that has no `poll`. In nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) lane: Lane,
    pub(crate) name: String,
    pub(crate) task: u64,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) poll: String,
}

/// From what wakes to the poll that follows.
#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) from: Slice,
    pub(crate) to: Slice,
}

/// A parsed timeline that keeps the rules of the format.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) slices: Vec<Slice>,
    pub(crate) marks: Vec<(String, Lane, u64)>,
    /// Names of lanes.
    pub(crate) lanes: BTreeMap<Lane, String>,
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) counters: BTreeSet<String>,
    /// Names of runtimes.
    pub(crate) runtimes: Vec<String>,
    pub(crate) lost: u64,
}

/// One event.
struct Event<'a>(&'a Map<String, Value>);

impl<'a> Event<'a> {
    /// Has these fields and no others.
    fn has(&self, fields: &[&str]) {
        let known = BTreeSet::from_iter(fields.iter().copied());
        let found = BTreeSet::from_iter(self.0.keys().map(String::as_str));
        assert_eq!(found, known, "{:?}", self.0);
    }

    fn get(&self, key: &str) -> &'a Value {
        self.0
            .get(key)
            .unwrap_or_else(|| panic!("no {key}: {:?}", self.0))
    }

    fn number(&self, key: &str) -> u64 {
        let value = self.get(key).as_u64();
        value.unwrap_or_else(|| panic!("{key}: {:?}", self.0))
    }

    fn text(&self, key: &str) -> &'a str {
        let value = self.get(key).as_str();
        value.unwrap_or_else(|| panic!("{key}: {:?}", self.0))
    }

    /// Of microseconds with three decimals, in nanoseconds.
    fn time(&self, key: &str) -> u64 {
        let micros = self.get(key).as_f64().expect("a number");
        let nanos = (micros * 1000.0).round();
        assert!(micros >= 0.0 && (micros * 1000.0 - nanos).abs() < 0.01);
        nanos as u64
    }

    fn args(&self) -> Event<'a> {
        Event(self.get("args").as_object().expect("arguments"))
    }

    fn lane(&self) -> Lane {
        (self.number("pid"), self.number("tid"))
    }

    fn slice(&self) -> Slice {
        self.has(&["ph", "cat", "name", "pid", "tid", "ts", "dur", "args"]);
        let args = self.args();
        let poll = args.0.get("poll").map(|_| args.text("poll"));
        match self.text("cat") {
            "poll" => assert!(matches!(
                poll.expect("how it ends"),
                "returned" | "task finished" | "goes on without the processor" | "still running"
            )),
            "wake" => assert!(poll.is_none()),
            other => panic!("category {other}"),
        }
        for key in args.0.keys() {
            match key.as_str() {
                "task" => _ = args.number(key),
                "name" | "spawned at" | "poll" => _ = args.text(key),
                other => panic!("argument {other}"),
            }
        }
        let begin = self.time("ts");
        Slice {
            lane: self.lane(),
            name: self.text("name").to_owned(),
            task: args.number("task"),
            begin,
            end: begin + self.time("dur"),
            poll: poll.unwrap_or_default().to_owned(),
        }
    }

    fn mark(&self) -> (String, Lane, u64) {
        self.has(&["ph", "s", "cat", "name", "pid", "tid", "ts", "args"]);
        assert_eq!(self.text("s"), "t", "of a thread");
        assert_eq!(self.text("cat"), "scheduler");
        let args: &[&str] = match self.text("name") {
            "steal" => &["from", "tasks"],
            "retake" => &["processor"],
            "park" | "handoff" => &[],
            other => panic!("instant {other}"),
        };
        self.args().has(args);
        args.iter().for_each(|key| _ = self.args().number(key));
        if args.contains(&"tasks") {
            assert_ne!(self.args().number("tasks"), 0, "what was stolen");
        }
        (self.text("name").to_owned(), self.lane(), self.time("ts"))
    }
}

/// Events that say something of others, or belong to others, until all are read.
#[derive(Default)]
struct Rest {
    processes: BTreeMap<u64, String>,
    orders: BTreeMap<Lane, u64>,
    /// By process and name, with the last moment.
    counters: BTreeMap<(u64, String), u64>,
    starts: HashMap<u64, (String, Lane, u64)>,
    finishes: HashMap<u64, (String, Lane, u64)>,
}

impl Timeline {
    pub(crate) fn parse(json: &[u8]) -> Timeline {
        keep(json);
        let root: Value = serde_json::from_slice(json).expect("JSON");
        let root = Event(root.as_object().expect("an object"));
        root.has(&["displayTimeUnit", "traceEvents", "otherData"]);
        assert!(matches!(root.text("displayTimeUnit"), "ns" | "ms"));
        let other = Event(root.get("otherData").as_object().expect("an object"));
        let mut timeline = Timeline {
            lost: other.number("lost_events"),
            ..Timeline::default()
        };
        let mut rest = Rest::default();
        for event in root.get("traceEvents").as_array().expect("a list") {
            timeline.event(&Event(event.as_object().expect("an object")), &mut rest);
        }
        timeline.join(&rest);
        timeline.check_lanes(&rest);
        timeline.check_slices();
        timeline.runtimes.extend(rest.processes.into_values());
        timeline
    }

    fn event(&mut self, event: &Event<'_>, rest: &mut Rest) {
        let (name, lane) = (event.text("name").to_owned(), event.lane());
        match event.text("ph") {
            "M" => {
                event.has(&["ph", "name", "pid", "tid", "args"]);
                let args = event.args();
                let is_new = match name.as_str() {
                    "process_name" => rest
                        .processes
                        .insert(lane.0, args.text("name").to_owned())
                        .is_none(),
                    // By which they are numbered anyway.
                    "process_sort_index" => args.number("sort_index") == lane.0,
                    "thread_name" => self
                        .lanes
                        .insert(lane, args.text("name").to_owned())
                        .is_none(),
                    "thread_sort_index" => rest
                        .orders
                        .insert(lane, args.number("sort_index"))
                        .is_none(),
                    other => panic!("metadata {other}"),
                };
                assert!(is_new, "said twice: {:?}", event.0);
            }
            "X" => self.slices.push(event.slice()),
            "i" => self.marks.push(event.mark()),
            "C" => {
                event.has(&["ph", "name", "pid", "tid", "ts", "args"]);
                event.args().has(&["runnables"]);
                event.args().number("runnables");
                let at = event.time("ts");
                let last = rest.counters.insert((lane.0, name.clone()), at);
                assert!(last.is_none_or(|last| last <= at), "a counter goes back");
                self.counters.insert(name);
            }
            "s" => {
                event.has(&["ph", "cat", "name", "id", "pid", "tid", "ts"]);
                assert_eq!(event.text("cat"), "wake");
                let start = (name, lane, event.time("ts"));
                let first = rest.starts.insert(event.number("id"), start);
                assert!(first.is_none(), "an arrow begins once");
            }
            "f" => {
                event.has(&["ph", "bp", "cat", "name", "id", "pid", "tid", "ts"]);
                assert_eq!(event.text("cat"), "wake");
                assert_eq!(event.text("bp"), "e", "it leads to the slice around it");
                let finish = (name, lane, event.time("ts"));
                let first = rest.finishes.insert(event.number("id"), finish);
                assert!(first.is_none(), "an arrow ends once");
            }
            other => panic!("phase {other}: {:?}", event.0),
        }
    }

    /// Arrows that lead from one slice to another.
    fn join(&mut self, rest: &Rest) {
        assert_eq!(rest.starts.len(), rest.finishes.len());
        for (id, (name, from, at)) in &rest.starts {
            let (other, to, then) = &rest.finishes[id];
            assert_eq!(name, other, "a reader joins them by it");
            assert!(matches!(name.as_str(), "wake" | "spawn"), "{name}");
            assert!(at <= then, "an arrow leads back in time");
            let (from, to) = (self.around(*from, *at), self.around(*to, *then));
            assert!(!to.poll.is_empty(), "{to:?} is no poll");
            // Where the slice before may end, it would be ambiguous.
            assert_eq!(*then, to.end.min(to.begin + 1), "{to:?}");
            if from.poll.is_empty() {
                assert_eq!(from.begin, *at);
                assert_eq!(from.task, to.task, "an arrow leads to another task");
                assert_eq!(from.name, format!("{name} {}", to.name));
            }
            self.arrows.push(Arrow { from, to });
        }
    }

    /// The innermost slice.
    fn around(&self, lane: Lane, at: u64) -> Slice {
        let of_lane = self.slices.iter().filter(|slice| slice.lane == lane);
        let around = of_lane.filter(|slice| slice.begin <= at && at <= slice.end);
        let innermost = around.max_by_key(|slice| (slice.begin, std::cmp::Reverse(slice.end)));
        innermost
            .unwrap_or_else(|| panic!("no slice at {at} in {lane:?}"))
            .clone()
    }

    fn check_lanes(&self, rest: &Rest) {
        let slices = self.slices.iter().map(|slice| slice.lane);
        let used = BTreeSet::from_iter(slices.chain(self.marks.iter().map(|mark| mark.1)));
        let named = BTreeSet::from_iter(self.lanes.keys().copied());
        assert_eq!(used, named, "lanes that are used and lanes that are named");
        assert!(rest.orders.keys().eq(self.lanes.keys()));
        // With the first number of all: Perfetto puts that first, whatever its order.
        for pair in Vec::from_iter(&rest.orders).windows(2) {
            let ((one, first), (other, second)) = (pair[0], pair[1]);
            if one.0 == other.0 {
                assert!(first < second, "the order of numbers is that of lanes");
                assert_ne!(other.1, other.0, "the number of its process");
            }
        }
        let counting = rest.counters.keys().map(|(process, _)| *process);
        let processes = named.iter().map(|lane| lane.0).chain(counting);
        for process in processes {
            assert!(rest.processes.contains_key(&process), "{process}");
        }
    }

    /// Polls follow one another in a lane, and nothing overlaps without being within.
    fn check_slices(&self) {
        let mut by_lane: BTreeMap<_, Vec<&Slice>> = BTreeMap::new();
        for slice in &self.slices {
            by_lane.entry(slice.lane).or_default().push(slice);
        }
        for slices in by_lane.values_mut() {
            slices.sort_by_key(|slice| (slice.begin, std::cmp::Reverse(slice.end)));
            let polls = slices.iter().filter(|slice| !slice.poll.is_empty());
            for pair in Vec::from_iter(polls).windows(2) {
                // Nothing happens in so short a time: it is a matter of rounding.
                assert_ne!(pair[0].end + 1, pair[1].begin, "{pair:?} do not touch");
            }
            let mut open: Vec<&Slice> = Vec::new();
            for slice in slices {
                open.retain(|outer| outer.end > slice.begin);
                for outer in &open {
                    assert!(slice.end <= outer.end, "{slice:?} leaves {outer:?}");
                    let both = !slice.poll.is_empty() && !outer.poll.is_empty();
                    assert!(!both, "{slice:?} overlaps {outer:?}");
                }
                open.push(slice);
            }
        }
    }

    pub(crate) fn polls_of(&self, name: &str) -> Vec<&Slice> {
        let polls = self.slices.iter().filter(|slice| !slice.poll.is_empty());
        polls.filter(|slice| slice.name == name).collect()
    }

    pub(crate) fn lane(&self, slice: &Slice) -> &str {
        &self.lanes[&slice.lane]
    }

    pub(crate) fn num_marks(&self, name: &str) -> usize {
        let marks = self.marks.iter().filter(|(mark, _, _)| mark == name);
        marks.count()
    }
}

/// For `ci/readers.sh`, which wants more timelines than an example has.
fn keep(json: &[u8]) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    if let Some(folder) = std::env::var_os("EXECUTOR_TEST_TIMELINES") {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::path::Path::new(&folder).join(format!("{number:02}.json"));
        std::fs::write(path, json).expect("written");
    }
}
