//! M:N scheduling of futures over P processors: how it works, why so, and the map of the folder.
//!
//! # Glossary
//!
//! * **task** (Go's G): a future on its own allocation; a **runnable** is a task that is ready to
//!   be polled.
//! * **worker** (M): an OS thread that polls tasks. It may or may not hold a processor.
//! * **processor** (P): the right to poll tasks, with a next slot, a local queue, a timer wheel and
//!   a tick. Their number changes at times ([`lifecycle::resize`]); it bounds what runs in parallel,
//!   and what a thief has to look at.
//! * **core**: the half of a processor that only its holder may touch. Who has the core has the
//!   processor, until the monitor retakes it.
//! * **cluster**: CPUs with one last-level cache. A processor is in that of the CPU on which its
//!   holder began.
//! * **pair**: a parked worker and the core that it has let go of. They are woken together.
//! * **instance**: what stands in a processor's slot at present. A retake puts another one there.
//! * **spinning** or **searching**: awake without work, looking at the others' queues. **Parked**:
//!   asleep.
//! * **driver**: the right to wait in the netpoller. One parked worker has it, or the monitor while
//!   it looks.
//! * **marked place**: one of a processor that is not idle, or has something in its queue.
//! * **monitor**: a thread without a processor that looks when nobody else does (Go's sysmon).
//! * **detached processor**: what a stuck worker still holds after the monitor has retaken its
//!   processor.
//!
//! # The life of a task
//!
//! Each arrow names the function that makes it. Of what it does beyond the arrows, only the first
//! poll and the first wait are special: a task is registered when it first returns `Pending`, not
//! when it is spawned.
//!
//! ```text
//!                    spawn_on
//!                       | 1 tasks::create
//!                       v
//!               +--> runnable <----------------------------------------------+
//!               |       | 2 Shared::submit_new, Shared::submit               |
//!               |       |                                                    |
//!               |       +-- on a worker --------+-- elsewhere --+            |
//!               |       | 3 Core::place         | 4 RunQueues::push_global   |
//!               |       v                       v                            |
//!               |   next slot --displaced--> local queue      global queue   |
//!               |       |                       |                 |          |
//!               |       | 5 Core::pop           | 5 Core::pop     | 6 RunQueues::pop_shared, pop_fair
//!               |       |                       |                 |          |
//!               |       |         7 RunQueues::search, by another worker     |
//!               |       v                       v                 v          |
//!               |       +-----------> Worker::step <--------------+          |
//!               |                         | 8 Worker::poll, tasks::run       |
//!               |                         v                                  |
//!               |                 Contained::poll: the future                |
//!               |  woken meanwhile    |        |                             |
//!               +---------------------+        +-- Pending: 9 register, once |
//!                 Scheduled::schedule |        |      waits ----------------+
//!                                     |        |        10 a waker, Scheduled::schedule
//!                                     v
//!                  Ready, panic, cancelled: 11 Contained::end, Shared::task_finished
//!                                     |
//!                                     v 12 JoinHandle::poll
//!                                 its output
//! ```
//!
//! | arrow | file |
//! |---|---|
//! | 1 | `tasks/contain`; its id and its number for spawn site and runtime come from `tasks/current` and `tasks/spawn_site` |
//! | 2, 4, 10 | [`submit`], [`classes`]; whether this thread is a worker says [`this_thread`] |
//! | 3, 5 | [`processor`], and [`processor::next_slot`] |
//! | 6, 7 | [`run_queues`], and [`run_queues::steal`] |
//! | 8 | [`worker`], `tasks/current` |
//! | 9, 11 | `tasks/contain`, `tasks/registry`; at 11 `async_task` stores the output and wakes who awaits it, when `Contained` has dropped the future |
//! | 12 | `tasks/join` |
//!
//! *Who is woken for it.* A push into an empty next slot wakes nobody: its holder runs it next. One
//! that displaces another runnable into the local queue (`Submitted::WakeOne`), and each one into
//! the global queue (`Shared::wake_for_shared_queue`), asks for a worker: `Idle::after_submit`
//! looks whether anybody is needed, `Shared::wake_one` claims a parked worker with the processor
//! that it had, of the claimer's cluster if there is one, and unparks it, or starts a thread. The
//! woken worker returns from `Worker::wait`, acquires the core that it was handed ([`acquire`]), and
//! searches. A worker that finds nothing waits in `Worker::wait`.
//!
//! *Thread-locals on this way*: `context::SHARED` (the runtime that this
//! thread is in), `this_thread::THIS_THREAD` (the core that it holds), `current::CURRENT` (the task
//! that it polls, and ids to give out), `budget::LEFT` (operations left in this poll),
//! `clock::RECENT` (the last reading), `registry::NUMBER` (the thread's shard), and when a worker
//! acquires a core `probe::THIS` (the thread's name for the monitor).
//!
//! # The folder
//!
//! | module | what it is about |
//! |---|---|
//! | [`submit`], [`classes`] | a runnable comes into a queue, and somebody is woken for it; by class, while tasks have several |
//! | [`run_queues`] | the queues: where a runnable goes and where it comes from; stealing; what is held back |
//! | [`processor`] | a processor, its slot, who owns it |
//! | [`worker`] | looking, polling, searching, waiting; who is idle |
//! | [`acquire`] | a worker acquires, releases, hands over or loses a processor |
//! | [`placement`] | which processors share a cache, and on which CPU a worker is pinned |
//! | [`monitor`] | who is stuck, and what follows from it |
//! | [`timers`], [`netpoll`], [`foreign_wakers`] | what wakes tasks |
//! | [`lifecycle`] | opening, closing, shutting down; threads; a fork |
//! | [`observer`], [`inspect`] | what is told of all that, and to whom; what can be read |
//! | [`single_thread`] | what is different where there are no threads |
//! | [`this_thread`], [`shared`] | what a thread knows, and what all share |
//!
//! # Protocols
//!
//! Each stands in the module that owns it: submitting, parking and finding in [`worker::idle`]; the
//! order of looking and the way of waiting in [`worker`]; the next slot in
//! [`processor::next_slot`]; what classes of tasks change in all that in [`classes`],
//! [`run_queues::by_class`], [`worker::by_class`] and [`monitor::latency`]; which places are looked
//! at in [`run_queues::marks`]; stealing in [`run_queues::steal`]; what a stuck worker leaves behind
//! in [`run_queues::detached`], how many may compute beside the processors in
//! [`run_queues::compute_limit`]; who owns a processor in [`processor::ownership`]; which core
//! goes to which worker in `worker::idle::lists`; who changes a thread's mask in [`placement`]; timers in
//! [`timers`]; handing over and retaking in [`acquire`]; who is stuck in [`monitor::watch`], when
//! the monitor sleeps in [`monitor`]; opening and closing in [`lifecycle`] and
//! [`lifecycle::shutdown`]. The models in `tests/model/` check them, each with a seeded bug that
//! must be found.
//!
//! # Why nothing a task does can stall the others
//!
//! A poll cannot be suspended, but its processor can be taken. Go does so for system calls, and
//! preempts what computes; here both are the same: the processor's slot gets another instance,
//! another thread goes on with it, and the stuck one keeps its own queue, for thieves to empty.
//! async-std tried this in 2019 (async-rs/async-std#631) and gave it up: its successor (#733) took
//! the starting of threads out again. What differs here:
//!
//! * *Who is stuck* is known, one by one. There, one flag for the whole runtime said whether
//!   anybody had looked at the reactor lately. A busy machine without a moment to look and a
//!   blocked one are the same to it.
//! * *Blocked* and *running* are told apart, by the thread's state and its own CPU time and not by
//!   the wall clock. So a machine with more to do than CPUs starts no threads for it, and a blocked
//!   thread is found a hundred times sooner.
//! * *Nothing is done without need*: only when work waits and no processor is idle.
//! * *Nothing is taken from a running thread.* It owns its queue to the end, so there is no lock on
//!   the fast path and no moment at which two threads hold the same core. What it pushes is found
//!   where it pushes it.
//! * *Threads are bounded and reused*; at the limit the runtime behaves as others do. What blocks
//!   has up to `max_threads`; what computes would gain nothing from more threads than CPUs, and
//!   gets a few ([`run_queues::compute_limit`]).
//!
//! It costs a running worker one store per poll (which task), a load per poll and a load per push.
//!
//! # What is bounded, and by what
//!
//! | who waits | for at most |
//! |---|---|
//! | a runnable in the local queue | 7 polls for itself and for each one before it: six of the next slot to one of the queue; a pair of tasks that wake each other counts as one slice of 10 ms however long its polls are |
//! | the next slot | the poll that runs; a thief takes it if that one lasts |
//! | the global queue, `n` before it | `61 (n + 1) / P` polls, or 10 ms per processor and runnable, if polls are long; a processor with an empty queue takes its share at once |
//! | a task that wakes itself, or yields | the others in its queue: it goes to the back |
//! | a task spawned from outside | 61 polls, or 10 ms if polls are long, for itself and for each one before it, divided by P |
//! | timers and sockets | 61 polls; the monitor's round, each 1 ms, if polls are long. A timer among others of one deadline: for those, at most 256 of which are fired between two looks; one after them: for a few such pieces |
//! | work that a poll hides beside an idle processor | no processor is idle beside queued work for more than 10 ms: the monitor's doze of 9 ms, and its round |
//! | anything, behind a poll that blocks | after 0.1 ms of being blocked, once it is seen (1 ms) |
//! | anything, behind a poll that computes | after 10 ms of its CPU time, if no processor is idle |
//! | a task of a spawn site whose tasks compute | until fewer than P of those do ([`run_queues::compute_limit`]): polls that compute have 4 P threads; one that has computed for 200 ms counts no more, or later if many such go on |
//! | a task of class `Interactive` | the polls that go on, and those of its class before it, and as the line above says if `Interactive` tasks of its spawn site compute; if no processor is idle, until one has computed: of class `Background` after 0.2 ms of its CPU time, `Normal` after 1 ms, once it is seen (1 ms), while fewer than P polls compute |
//! | a task of class `Normal`, beside `Interactive` ones | as above, where one of nine polls is for it |
//! | a task of class `Background` | one of them runs on each processor per 10 ms, or sooner if there is nothing else, at most as many at once as `Builder::background_limit` says. A poll that blocks, or has computed for 200 ms, counts no more |
//! | a queue of another cluster | one search of a worker that has nothing: its last two passes are over all clusters |
//! | the task itself, by its budget | 128 operations that were ready at once |
//!
//! # Rejected designs
//!
//! * **A reference count per task** (an `Arc` to the runtime in each schedule function): one
//!   contended counter for all spawns, 2.4x on spawn + join, and `async-task` adds two more atomic
//!   operations per wake to protect it.
//! * **A registry entry per spawn**: 1.3 to 3.7x on spawn + join. A task registers when it first
//!   waits.
//! * **A bounded local queue that spills into the global one** (Go, tokio: 256): 1.4 to 1.8x on
//!   spawn-heavy work. The queue grows; fairness comes from the 61st tick.
//! * **Waking somebody for a full next slot**: tears pairs of tasks apart (see [`processor`]).
//!   tokio tried twice (tokio#7431, reverted in tokio#8100 for over-waking).
//! * **A reactor on a thread of its own**: a hop per event, two thirds of the echo throughput.
//! * **A wheel for each parked worker to watch**: wheels belong to cores, and cores change their
//!   workers all the time; one of them was soon watched by nobody. Whoever holds the driver watches
//!   them all.
//! * **Cancelling in the waker after closing**: the waker may hold a lock that the future's
//!   destructor takes (a channel that passes a wake-up on does). Only workers between polls and the
//!   shutdown thread run destructors.
//! * **Draining a stuck worker's queue**: a task that spawns 100,000 children is a 10 ms poll, and
//!   moving them made it 1.8 to 3 times slower. They stay, and are stolen.
//! * **Wall time to tell what is stuck**: 200 to 470 false retakes beside six CPU burners; by CPU
//!   time, none.
//! * **Weights for classes of tasks**: a share has to be counted in time, so each poll would read the
//!   clock (23 ns), and a share says nothing of how long one task waits. Strict order with an
//!   exception (eight in a row, 10 ms) needs no clock.
//! * **A queue per processor for `Interactive` tasks**: those are few, and what each worker looks into
//!   first had better be one place.
//! * **A look at each queue by each who parks** (as Go's, over all P): of 256 processors with one
//!   busy, that was 50 of 51 instructions that a wake costs. Now only the last searcher looks, and
//!   only where something may be.
//! * **A worker bound to its processor**: a thread that blocks would take its processor with it, or
//!   a copy of the hand-over would be needed beside the idle protocol. Here a core is a box: who
//!   has it, has the processor. That the two come together again when nobody blocks is a habit of
//!   the idle lists, and no rule.
//!
//! # Measured
//!
//! On 2 virtual CPUs (AMD EPYC), rustc 1.95, glibc's allocator, 2026-11-24; interleaved medians of
//! 9 processes each.
//!
//! | choice | effect |
//! |---|---|
//! | searching before parking: none / 12 looks 0.4 µs apart / 5 looks 1 µs apart | spawn + join 139 / 141 / 115 ns, context switches 2226 / 187 / 111; fan-out, skynet, remote spawn, ping-pong and echo tie |
//! | after a sleep of less than 50 µs: the same search / 48 µs of it, 16 µs apart | spawn + join 134 / 106 ns; fan-out, skynet, remote spawn, echo and idle tie |
//! | the monitor's doze ended by the last processor that gets busy / only by its end | tick lateness p99 beside 4 blocking tasks 0.2 / 8 ms |
//! | the monitor's timer slack 1 ns / 50 µs | 200 tasks that block 100 ms, three times: 395 / 440 ms |
//! | waits that were seen counted towards the slice / not | 100 polls that look and sleep 200 µs in turn: rescued in 1 s / 20 s and more |
//! | cores beside each other on cache lines (as mimalloc puts them) / on lines of their own | with mimalloc: yield 22 / 11.5 ns, ping-pong of 1000 pairs 131 / 96 |
//! | the list of waiting tasks as one vector / in pieces of 4 KiB | with mimalloc: 128 / 109 bytes per parked task, spawned in 93 / 64 ns |
//! | alone, after a job was sent off, searching for 5 / 48 µs | `spawn_blocking` one at a time 22 or 5 / 5 µs |
//! | the next slot's streak at most 3 / 7 / 15 polls | ping-pong of 1000 pairs 109 / 104 / 100 ns (tokio 105); one pair and spawn + join tie. 6, for fairness |
//! | a helper for every batch of timers or events / only where it would come in time ([`worker`]) | 100,000 timers 4136 / 2753 ns of CPU each (over 490 ms; with 16 µs ticks too), HTTP 0.96 of the CPU |
//! | spinning before parking also when everybody else is parked / not then | part of the above: 5 µs per wake. Without exception it made `spawn_blocking` one at a time 36 µs instead of 5, so it is not after a job was sent off |
//! | wheel ticks of 65 / 16 µs, but 65 where timers are dense | a lone sleep ends 60 / 36 µs late (p50) |
//! | looking at the timers after each poll that read the clock / each 8th poll | a timeout that waits 1209 / 965 instructions |
//! | a tag beside the future / the finished mark in the metadata | 113 / 97 bytes per parked task |
//! | announcing a poll and finding it in two visits to the core / one, remainder / countdown for the 61st | yield 362 / 337 instructions, chained spawn 650 / 620 |
//! | counters of remote spawns sharded by thread | remote spawn 187 / 172 ns, within the noise; kept, since the line is contended by design |
//! | 100 tasks that compute for 200 ms beside a tick each 10 ms: those of a heavy site held back / each gets a thread (2026-11-29) | 8 / 47 threads; mean completion 5.3 / 7.0 s (tokio 5.2 s); tick lateness p99 13 / 423 ms, at most 21 / 2127 ms (tokio 10 s) |
//! | a million sleeps of one deadline beside a tick each 1 ms: in pieces / all at once (2026-11-29) | a tick at most 8 to 13 ms late (44 to 57 on a loaded machine) / 128 ms (tokio 299 ms) |
//! | beside a batch of class `Background`, while a processor is idle: its worker alone sees to network and timers / the batch's worker too, each 100 µs (2026-11-30) | the batch takes 1.04 / 1.07 of its time alone; tick lateness p99 0.19 / 0.12 ms, p999 0.6 / 0.2 |
//! | the same, and after a `Background` poll `Interactive` tasks are left for once to a worker that is in none | ties in all of these; not kept |
//! | before each poll: one question for timers and all else that is due / two | yield 326 / 335 instructions, spawn + join 1308 / 1326, wake 309 / 318 |
//! | the queue of class `Background`: a linked list in pieces, with linear hashing / a `VecDeque` and a `HashMap`, which copy all as they grow | a push among a million 0.24 µs at most, nothing above 90 µs; push + pop 20 ns |
//!
//! Instructions per operation beside P processors, of which one is busy for the time of it
//! (`ci/instructions.sh`, 2026-11-30), before and after places and timer wheels had marks and the
//! last searcher looked for all:
//!
//! | P | 2 | 16 | 64 | 256 |
//! |---|---|---|---|---|
//! | a spawn from outside, with the worker that is woken for it | 4113 / 3343 | 11873 / 3345 | 39451 / 3348 | 168270 / 3478 |
//! | a wake from outside, the same | 3661 / 2905 | 11395 / 2922 | 38834 / 2918 | 169343 / 3047 |
//! | an event, and waiting for the next one with the driver | 3681 / 3062 | 11444 / 3079 | 39094 / 3082 | 169677 / 3264 |
//! | of these, locked operations and fences of the wake | 60 / 54 | 144 / 54 | 434 / 54 | 1594 / 55 |
//!
//! With half of 64 processors in long polls, a wake takes 42976 / 17565: a search that finds nothing
//! makes four passes over 32 victims.
//!
//! What is left in spawn + join is mostly the allocator, and the queue's cache lines that owner and
//! thief pass to and fro.

mod acquire;
mod classes;
mod foreign_wakers;
pub(crate) mod inspect;
pub(crate) mod lifecycle;
mod mask;
mod monitor;
mod netpoll;
pub(crate) mod observer;
mod off_processor;
pub(crate) mod placement;
mod processor;
mod run_queues;
mod shared;
pub(crate) mod single_thread;
pub(crate) mod submit;
#[cfg(test)]
mod tests;
pub(crate) mod this_thread;
// Without feature `time` nobody arms a timer, and what only an armed timer needs is unused.
#[cfg_attr(not(feature = "time"), allow(dead_code))]
pub(crate) mod timers;
mod worker;

pub(crate) use acquire::enter_blocking;
#[cfg(feature = "net")]
pub(crate) use lifecycle::forked::FORKED;
pub(crate) use lifecycle::forked::{Free, close_in_child};
pub(crate) use lifecycle::hold_free;
pub(crate) use lifecycle::settings::{Hook, Lease, NameThread, ParkHooks, Settings, ThreadWrapper};
pub(crate) use monitor::probe;
pub(crate) use placement::Placement;
pub(crate) use shared::Shared;
