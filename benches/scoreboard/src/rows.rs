//! What is measured: each row is one run of one workload and gives one or more figures, all of which are better lower.

use crate::http::{self, Http};
use crate::runtimes::go;
use crate::support::{Gosched, Scheduler, per_operation, workloads};
use crate::workloads::{blocking, parked, stall, timers, wakes};

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) figures: &'static [Figure],
    /// Where it is not like for like.
    pub(crate) note: &'static str,
}

pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) aim: Option<Aim>,
}

/// What we are after: at most this ratio to the best of these peers.
pub(crate) struct Aim {
    pub(crate) ratio: f64,
    pub(crate) peers: &'static [&'static str],
}

pub(crate) const TOKIO: &str = "tokio";
pub(crate) const SMOL: &str = "smol";
const ALL: &[&str] = &[TOKIO, SMOL, go::NAME];
const RUST: &[&str] = &[TOKIO, SMOL];

const fn figure(name: &'static str, unit: &'static str, ratio: f64) -> Figure {
    against(ALL, name, unit, ratio)
}

const fn against(
    peers: &'static [&'static str],
    name: &'static str,
    unit: &'static str,
    ratio: f64,
) -> Figure {
    let aim = Some(Aim { ratio, peers });
    Figure { name, unit, aim }
}

const fn untold(name: &'static str, unit: &'static str) -> Figure {
    let aim = None;
    Figure { name, unit, aim }
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "spawn_join",
        title: "spawn + join, 100k from one task",
        figures: &[figure("time", "ns/op", 0.5)],
        note: "Go joins all by one WaitGroup: a goroutine has no handle.",
    },
    Row {
        name: "fan_out",
        title: "fan-out, 8 spawners x 20k",
        figures: &[figure("time", "ns/op", 0.5)],
        note: "As above.",
    },
    Row {
        name: "chained",
        title: "chained spawn, 100k deep",
        figures: &[figure("time", "ns/op", 0.6)],
        note: "",
    },
    Row {
        name: "ping_pong_1",
        title: "ping-pong, 1 pair",
        figures: &[against(&[TOKIO], "time", "ns/trip", 0.9)],
        note: "The Rust side uses async-channel, Go its own channels, which are part of its scheduler.",
    },
    Row {
        name: "ping_pong_1000",
        title: "ping-pong, 1000 pairs",
        figures: &[figure("time", "ns/trip", 0.95)],
        note: "As above.",
    },
    Row {
        name: "yield",
        title: "yield, 200 tasks x 1000",
        figures: &[figure("time", "ns/op", 0.9)],
        note: "Gosched goes through Go's global queue.",
    },
    Row {
        name: "remote_spawn",
        title: "spawn from 2 foreign threads, 100k",
        figures: &[figure("time", "ns/op", 0.5)],
        note: "Go has no threads outside: goroutines locked to threads stand in for them.",
    },
    Row {
        name: "skynet",
        title: "skynet, 1M leaves",
        figures: &[figure("time", "ms", 0.55)],
        note: "Rust joins its children by their handles, Go by a channel per node.",
    },
    Row {
        name: "parked",
        title: "a million parked tasks",
        figures: &[
            figure("spawn", "ns/task", 0.7),
            figure("release", "ns/task", 0.7),
            figure("memory", "B/task", 0.85),
        ],
        note: "The event is a list of wakers, in Go a channel that is closed; the list is not counted as memory.",
    },
    Row {
        name: "timers",
        title: "100k tasks sleep 1 to 100 ms",
        figures: &[figure("CPU", "ns/op", 0.35)],
        note: "With the tasks themselves.",
    },
    Row {
        name: "lateness",
        title: "sleeps of 1 to 9 ms end late by",
        figures: &[figure("p50", "us", 1.0), figure("p99", "us", 1.0)],
        note: "tokio's timers count whole milliseconds and so do Go's when it is idle.",
    },
    Row {
        name: "timeouts",
        title: "timeout of a ready future; 8 tasks arm + cancel timers",
        figures: &[
            figure("timeout", "ns/op", 0.3),
            figure("arm + cancel", "ns/op", 0.3),
        ],
        note: "smol has no timeout: a race with a timer, polled second. Go's is a context with a deadline.",
    },
    Row {
        name: "echo_64",
        title: "TCP echo, 64 connections",
        figures: &[figure("time", "ns/trip", 1.0 / 1.15)],
        note: "Both ends are tasks of the runtime.",
    },
    Row {
        name: "echo_1024",
        title: "TCP echo, 1024 connections",
        figures: &[figure("time", "ns/trip", 1.0 / 1.05)],
        note: "As above.",
    },
    Row {
        name: "http",
        title: "HTTP hello world, server",
        figures: &[figure("CPU", "ns/request", 0.9)],
        note: "hyper on the Rust side, net/http in Go; the client is a process of its own with 64 connections, the same for all.",
    },
    Row {
        name: "http_wrk",
        title: "HTTP hello world, server, under wrk -t1 -c64",
        figures: &[against(&[TOKIO], "CPU", "ns/request", 0.9)],
        note: "hyper again; the client is wrk, where it is installed. Go does not take part.",
    },
    Row {
        name: "blocking",
        title: "spawn_blocking",
        figures: &[
            against(RUST, "batch of 20k", "ns/op", 0.1),
            against(RUST, "one at a time, p50", "us", 0.3),
        ],
        note: "In Go a plain goroutine, which costs no thread until it blocks: not compared.",
    },
    Row {
        name: "block",
        title: "4 tasks block 100 ms, 100 tasks tick each ms",
        figures: &[
            against(&[go::NAME], "late p50", "ms", 0.1),
            against(&[go::NAME], "late p99", "ms", 0.1),
        ],
        note: "A ticker that is held up for 100 ms counts one late tick and not a hundred, which flatters whoever holds it up. tokio's undisturbed ticks are 1 ms late.",
    },
    Row {
        name: "spin",
        title: "2 tasks compute 200 ms, 100 tasks tick each ms",
        figures: &[
            against(&[go::NAME], "late p50", "ms", 0.05),
            against(&[go::NAME], "late p99", "ms", 0.35),
        ],
        note: "As above.",
    },
    Row {
        name: "idle",
        title: "idle for 2 s; one task that ticks each ms",
        figures: &[figure("CPU", "ms", 1.0), figure("CPU per tick", "us", 1.0)],
        note: "",
    },
    Row {
        name: "foreign_wake",
        title: "a foreign thread wakes a parked task",
        figures: &[figure("p50", "us", 1.0), figure("p99", "us", 1.0)],
        note: "",
    },
    Row {
        name: "storm",
        title: "200 tasks block 100 ms, three times, 100 tasks tick each ms",
        figures: &[
            untold("late p99", "ms"),
            untold("wall", "ms"),
            untold("threads at most", ""),
        ],
        note: "Once only on tokio and smol, where it takes 200 x 100 ms / 2.",
    },
    Row {
        name: "stuck",
        title: "all workers in endless loops",
        figures: &[
            untold("echo p99", "ms"),
            untold("echo max", "ms"),
            untold("late p99", "ms"),
            untold("late max", "ms"),
        ],
        note: "Go's echo client is a process of its own, the others' a thread.",
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// The figures of a row, in its order.
pub(crate) fn measure<R: Http>(runtime: &R, row: &str) -> Vec<f64> {
    use workloads as w;
    let time = |operations: usize, work: &dyn Fn()| vec![per_operation(operations, 3, work)];
    match row {
        "spawn_join" => time(100_000, &|| w::spawn_join(runtime, 100_000)),
        "fan_out" => time(160_000, &|| w::fan_out(runtime, 8, 20_000)),
        "chained" => time(100_000, &|| w::chained(runtime, 100_000)),
        "ping_pong_1" => time(100_000, &|| w::ping_pong(runtime, 1, 100_000)),
        "ping_pong_1000" => time(200_000, &|| w::ping_pong(runtime, 1_000, 200)),
        "yield" => time(200_000, &|| w::yields(runtime, 200, 1_000)),
        "remote_spawn" => time(100_000, &|| w::remote_spawn(runtime, 2, 50_000)),
        // Nanoseconds over a million: milliseconds for the whole tree.
        "skynet" => time(1_000_000, &|| w::skynet(runtime, 1_000_000)),
        "parked" => parked::measure(runtime),
        "timers" => timers::cpu(runtime),
        "lateness" => timers::lateness(runtime),
        "timeouts" => vec![
            per_operation(100_000, 3, || w::timeout_of_ready(runtime, 100_000)),
            per_operation(160_000, 3, || w::arm_and_cancel(runtime, 8, 20_000)),
        ],
        "echo_64" => time(64_000, &|| w::echo(runtime, 64, 1_000)),
        "echo_1024" => time(102_400, &|| w::echo(runtime, 1_024, 100)),
        "http" => http::server_cpu(runtime),
        "http_wrk" => http::server_cpu_by_wrk(runtime),
        "blocking" => blocking::measure(runtime),
        "block" => stall::block(runtime),
        "spin" => stall::spin(runtime),
        "storm" => stall::storm(runtime, if R::NAME == Gosched::NAME { 3 } else { 1 }),
        "stuck" => stall::stuck(runtime),
        "idle" => wakes::idle(runtime),
        "foreign_wake" => wakes::from_outside(runtime),
        _ => unreachable!("main has checked the name"),
    }
}
