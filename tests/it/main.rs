//! The integration tests, in one program: to link the crate once for each of these files took longer than most of them run.
//!
//! Tests run beside each other in one process, a few at a time. So a test may not count what is the whole process's (threads,
//! descriptors, CPU time, memory), change it (limits, variables, the global subscriber) or end it. One that has to runs itself
//! again as a child: `common::alone`, or `common::run_ignored` for a body that is told something by a variable or is read on
//! standard error. What cannot share a process with others at all is in `tests/alone/`, and `tests/deadlock.rs` has not even the
//! threads of the usual harness. How things end is in `tests/ends/`.
//!
//! A test is called by its file: `cargo test --test it stall::report::` runs those of `stall/report.rs`.

#[path = "../common/mod.rs"]
mod common;

// The interface, and what a program sets.
#[cfg(all(feature = "net", feature = "time"))]
mod api;
mod builder;
mod compat;
mod context;
#[cfg(feature = "time")]
mod durations;

// Tasks and those who wait for them.
mod background;
mod block_on;
mod blocking;
mod join_set;
mod nested_classes;
mod priorities;
mod tasks;
#[cfg(feature = "time")]
mod timers;

/// A child made by `fork`.
#[cfg(all(target_os = "linux", feature = "net", feature = "time"))]
mod fork;

/// How executors have failed; `docs/failures.md` lists it.
mod hazards {
    #[cfg(all(feature = "time", feature = "net"))]
    mod blocked;
    mod depth;
    #[cfg(all(target_os = "linux", feature = "time", feature = "net"))]
    mod flags;
    mod large;
    #[cfg(all(feature = "time", feature = "net"))]
    mod sockets;
    mod spawn;
    #[cfg(all(feature = "time", feature = "net"))]
    mod stale_wakers;
    #[cfg(all(target_os = "linux", feature = "time", feature = "net"))]
    mod stopped;
    #[cfg(all(feature = "time", feature = "net"))]
    mod wakers;
    mod wakes;
}

#[cfg(feature = "sim")]
mod sim;

/// The rules of the house: source, documents and tests say the same.
mod house {
    mod failures;
    mod ignored;
    mod layering;
    mod promises;
    mod systems;
}

/// What is told of a runtime, to whom, and what that may cost.
mod instruments {
    #[cfg(target_os = "linux")]
    mod blocked_in;
    #[cfg(target_os = "linux")]
    mod blocked_stack;
    #[cfg(target_os = "linux")]
    mod child;
    #[cfg(target_os = "linux")]
    mod flight;
    mod hooks;
    mod metrics;
    mod observed;
    mod schedtrace;
    #[cfg(all(target_os = "linux", feature = "stacks"))]
    mod sigquit;
    #[cfg(feature = "stacks")]
    mod stack_block_on;
    #[cfg(feature = "stacks")]
    mod stack_dump;
    #[cfg(feature = "stacks")]
    mod stack_groups;
    #[cfg(all(feature = "stacks", feature = "time"))]
    mod stack_recording;
    #[cfg(target_os = "linux")]
    mod stderr;
    mod task_dump;
}

/// The attributes `main` and `test`.
#[cfg(feature = "macros")]
mod macros {
    #[cfg(all(target_os = "linux", not(feature = "tokio-compat")))]
    mod deadlocks;
    mod errors;
    mod functions;
    mod harness;
    mod limits;
    #[cfg(feature = "sim")]
    mod simulated;
}

/// Sockets.
#[cfg(feature = "net")]
mod net {
    mod budget;
    #[cfg(all(target_os = "linux", feature = "time"))]
    mod close_on_exec;
    mod io_async;
    // Lowers a limit that only those systems have.
    #[cfg(unix)]
    mod limits;
    mod tcp;
    mod udp;
    #[cfg(unix)]
    mod unix;
}

/// Who runs, where, and who waits for how long.
mod scheduling {
    mod classes;
    #[cfg(all(target_os = "linux", feature = "time"))]
    mod crowd;
    mod fairness;
    #[cfg(feature = "time")]
    mod go;
    mod handoff;
    mod parallelism;
    #[cfg(all(target_os = "linux", feature = "time"))]
    mod placement;
    #[cfg(feature = "time")]
    mod resize;
}

/// Tasks that block their thread, or compute without an end.
mod stall {
    #[cfg(feature = "time")]
    mod between;
    mod busy;
    mod ends;
    #[cfg(feature = "time")]
    mod mix;
    mod report;
    #[cfg(all(feature = "net", feature = "time"))]
    mod retakes;
    mod shutdown;
}
