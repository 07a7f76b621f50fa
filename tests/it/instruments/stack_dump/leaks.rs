//! Tasks of which nobody has a waker any more.

use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::{LONG, dump_all, of, until_they_wait};
use crate::common::{on_runtimes, processors, within_patience};
use executor::Handle;
use executor::task::{self, Id, JoinSet};
use executor::time::sleep;

type Place = Arc<Mutex<Option<Waker>>>;

/// Keeps its waker in a place.
fn kept_in(place: &Place) -> impl Future<Output = ()> + Send + 'static {
    let place = place.clone();
    poll_fn(move |cx| {
        *place.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
}

/// How a task was spawned: each way leaves other references to it with the crate.
const WAYS: [&str; 8] = [
    "plain",
    "named",
    "aborted by a handle",
    "named, with handles",
    "set",
    "set, with handles",
    "detached set",
    "dropped handle",
];

/// Spawns a task, and keeps what belongs to it.
fn spawn(
    way: &str,
    future: impl Future<Output = ()> + Send + 'static,
) -> (Id, Box<dyn std::any::Any + Send>) {
    let named = || task::Builder::new().name("named");
    match way {
        "plain" => {
            let task = executor::spawn(future);
            (task.id(), Box::new(task))
        }
        "named" => {
            let task = named().spawn(future);
            (task.id(), Box::new(task))
        }
        "aborted by a handle" => {
            let task = executor::spawn(future);
            let handle = task.abort_handle();
            (task.id(), Box::new((task, handle.clone(), handle)))
        }
        "named, with handles" => {
            let task = named().spawn(future);
            let handle = task.abort_handle();
            (task.id(), Box::new((task, handle.clone(), handle)))
        }
        "set" => {
            let mut set = JoinSet::new();
            let id = set.spawn(future).id();
            (id, Box::new(set))
        }
        "set, with handles" => {
            let mut set = JoinSet::new();
            let handle = set.spawn(future);
            (handle.id(), Box::new((set, handle.clone(), handle)))
        }
        "detached set" => {
            let mut set = JoinSet::new();
            let handle = set.spawn(future);
            let id = handle.id();
            set.detach_all();
            (id, Box::new(handle))
        }
        "dropped handle" => (executor::spawn(future).id(), Box::new(())),
        _ => unreachable!("{way}"),
    }
}

#[track_caller]
fn assert_leaked(handle: &Handle, task: Id, expected: bool, what: &str) {
    // A poll that is not quite over has a reference.
    until_they_wait(handle, &[task]);
    let dump = handle.dump_tasks();
    let info = of(&dump, task);
    assert_eq!(info.has_no_waker(), expected, "{what}");
    let says = info.to_string().contains("nobody has a waker of it");
    assert_eq!(says, expected, "{what}");
}

#[test]
pub(super) fn a_task_is_leaked_if_nobody_has_a_waker_whoever_of_the_crate_can_reach_it() {
    on_runtimes(|runtime| {
        let handle = runtime.handle();
        let _entered = handle.enter();
        for way in WAYS {
            // The future does not keep the waker.
            let (task, _kept) = spawn(way, pending());
            assert_leaked(handle, task, true, way);
            for _ in 0..3 {
                let dump = dump_all(handle);
                assert!(of(&dump, task).has_no_waker(), "{way}");
                assert!(of(&dump, task).stacks().is_empty(), "{way}");
                until_they_wait(handle, &[task]);
            }

            // Its waker is dropped by who had it.
            let place = Place::default();
            let (task, _kept) = spawn(way, kept_in(&place));
            assert_leaked(handle, task, false, way);
            let dropped = place.lock().unwrap().take();
            drop(dropped);
            assert_leaked(handle, task, true, way);
            // The poll of a dump gives it a new one.
            let dump = dump_all(handle);
            assert!(of(&dump, task).has_no_waker(), "{way}: as it was before");
            assert_eq!(of(&dump, task).stacks().len(), 1, "{way}");
            assert_leaked(handle, task, false, way);
        }
    });
}

#[test]
pub(super) fn who_waits_for_a_clock_a_socket_or_another_task_is_not_leaked() {
    within_patience(|| {
        let runtime = processors(2);
        let handle = runtime.handle();
        let _entered = handle.enter();
        let mut tasks = Vec::new();
        let mut kept = Vec::new();
        let mut add = |(task, belongs_to_it)| {
            tasks.push(task);
            kept.push(belongs_to_it);
        };
        for way in WAYS {
            add(spawn(way, async { sleep(LONG).await }));
            add(spawn(way, async {
                let _ = executor::spawn(sleep(LONG)).await;
            }));
            #[cfg(feature = "net")]
            {
                let any = (std::net::Ipv4Addr::LOCALHOST, 0);
                let socket = runtime.block_on(executor::net::UdpSocket::bind(any));
                let socket = socket.unwrap();
                add(spawn(way, async move {
                    let _ = socket.recv(&mut [0]).await;
                }));
            }
        }
        until_they_wait(handle, &tasks);
        for dump in [handle.dump_tasks(), dump_all(handle), handle.dump_tasks()] {
            for info in dump.tasks() {
                assert!(!info.has_no_waker(), "{info}");
            }
        }
    });
}
