//! What is promised in numbers is the same wherever it stands, and is what the code does.
//!
//! `src/lib.rs` has the guarantees, the README repeats them, and `src/scheduler/mod.rs` says who waits for whom. Each
//! promise is one phrase that stands in all of them; its number is computed from the constants in the code. The tests that hold the code to it
//! are named beside.

use std::fs;
use std::path::Path;
use std::time::Duration;

const GUARANTEES: &str = "src/lib.rs";
const README: &str = "README.md";
const ESSAY: &str = "src/scheduler/mod.rs";

/// A phrase, the documents that have it, and a test of it.
struct Promise {
    phrase: String,
    documents: &'static [&'static str],
    test: (&'static str, &'static str),
}

fn promises() -> Vec<Promise> {
    let (period, ask) = (
        time("monitor/mod.rs", "PERIOD"),
        time("monitor/mod.rs", "ASK"),
    );
    let hidden = time("monitor/mod.rs", "DOZE") + period;
    let computes = time("monitor/watch.rs", "RUNNING") + period;
    let blocked = time("monitor/watch.rs", "BLOCKED");
    let (streak, turns) = (
        number("scheduler/processor/mod.rs", "NEXT_SLOT_CAP") + 1,
        number("scheduler/processor/mod.rs", "GLOBAL_TURNS"),
    );
    let (budget, piece) = (
        number("tasks/budget.rs", "BUDGET"),
        2 * number("scheduler/timers/wheel.rs", "PIECE"),
    );
    let [normal, background] =
        ["NORMAL_PATIENCE", "BACKGROUND_PATIENCE"].map(|name| time("monitor/latency.rs", name));
    let endless = time("monitor/detached_polls.rs", "ENDLESS");
    let of_nine = number("scheduler/worker/by_class.rs", "STREAK") + 1;
    let everywhere: &[&str] = &[GUARANTEES, README, ESSAY];
    let inside: &[&str] = &[GUARANTEES, ESSAY];
    let promise = |phrase: String, documents, file, test| Promise {
        phrase,
        documents,
        test: (file, test),
    };
    vec![
        promise(
            format!(
                "no processor is idle beside queued work for more than {}",
                show(hidden)
            ),
            everywhere,
            "it/scheduling/parallelism.rs",
            "work_in_the_next_slot_behind_a_long_poll_is_run_elsewhere",
        ),
        promise(
            format!("after {} of being blocked", show(blocked)),
            everywhere,
            "it/stall/retakes.rs",
            "what_is_queued_behind_a_stuck_poll_runs",
        ),
        promise(
            format!("after {} of its CPU time", show(computes)),
            everywhere,
            "it/stall/retakes.rs",
            "what_is_queued_behind_a_stuck_poll_runs",
        ),
        promise(
            format!(
                "of class `Normal` loses it after {}, and one of class `Background` after {}",
                show(normal),
                show(background)
            ),
            &["src/runtime/builder.rs"],
            "it/scheduling/classes.rs",
            "an_interactive_task_takes_the_processor_of_a_poll_that_computes",
        ),
        promise(
            format!("{streak} polls for itself and for each one before it"),
            everywhere,
            "it/scheduling/fairness.rs",
            "a_task_beside_a_busy_crowd_waits_for_a_few_polls",
        ),
        promise(
            format!("{turns} polls, or {} if polls are long", show(ask)),
            everywhere,
            "it/scheduling/fairness.rs",
            "a_foreign_spawn_beside_a_busy_crowd_waits_for_a_few_polls",
        ),
        promise(
            "4 P threads".to_owned(),
            everywhere,
            "it/sim/crowd.rs",
            "many_tasks_that_compute_need_a_few_threads",
        ),
        promise(
            "fewer than P of those do".to_owned(),
            everywhere,
            "it/sim/crowd.rs",
            "many_tasks_that_compute_need_a_few_threads",
        ),
        promise(
            format!("ne that has computed for {} counts", show(endless)),
            inside,
            "it/sim/crowd.rs",
            "tasks_that_wait_for_each_other_while_they_compute_all_begin",
        ),
        promise(
            format!(
                "of class `Background` after {} of its CPU time, `Normal` after {}",
                show(background),
                show(normal)
            ),
            everywhere,
            "it/scheduling/classes.rs",
            "an_interactive_task_takes_the_processor_of_a_poll_that_computes",
        ),
        promise(
            format!("one of {of_nine} polls"),
            &[GUARANTEES, README],
            "it/scheduling/classes.rs",
            "a_flood_of_interactive_tasks_starves_nobody",
        ),
        promise(
            format!("one poll per processor and {}", show(ask)),
            &[GUARANTEES, README],
            "it/scheduling/classes.rs",
            "a_flood_of_interactive_tasks_starves_nobody",
        ),
        promise(
            format!("each {}", show(period)),
            inside,
            "it/stall/retakes.rs",
            "sleepers_wake_while_all_are_stuck",
        ),
        promise(
            format!("{piece} are fired between two looks"),
            &[GUARANTEES],
            "alone/timer_pieces.rs",
            "a_tick_waits_for_a_piece_of_the_timers_that_are_due_at_once",
        ),
        promise(
            format!("{piece} of which are fired between two looks"),
            &[ESSAY],
            "alone/timer_pieces.rs",
            "a_tick_waits_for_a_piece_of_the_timers_that_are_due_at_once",
        ),
        promise(
            format!("{budget} operations that were ready at once"),
            inside,
            "it/scheduling/fairness.rs",
            "joining_finished_tasks_yields_at_each_129th",
        ),
    ]
}

#[test]
fn numbers_in_the_documents_are_those_of_the_code() {
    let mut wrong = Vec::new();
    for promise in promises() {
        for document in promise.documents {
            if !prose(document).contains(&promise.phrase) {
                wrong.push(format!("{document} does not say: {}", promise.phrase));
            }
        }
        let (file, test) = promise.test;
        if !read(&format!("tests/{file}")).contains(&format!("fn {test}(")) {
            wrong.push(format!("tests/{file} has no test {test}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A document as one line, without the marks of a comment.
fn prose(document: &str) -> String {
    let text = read(document);
    let lines = text
        .lines()
        .map(|line| line.trim_start().trim_start_matches(['/', '!']));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// What a constant of the source is defined as.
fn constant(file: &str, name: &str) -> String {
    let text = read(&format!("src/{file}"));
    let definition = text
        .split_once(&format!("const {name}: "))
        .unwrap_or_else(|| panic!("src/{file} has no constant {name}"));
    let value = definition.1.split_once(" = ").unwrap().1;
    value.split_once(';').unwrap().0.to_owned()
}

fn number(file: &str, name: &str) -> u64 {
    constant(file, name).replace('_', "").parse().unwrap()
}

/// A time of the scheduler's.
fn time(file: &str, name: &str) -> Duration {
    let value = constant(&format!("scheduler/{file}"), name);
    let value = value.strip_prefix("Duration::from_").unwrap();
    let (unit, number) = value.trim_end_matches(')').split_once('(').unwrap();
    let number = number.parse().unwrap();
    match unit {
        "micros" => Duration::from_micros(number),
        "millis" => Duration::from_millis(number),
        "secs" => Duration::from_secs(number),
        _ => panic!("src/scheduler/{file}: {name} is in {unit}"),
    }
}

fn show(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds @ 1.0.. => format!("{seconds} s"),
        seconds => format!("{} ms", (seconds * 1e6).round() / 1e3),
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
