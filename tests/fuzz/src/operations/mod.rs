//! Sequences of operations on a runtime, counted exactly.
//!
//! An input is a [program](program) for a first task, the *driver*: it spawns others, each with a piece of the input as its own
//! program, and all of them wake, abort, await, drop and send away whatever lies in the [world](world) that they share. Every
//! future is [recorded](record). In steps:
//!
//! 1. The driver runs, in a task or in `block_on`. It waits for nobody, so it ends.
//! 2. Tasks that were aborted end, and all of a runtime that was shut down, whatever they waited for. Then all gates open for
//!    good and the channel closes. From here on every task ends by itself, if no wake is lost.
//! 3. Every handle that is left is awaited, every waker woken once more.
//! 4. The books are closed: each future was dropped once, no output is left, no task is alive, the runtime has counted as
//!    many tasks as were spawned.
//!
//! A runtime of one's own may be shut down at any point of this; then tasks may end as cancelled.

mod gate;
mod helper;
mod program;
mod record;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant};

use executor::runtime::Builder;
use executor::{Handle, Runtime};

use crate::bytes::Bytes;
use program::Frame;
use record::{Marker, Place};
use world::{Kind, World};

/// After this something counts as hung.
const PATIENCE: Duration = Duration::from_secs(8);

/// Which runtimes an input may choose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Any: one processor or two, that last from input to input, or fresh ones, or none.
    All,
    /// Local tasks only, all on this thread, so that the same input does the same every time.
    Local,
}

/// Runs one input.
pub fn execute(input: &[u8], scope: Scope) {
    prepare();
    let mut bytes = Bytes::new(input);
    let choice = bytes.byte();
    let kind = match choice & 0x0f {
        _ if scope == Scope::Local => Kind::Local,
        0..=6 => Kind::Lasting(lasting(1)),
        7..=12 => Kind::Lasting(lasting(2)),
        // One in 64: it takes a hundred times as long.
        15 if bytes.byte() % 4 == 0 => Kind::Fresh(fresh(1 + usize::from(choice >> 7))),
        _ => Kind::Local,
    };
    let is_local = matches!(kind, Kind::Local);
    let in_task = choice & 0x10 != 0 && !is_local;
    let world = World::new(kind);
    let spawned = world.spawned_tasks();

    let program = bytes.take(usize::MAX);
    if in_task {
        drive_in_task(&world, program);
    } else {
        program::block_on(&world, program, true);
    }
    if choice & 0x20 != 0 {
        world.shut_down(choice & 0x40 != 0);
    }
    close(world, spawned);
}

fn drive_in_task(world: &Arc<World>, program: &[u8]) {
    let record = world.record(Place::Task, None);
    let frame = Frame::driver();
    let handle = world
        .handle
        .spawn(program::probe(world, &record, frame, program));
    record.spawned_as(handle.id());
    let result = world.handle.block_on(handle);
    record::settle(world, &record, result);
}

/// Steps 2 to 4.
fn close(world: Arc<World>, spawned: u64) {
    let begin = Instant::now();
    while world.is_stopping() {
        check(
            begin.elapsed() < PATIENCE,
            "a task that was to stop goes on waiting",
            &world,
        );
        std::thread::yield_now();
    }
    world.open_for_good();
    let mut looks = 0u32;
    loop {
        let found_any = world.clear_up();
        if !found_any && Arc::strong_count(&world) == 1 {
            break;
        }
        looks += 1;
        if looks > 100 {
            std::thread::sleep(Duration::from_micros(50));
            check(begin.elapsed() < PATIENCE, "a task never ended", &world);
        } else {
            std::thread::yield_now();
        }
    }
    world.check_books();
    // The count of living tasks goes down after the future is gone.
    while world.handle.metrics().num_alive_tasks() != 0 {
        check(
            begin.elapsed() < PATIENCE,
            "the runtime counts a task that has ended",
            &world,
        );
        std::thread::yield_now();
    }
    let counted = world.spawned_tasks() - spawned;
    let exact = world.is_shut_down() || counted == world.num_spawned();
    check(
        exact,
        "the runtime has counted other tasks than were spawned",
        &world,
    );
}

fn lasting(workers: usize) -> Handle {
    static RUNTIMES: [OnceLock<Runtime>; 2] = [const { OnceLock::new() }; 2];
    let runtime = RUNTIMES[workers - 1].get_or_init(|| fresh(workers));
    runtime.handle().clone()
}

fn fresh(workers: usize) -> Runtime {
    let builder = Builder::new().worker_threads(workers).on_stall(|_| ());
    builder.build().expect("threads and descriptors are left")
}

/// Panics that the programs ask for are silent; any other is a finding, also where a runtime would catch it.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            if !info.payload().is::<Marker>() {
                eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
                abort();
            }
        }));
    });
}

/// Ends the process with the world's books unless it is so.
#[track_caller]
fn check(is_so: bool, what: &str, world: &World) {
    if !is_so {
        let place = std::panic::Location::caller();
        eprintln!("FINDING at {place}: {what}\n{world:#?}");
        abort();
    }
}

/// Drops a value whose destructor may throw a [`Marker`].
fn discard<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}
