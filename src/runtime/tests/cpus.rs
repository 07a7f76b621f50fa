//! The number of processors follows the number of CPUs, and throttling is counted and told: with trees of files that look like
//! the kernel's, and in a group that the kernel throttles.

use std::time::Duration;

use super::{PATIENCE, wait_until};
use crate::clock;
use crate::machine::tests::Tree;
use crate::machine::tests::real::{Groups, assert_ran, in_group, run_ignored};
use crate::observe::CpusSource;
use crate::runtime::{Builder, Runtime};
use crate::sync::thread;

/// More CPUs than any quota here has, and than most machines.
const ALLOWED: usize = 64;

/// A look comes each second; here after twice that.
const FOLLOWED: Duration = Duration::from_secs(2);

/// A runtime sees these files.
fn below(tree: &Tree) -> Builder {
    Builder::new().cpus_source(CpusSource {
        root: Some(tree.root().to_owned()),
        allowed: Some(ALLOWED),
    })
}

/// Something to do, for a runtime that would sleep else.
fn work(runtime: &Runtime) {
    runtime.block_on(runtime.spawn(async {})).unwrap();
    thread::sleep(Duration::from_millis(5));
}

fn work_for(runtime: &Runtime, time: Duration) {
    let end = clock::now() + time;
    while clock::now() < end {
        work(runtime);
    }
}

/// The runtime works meanwhile.
#[track_caller]
fn assert_followed(runtime: &Runtime, wanted: usize) {
    let end = clock::now() + PATIENCE;
    while runtime.handle().worker_threads() != wanted {
        work(runtime);
        assert!(clock::now() < end, "{wanted} are not there");
    }
}

#[test]
fn the_number_follows_a_quota_that_is_lowered_raised_and_removed() {
    let tree = Tree::v2("follow", "/a");
    tree.max("/a", "300000 100000");
    let runtime = below(&tree).build().unwrap();
    assert_eq!(runtime.handle().worker_threads(), 3);
    tree.max("/a", "150000 100000");
    assert_followed(&runtime, 1);
    tree.max("/a", "500000 100000");
    assert_followed(&runtime, 5);
    tree.remove("sys/fs/cgroup/a/cpu.max");
    assert_followed(&runtime, ALLOWED);
    assert_eq!(runtime.metrics().worker_threads(), ALLOWED);
}

#[test]
fn a_number_that_is_set_is_the_most_and_is_followed_only_on_request() {
    let tree = Tree::v2("set", "/a");
    tree.max("/a", "500000 100000");
    let fixed = below(&tree).worker_threads(8).build().unwrap();
    let few = below(&tree).worker_threads(2).follow_cpu_quota(true);
    let many = below(&tree).worker_threads(8).follow_cpu_quota(true);
    let unfollowed = below(&tree).follow_cpu_quota(false).build().unwrap();
    let (few, many) = (few.build().unwrap(), many.build().unwrap());
    let numbers =
        || [&fixed, &few, &many, &unfollowed].map(|runtime| runtime.handle().worker_threads());
    assert_eq!(numbers(), [8, 2, 5, 5]);
    tree.max("/a", "100000 100000");
    assert_followed(&few, 1);
    assert_followed(&many, 1);
    work_for(&fixed, FOLLOWED);
    work_for(&unfollowed, FOLLOWED);
    assert_eq!(numbers(), [8, 1, 1, 5]);
    tree.max("/a", "max 100000");
    assert_followed(&few, 2);
    assert_followed(&many, 8);
}

#[test]
fn the_limits_of_a_runtime_hold_whatever_the_quota_is() {
    let tree = Tree::v2("limits", "/a");
    tree.max("/a", "100000 100000");
    let three = below(&tree).max_worker_threads(3).build().unwrap();
    let two = below(&tree).max_threads(2).build().unwrap();
    tree.max("/a", "800000 100000");
    assert_followed(&three, 3);
    assert_followed(&two, 2);
    // From the beginning, too.
    let three = below(&tree).max_worker_threads(3).build().unwrap();
    let two = below(&tree).max_threads(2).build().unwrap();
    let numbers = [&three, &two].map(|runtime| runtime.handle().worker_threads());
    assert_eq!(numbers, [3, 2]);
    for (builder, name) in [
        (below(&tree).max_worker_threads(0), "max_worker_threads"),
        (below(&tree).max_threads(0), "max_threads"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let said = error.to_string();
        assert!(said.contains(&format!("{name} must not be zero")), "{said}");
    }
}

/// Each processor needs a thread.
#[test]
fn there_are_threads_for_all_processors_that_there_may_be() {
    const MANY: usize = 600;
    let tree = Tree::v2("many", "/a");
    tree.max("/a", "100000 100000");
    let source = CpusSource {
        root: Some(tree.root().to_owned()),
        allowed: Some(MANY),
    };
    let many = || Builder::new().max_worker_threads(MANY);
    let followed = many().cpus_source(source).build().unwrap();
    assert_eq!(followed.handle().worker_threads(), 1);
    tree.remove("sys/fs/cgroup/a/cpu.max");
    assert_followed(&followed, MANY);
    let set = many().worker_threads(1).build().unwrap();
    set.handle().set_worker_threads(MANY).unwrap();
}

#[test]
fn a_number_that_the_user_sets_ends_the_following_and_one_that_is_refused_does_not() {
    let tree = Tree::v2("user", "/a");
    tree.max("/a", "300000 100000");
    let runtime = below(&tree).build().unwrap();
    assert!(runtime.handle().set_worker_threads(0).is_err());
    tree.max("/a", "200000 100000");
    assert_followed(&runtime, 2);
    // The same number is a word, too.
    runtime.handle().set_worker_threads(2).unwrap();
    tree.max("/a", "700000 100000");
    work_for(&runtime, FOLLOWED);
    assert_eq!(runtime.handle().worker_threads(), 2);
}

/// No timer wakes it. It looks when it has work again.
#[test]
fn an_idle_runtime_sleeps_on_and_looks_when_it_has_work_again() {
    let tree = Tree::v2("idle", "/a");
    tree.max("/a", "300000 100000");
    let runtime = below(&tree).build().unwrap();
    tree.max("/a", "400000 100000");
    assert_followed(&runtime, 4);
    let shared = runtime.handle().shared();
    wait_until("the monitor sleeps", || shared.monitor_sleeps());
    tree.max("/a", "200000 100000");
    thread::sleep(FOLLOWED);
    assert_eq!(runtime.handle().worker_threads(), 4);
    runtime.block_on(runtime.spawn(async {})).unwrap();
    wait_until("it looks", || runtime.handle().worker_threads() == 2);
}

fn stat(tree: &Tree, group: &str, throttled: u64, microseconds: u64) {
    let text = format!("nr_periods 99\nnr_throttled {throttled}\nthrottled_usec {microseconds}\n");
    tree.file(&format!("sys/fs/cgroup{group}/cpu.stat"), &text);
}

#[test]
fn throttling_counts_from_the_beginning_of_the_runtime() {
    let tree = Tree::v2("throttled", "/a");
    tree.max("/a", "200000 100000");
    stat(&tree, "/a", 1000, 5_000_000);
    let runtime = below(&tree).build().unwrap();
    let told = || {
        let metrics = runtime.metrics();
        (
            metrics.cpu_throttled_count(),
            metrics.cpu_throttled_duration(),
        )
    };
    assert_eq!(told(), (Some(0), Some(Duration::ZERO)));
    stat(&tree, "/a", 1003, 5_250_000);
    let (count, duration) = (Some(3), Some(Duration::from_millis(250)));
    // Whether or not the monitor has anything to do.
    wait_until("it is read again", || told() == (count, duration));
    assert!(
        runtime
            .metrics()
            .to_string()
            .contains("3 times, for 0.250 s")
    );
    tree.remove("sys/fs/cgroup/a/cpu.stat");
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(told(), (count, duration), "what was counted stays");
}

#[test]
fn without_a_group_there_is_no_throttling() {
    let tree = Tree::new("no-group");
    tree.file("proc/self/cgroup", "");
    let runtime = below(&tree).build().unwrap();
    assert_eq!(runtime.handle().worker_threads(), ALLOWED);
    assert_eq!(runtime.metrics().cpu_throttled_count(), None);
    assert_eq!(runtime.metrics().cpu_throttled_duration(), None);
}

#[test]
fn what_throttling_costs_is_said_once_unless_it_is_silenced() {
    let [said, silent] = ["", "stall=0"].map(|debug| {
        thread::spawn(move || {
            let test = "child_is_throttled";
            let child = run_ignored(module_path!(), test, |command| {
                command.env("EXECUTOR_DEBUG", debug).env(THROTTLED, "1")
            });
            assert_ran(&child);
            String::from_utf8(child.stderr).unwrap()
        })
    });
    let (said, silent) = (said.join().unwrap(), silent.join().unwrap());
    let lines: Vec<_> = said.lines().filter(|line| line.contains("quota")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    for part in [
        "executor: ",
        " s of CPU time in the last ",
        "of 2 CPUs",
        "2 worker threads",
        "EXECUTOR_DEBUG=stall=0",
    ] {
        assert!(lines[0].contains(part), "{said}");
    }
    assert!(!silent.contains("quota"), "{silent}");
}

const THROTTLED: &str = "EXECUTOR_TEST_THROTTLED";

#[test]
#[ignore = "what_throttling_costs_is_said_once_unless_it_is_silenced starts it in a process of its own"]
fn child_is_throttled() {
    if std::env::var_os(THROTTLED).is_none() {
        return;
    }
    let tree = Tree::v2("said", "/a");
    tree.max("/a", "200000 100000");
    let runtime = below(&tree).build().unwrap();
    // Of two processors half a second each second: a quarter of their time.
    for second in 0..14 {
        stat(&tree, "/a", second, second * 500_000);
        work_for(&runtime, Duration::from_secs(1));
    }
}

#[test]
fn a_quota_of_one_and_a_half_cpus_gives_one_processor_and_two_give_two() {
    in_group(module_path!(), "child_in_a_group_that_changes");
}

#[test]
#[ignore = "a_quota_of_one_and_a_half_cpus_gives_one_processor_and_two_give_two starts it in a process of its own"]
fn child_in_a_group_that_changes() {
    let Some(groups) = Groups::of_parent() else {
        return;
    };
    let before = Builder::new().build().unwrap().handle().worker_threads();
    groups.enter();
    let runtime = Builder::new().build().unwrap();
    assert_eq!(runtime.handle().worker_threads(), 1);
    groups.limit_outer(Some(200_000));
    assert_followed(&runtime, before.min(2));
    groups.limit_outer(Some(150_000));
    assert_followed(&runtime, 1);
    groups.limit_outer(None);
    assert_followed(&runtime, before);

    // A tenth of a CPU, for a job that takes a whole one.
    groups.limit_outer(Some(10_000));
    let throttled = || runtime.metrics().cpu_throttled_count().unwrap();
    let begin = throttled();
    let stop = crate::sync::Arc::new(crate::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let job = runtime.spawn_blocking(move || {
        while !stopped.load(crate::sync::atomic::Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    wait_until("it is throttled", || throttled() > begin);
    stop.store(true, crate::sync::atomic::Ordering::Relaxed);
    groups.limit_outer(None);
    runtime.block_on(job).unwrap();
    assert!(runtime.metrics().cpu_throttled_duration().unwrap() > Duration::ZERO);
}
