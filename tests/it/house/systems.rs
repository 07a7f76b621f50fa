//! What one system has and another lacks is asked for in few files, each of which is about just that. This test reads `src/` as
//! text and lists them: whoever adds one has thought about the other systems.

use super::layering::source::{Source, sources, words};

/// Files and folders that know which system they are on, tests not counted.
const KNOW: &[&str] = &[
    // Descriptors, the calls of sockets, and the waits for them.
    "sys/",
    "reactor/mod.rs",
    "reactor/poller.rs",
    "reactor/event.rs",
    // Unix sockets, and who passes them on.
    "net/mod.rs",
    "net/unix/",
    "net/sockets/mod.rs",
    "net/sockets/unix.rs",
    "net/sockets/simulated.rs",
    "net/sockets/simulated/unix.rs",
    "simulated/mod.rs",
    "compat/axum.rs",
    "compat/hyper.rs",
    "compat/tokio_io.rs",
    // Threads: what they do, where they are blocked, on which CPUs they run.
    "scheduler/monitor/probe",
    "scheduler/inspect.rs",
    "observe/deadlock",
    "observe/cpus.rs",
    "observe/timeline/stamp.rs",
    "machine/",
    "stacks/",
    // Processes: forks, exits, signals, standard error.
    "sync/",
    "observe/sigquit.rs",
    "stderr.rs",
    // WebAssembly, which may lack threads and a clock.
    "clock.rs",
    "sync.rs",
    "scheduler/lifecycle/threads.rs",
    "scheduler/monitor/mod.rs",
    "tasks/queue.rs",
    // The features, and what they need.
    "lib.rs",
    "unsupported.rs",
];

fn asks(source: &Source) -> Vec<String> {
    if KNOW.iter().any(|known| source.path.starts_with(known)) {
        return Vec::new();
    }
    let code = source.shipped();
    let names = ["target_os", "target_vendor", "target_family"];
    let mut found: Vec<usize> = (names.iter()).flat_map(|name| words(code, name)).collect();
    for name in ["unix", "windows"] {
        found.extend(words(code, name).filter(|&at| {
            let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
            code[line..at].contains("cfg")
        }));
    }
    let os = source.names_after("std").into_iter();
    let lines = os.filter_map(|(line, name)| (name == "os").then_some(line));
    let lines = lines.chain(found.into_iter().map(|at| source.line(at)));
    lines
        .map(|line| {
            format!(
                "src/{}:{line}: this file asks which system it is on; see {}",
                source.path,
                file!()
            )
        })
        .collect()
}

#[test]
fn few_files_ask_which_system_they_are_on() {
    let broken: Vec<String> = sources().iter().flat_map(asks).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Nothing is in the list that need not be.
#[test]
fn those_that_may_ask_exist() {
    let sources = sources();
    for known in KNOW {
        let exists = sources.iter().any(|source| source.path.starts_with(known));
        assert!(exists, "{known}");
    }
}

#[test]
fn the_rule_finds_its_faults() {
    let check = |path: &str, text: &str| asks(&Source::new(path, text)).join("|");
    for text in [
        "\n#[cfg(target_os = \"linux\")]\nmod a {}",
        "\nuse std::os::fd::AsFd;",
        "\n#[cfg(all(unix, test_only))]\nmod a {}",
        "\nfn f() { if cfg!(windows) {} }",
    ] {
        assert!(check("io.rs", text).contains("src/io.rs:2: "), "{text}");
        assert_eq!(check("sys/unix/mod.rs", text), "");
    }
    assert_eq!(check("io.rs", "use crate::net::unix::UnixStream;"), "");
}
