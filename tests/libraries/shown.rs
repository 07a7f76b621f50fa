//! Whether a dump shows where a task waits; for the tests called `stacks.rs` of each workspace.

use std::time::{Duration, Instant};

use executor::Handle;
use executor::runtime::{Frame, TaskInfo, TaskStack};

const PATIENCE: Duration = Duration::from_secs(30);

fn is_of_the_test(frame: &Frame) -> bool {
    frame
        .file()
        .is_some_and(|file| file.ends_with("tests/stacks.rs"))
}

/// The innermost first.
fn lines(stack: &TaskStack) -> Vec<u32> {
    let own = stack.frames().filter(is_of_the_test);
    own.filter_map(|frame| frame.line()).collect()
}

/// Of its functions, or in one of its files.
fn names(stack: &TaskStack, library: &str) -> bool {
    let package = library.replace('_', "-");
    stack.frames().any(|frame| {
        let file = frame.file().map(|file| file.display().to_string());
        let file = file.unwrap_or_default();
        let name = frame.name().unwrap_or_default();
        name.contains(library)
            || file.contains(&format!("/{library}-"))
            || file.contains(&format!("/{package}-"))
            // The package that this repository has.
            || file.contains(&format!("/{library}/src/"))
    })
}

/// Some task's stack has these lines of the test, the innermost first, and before them the library.
#[track_caller]
pub fn assert_shown(handle: &Handle, awaits: &[u32], library: &str) {
    let begin = Instant::now();
    loop {
        let dump = handle.dump_stacks(PATIENCE);
        assert_eq!(dump.num_unreached(), 0);
        let mut stacks = dump.tasks().iter().flat_map(TaskInfo::stacks);
        if stacks.any(|stack| lines(stack) == awaits && names(stack, library)) {
            return;
        }
        if begin.elapsed() > PATIENCE {
            let stacks = dump.tasks().iter().flat_map(TaskInfo::stacks);
            let own: Vec<_> = stacks.filter(|stack| !lines(stack).is_empty()).collect();
            panic!("{library}: {awaits:?} is not in {own:#?}");
        }
        std::thread::yield_now();
    }
}
