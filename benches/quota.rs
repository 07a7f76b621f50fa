//! What following the CPU quota is worth: an echo server whose cgroup has 1.5 CPUs, with a processor for each whole CPU of the quota, and
//! with one for each CPU of the machine, as if there were no quota.
//!
//! Run it with `cargo bench --bench quota`, as somebody who may make cgroups (root), on a machine with 2 CPUs or more and nothing
//! else to do. Options, after `--`:
//!
//! | option | default | |
//! |---|--:|---|
//! | `--rounds` | 3 | of each, in turn |
//! | `--seconds` | 10 | of each round |
//! | `--work` | 200 | microseconds of CPU time that the server spends on a message |
//! | `--rate` | 0 | messages per second that all clients together send; 0: each sends the next one when it has the answer |
//! | `--quota` | 150 | percent of a CPU |
//!
//! The server is a process of its own in the group; 64 clients, each with its connection, are outside. With a rate a latency counts from when
//! the message should have been sent, so that a server that is stopped is charged for all that wait for it. What the clients need
//! themselves the server does not have on a machine with few CPUs, but none of it is in its quota.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use executor::Handle;
use executor::net::{TcpListener, TcpStream};
use executor::runtime::Builder;
use executor::time::sleep_until;
use futures::io::{AsyncReadExt, AsyncWriteExt};

const CONNECTIONS: u32 = 64;
const PERIOD: u64 = 100_000;
/// Not measured: what is cold warms up, and the first periods pass.
const WARM_UP: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, group, follows, work] = &args[..] {
        if role == "--server" {
            let work = Duration::from_micros(work.parse().map_err(io::Error::other)?);
            return serve(Path::new(group), follows == "true", work);
        }
    }
    if !args.iter().any(|arg| arg == "--bench") {
        // It is being tested, and needs a right that tests do not have.
        return Ok(());
    }
    let option = |name: &str, default: u64| match args.iter().position(|arg| arg == name) {
        None => Ok(default),
        Some(at) => {
            let value = args.get(at + 1).and_then(|value| value.parse().ok());
            value.ok_or_else(|| io::Error::other(format!("{name} wants a number")))
        }
    };
    let load = Load {
        time: Duration::from_secs(option("--seconds", 10)?),
        rate: option("--rate", 0)?,
    };
    let (rounds, work, quota) = (
        option("--rounds", 3)?,
        option("--work", 200)?,
        option("--quota", 150)?,
    );
    let group = match Group::create(quota * PERIOD / 100) {
        Ok(group) => group,
        Err(error) => {
            println!("not measured: {error}");
            return Ok(());
        }
    };
    println!(
        "{CONNECTIONS} connections, {work} µs of work for each message, a quota of {} CPUs",
        quota as f64 / 100.0
    );
    println!(
        "| | workers | messages/s | p50, ms | p99, ms | p99.9, ms | longest, ms | periods throttled | for, ms |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for _ in 0..rounds {
        for follows in [true, false] {
            let row = round(&group, follows, work, &load)?;
            println!(
                "| {} | {row} |",
                if follows {
                    "follows the quota"
                } else {
                    "does not"
                }
            );
        }
    }
    Ok(())
}

/// What the clients do.
#[derive(Clone)]
struct Load {
    time: Duration,
    rate: u64,
}

/// A server in the group, and its clients outside.
fn round(group: &Group, follows: bool, work: u64, load: &Load) -> io::Result<String> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--server")
        .arg(&group.0)
        .args([follows.to_string(), work.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let mut line = || {
        said.next()
            .unwrap_or_else(|| Err(io::Error::other("the server has said nothing")))
    };
    let addr: SocketAddr = line()?.parse().map_err(io::Error::other)?;
    let mut latencies = executor::block_on(clients(addr, load.clone()))?;
    // It ends with its input.
    drop(server.stdin.take());
    let told = line()?;
    server.wait()?;
    let (workers, throttled) = told.split_once(' ').unwrap_or((&told, "? ?"));
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = ((latencies.len() as f64 * share) as usize).min(latencies.len() - 1);
        format!("{:.2}", latencies[index].as_secs_f64() * 1e3)
    };
    let rate = latencies.len() as f64 / load.time.as_secs_f64();
    let throttled = throttled.replace(' ', " | ");
    Ok(format!(
        "{workers} | {rate:.0} | {} | {} | {} | {} | {throttled}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    ))
}

async fn clients(addr: SocketAddr, load: Load) -> io::Result<Vec<Duration>> {
    let begin = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|number| executor::spawn(client(addr, load.clone(), begin, number)))
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.append(&mut client.await??);
    }
    match all.is_empty() {
        true => Err(io::Error::other("no message has come back")),
        false => Ok(all),
    }
}

/// The latencies of its messages.
async fn client(
    addr: SocketAddr,
    load: Load,
    begin: Instant,
    number: u32,
) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (measured, end) = (begin + WARM_UP, begin + WARM_UP + load.time);
    let pause = match load.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(f64::from(CONNECTIONS) / rate as f64),
    };
    // They do not send at the same time.
    let mut due = begin + pause * number / CONNECTIONS;
    let (mut latencies, mut message) = (Vec::new(), [7; 64]);
    loop {
        let sent = match load.rate {
            0 => Instant::now(),
            _ => {
                sleep_until(due).await;
                due
            }
        };
        if sent >= end {
            return Ok(latencies);
        }
        due += pause;
        stream.write_all(&message).await?;
        stream.read_exact(&mut message).await?;
        if sent >= measured {
            latencies.push(sent.elapsed());
        }
    }
}

/// In a process of its own: says where it listens, and at the end how many workers it had and how often it was throttled.
fn serve(group: &Path, follows: bool, work: Duration) -> io::Result<()> {
    // A process that does not follow has as many as it would have outside.
    let outside = Builder::new().build()?.handle().worker_threads();
    fs::write(group.join("cgroup.procs"), "0")?;
    let builder = match follows {
        true => Builder::new(),
        false => Builder::new().worker_threads(outside),
    };
    let runtime = builder.build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("{}", listener.local_addr()?);
    io::stdout().flush()?;
    drop(runtime.spawn(accept(listener, work)));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let metrics = runtime.metrics();
    let count = metrics.cpu_throttled_count().unwrap_or(0);
    let millis = metrics
        .cpu_throttled_duration()
        .unwrap_or_default()
        .as_millis();
    println!("{} {count} {millis}", metrics.worker_threads());
    runtime.shutdown_background();
    Ok(())
}

async fn accept(listener: TcpListener, work: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(Handle::current().spawn(echo(stream, work)));
    }
}

async fn echo(mut stream: TcpStream, work: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut message = [0; 64];
    loop {
        stream.read_exact(&mut message).await?;
        // By the thread's own clock: to be stopped by the kernel is no work.
        let begin = thread_time();
        while thread_time() - begin < work {
            std::hint::spin_loop();
        }
        stream.write_all(&message).await?;
    }
}

/// CPU time of this thread.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A cgroup with a quota, below that of this process. It is removed when dropped.
struct Group(PathBuf);

impl Group {
    /// So many microseconds of each [`PERIOD`].
    fn create(quota: u64) -> io::Result<Group> {
        let explain = |error: io::Error| {
            io::Error::other(format!(
                "a cgroup with a CPU quota cannot be made here: {error}"
            ))
        };
        let folder = own_group()
            .map_err(explain)?
            .join(format!("executor-bench-{}", std::process::id()));
        fs::create_dir(&folder).map_err(explain)?;
        let group = Group(folder);
        let set = match group.0.join("cpu.max").exists() {
            true => fs::write(group.0.join("cpu.max"), format!("{quota} {PERIOD}")),
            false => fs::write(group.0.join("cpu.cfs_period_us"), PERIOD.to_string())
                .and_then(|()| fs::write(group.0.join("cpu.cfs_quota_us"), quota.to_string())),
        };
        set.map_err(explain)?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process leaves its group a moment after its end was told.
        for _ in 0..100 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    thread::sleep(Duration::from_millis(10))
                }
                _ => break,
            }
        }
    }
}

/// Where the hierarchies are usually mounted.
fn own_group() -> io::Result<PathBuf> {
    let membership = fs::read_to_string("/proc/self/cgroup")?;
    // NUMBER:CONTROLLERS:PATH, without controllers in version 2.
    let groups = membership.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let folders = groups.filter_map(|(controllers, path)| match controllers {
        "" => Some(Path::new("/sys/fs/cgroup").join(path)),
        _ if controllers.split(',').any(|name| name == "cpu") => {
            Some(Path::new("/sys/fs/cgroup").join(controllers).join(path))
        }
        _ => None,
    });
    let has_quota = |folder: &PathBuf| {
        folder.join("cpu.cfs_quota_us").exists() || folder.join("cgroup.subtree_control").exists()
    };
    let found = folders.into_iter().find(has_quota);
    found.ok_or_else(|| io::Error::other("no hierarchy of CPU groups is where it usually is"))
}
