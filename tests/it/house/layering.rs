//! The modules stand on floors, and imports only go down. This test reads `src/` as text and holds it to that, and to the
//! other rules that a compiler does not know: one door to threads and locks, short files, a reason beside
//! each `unsafe`, nothing left unfinished.

pub(super) mod source;
mod unsafety;

use source::{Source, sources, words};

/// The modules of each floor, from the ground up. Modules that share a floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["rng", "sys"],
    &["simulated"],
    &["sync"],
    &["clock", "machine", "stacks"],
    &["tasks", "reactor", "stderr"],
    &["blocking"],
    &["scheduler"],
    &["observe"],
    &["runtime"],
    &["io", "time", "join_set"],
    &["net"],
    &["sim", "simulating"],
    &["macros"],
    &["lib", "compat", "unsupported"],
];
/// What the crate root re-exports, and the module it really lives in.
const ROOT_NAMES: &[(&str, &[&str])] = &[
    ("lib", &["task", "trace"]),
    ("tasks", &["JoinError", "JoinHandle"]),
    (
        "runtime",
        &[
            "block_in_place",
            "block_on",
            "run",
            "spawn",
            "spawn_blocking",
            "spawn_local",
            "Builder",
            "Handle",
            "Runtime",
        ],
    ),
];
const LONGEST_FILE: usize = 500;
/// A SAFETY note stands at most so many lines above its `unsafe`.
const NOTE_WITHIN: usize = 6;

#[test]
fn imports_go_down() {
    report(sources().iter().flat_map(imports));
}

#[test]
fn threads_and_locks_come_from_sync() {
    report(sources().iter().flat_map(one_door));
}

/// A simulation has a clock and random numbers of its own. Public examples and unit tests read the system's.
#[test]
fn time_and_chance_come_through_one_door_each() {
    report(sources().iter().flat_map(other_doors));
}

#[test]
fn files_are_short() {
    report(sources().iter().filter_map(too_long));
}

#[test]
fn every_unsafe_has_its_reason() {
    report(sources().iter().flat_map(without_reason));
}

/// `docs/unsafe.md` lists all of it, by file and function, and nothing else.
#[test]
fn every_unsafe_is_listed() {
    let text = unsafety::document();
    report(unsafety::differences(&sources(), &text));
}

/// A write to standard error may last for ever, and a macro that writes there panics where it is closed.
#[test]
fn nobody_writes_to_standard_error_but_its_module() {
    report(sources().iter().flat_map(writes_to_stderr));
}

#[test]
fn nothing_is_unfinished() {
    report(sources().iter().flat_map(unfinished));
}

/// The rules themselves: each finds its fault in a file made for it, on the right line, and nothing in a good one.
#[test]
fn rules_find_their_faults() {
    let check = |path: &str, text: &str, rule: fn(&Source) -> Vec<String>| {
        rule(&Source::new(path, text)).join("|")
    };
    let good = "//! use crate::net;\nuse crate::sync::{Arc, atomic};\nuse super::queue;\n\
                #[cfg(test)]\nmod tests { use crate::net::TcpStream; }\nlet s = \"crate::net\";";
    assert_eq!(check("scheduler/parked_worker.rs", good, imports), "");
    let up = "use crate::{\n    sync::{Arc, thread},\n    net::TcpStream,\n};";
    let found = check("scheduler/parked_worker.rs", up, imports);
    assert!(
        found.starts_with("src/scheduler/parked_worker.rs:3: crate::net"),
        "{found}"
    );
    assert!(
        check("tasks/join.rs", "fn f() { crate::spawn(x); }", imports).contains(":1: crate::spawn")
    );
    assert!(check("time/sleep.rs", "\nuse crate::io::Async;", imports).contains(":2: crate::io"));
    assert!(check("attic.rs", "", imports).contains("no floor"));
    assert!(check("io.rs", "use super::net;", imports).contains(":1: super"));
    assert_eq!(check("io.rs", "mod inner { use super::net; }", imports), "");

    assert_eq!(
        check(
            "io.rs",
            "/// std::thread::spawn\nuse std::{fmt, mem};",
            one_door
        ),
        ""
    );
    assert!(check("io.rs", "use std::{fmt,\n sync::Arc};", one_door).contains(":2: std::sync"));
    assert!(check("io.rs", "std::thread::park()", one_door).contains(":1: std::thread"));
    assert!(check("io.rs", "#[cfg(executor_loom)]", one_door).contains(":1: executor_loom"));

    let read = "/// Instant::now()\nfn f() { let a = crate::clock::now(); g(a.elapsed) }";
    assert_eq!(
        check("io.rs", read, other_doors).matches("io.rs").count(),
        1
    );
    assert!(check("io.rs", "\nlet a = std::time::Instant::now();", other_doors).contains(":2:"));
    assert_eq!(check("clock.rs", "Instant::now()", other_doors), "");
    assert!(check("io.rs", "use std::hash::RandomState;", other_doors).contains(":1:"));

    let reason = "// SAFETY: it is ours.\nunsafe { f() }\nunsafe fn g() {}\n// unsafe { }";
    assert_eq!(check("io.rs", reason, without_reason), "");
    let far = format!("// SAFETY: too far away.{}unsafe {{ f() }}", "\n".repeat(7));
    assert!(check("io.rs", &far, without_reason).contains(":8:"));
    assert!(check("io.rs", "unsafe impl Send for X {}", without_reason).contains(":1:"));

    let two =
        "fn f() { unsafe { g() }; unsafe { g() } }\nunsafe fn g() {}\nunsafe impl Send for X {}";
    let listed = |rows: &str| unsafety::differences(&[Source::new("io.rs", two)], rows).join("|");
    let all = "| `io.rs` | `f` | 2 blocks | \n| `io.rs` | `g` | fn |\n| `io.rs` | `Send` | impl |";
    assert_eq!(listed(all), "");
    assert!(listed("").contains("io.rs, f: 2 blocks, but the list says nothing"));
    assert!(
        listed(&all.replace('2', "1")).contains("io.rs, f: 2 blocks, but the list says 1 block")
    );
    assert!(listed(&format!("{all}\n| `io.rs` | `h` | fn |")).contains("io.rs, h: nothing, but"));
    assert!(
        listed(&format!("3 blocks and 1 functions\n{all}")).contains("2 blocks and 1 functions")
    );

    let quiet = "/// eprintln!(x)\nuse crate::stderr::say; say(\"eprintln!\");\n#[cfg(test)]\nmod tests { fn f() { dbg!(1); } }";
    assert_eq!(check("io.rs", quiet, writes_to_stderr), "");
    assert_eq!(check("stderr.rs", "io::stderr()", writes_to_stderr), "");
    for loud in [
        "eprintln!(x)",
        "std::eprint!(x)",
        "dbg!(x)",
        "println!()",
        "io::stderr().lock()",
        "std::io::stdout()",
    ] {
        let found = check("io.rs", &format!("fn f() {{\n{loud}; }}"), writes_to_stderr);
        assert!(found.contains("src/io.rs:2: "), "{loud}: {found}");
    }

    assert!(check("io.rs", "// TODO: more", unfinished).contains(":1:"));
    assert!(check("io.rs", "\ntodo!()", unfinished).contains(":2:"));
    assert!(too_long(&Source::new("io.rs", &"\n".repeat(501))).is_some());
}

#[track_caller]
fn report(broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn imports(source: &Source) -> Vec<String> {
    let Some(own) = floor(&source.module) else {
        return vec![format!(
            "src/{}: module {} has no floor in FLOORS",
            source.path, source.module
        )];
    };
    let mut broken = Vec::new();
    for (line, name) in source.names_after("crate") {
        let home = home(&name);
        match floor(home) {
            Some(other) if other > own => broken.push(format!(
                "src/{}:{line}: crate::{name} is on floor {other}, this file on floor {own}; imports go down",
                source.path
            )),
            Some(other) if other == own && home != source.module => broken.push(format!(
                "src/{}:{line}: crate::{name} is a neighbour on floor {own}; neighbours do not know each other",
                source.path
            )),
            _ => {}
        }
    }
    for (line, supers) in source.supers_to_the_root() {
        broken.push(format!(
            "src/{}:{line}: {supers} reaches the crate root; write crate:: so that the floor shows",
            source.path
        ));
    }
    broken
}

fn one_door(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    if ["sync", "simulated"].contains(&source.module.as_str()) {
        return broken;
    }
    let rule = "only src/sync.rs may name it";
    for root in ["std", "core", "alloc"] {
        for (line, name) in source.names_in_all_code_after(root) {
            if name == "sync" || name == "thread" {
                broken.push(format!(
                    "src/{}:{line}: {root}::{name}: {rule}",
                    source.path
                ));
            }
        }
    }
    for cfg in [
        "executor_loom",
        "executor_shuttle",
        "executor_tsan",
        "executor_no_threads",
    ] {
        for at in words(&source.code, cfg) {
            broken.push(format!(
                "src/{}:{}: {cfg}: {rule}",
                source.path,
                source.line(at)
            ));
        }
    }
    broken
}

fn other_doors(source: &Source) -> Vec<String> {
    const DOORS: &[(&str, &str, &str)] = &[
        ("now", "Instant::", "clock.rs"),
        ("now", "SystemTime::", "clock.rs"),
        ("elapsed", ".", "clock.rs"),
        ("RandomState", "", "rng.rs"),
    ];
    let mut broken = Vec::new();
    for (name, before, door) in DOORS.iter().filter(|(_, _, door)| *door != source.path) {
        for at in words(source.shipped(), name) {
            if source.shipped()[..at].ends_with(before) {
                let line = source.line(at);
                broken.push(format!(
                    "src/{}:{line}: {before}{name}: only src/{door}",
                    source.path
                ));
            }
        }
    }
    broken
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LONGEST_FILE).then(|| {
        format!(
            "src/{}: {lines} lines; split it by meaning at {LONGEST_FILE}",
            source.path
        )
    })
}

fn without_reason(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut broken = Vec::new();
    for at in words(&source.code, "unsafe") {
        let next = source.code[at + "unsafe".len()..].trim_start();
        let line = source.line(at);
        let near = &lines[line.saturating_sub(NOTE_WITHIN + 1)..line];
        if (next.starts_with('{') || next.starts_with("impl"))
            && !near.iter().any(|line| line.contains("SAFETY"))
        {
            broken.push(format!(
                "src/{}:{line}: unsafe without a SAFETY note in the {NOTE_WITHIN} lines above",
                source.path
            ));
        }
    }
    broken
}

fn writes_to_stderr(source: &Source) -> Vec<String> {
    if source.module == "stderr" {
        return Vec::new();
    }
    let macros = ["print", "println", "eprint", "eprintln", "dbg"].map(|name| (name, "!"));
    let calls = [("stderr", "("), ("stdout", "(")];
    let found = macros.into_iter().chain(calls).flat_map(|(name, follows)| {
        let called = move |at: &usize| source.shipped()[at + name.len()..].starts_with(follows);
        let line = move |at| {
            let line = source.line(at);
            format!(
                "src/{}:{line}: {name}: only src/stderr.rs writes",
                source.path
            )
        };
        words(source.shipped(), name).filter(called).map(line)
    });
    found.collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let marks = ["TODO", "FIXME"]
        .into_iter()
        .flat_map(|mark| words(&source.text, mark));
    let macros = ["todo", "unimplemented"].into_iter().flat_map(|name| {
        let called = move |at: &usize| source.code[at + name.len()..].starts_with('!');
        words(&source.code, name).filter(called)
    });
    let line = |at| format!("src/{}:{}: unfinished", source.path, source.line(at));
    marks.chain(macros).map(line).collect()
}

/// Floors count from one, as in the drawing of the house.
fn floor(module: &str) -> Option<usize> {
    FLOORS
        .iter()
        .position(|modules| modules.contains(&module))
        .map(|index| index + 1)
}

/// The module behind a name of the crate root: mostly the name itself.
fn home(name: &str) -> &str {
    let real = ROOT_NAMES.iter().find(|(_, names)| names.contains(&name));
    real.map_or(name, |(module, _)| module)
}
