//! `reliability soak [--runtime NAME] [--seconds N] [--seed N] [--stops | --simulated]`: the row `soak` for as long as you like, with its summaries as they
//! come.
//!
//! With `--stops` the process is stopped for 10 to 500 ms at random times, about a third of the time in all: what was measured
//! against the clock before is old when it goes on, timers are late, sockets are full.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child as Process, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use crate::child::{self, Child};
use crate::report::Measured;
use crate::rows::{self, NEVER, RUNTIMES};

struct Asked {
    place: usize,
    seconds: u64,
    seed: u64,
    stops: bool,
    simulated: bool,
}

fn asked(args: &[String]) -> Result<Asked, String> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut asked = Asked {
        place: 0,
        seconds: 60,
        seed: time.map_or(0, |time| time.as_millis() as u64 % 1_000_000),
        stops: false,
        simulated: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        let number = |text: &String| text.parse().map_err(|_| format!("{text} is no number"));
        match arg.as_str() {
            "--runtime" => {
                let name = value()?;
                let known = RUNTIMES.iter().position(|known| known == name);
                asked.place = known.ok_or(format!("no runtime {name}"))?;
            }
            "--seconds" => asked.seconds = number(value()?)?,
            "--seed" => asked.seed = number(value()?)?,
            "--stops" => asked.stops = true,
            "--simulated" => asked.simulated = true,
            other => return Err(format!("what is {other}?")),
        }
    }
    match asked {
        Asked { seconds: 0, .. } => Err("a soak of 0 seconds finds nothing".to_owned()),
        Asked {
            simulated: true,
            stops: true,
            ..
        } => Err("a simulation is not stopped: --simulated or --stops".to_owned()),
        Asked {
            simulated: true,
            place: 1..,
            ..
        } => Err(format!("only {} is simulated", RUNTIMES[0])),
        asked => Ok(asked),
    }
}

pub(crate) fn soak(args: &[String]) -> ExitCode {
    let asked = match asked(args) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!(
                "{error}\nusage: reliability soak [--runtime NAME] [--seconds N] [--seed N] [--stops | --simulated]"
            );
            return ExitCode::from(2);
        }
    };
    if asked.simulated {
        return simulated(asked.seconds, asked.seed);
    }
    let row = rows::find("soak").expect("the row");
    let runtime = RUNTIMES[asked.place];
    let (seconds, seed) = (asked.seconds.to_string(), asked.seed.to_string());
    println!("soak: {runtime}, {seconds} s, seed {seed}");
    let child = Child {
        row: row.name,
        runtime,
    };
    let mut command = child.command(&[], &[&seconds, &seed]);
    let process = command
        .stderr(Stdio::inherit())
        .spawn()
        .expect("own program");
    let storm = asked.stops.then(|| Storm::start(&process, asked.seed));
    let ended = child::end(process, Duration::from_secs(asked.seconds * 2 + 180));
    let stops = storm.map(Storm::stop);
    let figures = match ended.succeeded() {
        true => ended.figures,
        false => vec![NEVER; row.figures.len()],
    };
    if let Some(stops) = stops {
        println!("stopped {stops} times");
    }
    // As if it were ours: each is judged by the same limits here.
    let mut all = [const { Vec::new() }; RUNTIMES.len()];
    all[0] = figures;
    let measured = Measured { row, figures: all };
    print!("{}", measured.text());
    if measured.missed() == 0 {
        return ExitCode::SUCCESS;
    }
    let stops = if asked.stops { " --stops" } else { "" };
    println!("FAILED: again with ci/soak.sh --runtime {runtime}{stops} {seconds} {seed}");
    ExitCode::FAILURE
}

#[cfg(feature = "sim")]
fn simulated(seconds: u64, seed: u64) -> ExitCode {
    println!("soak: gosched in simulations, {seconds} s, from seed {seed}");
    match super::simulated::soak(seconds, seed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[cfg(not(feature = "sim"))]
fn simulated(_: u64, _: u64) -> ExitCode {
    eprintln!("simulations need the feature sim");
    ExitCode::from(2)
}

/// Stops and continues a process.
struct Storm {
    ending: Arc<AtomicBool>,
    thread: thread::JoinHandle<u64>,
}

impl Storm {
    fn start(process: &Process, seed: u64) -> Storm {
        let (ending, named) = (Arc::new(AtomicBool::new(false)), Named::new(process));
        let own = Arc::clone(&ending);
        let thread = thread::spawn(move || {
            let mut rng = Rng::with_seed(seed);
            let mut stops = 0;
            while !own.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(rng.u64(50..1000)));
                named.signal(libc::SIGSTOP);
                thread::sleep(Duration::from_millis(rng.u64(10..500)));
                named.signal(libc::SIGCONT);
                stops += 1;
            }
            stops
        });
        Storm { ending, thread }
    }

    fn stop(self) -> u64 {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(0)
    }
}

/// A process by a descriptor: its number may be another's as soon as it has been waited for.
struct Named(OwnedFd);

impl Named {
    fn new(process: &Process) -> Named {
        // SAFETY: a plain system call. The process has not been waited for: its number is its own.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process.id(), 0) };
        assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
        // SAFETY: a new descriptor that nobody else has.
        Named(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }

    /// Nothing happens if it has ended.
    fn signal(&self, signal: libc::c_int) {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a plain system call; no information goes with the signal.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                none,
                0,
            )
        };
    }
}
