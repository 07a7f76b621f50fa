//! Where do the tasks wait?
//!
//! Each task that waits is polled once more, by the workers: see [`capture`](crate::tasks::capture).
//! The asking thread hands the tasks out a few at a time ([`AT_ONCE`]), so a dump of a million tasks
//! puts no million tasks in front of the others, and stops at its deadline. The symbols are looked
//! up afterwards, by whoever reads the dump.

use std::collections::HashMap;
use std::iter;
use std::time::{Duration, Instant};

use super::block_ons::{BlockOnInfo, Waits};
use super::dump::{TaskDump, TaskInfo, TaskState, dump_tasks};
use super::of;
use crate::clock;
use crate::scheduler::Shared;
use crate::stacks;
use crate::sync::{Arc, thread};
use crate::tasks::capture::{Answer, Collector};
use crate::tasks::observe::type_passed;
use crate::tasks::registry::{Member, Place, Registry};

/// Tasks that are asked and have not answered, at most. At some 15 µs for each poll, others
/// wait for about half a millisecond longer.
const AT_ONCE: usize = 64;

/// Another dump is looked after so often.
const OTHER_DUMP: Duration = Duration::from_millis(1);

/// For reports that nobody has given a time. If workers are stuck, or polls of the dump block, it
/// goes without the rest.
pub(super) const WITHIN: Duration = Duration::from_secs(1);

/// The live tasks, and where those wait that do. Takes about as long as `within` at most.
pub(crate) fn dump_stacks(shared: &'static Shared, within: Duration) -> TaskDump {
    let mut dump = dump_tasks(shared);
    let deadline = clock::now().checked_add(within);
    let collector = Arc::new(Collector::default());
    // Those of local sets last: their threads may not come to them.
    let owned = Registry::owned_by(shared.registry.index());
    let registries: Vec<_> = iter::once(shared.registry).chain(owned).collect();
    let begun = registries
        .iter()
        .take_while(|registry| begin(registry, &collector, deadline));
    let begun = match stacks::AVAILABLE {
        true => begun.count(),
        false => 0,
    };
    let block_ons = of(shared).block_ons.all();
    if begun == registries.len() {
        ask_all(&registries, &block_ons, &collector, deadline);
    }
    for registry in &registries[..begun] {
        registry.end_collecting(&collector);
    }
    let mut answers = collector.take();
    let with_answer = |(number, waits): (usize, Arc<dyn Waits>)| {
        BlockOnInfo::new(&*waits, answers.remove(&key_of(number)))
    };
    dump.block_ons = block_ons.into_iter().enumerate().map(with_answer).collect();
    add(&mut dump, answers);
    dump
}

/// Waits for another dump that is at it. `false`: it is too late.
fn begin(registry: &Registry, collector: &Arc<Collector>, deadline: Option<Instant>) -> bool {
    while !registry.begin_collecting(collector) {
        if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            return false;
        }
        thread::sleep(OTHER_DUMP);
    }
    true
}

/// For a `block_on`. Tags of tasks are smaller.
fn key_of(block_on: usize) -> u64 {
    u64::MAX - block_on as u64
}

/// Asks each task that waits. Those that are being polled are asked at the end, if they wait then.
/// Tasks of local sets come last, as their threads may not come to them.
fn ask_all(
    registries: &[&'static Registry],
    block_ons: &[Arc<dyn Waits>],
    collector: &Arc<Collector>,
    deadline: Option<Instant>,
) {
    let (scheduler, local) = registries.split_at(1);
    let mut polled = Vec::new();
    let mut is_in_time = ask_tasks(scheduler, collector, deadline, &mut polled);
    for (number, waits) in block_ons.iter().enumerate() {
        let key = key_of(number);
        collector.ask_future(key, || waits.ask(collector, key));
    }
    is_in_time = is_in_time
        && ask_tasks(local, collector, deadline, &mut polled)
        && collector.wait(0, deadline);
    if is_in_time {
        for member in polled {
            let _: Option<Member> = collector.ask(member);
        }
        collector.wait(0, deadline);
    }
}

/// `false`: not all were reached in time.
fn ask_tasks(
    registries: &[&'static Registry],
    collector: &Collector,
    deadline: Option<Instant>,
    polled: &mut Vec<Member>,
) -> bool {
    for registry in registries {
        let mut place = Place::default();
        loop {
            let members = registry.members(&mut place);
            if members.is_empty() {
                break;
            }
            for member in members {
                if !collector.wait(AT_ONCE, deadline) {
                    return false;
                }
                polled.extend(collector.ask(member));
            }
        }
    }
    true
}

/// The type of the first future, as the user passed it. `None`: nobody polled it.
pub(super) fn first_future(answer: &Answer) -> Option<&'static str> {
    Some(type_passed(answer.future)).filter(|future| !future.is_empty())
}

/// Adds the answers to the list of the tasks.
fn add(dump: &mut TaskDump, mut answers: HashMap<u64, Answer>) {
    let listed = dump.tasks.len();
    let mut unreached = 0;
    dump.tasks
        .retain_mut(|task| match answers.remove(&task.tag()) {
            Some(answer) => {
                task.future = first_future(&answer);
                task.stacks = answer.stacks;
                task.omitted_stacks = answer.omitted;
                !answer.has_ended
            }
            None => {
                unreached += usize::from(task.is_asked() && stacks::AVAILABLE);
                true
            }
        });
    dump.alive -= (listed - dump.tasks.len()) as u64;
    dump.unreached = unreached;
}

impl TaskInfo {
    /// Whether it is one of those that are asked.
    pub(super) fn is_asked(&self) -> bool {
        !self.is_blocking_job() && matches!(self.state(), TaskState::Waiting | TaskState::Queued)
    }
}
