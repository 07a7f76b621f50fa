//! Where do the tasks wait?
//!
//! Each task that waits is polled once more, by the workers: see [`capture`](crate::tasks::capture).
//! The asking thread hands the tasks out a few at a time ([`AT_ONCE`]), so a dump of a million tasks
//! puts no million tasks in front of the others, and stops at its deadline. The symbols are looked
//! up afterwards, by whoever reads the dump.

use std::time::{Duration, Instant};

use super::dump::{TaskDump, TaskInfo, TaskState, dump_tasks};
use crate::clock;
use crate::scheduler::Shared;
use crate::stacks;
use crate::sync::Arc;
use crate::tasks::capture::Collector;
use crate::tasks::registry::{Member, Place, Registry};

/// Tasks that are asked and have not answered, at most. At some 15 µs for each poll, others
/// wait for about half a millisecond longer.
const AT_ONCE: usize = 64;

/// Another dump is looked after so often.
const OTHER_DUMP: Duration = Duration::from_millis(1);

/// The live tasks, and where those wait that do. Takes about as long as `within` at most.
pub(crate) fn dump_stacks(shared: &'static Shared, within: Duration) -> TaskDump {
    let mut dump = dump_tasks(shared);
    if !stacks::AVAILABLE {
        return dump;
    }
    let deadline = clock::now().checked_add(within);
    let is_late = || deadline.is_some_and(|deadline| clock::now() >= deadline);
    let collector = Arc::new(Collector::default());
    while !shared.registry.begin_collecting(&collector) {
        if is_late() {
            dump.unreached = dump.tasks.iter().filter(|task| task.is_asked()).count();
            return dump;
        }
        crate::sync::thread::sleep(OTHER_DUMP);
    }
    ask_all(shared.registry, &collector, deadline);
    shared.registry.end_collecting();
    add(&mut dump, &collector);
    dump
}

/// Asks each task that waits. Those that are being polled are asked at the end, if they wait then.
fn ask_all(registry: &Registry, collector: &Collector, deadline: Option<Instant>) {
    let mut place = Place::default();
    let mut polled = Vec::new();
    loop {
        let members = registry.members(&mut place);
        if members.is_empty() {
            break;
        }
        for member in members {
            if !collector.wait(AT_ONCE, deadline) {
                return;
            }
            polled.extend(collector.ask(member));
        }
    }
    if collector.wait(0, deadline) {
        for member in polled {
            let _: Option<Member> = collector.ask(member);
        }
        collector.wait(0, deadline);
    }
}

/// Adds the answers to the list of the tasks.
fn add(dump: &mut TaskDump, collector: &Collector) {
    let mut answers = collector.take();
    let listed = dump.tasks.len();
    let mut unreached = 0;
    dump.tasks
        .retain_mut(|task| match answers.remove(&task.tag()) {
            Some(answer) => {
                task.future = Some(answer.future).filter(|future| !future.is_empty());
                task.stacks = answer.stacks;
                task.omitted_stacks = answer.omitted;
                !answer.has_ended
            }
            None => {
                unreached += usize::from(task.is_asked());
                true
            }
        });
    dump.alive -= (listed - dump.tasks.len()) as u64;
    dump.unreached = unreached;
}

impl TaskInfo {
    /// Whether it is one of those that are asked.
    fn is_asked(&self) -> bool {
        !self.is_blocking_job() && matches!(self.state(), TaskState::Waiting | TaskState::Queued)
    }
}
