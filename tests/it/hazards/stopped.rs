//! A process that is stopped and continued at any moment: timers, sockets, jobs and wake-ups go on where they were.
//!
//! What is stopped is a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use executor::io::Async;
use executor::time::{sleep, timeout};
use executor::{Runtime, spawn_blocking};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{full_name, processors, this_program, within_patience};

const CHILD: &str = "EXECUTOR_STOPPED_CHILD";
const STOPS: u32 = 40;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each of them counts how often it has come round.
#[derive(Default)]
struct Rounds([AtomicUsize; 5]);

fn load(runtime: &Runtime, rounds: &Arc<Rounds>) {
    const TICK: Duration = Duration::from_millis(1);
    let count = |place: usize| {
        let rounds = rounds.clone();
        move || {
            rounds.0[place].fetch_add(1, SeqCst);
        }
    };
    let (ticks, echoes, jobs, pings, waits) = (count(0), count(1), count(2), count(3), count(4));
    drop(runtime.spawn(async move {
        loop {
            let begin = Instant::now();
            sleep(TICK).await;
            assert!(begin.elapsed() >= TICK, "early");
            ticks();
        }
    }));
    drop(runtime.spawn(async move {
        let (near, far) = UnixStream::pair().unwrap();
        let (near, far) = (Async::new(near).unwrap(), Async::new(far).unwrap());
        // Errors come with the end of the runtime.
        drop(executor::spawn(async move {
            loop {
                let mut buf = [0];
                let read = far.read_with(|mut socket| socket.read_exact(&mut buf));
                if read.await.is_err() {
                    return;
                }
                let _ = far.write_with(|mut socket| socket.write_all(&buf)).await;
            }
        }));
        loop {
            let _ = near.write_with(|mut socket| socket.write_all(b"x")).await;
            let read = near.read_with(|mut socket| socket.read_exact(&mut [0]));
            if read.await.is_err() {
                return;
            }
            echoes();
        }
    }));
    drop(runtime.spawn(async move {
        // The end of the runtime cancels one.
        while spawn_blocking(|| ()).await.is_ok() {
            jobs();
        }
    }));
    let (ping, pinged) = async_channel::bounded::<()>(1);
    let (pong, ponged) = async_channel::bounded::<()>(1);
    drop(
        runtime.spawn(async move {
            while pinged.recv().await.is_ok() && pong.send(()).await.is_ok() {}
        }),
    );
    drop(runtime.spawn(async move {
        while ping.send(()).await.is_ok() && ponged.recv().await.is_ok() {
            pings();
        }
    }));
    drop(runtime.spawn(async move {
        loop {
            let never = std::future::pending::<()>();
            assert!(timeout(TICK, never).await.is_err());
            waits();
        }
    }));
}

/// Answers each line with the rounds so far.
fn child() {
    let runtime = processors(2);
    let rounds = Arc::new(Rounds::default());
    load(&runtime, &rounds);
    for line in std::io::stdin().lines() {
        line.unwrap();
        let before: Vec<usize> = rounds.0.iter().map(|count| count.load(SeqCst)).collect();
        // Each of them comes round again.
        for (count, before) in rounds.0.iter().zip(&before) {
            crate::common::wait_until("another round", || count.load(SeqCst) > before + 1);
        }
        let mut out = std::io::stdout();
        writeln!(out, "alive").unwrap();
        out.flush().unwrap();
    }
    // Ends in the middle of it.
    drop(runtime);
    println!("ended");
}

#[test]
fn a_process_that_is_stopped_and_continued_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        return within_patience(child);
    }
    within_patience(|| {
        let test = "a_process_that_is_stopped_and_continued_goes_on";
        let process = this_program()
            .args([&full_name(module_path!(), test), "--exact", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Killed(process);
        let pid = Pid::from_child(&process.0);
        let mut ask = process.0.stdin.take().unwrap();
        let mut answers = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let mut await_answer = |wanted: &str| {
            let found = answers.any(|line| line.unwrap().ends_with(wanted));
            assert!(found, "not {wanted}");
        };
        for stop in 0..STOPS {
            // The stop is what is tested, at a moment that moves; it stands for no synchronisation.
            thread::sleep(Duration::from_micros(u64::from(stop * 137 % 2000)));
            kill_process(pid, Signal::STOP).unwrap();
            thread::sleep(Duration::from_millis(u64::from(1 + stop % 20)));
            kill_process(pid, Signal::CONT).unwrap();
            if stop % 4 == 0 {
                writeln!(ask, "alive?").unwrap();
                await_answer("alive");
            }
        }
        drop(ask);
        await_answer("ended");
        assert!(process.0.wait().unwrap().success());
    });
}
