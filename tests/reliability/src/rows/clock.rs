//! A machine that has been up for years, or for a second: time is right all the same.

use std::fs;
use std::future::pending;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::rows::{Figure, NEVER, NONE, Row, scenario};
use crate::runtimes::{Outcome, Runtime};
use crate::tools::{allows, quick};

pub(super) const ROW: Row = Row {
    name: "clock",
    what: "the clock begins near 0, 1 year, 30 years and 146 years (the most) after it: 120 sleeps of 1 to 150 ms, 40 timeouts, 4 intervals, one sleep for ever",
    figures: &[
        Figure {
            name: "clocks tried",
            unit: "",
            at_most: None,
        },
        Figure {
            name: "ended early",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "not ended after 2 s",
            unit: "",
            at_most: Some(0.0),
        },
        Figure {
            name: "late at most",
            unit: "ms",
            at_most: None,
        },
    ],
    scenario: scenario!(run),
    measure,
};

const YEAR: i64 = 365 * 86_400;
/// What the kernel allows: half of what 64 bits of nanoseconds hold.
const MOST: i64 = i64::MAX / 1_000_000_000 / 2;

fn measure(child: &Child) -> Vec<f64> {
    let uptime = fs::read_to_string("/proc/uptime").expect("procfs");
    let up: f64 = (uptime.split(' ').next())
        .and_then(|seconds| seconds.parse().ok())
        .expect("seconds");
    let up = up as i64;
    let wrapper = |offset: i64| {
        ["unshare", "-T", "--fork", "--monotonic"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                offset.to_string(),
                "--boottime".to_owned(),
                offset.to_string(),
            ])
            .collect::<Vec<String>>()
    };
    let (mut tried, mut early, mut never, mut late) = (0.0, 0.0, 0.0, 0.0f64);
    for offset in [1 - up, YEAR, 30 * YEAR, MOST - up - 10] {
        let words = wrapper(offset);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if (quick() && offset == YEAR) || !allows(ROW.name, &words) {
            continue;
        }
        let ended = child.run(&words, &[], Duration::from_secs(20));
        let (true, &[early_here, never_here, late_here]) =
            (ended.succeeded(), ended.figures.as_slice())
        else {
            eprintln!(
                "clock {} {offset}: {:?} {}",
                child.runtime, ended.status, ended.errors
            );
            return vec![tried, early, NEVER, NEVER];
        };
        tried += 1.0;
        early += early_here;
        never += never_here;
        late = late.max(late_here);
    }
    match tried {
        0.0 => vec![NONE; ROW.figures.len()],
        _ => vec![tried, early, never, late],
    }
}

/// How late, in milliseconds; negative: early.
type Late = f64;

fn run<R: Runtime>(_: &[String]) -> Vec<f64> {
    let runtime = R::start(2, 2).expect("threads and descriptors");
    let mut units: Vec<R::Task<Late>> = Vec::new();
    for number in 0..120 {
        let time = Duration::from_millis(1 + number * 7 % 150);
        units.push(runtime.spawn(late::<R, _>(time, R::sleep(time))));
    }
    for number in 0..40 {
        let time = Duration::from_millis(1 + number * 11 % 150);
        units.push(runtime.spawn(late::<R, _>(time, async move {
            R::timeout(time, pending::<()>()).await;
        })));
    }
    for period in [1, 3, 10, 50].map(Duration::from_millis) {
        units.push(runtime.spawn(ticking::<R>(period)));
    }
    let for_ever = runtime.spawn(late::<R, _>(Duration::MAX, R::sleep(Duration::MAX)));
    let until = Instant::now() + Duration::from_secs(2);
    let (mut early, mut worst) = (0.0, 0.0f64);
    while !units.is_empty() && Instant::now() < until {
        units.retain_mut(|unit| match now(unit) {
            None => true,
            Some(Outcome::Finished(late)) => {
                early += f64::from(u8::from(late < 0.0));
                worst = worst.max(late);
                false
            }
            Some(_) => {
                early += 1.0;
                false
            }
        });
        thread::sleep(Duration::from_millis(1));
    }
    let mut for_ever = for_ever;
    early += f64::from(u8::from(now(&mut for_ever).is_some()));
    let never = units.len() as f64;
    runtime.stop(Duration::from_secs(5));
    vec![early, never, worst]
}

fn now<T>(unit: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(unit).poll(&mut cx) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

async fn late<R: Runtime, F: Future<Output = ()>>(time: Duration, wait: F) -> Late {
    let begin = Instant::now();
    wait.await;
    (begin.elapsed().as_secs_f64() - time.as_secs_f64()) * 1e3
}

/// The tick that is furthest from its time; none may come before it.
async fn ticking<R: Runtime>(period: Duration) -> Late {
    let begin = Instant::now();
    let ticks = R::ticks(period, 5).await;
    let lates = ticks.iter().zip(1..).map(|(tick, number)| {
        let due = begin + period * number;
        match tick.checked_duration_since(due) {
            Some(late) => late.as_secs_f64() * 1e3,
            None => -1.0,
        }
    });
    let lates: Vec<f64> = lates.collect();
    match lates.iter().any(|late| *late < 0.0) {
        true => -1.0,
        false => lates.into_iter().fold(0.0, f64::max),
    }
}
