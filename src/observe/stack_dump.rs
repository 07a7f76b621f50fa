//! Where do the tasks wait?
//!
//! Each task that waits is polled once more, by the workers: see [`capture`](crate::tasks::capture).
//! The asking thread hands the tasks out a few at a time ([`AT_ONCE`]), so a dump of a million tasks
//! puts no million tasks in front of the others, and stops at its deadline. The symbols are looked
//! up afterwards, by whoever reads the dump, but for those of futures that were
//! [woken and not polled](super::futurelock): by them the list tells which are at fault.
//!
//! Tasks that are blocked have the stacks of their threads: see [`blocked_stacks`].

use std::collections::{HashMap, HashSet};
use std::iter;
use std::time::Duration;

use super::block_ons::{BlockOnInfo, Waits};
use super::dump::{dump_tasks, sort};
use super::task_dump::TaskDump;
use super::task_info::TaskInfo;
use super::{blocked_stacks, of};
use crate::clock::{self, Instant};
use crate::scheduler::Shared;
use crate::stacks;
use crate::sync::{Arc, thread};
use crate::tasks::Priority;
use crate::tasks::capture::ask;
use crate::tasks::collector::{Answer, Collector};
use crate::tasks::registry::{Member, Registered, Registry};

/// Tasks that are asked and have not answered, at most.
///
/// A dump of 100,000 tasks, each in three async functions, and what it does to a task that sleeps
/// for 1 ms again and again (2 virtual CPUs, 2 workers, rustc 1.95, 2026-11-30, medians):
///
/// | at once | the dump takes | the sleeper is late, half the times | 99 of 100 |
/// |--:|--:|--:|--:|
/// | no dump | | 0.03 ms | 0.05 ms |
/// | 16 | 0.49 s | 0.04 ms | 0.5 ms |
/// | 64 | 0.45 s | 0.06 ms | 2.1 ms |
/// | 256 | 0.46 s | 0.11 ms | 2.9 ms |
const AT_ONCE: usize = 16;

/// Another dump is looked after so often.
const OTHER_DUMP: Duration = Duration::from_millis(1);

/// A task that is being polled is looked at again for so long. The polls of another dump, or of one
/// that has just ended, are over by then.
const SHORT_POLL: Duration = Duration::from_millis(1);

/// Between two of those looks.
const BETWEEN_LOOKS: Duration = Duration::from_micros(50);

/// For reports that nobody has given a time. If workers are stuck, or polls of the dump block, it
/// goes without the rest.
pub(super) const WITHIN: Duration = Duration::from_secs(1);

/// The live tasks, and where those wait that do. Takes about as long as `within` at most.
pub(crate) fn dump_stacks(shared: &'static Shared, within: Duration) -> TaskDump {
    let mut dump = dump_tasks(shared);
    blocked_stacks::add(shared, &mut dump.tasks);
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
    let polled = match begun == registries.len() {
        true => ask_all(&registries, &block_ons, &collector, deadline),
        false => HashSet::new(),
    };
    for registry in &registries[..begun] {
        registry.end_collecting(&collector);
    }
    let mut answers = collector.take();
    let with_answer = |(number, waits): (usize, Arc<dyn Waits>)| {
        let key = key_of(number);
        let answer = answers.remove(&key).unwrap_or_default();
        let has_ended = answer.has_ended;
        (!has_ended).then(|| BlockOnInfo::new(&*waits, answer, polled.contains(&key)))
    };
    let with_answers = block_ons.into_iter().enumerate().filter_map(with_answer);
    dump.block_ons = with_answers.collect();
    if stacks::AVAILABLE {
        add(&mut dump, answers, &collector, &registries);
    }
    dump
}

/// `None`: never.
fn is_late(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| clock::now() >= deadline)
}

/// Waits for another dump that is at it. `false`: it is too late.
fn begin(registry: &Registry, collector: &Arc<Collector>, deadline: Option<Instant>) -> bool {
    while !is_late(deadline) {
        if registry.begin_collecting(collector) {
            return true;
        }
        thread::sleep(OTHER_DUMP);
    }
    false
}

/// For a `block_on`. Tags of tasks are smaller.
fn key_of(block_on: usize) -> u64 {
    u64::MAX - block_on as u64
}

/// Asks each task that waits. Those that are being polled are asked later, if they wait then. Tasks
/// of local sets come late, as their threads may not come to them. Background tasks come last, as
/// they answer when they have had their turn; those that are queued are not asked. Gives the keys
/// of the `block_on`s that do not wait: they are being polled.
fn ask_all(
    registries: &[&'static Registry],
    block_ons: &[Arc<dyn Waits>],
    collector: &Arc<Collector>,
    deadline: Option<Instant>,
) -> HashSet<u64> {
    let (scheduler, local) = registries.split_at(1);
    let (mut polled, mut background) = (Vec::new(), Vec::new());
    let mut later = |member: Member| {
        let task = member.look();
        let is_background = task.class.effective == Priority::Background;
        if is_background && !task.is_queued {
            background.push(member);
            return None;
        }
        (!is_background).then_some(member)
    };
    let members = members_of(scheduler).filter_map(&mut later);
    let mut is_in_time = ask_tasks(members, collector, deadline, &mut polled);
    let mut in_poll = HashSet::new();
    for (number, waits) in block_ons.iter().enumerate() {
        let key = key_of(number);
        collector.ask_future(key, || {
            let is_asked = waits.ask(collector, key);
            if !is_asked {
                in_poll.insert(key);
            }
            is_asked
        });
    }
    is_in_time = is_in_time && ask_tasks(members_of(local), collector, deadline, &mut polled);
    if !is_in_time {
        return in_poll;
    }
    ask_polled(polled, collector, deadline);
    let mut polled = Vec::new();
    if ask_tasks(background, collector, deadline, &mut polled) {
        ask_polled(polled, collector, deadline);
        collector.wait(0, deadline);
    }
    in_poll
}

fn members_of(registries: &[&'static Registry]) -> impl Iterator<Item = Member> {
    registries.iter().flat_map(|registry| registry.members())
}

/// Asks those that were being polled, if they soon wait.
fn ask_polled(mut polled: Vec<Member>, collector: &Collector, deadline: Option<Instant>) {
    let begin = clock::now();
    while !is_late(deadline) && !polled.is_empty() {
        polled = ask_again(polled, collector, deadline);
        if clock::elapsed(begin) >= SHORT_POLL {
            break;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// `false`: not all were reached in time.
fn ask_tasks(
    members: impl IntoIterator<Item = Member>,
    collector: &Collector,
    deadline: Option<Instant>,
    polled: &mut Vec<Member>,
) -> bool {
    for member in members {
        if is_late(deadline) || !collector.wait(AT_ONCE - 1, deadline) {
            return false;
        }
        polled.extend(ask(collector, member));
    }
    true
}

/// Gives back those that are still being polled.
fn ask_again(polled: Vec<Member>, collector: &Collector, deadline: Option<Instant>) -> Vec<Member> {
    let ask = |member| match collector.wait(AT_ONCE - 1, deadline) {
        true => ask(collector, member),
        false => Some(member),
    };
    polled.into_iter().filter_map(ask).collect()
}

/// Adds the answers to the list of the tasks.
fn add(
    dump: &mut TaskDump,
    mut answers: HashMap<u64, Answer>,
    collector: &Collector,
    registries: &[&'static Registry],
) {
    let listed = dump.tasks.len();
    let is_answered = |task: &TaskInfo| answers.contains_key(&task.tag());
    // The registries are looked at again if there are some of which nothing was heard.
    let silent = (dump.tasks.iter()).any(|task| task.is_registered && !is_answered(task));
    let registered: HashMap<u64, Registered> = match silent {
        true => (registries.iter())
            .flat_map(|registry| registry.registered())
            .map(|task| (task.tag, task))
            .collect(),
        false => HashMap::new(),
    };
    let mut unreached = 0;
    dump.tasks.retain_mut(|task| {
        if let Some(answer) = answers.remove(&task.tag()) {
            task.begins_to_wait();
            task.future = answer.first_future();
            task.stacks = answer.stacks;
            task.omitted_stacks = answer.omitted;
            return !answer.has_ended;
        }
        match registered.get(&task.tag()) {
            Some(now) => {
                let goes_unasked = now.is_polled || now.waits_for_turn();
                let just_runs = goes_unasked && !collector.awaits(task.tag());
                unreached += usize::from(task.is_asked() && !just_runs);
                true
            }
            // It was there, and has ended meanwhile. Or it is not registered, and nobody asks it.
            None => !task.is_idle(),
        }
    });
    sort(&mut dump.tasks);
    dump.alive -= (listed - dump.tasks.len()) as u64;
    dump.unreached = unreached;
}
