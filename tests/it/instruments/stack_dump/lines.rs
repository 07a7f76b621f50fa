//! Each way to wait, and the lines that its stacks have.

use std::future::{Future, pending, poll_fn};
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Poll, Waker};

use async_channel::Receiver;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{AsyncReadExt, join, select_biased, stream};

use super::{LONG, are_lines_known, assert_nothing_inner, dump_all, lines_in, of, until_they_wait};
use crate::common::{processors, within_patience};
use executor::net::{TcpListener, TcpStream, UdpSocket};
use executor::runtime::Frame;
use executor::task::{Id, JoinSet};
use executor::time::{interval, sleep, timeout};
use executor::{JoinHandle, Runtime, spawn};

/// A way to wait, and the lines of its stacks in this file, the innermost first.
struct Way {
    what: &'static str,
    task: Id,
    stacks: Vec<Vec<u32>>,
}

struct Ways<'a> {
    runtime: &'a Runtime,
    all: Vec<Way>,
    handles: Vec<JoinHandle<()>>,
}

impl Ways<'_> {
    fn add<const N: usize>(
        &mut self,
        what: &'static str,
        stacks: [&[u32]; N],
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.runtime.spawn(future);
        self.all.push(Way {
            what,
            task: handle.id(),
            stacks: stacks.map(<[u32]>::to_vec).to_vec(),
        });
        self.handles.push(handle);
    }
}

const RECEIVES: u32 = line!() + 2;
async fn receives(channel: Receiver<()>) {
    let _ = channel.recv().await;
}

const INNER: u32 = line!() + 2;
async fn inner(channel: &Receiver<()>) {
    let _ = channel.recv().await;
}
const MIDDLE: u32 = line!() + 2;
async fn middle(channel: &Receiver<()>) {
    inner(channel).await;
}
const OUTER: u32 = line!() + 2;
async fn outer(channel: Receiver<()>) {
    middle(&channel).await;
}

const SLEEPS: u32 = line!() + 2;
async fn sleeps() {
    sleep(LONG).await;
}

const TIMES_OUT: u32 = line!() + 2;
async fn times_out(channel: Receiver<()>) {
    let _ = timeout(LONG, receives(channel)).await;
}

const TICKS: u32 = line!() + 4;
async fn ticks() {
    let mut interval = interval(LONG);
    interval.tick().await;
    interval.tick().await;
}

const ACCEPTS: u32 = line!() + 2;
async fn accepts(listener: TcpListener) {
    let _ = listener.accept().await;
}

const READS: u32 = line!() + 3;
async fn reads(mut stream: TcpStream) {
    let mut byte = [0];
    let _ = stream.read(&mut byte).await;
}

const RECEIVES_FROM: u32 = line!() + 3;
async fn receives_from(socket: UdpSocket) {
    let mut byte = [0];
    let _ = socket.recv_from(&mut byte).await;
}

const JOINS: u32 = line!() + 2;
async fn joins(task: JoinHandle<()>) {
    let _ = task.await;
}

const CHILD_OF_SET: u32 = line!() + 4;
async fn joins_next() {
    let mut set = JoinSet::new();
    set.spawn(pending::<()>());
    set.join_next().await;
}

const SELECTS: u32 = line!() + 4;
async fn selects(channel: Receiver<()>) {
    let (one, other) = (pin!(receives(channel.clone())), pin!(outer(channel)));
    let both = futures::future::select(one, other);
    both.await;
}

const SELECTS_BY_MACRO: u32 = line!() + 5;
async fn selects_by_macro(channel: Receiver<()>) {
    use futures::FutureExt;
    let mut one = pin!(receives(channel.clone()).fuse());
    let mut other = pin!(sleeps().fuse());
    select_biased! {
        () = one => {}
        () = other => {}
    }
}

const JOINS_BOTH: u32 = line!() + 2;
async fn joins_both(channel: Receiver<()>) {
    join!(receives(channel.clone()), sleeps());
}

/// Its children have wakers of their own, and it polls none that was not woken.
const GATHERS: u32 = line!() + 3;
async fn gathers(channel: Receiver<()>) {
    let mut all: FuturesUnordered<_> = (0..3).map(|_| receives(channel.clone())).collect();
    all.next().await;
}

const NEXT: u32 = line!() + 3;
async fn next(channel: Receiver<()>) {
    let mut channel = pin!(channel);
    channel.next().await;
}

const FOLDS: u32 = line!() + 4;
const FOLDED: u32 = line!() + 2;
async fn folds(channel: Receiver<()>) {
    let wait = |(), ()| async { receives(channel.clone()).await };
    stream::iter([()]).fold((), wait).await;
}

const POLLS: u32 = line!() + 9;
const CLONES: u32 = line!() + 5;
async fn polls() {
    // Keeps its waker: what nobody keeps nobody has cloned.
    let mut kept: Option<Waker> = None;
    let waits = poll_fn(|cx| {
        kept = Some(cx.waker().clone());
        Poll::<()>::Pending
    });
    waits.await;
}

const BOXED: u32 = line!() + 3;
async fn boxed(channel: Receiver<()>) {
    let boxed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(receives(channel));
    boxed.await;
}

const LARGE: u32 = line!() + 3;
async fn large(channel: Receiver<()>) {
    let bytes = [7_u8; 5000];
    receives(channel).await;
    assert_eq!(std::hint::black_box(&bytes)[4999], 7);
}

const RECURSES: u32 = line!() + 4;
fn recurses(depth: u32, channel: Receiver<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        match depth {
            0 => receives(channel).await,
            _ => recurses(depth - 1, channel).await,
        }
    })
}

#[test]
pub(super) fn each_way_to_wait_shows_the_lines_of_its_awaits() {
    within_patience(|| {
        let runtime = processors(2);
        let (_open, channel) = async_channel::bounded::<()>(1);
        let mut ways = Ways {
            runtime: &runtime,
            all: Vec::new(),
            handles: Vec::new(),
        };
        ways.add("a channel", [&[RECEIVES]], receives(channel.clone()));
        ways.add("three", [&[INNER, MIDDLE, OUTER]], outer(channel.clone()));
        ways.add("sleep", [&[SLEEPS]], sleeps());
        let both: [&[u32]; 2] = [&[RECEIVES, TIMES_OUT], &[TIMES_OUT]];
        ways.add("timeout", both, times_out(channel.clone()));
        ways.add("interval", [&[TICKS]], ticks());

        let any = (Ipv4Addr::LOCALHOST, 0);
        let (listener, stream, socket, _client) = runtime.block_on(async {
            let listener = TcpListener::bind(any).await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await;
            let (stream, _) = listener.accept().await.unwrap();
            let socket = UdpSocket::bind(any).await.unwrap();
            (listener, stream, socket, client.unwrap())
        });
        ways.add("accept", [&[ACCEPTS]], accepts(listener));
        ways.add("read", [&[READS]], reads(stream));
        ways.add("recv_from", [&[RECEIVES_FROM]], receives_from(socket));

        let (end, job) = mpsc::channel::<()>();
        let job = runtime.spawn_blocking(move || job.recv().unwrap());
        ways.add("a task", [&[JOINS]], joins(runtime.spawn(pending())));
        ways.add("a job", [&[JOINS]], joins(job));
        ways.add("a set", [&[CHILD_OF_SET]], joins_next());

        let first: &[u32] = &[RECEIVES, SELECTS];
        let other: &[u32] = &[INNER, MIDDLE, OUTER, SELECTS];
        ways.add("select", [first, other], selects(channel.clone()));
        let first: &[u32] = &[RECEIVES, SELECTS_BY_MACRO];
        let both = [first, &[SLEEPS, SELECTS_BY_MACRO]];
        ways.add("select!", both, selects_by_macro(channel.clone()));
        let both: [&[u32]; 2] = [&[RECEIVES, JOINS_BOTH], &[SLEEPS, JOINS_BOTH]];
        ways.add("join!", both, joins_both(channel.clone()));
        ways.add("unordered", [&[GATHERS]], gathers(channel.clone()));
        ways.add("a stream", [&[NEXT]], next(channel.clone()));
        let fold: &[u32] = &[RECEIVES, FOLDED, FOLDS];
        ways.add("fold", [fold], folds(channel.clone()));
        ways.add("poll_fn", [&[CLONES, POLLS]], polls());
        ways.add("a box", [&[RECEIVES, BOXED]], boxed(channel.clone()));
        ways.add("large", [&[RECEIVES, LARGE]], large(channel.clone()));
        let mut deep = vec![RECEIVES, RECURSES];
        deep.extend([RECURSES + 1; 10]);
        ways.add("recursion", [&deep[..]], recurses(10, channel.clone()));

        let tasks: Vec<Id> = ways.all.iter().map(|way| way.task).collect();
        until_they_wait(runtime.handle(), &tasks);
        for again in 0..3 {
            let dump = dump_all(runtime.handle());
            for way in &ways.all {
                let info = of(&dump, way.task);
                let stacks = info.stacks();
                let future = info.future().expect("it was polled");
                assert!(!future.contains("executor::tasks"), "{future}");
                let what = format!("{} ({again}): {stacks:#?}", way.what);
                if are_lines_known(&dump) {
                    let lines: Vec<_> = (stacks.iter())
                        .map(|stack| lines_in(stack, file!()))
                        .collect();
                    assert_eq!(lines, way.stacks, "{what}");
                } else {
                    let mine = |frame: &Frame| {
                        let name = frame.name().unwrap_or_default();
                        name.starts_with(module_path!())
                    };
                    let depths = stacks
                        .iter()
                        .map(|stack| stack.frames().filter(mine).count());
                    assert!(depths.eq(way.stacks.iter().map(Vec::len)), "{what}");
                }
                stacks.iter().for_each(assert_nothing_inner);
                assert!(!info.has_no_waker(), "{}", way.what);
            }
        }
        end.send(()).unwrap();
    });
}

#[test]
pub(super) fn the_leaf_of_the_executor_is_shown_and_a_library_is_by_name() {
    within_patience(|| {
        let runtime = processors(1);
        let (_open, channel) = async_channel::bounded::<()>(1);
        let sleep = runtime.spawn(sleeps());
        let receive = runtime.spawn(receives(channel));
        let job = runtime.spawn(async {
            let _ = spawn(pending::<()>()).await;
        });
        let bare = runtime.spawn(executor::time::sleep(LONG));
        let tasks = [sleep.id(), receive.id(), job.id(), bare.id()];
        until_they_wait(runtime.handle(), &tasks);
        let dump = dump_all(runtime.handle());
        let text = |task| {
            let stack = of(&dump, task).stacks()[0].to_string();
            stack.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let sleep = text(sleep.id());
        let mine = match are_lines_known(&dump) {
            // Line tables know an async function by its lines alone.
            true => format!("async fn at {}:{SLEEPS}", file!()),
            false => format!("{}::sleeps", module_path!()),
        };
        // A function that was inlined has lost the name of its type.
        let is_sleep = |leaf: &str| {
            ["executor::time::sleep::Sleep::poll", "src/time/sleep.rs"]
                .iter()
                .any(|it| leaf.contains(it))
        };
        assert!(
            matches!(&sleep[..], [leaf, awaits] if is_sleep(leaf) && *awaits == mine),
            "{sleep:#?}"
        );
        assert_eq!(text(bare.id()), sleep[..1], "a task that is the leaf");
        let receive = text(receive.id());
        let receive: Vec<_> = receive.iter().map(|line| line.replace('-', "_")).collect();
        assert!(receive[0].contains("event_listener"), "{receive:#?}");
        assert!(receive.iter().any(|line| line.contains("async_channel")));
        let joins = text(job.id());
        let leaf = ["JoinHandle", "src/tasks/join.rs"]
            .iter()
            .any(|it| joins[0].contains(it));
        assert!(leaf && joins.len() == 2, "{joins:#?}");
    });
}

/// More places than are kept of one task: the others are counted.
#[test]
fn a_task_that_waits_in_a_thousand_places_shows_some_and_counts_the_others() {
    within_patience(|| {
        let runtime = processors(1);
        let (_open, channel) = async_channel::bounded::<()>(1);
        let task = runtime.spawn(async move {
            let all = (0..1000).map(|_| Box::pin(receives(channel.clone())));
            let mut all: Vec<_> = all.collect();
            poll_fn(|cx| {
                for each in &mut all {
                    assert!(each.as_mut().poll(cx).is_pending());
                }
                Poll::<()>::Pending
            })
            .await;
        });
        until_they_wait(runtime.handle(), &[task.id()]);
        let dump = dump_all(runtime.handle());
        let stacks = of(&dump, task.id()).stacks();
        assert_eq!(stacks.len(), 32);
        assert!(stacks.iter().all(|stack| stack == &stacks[0]));
    });
}

/// A leaf that is deeper in a stack than are frames kept.
#[test]
fn a_stack_that_is_too_deep_shows_its_inner_end() {
    within_patience(|| {
        let runtime = processors(1);
        let (_open, channel) = async_channel::bounded::<()>(1);
        let task = runtime.spawn(recurses(200, channel));
        until_they_wait(runtime.handle(), &[task.id()]);
        let dump = dump_all(runtime.handle());
        let stack = &of(&dump, task.id()).stacks()[0];
        assert!(stack.frames().count() > 20, "{stack}");
        if !are_lines_known(&dump) {
            return;
        }
        let lines = lines_in(stack, file!());
        assert_eq!(lines[..3], [RECEIVES, RECURSES, RECURSES + 1]);
        assert!(lines[3..].iter().all(|&line| line == RECURSES + 1));
    });
}
