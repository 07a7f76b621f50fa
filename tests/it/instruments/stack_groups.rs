//! Dumps with the places where tasks wait: what they leave as it was, and how they are written.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::common::{PATIENCE, wait_until, within_patience};
use executor::runtime::{Builder, TaskDump, TaskInfo, TaskState};
use executor::task::{self, Id};
use executor::{Handle, Runtime};

fn runtime() -> Runtime {
    let builder = Builder::new().worker_threads(2).task_details(true);
    builder.build().unwrap()
}

fn info(handle: &Handle, id: Id) -> Option<TaskInfo> {
    let dump = handle.dump_tasks();
    dump.tasks().iter().find(|task| task.id() == id).cloned()
}

fn wait_until_all_wait(handle: &Handle, count: usize) {
    wait_until("all wait", || {
        let dump = handle.dump_tasks();
        let waiting = |task: &&TaskInfo| task.state() == TaskState::Waiting;
        dump.tasks().iter().filter(waiting).count() == count
    });
}

/// From its spawn until it began to wait; its polls; how long they took.
fn history(handle: &Handle, id: Id) -> (Duration, u64, Duration) {
    let info = info(handle, id).unwrap();
    (
        info.age().unwrap() - info.since().unwrap(),
        info.poll_count().unwrap(),
        info.busy_duration().unwrap(),
    )
}

#[test]
fn a_dump_leaves_since_when_a_task_waits_and_what_its_polls_took() {
    within_patience(|| {
        let runtime = runtime();
        let handle = runtime.handle();
        let (wake, woken) = async_channel::bounded::<()>(1);
        let task = runtime.spawn(async move {
            while woken.recv().await.is_ok() {}
            pending::<()>().await;
        });
        wait_until_all_wait(handle, 1);
        let before = history(handle, task.id());
        for _ in 0..3 {
            assert_eq!(handle.dump_stacks(PATIENCE).num_unreached(), 0);
            // The worker notes the end of the poll a moment after its answer.
            wait_until_all_wait(handle, 1);
            assert_eq!(history(handle, task.id()), before);
        }
        // A wake is none of a dump's.
        wake.try_send(()).unwrap();
        wait_until("it was polled and waits", || {
            let info = info(handle, task.id()).unwrap();
            info.state() == TaskState::Waiting && info.poll_count() == Some(2)
        });
        let after = history(handle, task.id());
        assert!(after.0 > before.0 && after.2 > before.2);
        // From a worker, too.
        let asks = runtime.spawn(async { Handle::current().dump_stacks(PATIENCE).num_unreached() });
        assert_eq!(runtime.block_on(asks).unwrap(), 0);
        wait_until_all_wait(handle, 1);
        assert_eq!(history(handle, task.id()), after);
    });
}

const MANY: usize = 50;

async fn takes_an_order(orders: async_channel::Receiver<()>) {
    while orders.recv().await.is_ok() {}
}

async fn serves(orders: async_channel::Receiver<()>) {
    takes_an_order(orders).await;
}

/// Keeps the waker, and polls none of its futures.
struct FuturesUnordered(Option<Waker>);

impl Future for FuturesUnordered {
    type Output = ();

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Pending while both are.
async fn both(one: impl Future, other: impl Future) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(
        |cx| match (one.as_mut().poll(cx), other.as_mut().poll(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        },
    )
    .await;
}

/// Many that serve, one that waits for two futures at once. Gives the line that spawns the many.
fn shop(runtime: &Runtime) -> (async_channel::Sender<()>, u32) {
    let (order, orders) = async_channel::bounded(1);
    let _entered = runtime.handle().enter();
    let line = line!() + 1;
    let spawn = |till: task::Builder| drop(till.spawn(serves(orders.clone())));
    for number in 0..MANY {
        spawn(task::Builder::new().name(format!("till \"{number}\"")));
    }
    drop(executor::spawn(async move {
        both(serves(orders), FuturesUnordered(None)).await;
    }));
    (order, line)
}

/// A dump while all of them wait, and the line that spawns the many.
fn shop_dump(runtime: &Runtime) -> (TaskDump, u32) {
    let (_order, line) = shop(runtime);
    wait_until_all_wait(runtime.handle(), MANY + 1);
    (runtime.handle().dump_stacks(PATIENCE), line)
}

#[test]
fn many_tasks_at_one_place_are_one_group_and_a_paragraph() {
    within_patience(|| {
        let runtime = runtime();
        let (dump, line) = shop_dump(&runtime);
        let groups = dump.groups();
        assert_eq!(groups.len(), 2, "{dump}");
        let many = groups.iter().find(|group| group.count() == MANY).unwrap();
        assert_eq!(many.location().unwrap().line(), line);
        assert_eq!(many.state(), TaskState::Waiting);
        assert_eq!(many.stacks().len(), 1);
        let since = |task: &&TaskInfo| task.since().unwrap();
        let mut longest = many.tasks().iter().map(since);
        assert_eq!(many.longest(), longest.next());
        assert!(longest.all(|since| since <= many.longest().unwrap()));
        let one = groups.iter().find(|group| group.count() == 1).unwrap();
        assert_eq!(one.stacks().len(), 2);

        let text = dump.to_string();
        let paragraphs = [format!("{} tasks\n", MANY + 1)]
            .into_iter()
            .chain(groups.iter().map(|group| {
                let text = group.to_string().replace('\n', "\n  ");
                format!("  {text}\n")
            }));
        assert_eq!(text, paragraphs.collect::<String>());
        let head = format!("  {MANY} tasks, spawned at {}:{line}:", file!());
        let head = text
            .lines()
            .find(|line| line.starts_with(&head))
            .expect(&text);
        let first = many.tasks()[0];
        let named = format!(": {} {:?}, ", first.id(), first.name().unwrap());
        assert!(head.contains(&named) && head.ends_with(", .."), "{text}");
        assert!(head.contains(": waiting for up to "), "{text}");
        let branches = "      waits for 2 futures at once:\n";
        assert_eq!(text.matches(branches).count(), 1, "{text}");
    });
}

/// Functions have their names only where they were not inlined.
#[cfg(debug_assertions)]
#[test]
fn the_lines_of_the_program_are_marked_and_the_outermost_is_first() {
    within_patience(|| {
        let runtime = runtime();
        let (dump, _) = shop_dump(&runtime);
        let text = dump.to_string();
        let many = dump
            .groups()
            .into_iter()
            .find(|group| group.count() == MANY);
        let many = many.unwrap().to_string();
        // Where functions have no name of their own, the type of the future stands before them.
        let lines: Vec<&str> = many
            .lines()
            .filter(|line| !line.contains("future it::"))
            .collect();
        for own in [lines[1], lines[2]] {
            assert!(
                own.starts_with("  > ") && own.contains("stack_groups"),
                "{text}"
            );
        }
        assert!(lines[3].starts_with("    async_channel::Recv"), "{text}");
        assert!(lines[4].starts_with("    .. "), "{text}");
        assert!(lines[5].starts_with("    event_listener::"), "{text}");
        assert_eq!(lines.len(), 6, "{text}");
        let note = "      the futures of a FuturesUnordered are not seen\n";
        assert_eq!(text.matches(note.trim()).count(), 1, "{text}");
        let place = text.find("FuturesUnordered::poll").expect(&text);
        let (_, below) = text[place..].split_once('\n').unwrap();
        assert!(below.trim_start().starts_with(note.trim_start()), "{text}");
    });
}

#[test]
fn a_dump_is_json_that_a_program_can_read() {
    within_patience(|| {
        let runtime = runtime();
        let handle = runtime.handle();
        let (_order, line) = shop(&runtime);
        let (release, held) = mpsc::channel::<()>();
        let job = runtime.spawn_blocking(move || held.recv().unwrap());
        wait_until_all_wait(handle, MANY + 1);
        wait_until("the job blocks", || {
            info(handle, job.id()).map(|job| job.state()) == Some(TaskState::Blocked)
        });
        let dump = handle.dump_stacks(PATIENCE);
        let mut json = Vec::new();
        dump.write_json(&mut json).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["alive"], MANY + 2);
        assert_eq!(
            (&json["unlisted"], &json["unreached"]),
            (&0.into(), &0.into())
        );
        let groups = json["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[0]["state"], "blocked");
        assert_eq!(groups[0]["is_blocking_job"], true);
        assert_eq!(
            groups[0]["tasks"][0]["id"].to_string(),
            job.id().to_string()
        );
        assert!(groups[0]["future"].is_null() && groups[0]["tasks"][0]["name"].is_null());
        for (json, group) in groups.iter().zip(dump.groups()) {
            assert_eq!(json["count"], group.count());
            assert_eq!(
                json["longest_seconds"],
                group.longest().unwrap().as_secs_f64()
            );
            assert_eq!(json["has_no_waker"], group.has_no_waker());
            let tasks = json["tasks"].as_array().unwrap();
            assert_eq!(tasks.len(), group.count());
            for (json, task) in tasks.iter().zip(group.tasks()) {
                assert_eq!(json["id"].to_string(), task.id().to_string());
                assert_eq!(json["name"].as_str(), task.name());
            }
            for recorded in ["last_stacks", "futurelocks"] {
                assert!(json[recorded].as_array().unwrap().is_empty());
            }
            let stacks = json["stacks"].as_array().unwrap();
            assert_eq!(stacks.len(), group.stacks().len());
            for (json, stack) in stacks.iter().zip(group.stacks()) {
                let frames: Vec<_> = stack.frames().collect();
                assert_eq!(json.as_array().unwrap().len(), frames.len());
                for (json, frame) in json.as_array().unwrap().iter().zip(&frames) {
                    assert_eq!(json["name"].as_str(), frame.name());
                    let file = frame.file().map(|file| file.to_str().unwrap());
                    assert_eq!(json["file"].as_str(), file);
                    assert_eq!(json["line"].as_u64(), frame.line().map(u64::from));
                    assert_eq!(json["address"], format!("{:#x}", frame.address()));
                }
            }
        }
        let many = groups.iter().find(|group| group["count"] == MANY).unwrap();
        assert_eq!(many["spawned_at"]["file"], file!());
        assert_eq!(many["spawned_at"]["line"], line);
        assert!(
            many["tasks"][0]["name"]
                .as_str()
                .unwrap()
                .starts_with("till \"")
        );
        assert!(many["future"].as_str().unwrap().contains("serves"));
        release.send(()).unwrap();
    });
}

#[test]
fn a_block_on_that_does_not_wait_is_not_said_to() {
    within_patience(|| {
        let runtime = runtime();
        let dump = runtime.block_on(async {
            // So that it is listed.
            executor::time::sleep(Duration::from_millis(20)).await;
            Handle::current().dump_stacks(PATIENCE)
        });
        let text = dump.to_string();
        let line = text.lines().next().unwrap().trim_start();
        assert!(line.starts_with("block_on at "), "{text}");
        assert!(line.ends_with(" is being polled"), "{text}");
    });
}

#[test]
fn a_block_on_that_ends_when_it_is_asked_is_not_listed() {
    within_patience(|| {
        let runtime = runtime();
        let (polls, handle) = (Arc::new(AtomicUsize::new(0)), runtime.handle().clone());
        let counted = polls.clone();
        let waiting = thread::spawn(move || {
            runtime.block_on(poll_fn(|cx| {
                // Who asks sees it by the waker.
                let _ = cx.waker().clone();
                match counted.fetch_add(1, SeqCst) {
                    0 => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            }));
        });
        wait_until("a dump has ended it", || {
            let dump = handle.dump_stacks(PATIENCE);
            let has_ended = polls.load(SeqCst) == 2;
            assert!(!has_ended || dump.block_ons().is_empty(), "{dump}");
            has_ended
        });
        waiting.join().unwrap();
    });
}

/// A writer that fails says so.
#[test]
fn a_dump_that_cannot_be_written_is_an_error() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dump = runtime().handle().dump_tasks();
    let error = dump.write_json(Full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
