use std::hint::black_box;
use std::time::{Duration, Instant};

use super::*;
use crate::clock;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use crate::sync::thread;

#[test]
fn a_line_of_the_kernel_ends_with_the_two_registers() {
    let place = |stack_pointer, program_counter| {
        Some(Place {
            stack_pointer,
            program_counter,
        })
    };
    let line = "202 0x55 0x89 0x2 0x0 0x0 0xffffffff 0x7f71c455ca08 0x7f71c4662829\n";
    assert_eq!(
        Place::parse(line),
        place(0x7f71_c455_ca08, 0x7f71_c466_2829)
    );
    assert_eq!(Place::parse("-1 0x70 0x80\n"), place(0x70, 0x80));
    assert_eq!(Place::parse("running\n"), None);
    assert_eq!(Place::parse(""), None);
}

/// The calling thread's number. Zero: it is hidden.
fn this_thread() -> u64 {
    let link = fs::read_link("/proc/thread-self").ok();
    let number = link.as_ref().and_then(|link| link.file_name()?.to_str());
    number.map_or(0, |number| number.parse().expect("a number"))
}

#[inline(never)]
fn sleeps_at_once(time: Duration) {
    thread::sleep(time);
    black_box(());
}

#[inline(never)]
fn begins_to_sleep(time: Duration) {
    sleeps_at_once(time);
    black_box(());
}

#[inline(never)]
fn parks_at_last(time: Duration) {
    thread::park_timeout(time);
    black_box(());
}

#[inline(never)]
fn goes_down(levels: u64, time: Duration) {
    match levels {
        0 => parks_at_last(time),
        _ => goes_down(levels - 1, time),
    }
    black_box(levels);
}

#[inline(never)]
fn begins_to_go_down(levels: u64, time: Duration) {
    goes_down(levels, time);
    black_box(());
}

/// Blocks in two ways, in turn, for times from 20 µs to 2.5 ms, until it is told to stop.
fn goes_on(stop: &AtomicBool) {
    let mut random: u64 = 1;
    while !stop.load(SeqCst) {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(11);
        let time = Duration::from_micros(20 << (random >> 33 & 7));
        match random >> 60 & 1 {
            0 => begins_to_sleep(time),
            _ => begins_to_go_down(random >> 40 & 0xf, time),
        }
    }
}

/// Of the functions above, the innermost first.
fn own_functions(stack: &TaskStack) -> Vec<String> {
    let symbols = stack.addresses().iter().flat_map(|&address| {
        let symbols = crate::stacks::symbols::at(address);
        symbols.to_vec()
    });
    let names = symbols.filter_map(|symbol| {
        // One that was inlined may have no path.
        let name = symbol.name.as_ref()?.rsplit("::").next()?;
        Some(name.to_owned())
    });
    let own = [
        "sleeps_at_once",
        "begins_to_sleep",
        "parks_at_last",
        "goes_down",
        "begins_to_go_down",
        "goes_on",
    ];
    names.filter(|name| own.contains(&&**name)).collect()
}

fn is_whole(functions: &[String]) -> bool {
    let functions: Vec<&str> = functions.iter().map(|name| &**name).collect();
    match functions[..] {
        ["sleeps_at_once", "begins_to_sleep", "goes_on"] => true,
        [
            "parks_at_last",
            ref between @ ..,
            "begins_to_go_down",
            "goes_on",
        ] => (1..=16).contains(&between.len()) && between.iter().all(|name| *name == "goes_down"),
        _ => false,
    }
}

#[test]
fn a_thread_that_goes_on_meanwhile_gives_no_stack_that_never_was() {
    const THREADS: usize = 3;
    const TIME: Duration = Duration::from_secs(2);
    let stop = AtomicBool::new(false);
    let numbers = [const { AtomicU64::new(0) }; THREADS];
    let (mut given, mut asked) = (0, 0);
    thread::scope(|scope| {
        for number in &numbers {
            let stop = &stop;
            scope.spawn(move || {
                number.store(this_thread(), SeqCst);
                goes_on(stop);
            });
        }
        let begin: Instant = clock::now();
        let mut wrong = None;
        while clock::elapsed(begin) < TIME && wrong.is_none() {
            let mut stacks = BlockedStacks::default();
            for number in numbers.iter().map(|number| number.load(SeqCst)) {
                asked += 1;
                if let Some(stack) = stacks.read(number) {
                    let functions = own_functions(&stack);
                    // Before its first call it waits for other things.
                    if functions.is_empty() {
                        continue;
                    }
                    given += 1;
                    wrong = (!is_whole(&functions)).then_some(functions);
                }
            }
        }
        stop.store(true, SeqCst);
        assert_eq!(wrong, None, "after {given} others");
    });
    let is_told =
        fs::read_to_string("/proc/thread-self/syscall").is_ok_and(|line| !line.is_empty());
    assert!(given > 0 || !is_told, "none of {asked}");
}
