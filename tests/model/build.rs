//! Makes a copy of `src/` that a model checker can run, in `OUT_DIR`.
//!
//! The copy differs from the source in four ways, and in nothing else:
//!
//! 1. *Statics and thread-locals* become those of the checker, made anew for each execution, since modelled primitives
//!    have no constant constructors. What is leaked goes to an arena that ends with the execution ([`leak`]).
//! 2. *Constants* that only make executions longer are small ([`SMALL`]).
//! 3. *Files that only count or name* ([`PLAIN`]) keep the primitives of `std`: nobody decides anything by what they
//!    hold, and each access would be one more point at which a checker tries another thread.
//! 4. *Twins*: `twins.txt` has edits that leave a step of a protocol out, or do it wrong, while the twin of that name
//!    runs. An edit whose text is not found exactly once fails the build, so that it follows the source. (With
//!    `MODELS_WITHOUT_TWINS` there are none: for a source with a bug in such a place.)
//!
//! [`OPENED`] names what models call although the source keeps it private, [`LAYOUT`] what a checker's atomics change in a
//! task's header, [`STEPS`] where other threads may come in between. The clock, the probe of the monitor and the masks of
//! threads are the models' own ([`REPLACED`], `src/machine.rs`).

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders of `src/` that are taken in.
const TAKEN: &[&str] = &[
    "clock.rs",
    "rng.rs",
    "sync.rs",
    "sync",
    "machine/cpu_set.rs",
    "machine/pinned.rs",
    "machine/topology.rs",
    "blocking",
    "join_set/group.rs",
    "reactor",
    "scheduler",
    "stacks",
    "sys/unix/descriptor.rs",
    "tasks",
];

/// See the module's documentation.
const PLAIN: &[&str] = &[
    "stacks/frame.rs",
    "stacks/symbols.rs",
    "sync/counter.rs",
    "tasks/spawn_site.rs",
    "tasks/wakers.rs",
    "scheduler/off_processor.rs",
    "scheduler/processor/busy_time.rs",
    "scheduler/processor/cluster.rs",
    "scheduler/lifecycle/hold.rs",
];

/// File, text, and what stands in its place.
type Edit = (&'static str, &'static str, &'static str);

/// See the module's documentation.
const SMALL: &[Edit] = &[
    // Learned once, and not in each execution.
    (
        "tasks/layout.rs",
        "static META_OFFSET: AtomicUsize = AtomicUsize::new(0);",
        "static META_OFFSET: std::sync::atomic::AtomicUsize =\n    std::sync::atomic::AtomicUsize::new(0);",
    ),
    (
        "tasks/layout.rs",
        "static STATE_OFFSET: AtomicUsize = AtomicUsize::new(0);",
        "static STATE_OFFSET: std::sync::atomic::AtomicUsize =\n    std::sync::atomic::AtomicUsize::new(0);",
    ),
    (
        "tasks/registry.rs",
        "const SHARD_BITS: u32 = 3;",
        "const SHARD_BITS: u32 = 0;",
    ),
    (
        "tasks/mod.rs",
        "RUNTIME_BITS: u32 = 14;",
        "RUNTIME_BITS: u32 = 1;",
    ),
    (
        "tasks/spawn_site.rs",
        "SPAWN_SITE_BITS: u32 = 18;",
        "SPAWN_SITE_BITS: u32 = 6;",
    ),
    (
        "tasks/control.rs",
        "const SHARDS: usize = 16;",
        "const SHARDS: usize = 1;",
    ),
    (
        "tasks/control.rs",
        "const COUNTS: usize = 256;",
        "const COUNTS: usize = 1;",
    ),
    (
        "scheduler/worker/search.rs",
        "const LOOKS: u32 = 5;",
        "const LOOKS: u32 = 1;",
    ),
    (
        "scheduler/worker/search.rs",
        "const WOKEN_TOO_SOON_LOOKS: u32 = 4;",
        "const WOKEN_TOO_SOON_LOOKS: u32 = 1;",
    ),
    (
        "scheduler/run_queues/steal.rs",
        "const PASSES: usize = 4;",
        "const PASSES: usize = 1;",
    ),
    (
        "scheduler/run_queues/detached/list.rs",
        "const LISTED: usize = 64;",
        "const LISTED: usize = 2;",
    ),
    (
        "scheduler/run_queues/compute_limit.rs",
        "const SITES: usize = 1024;",
        "const SITES: usize = 64;",
    ),
];

/// See the module's documentation.
const OPENED: &[Edit] = &[
    (
        "scheduler/run_queues/compute_limit.rs",
        "mod held_back;",
        "pub(crate) mod held_back;",
    ),
    (
        "scheduler/lifecycle/mod.rs",
        "    fn prepare(",
        "    pub(crate) fn prepare(",
    ),
    (
        "scheduler/lifecycle/mod.rs",
        "struct CountedWorker(",
        "pub(crate) struct CountedWorker(",
    ),
    (
        "scheduler/lifecycle/mod.rs",
        "    fn new(shared: &'static Shared, limit",
        "    pub(crate) fn new(shared: &'static Shared, limit",
    ),
    (
        "scheduler/submit.rs",
        "    fn count_remote_spawn(",
        "    pub(crate) fn count_remote_spawn(",
    ),
    (
        "scheduler/monitor/mod.rs",
        "struct Rounds {",
        "pub(crate) struct Rounds {",
    ),
    (
        "scheduler/monitor/mod.rs",
        "    fn new(shared: &'static Shared) -> Rounds",
        "    pub(crate) fn new(shared: &'static Shared) -> Rounds",
    ),
    (
        "scheduler/monitor/mod.rs",
        "    watches: Vec<Watch>,",
        "    pub(crate) watches: Vec<Watch>,",
    ),
    (
        "scheduler/monitor/mod.rs",
        "    last: Instant,",
        "    pub(crate) last: Instant,",
    ),
    (
        "scheduler/monitor/mod.rs",
        "    fn stuck(",
        "    pub(crate) fn stuck(",
    ),
    ("tasks/mod.rs", "mod layout;", "pub(crate) mod layout;"),
    ("tasks/class.rs", "#[cfg(test)]\nimpl Meta {", "impl Meta {"),
    (
        "tasks/layout.rs",
        "pub(super) fn meta_of(",
        "pub(crate) fn meta_of(",
    ),
    (
        "tasks/capture.rs",
        "pub(super) fn end(meta: &Meta",
        "pub(crate) fn end(meta: &Meta",
    ),
    (
        "tasks/registry/members.rs",
        "Member(pub(in crate::tasks) Waker)",
        "Member(pub(crate) Waker)",
    ),
    (
        "tasks/registry/members.rs",
        "pub(in crate::tasks) fn want_stack(",
        "pub(crate) fn want_stack(",
    ),
    (
        "scheduler/monitor/mod.rs",
        "    fn check_all_detached(",
        "    pub(crate) fn check_all_detached(",
    ),
    (
        "scheduler/monitor/mod.rs",
        "    fn wake_for_hidden_work(",
        "    pub(crate) fn wake_for_hidden_work(",
    ),
];

/// What the machine says.
const REPLACED: &[Edit] = &[
    (
        "clock.rs",
        "    let now = Instant::now();",
        "    let now = crate::machine::now();",
    ),
    (
        "clock.rs",
        "get_or_init(Instant::now)",
        "get_or_init(crate::machine::start)",
    ),
];

/// Where a library that no checker knows does something that others may come before.
const STEPS: &[Edit] = &[
    (
        "tasks/current.rs",
        "let is_queued = runnable.run();",
        "crate::machine::step();\n        let is_queued = runnable.run();",
    ),
    (
        "tasks/registry/members.rs",
        "        self.0.wake();",
        "        crate::machine::step();\n        self.0.wake();",
    ),
];

/// Where a checker's larger atomics change how a task is laid out.
const LAYOUT: &[Edit] = &[
    (
        "tasks/layout.rs",
        "(0..meta_offset / WORD * WORD)",
        "crate::machine::header(meta_offset, size_of::<Meta>())",
    ),
    (
        "tasks/layout.rs",
        "    changed[0] * WORD",
        "    crate::machine::header(meta_offset, size_of::<Meta>()).start + changed[0] * WORD",
    ),
];

/// What holds on threads that catch panics.
const ASSERTED: &[Edit] = &[(
    "scheduler/worker/idle/lists.rs",
    "debug_assert!(self.cores[index].is_none(), ",
    "crate::checker::must(self.cores[index].is_none(), ",
)];

/// See `Plan::single`.
const BATCHES: &[Edit] = &[
    (
        "scheduler/run_queues/mod.rs",
        "share.min(steal::BATCH)",
        "share.min(crate::machine::batch(steal::BATCH))",
    ),
    (
        "scheduler/run_queues/steal.rs",
        "steal_batch_with_limit_and_pop(&thief.queue, BATCH)",
        "steal_batch_with_limit_and_pop(&thief.queue, crate::machine::batch(BATCH))",
    ),
];

/// All of it.
const PROBE: (&str, &str) = (
    "scheduler/monitor/probe.rs",
    "pub(crate) use crate::machine::probe::*;\n",
);

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let source = here.join("../../src");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=twins.txt");
    let twins = fs::read_to_string(here.join("twins.txt")).expect("twins.txt is there");
    println!("cargo::rerun-if-env-changed=MODELS_WITHOUT_TWINS");
    let twins = match std::env::var_os("MODELS_WITHOUT_TWINS") {
        None => parse_twins(&twins),
        Some(_) => Vec::new(),
    };
    let mut used = 0;
    for taken in TAKEN {
        println!("cargo::rerun-if-changed={}", source.join(taken).display());
        each_file(&source.join(taken), &mut |path| {
            let name = path.strip_prefix(&source).expect("it is below the source");
            let name = name.to_str().expect("a name of ours").replace('\\', "/");
            let mut text = fs::read_to_string(path).expect("it can be read");
            let copy = out.join("src").join(&name);
            if name == PROBE.0 {
                PROBE.1.clone_into(&mut text);
            }
            for (file, old, new) in
                [SMALL, OPENED, REPLACED, LAYOUT, BATCHES, ASSERTED, STEPS].concat()
            {
                if file == name {
                    text = replace_once(&name, &text, old, new);
                }
            }
            for twin in twins.iter().filter(|twin| twin.file == name) {
                used += 1;
                text = replace_once(&name, &text, &twin.old, &twin.new);
            }
            let text = translate(&name, &text);
            fs::create_dir_all(copy.parent().expect("it has a folder")).expect("it can be made");
            if fs::read_to_string(&copy).is_ok_and(|before| before == text) {
                return;
            }
            fs::write(&copy, text).expect("it can be written");
        });
    }
    assert_eq!(
        used,
        twins.len(),
        "a twin names a file that is not taken in"
    );
    fs::write(out.join("root.rs"), root(&out.join("src"), &here)).expect("it can be written");
}

/// The modules of the copy, for the crate's root.
fn root(copy: &Path, here: &Path) -> String {
    let module = |attributes: &str, path: &str, declaration: &str| {
        let path = copy.join(path);
        format!("{attributes}\n#[path = {path:?}]\n{declaration}\n")
    };
    // Warnings are the source's own build's affair.
    let unused = "#[allow(warnings)]";
    let with_net = format!("#[cfg(feature = \"net\")]\n{unused}");
    let scheduler = copy.join("scheduler/mod.rs");
    let text = fs::read_to_string(&scheduler).expect("it was written");
    // Below the scheduler, so that models see what its own tests see.
    let models = here.join("src/models/mod.rs");
    let text = format!("{text}\n#[path = {models:?}]\npub(crate) mod models;\n");
    fs::write(scheduler, text).expect("it can be written");
    [
        module(unused, "sync.rs", "mod facade;"),
        module(unused, "rng.rs", "mod rng;"),
        module(unused, "clock.rs", "mod clock;"),
        machine(copy),
        module(unused, "stacks/mod.rs", "mod stacks;"),
        module(unused, "blocking/mod.rs", "mod blocking;"),
        module(&with_net, "sys/unix/descriptor.rs", "mod sys;"),
        module(&with_net, "reactor/mod.rs", "mod reactor;"),
        module(unused, "tasks/mod.rs", "mod tasks;"),
        module(unused, "join_set/group.rs", "mod group;"),
        module(unused, "scheduler/mod.rs", "mod scheduler;"),
    ]
    .concat()
}

/// Of the machine, what only computes. What it asks the system for is in `src/machine.rs`.
fn machine(copy: &Path) -> String {
    let modules = ["cpu_set", "topology", "pinned"].map(|file| {
        let path = copy.join("machine").join(format!("{file}.rs"));
        format!("    #[path = {path:?}]\n    pub(crate) mod {file};\n")
    });
    format!(
        "#[allow(warnings)]\nmod machine_source {{\n{}    pub(crate) use crate::machine::affinity;\n    pub(crate) use cpu_set::CpuSet;\n    pub(crate) use topology::Topology;\n}}\n",
        modules.concat()
    )
}

fn each_file(path: &Path, f: &mut impl FnMut(&Path)) {
    if path.is_file() {
        if path.extension().is_some_and(|end| end == "rs") {
            f(path);
        }
        return;
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for entry in entries {
        each_file(&entry.expect("it can be read").path(), f);
    }
}

fn replace_once(file: &str, text: &str, old: &str, new: &str) -> String {
    let found = text.matches(old).count();
    assert_eq!(
        found, 1,
        "{file} has this {found} times and not once:\n{old}"
    );
    text.replacen(old, new, 1)
}

struct Twin {
    file: String,
    old: String,
    new: String,
}

/// `@ FILE`, `<<<<`, the text, `====`, what stands in its place, `>>>>`; lines between are comments.
fn parse_twins(text: &str) -> Vec<Twin> {
    let mut twins = Vec::new();
    let mut file = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("@ ") {
            name.clone_into(&mut file);
        } else if line == "<<<<" {
            let mut take = |end: &str| {
                let part: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
                part.join("\n")
            };
            twins.push(Twin {
                file: file.clone(),
                old: take("===="),
                new: take(">>>>"),
            });
        }
    }
    twins
}

/// Points 1 and 3.
fn translate(name: &str, text: &str) -> String {
    if PLAIN.contains(&name) {
        return text.replace("crate::sync::", "crate::plain_sync::");
    }
    if name == "sync.rs" || name.starts_with("sync/") {
        return text.to_owned();
    }
    let text = text
        .replace("Box::leak(", "crate::sync::leak(")
        .replace("[const {", "crate::sync::array![{");
    let mut out = String::new();
    let mut in_locals: Option<usize> = None;
    let mut in_static = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim_start();
        if trimmed == "std::thread_local! {" {
            in_locals = Some(indent);
            out += &line.replace("std::thread_local!", "crate::sync::thread_locals!");
        } else if let Some(begin) = in_locals {
            if trimmed == "}" && indent == begin {
                in_locals = None;
            }
            out += &line.replace("= const {", "= {");
        } else if is_modelled_static(trimmed) && !trimmed.contains("std::sync::") {
            in_static = !line.ends_with(';');
            out += "crate::sync::lazy_static! { ";
            out += &trimmed.replacen("static ", "static ref ", 1);
            if !in_static {
                out += " }";
            }
        } else {
            out += line;
            if in_static && line.ends_with(';') {
                in_static = false;
                out += " }";
            }
        }
        out.push('\n');
    }
    out
}

/// Whether a static holds what a checker has to know of.
fn is_modelled_static(line: &str) -> bool {
    let declares = ["static ", "pub(crate) static ", "pub(super) static "]
        .iter()
        .any(|begin| line.starts_with(begin));
    let modelled = ["Atomic", "Mutex", "Condvar"];
    declares && modelled.iter().any(|name| line.contains(name))
}
