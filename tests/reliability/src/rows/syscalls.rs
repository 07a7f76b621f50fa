//! System calls that fail, are interrupted, or take long: one of them at a time, under a mixed workload.
//!
//! Only what the manual of the call allows is injected. Left out, as no kernel answers so and no program could stand it: "try
//! again" from a socket that is ready, which a poller in edge mode would never be told again; an interrupted FUTEX_WAKE,
//! which wakes nobody; an interrupted write to an eventfd that does not block. That futex *waits* are interrupted is tried
//! by real signals, to every thread a thousand times a second.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{self, Child, Ended};
use crate::rows::{Figure, NONE, Row, scenario};
use crate::runtimes::Runtime;
use crate::tools::{allows, quick};
use crate::workload::{self, Fate, Size, Sums};

pub(super) const ROW: Row = Row {
    name: "syscalls",
    what: "timers, echo over TCP, channels, blocking polls and jobs while one system call fails, is interrupted, or delayed by 200 us, by strace; \
           and under signals to all threads",
    figures: &[
        Figure {
            name: "cases",
            unit: "",
            at_most: None,
        },
        Figure {
            name: "hangs",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "crashes",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "wrong results",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "calls that panic",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "failures though nothing failed but was interrupted or delayed",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "CPU with nothing to do afterwards, worst case",
            unit: "%",
            at_most: Some(RESTING),
        },
    ],
    scenario: scenario!(run),
    measure,
};

/// A thread that goes round and round takes all of a CPU, or half of one where each of its calls stops for strace.
const RESTING: f64 = 5.0;

const SIZE: Size = Size {
    pairs: 10,
    timers: 20,
    blockers: 2,
    jobs: 4,
    echoes: 8,
    waves: 5,
};

struct Case {
    calls: &'static str,
    fault: &'static str,
    /// Nobody may notice.
    harmless: bool,
    /// Part of the short form.
    quick: bool,
}

const fn case(calls: &'static str, fault: &'static str) -> Case {
    Case {
        calls,
        fault,
        harmless: false,
        quick: false,
    }
}

impl Case {
    const fn harmless(mut self) -> Case {
        self.harmless = true;
        self
    }

    const fn quick(mut self) -> Case {
        self.quick = true;
        self
    }
}

/// The names of one call on all machines; a `?` before those that not all have.
const EPOLL_WAIT: &str = "?epoll_wait,?epoll_pwait,?epoll_pwait2";
const EPOLL_CREATE: &str = "?epoll_create,epoll_create1";

/// Counts are per thread.
static CASES: &[Case] = &[
    // At the start: an error, or a runtime that does without.
    case(EPOLL_CREATE, "error=EMFILE").quick(),
    case("eventfd2", "error=EMFILE"),
    case("timerfd_create", "error=EMFILE"),
    case("epoll_ctl", "error=ENOMEM:when=1+"),
    case("epoll_ctl", "error=ENOMEM:when=2"),
    case("epoll_ctl", "error=ENOMEM:when=3"),
    // A socket that cannot be registered.
    case("epoll_ctl", "error=ENOMEM:when=5+5").quick(),
    case("epoll_ctl", "error=ENOMEM:when=6+3"),
    case("epoll_ctl", "error=ENOSPC:when=4+4"),
    case("epoll_ctl", "error=ENOSPC:when=4+"),
    // The wait.
    case(EPOLL_WAIT, "error=EINTR:when=2+3").harmless().quick(),
    case(EPOLL_WAIT, "error=EINTR:when=1+2").harmless(),
    // For good, as when the descriptor is gone.
    case(EPOLL_WAIT, "error=EBADF:when=20+").quick(),
    case(EPOLL_WAIT, "error=EBADF:when=1+"),
    case(EPOLL_WAIT, "delay_enter=200").harmless(),
    case(EPOLL_WAIT, "delay_exit=200").harmless().quick(),
    // The threads.
    case("futex", "delay_enter=200:when=1+3").harmless().quick(),
    case("futex", "delay_exit=200:when=1+3").harmless(),
    case("futex", "delay_exit=5000:when=5+20").harmless(),
    case("write", "delay_enter=1000:when=1+3").harmless(),
    // Streams.
    case("recvfrom,?recvmsg", "error=EINTR:when=3+3")
        .harmless()
        .quick(),
    case("sendto,?sendmsg", "error=EINTR:when=3+3").harmless(),
    case("recvfrom,?recvmsg", "error=ECONNRESET:when=5+5"),
    case("sendto,?sendmsg", "error=EPIPE:when=5+5"),
    case("recvfrom,?recvmsg", "delay_exit=500:when=2+3").harmless(),
    case("sendto", "delay_enter=500:when=2+3").harmless(),
    // New connections.
    case("accept4", "error=EMFILE:when=1+2").quick(),
    case("accept4", "error=ECONNABORTED:when=2+2"),
    case("accept4", "error=EINTR:when=1+2").harmless(),
    case("accept4", "error=ENOMEM:when=2+2"),
    case("connect", "error=EINTR:when=2+3").harmless(),
    case("connect", "error=EADDRNOTAVAIL:when=2+3"),
    case("socket", "error=EMFILE:when=2+3"),
    case("close", "delay_enter=500:when=1+3").harmless(),
    // The rest.
    case("?timerfd_settime", "delay_exit=500:when=1+3").harmless(),
    case("sched_yield", "delay_enter=500").harmless(),
];

fn run<R: Runtime>(args: &[String]) -> Vec<f64> {
    let mut size = SIZE;
    if let Some(waves) = args.first() {
        size.waves = waves.parse().expect("a number");
    }
    handle_signals();
    workload::run::<R>(size, Duration::from_secs(10)).figures()
}

const LIMIT: Duration = Duration::from_secs(20);

fn measure(child: &Child) -> Vec<f64> {
    let waves = if quick() { "2" } else { "5" };
    let mut sums = Sums::default();
    sums.add(signalled(child, waves), true);
    // A thousand signals a second to each thread are not nothing.
    sums.resting = 0.0;
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "signal=none",
    ];
    if !allows(ROW.name, &strace) {
        return vec![NONE; ROW.figures.len()];
    }
    for case in CASES.iter().filter(|case| case.quick || !quick()) {
        let trace = format!("trace={}", case.calls);
        let inject = format!("inject={}:{}", case.calls, case.fault);
        let mut wrapper = strace.to_vec();
        wrapper.extend(["-e", &trace, "-e", &inject]);
        let ended = child.run(&wrapper, &[waves], LIMIT);
        let name = format!("syscalls {} {inject}", child.runtime);
        let fate = Fate::of(&ended, &name);
        if let (Fate::Ended(tally), true) = (fate, case.harmless)
            && tally.errors + tally.refused > 0
        {
            eprintln!("{name}: {tally:?}");
        }
        if let Fate::Ended(tally) = fate
            && tally.resting > RESTING
        {
            eprintln!("{name}: {tally:?}");
        }
        sums.add(fate, case.harmless);
    }
    let Sums {
        cases,
        hangs,
        crashes,
        wrong,
        panics,
        disturbed,
        resting,
        ..
    } = sums;
    let counts = [cases, hangs, crashes, wrong, panics, disturbed];
    let mut figures = counts.map(|count| count as f64).to_vec();
    figures.push(resting);
    figures
}

/// Real interruptions: each thread gets a signal each millisecond, whose handler does nothing and restarts no call.
fn signalled(child: &Child, waves: &str) -> Fate {
    let process = child.command(&[], &[waves]).spawn().expect("own program");
    let id = process.id() as libc::pid_t;
    let until = Instant::now() + LIMIT;
    let waiter = thread::spawn(move || child::end(process, LIMIT));
    let mut sent = 0usize;
    while !waiter.is_finished() && Instant::now() < until {
        let threads = fs::read_dir(format!("/proc/{id}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let name = thread.file_name();
            if let Some(thread) = name
                .to_str()
                .and_then(|name| name.parse::<libc::pid_t>().ok())
            {
                // SAFETY: a plain system call; the signal is ignored unless the handler stands.
                unsafe { libc::syscall(libc::SYS_tgkill, id, thread, libc::SIGWINCH) };
                sent += 1;
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    let ended: Ended = waiter.join().expect("it does not panic");
    let signal = ended.status.and_then(|status| status.signal());
    let name = format!("syscalls {} {sent} signals {signal:?}", child.runtime);
    Fate::of(&ended, &name)
}

/// A handler for the signal that is ignored else, so that it may come at any time.
fn handle_signals() {
    extern "C" fn handler(_: libc::c_int) {}
    // SAFETY: the handler does nothing, which is allowed at any moment; no SA_RESTART.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        assert_eq!(
            libc::sigaction(libc::SIGWINCH, &action, std::ptr::null_mut()),
            0
        );
    }
}
