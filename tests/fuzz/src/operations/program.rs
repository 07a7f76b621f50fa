//! Programs: one byte an operation, its low five bits what to do, its high three a slot or a variant.
//!
//! Who waits, waits for something that comes without it. Handles are awaited in one direction only, those of older records by
//! nobody; gates open in the end, and the channel closes. What runs on the driver's thread waits for nothing.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use executor::task::{self, JoinSet};
use executor::time::{Sleep, sleep, sleep_until, timeout};

use super::helper::{self, Errand};
use super::record::{self, Marker, Output, Place, Probe, Program, Record};
use super::world::{Joined, SLOTS, World};
use super::{check, discard};

/// Where a program runs.
#[derive(Clone)]
pub(super) struct Frame {
    /// Of the `block_on` of this thread: local tasks are possible.
    over: Option<Arc<AtomicBool>>,
    /// May not wait.
    hurries: bool,
    /// May not block its thread, nor may a `block_on` within it.
    thread_hurries: bool,
}

impl Frame {
    pub(super) fn driver() -> Frame {
        Frame {
            over: None,
            hurries: true,
            thread_hurries: true,
        }
    }

    fn task() -> Frame {
        Frame {
            over: None,
            hurries: false,
            thread_hurries: false,
        }
    }
}

/// Says that a `block_on` ends.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

pub(super) fn probe(world: &Arc<World>, record: &Arc<Record>, frame: Frame, code: &[u8]) -> Probe {
    Probe::new(
        world,
        record,
        run(world.clone(), record.clone(), frame, code.to_vec()),
    )
}

/// Runs a program on this thread, whatever that is.
pub(super) fn block_on(world: &Arc<World>, code: &[u8], hurries: bool) {
    let over = Arc::new(AtomicBool::new(false));
    let record = world.record(Place::Inline, Some(over.clone()));
    let frame = Frame {
        over: Some(over.clone()),
        hurries,
        thread_hurries: hurries,
    };
    let probe = probe(world, &record, frame, code);
    let body = || {
        let over = Over(over);
        world.handle.block_on(async move {
            let _over = over;
            probe.await
        })
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(output) => record::settle(world, &record, Ok(output)),
        Err(payload) => {
            let number = payload.downcast_ref::<Marker>().map(|marker| marker.0);
            check(
                number == Some(record.number),
                "block_on threw another's panic",
                world,
            );
        }
    }
}

fn run(world: Arc<World>, record: Arc<Record>, frame: Frame, code: Vec<u8>) -> Program {
    Box::pin(async move {
        let mut step = Step {
            world: &world,
            record: &record,
            frame: &frame,
            code: &code,
        };
        while let Some((&op, rest)) = step.code.split_first() {
            step.code = rest;
            let slot = usize::from(op >> 5);
            match op & 0x1f {
                op @ 0..=5 => step.spawn(op, slot),
                op @ 6..=8 => step.gate(op, slot).await,
                op @ 9..=13 => step.waker(op, slot).await,
                14 => step.wake_self(slot + 1).await,
                15 => task::yield_now().await,
                16 => step.poll_handle(slot).await,
                17 => step.await_handle(slot).await,
                op @ 18..=20 => step.abort(op, slot),
                op @ 21..=22 => step.drop_handle(op, slot),
                23 => step.sleep_in_place(slot).await,
                24 => step.sleep_in_slot(slot).await,
                25 => step.channel(slot).await,
                26 => step.set(slot).await,
                27 => step.block(slot),
                28 => step.throw(slot),
                29 => break,
                30 => step.use_budget(slot).await,
                _ => step.shut_down(slot),
            }
        }
        world.make_output(&record)
    })
}

/// A program at one of its operations.
struct Step<'a> {
    world: &'a Arc<World>,
    record: &'a Arc<Record>,
    frame: &'a Frame,
    /// What is left of it.
    code: &'a [u8],
}

/// The waker of the task this runs in.
async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// The result of one poll.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

impl Step<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.code.split_first() else {
            return 0;
        };
        self.code = rest;
        byte
    }

    /// A piece of this program, for a child.
    fn child(&mut self) -> Vec<u8> {
        let most = usize::from(self.byte() & 0x0f).min(self.code.len());
        let (child, rest) = self.code.split_at(most);
        self.code = rest;
        child.to_vec()
    }

    fn spawn(&mut self, op: u8, slot: usize) {
        let code = self.child();
        let world = self.world;
        if world.is_full() {
            return;
        }
        let handle = match (op, &self.frame.over) {
            (0..=2, Some(over)) if op == 2 || world.is_local => {
                let record = world.record(Place::Local, Some(over.clone()));
                let frame = Frame {
                    hurries: false,
                    ..self.frame.clone()
                };
                (
                    record.clone(),
                    executor::spawn_local(probe(world, &record, frame, &code)),
                )
            }
            _ if world.is_local => return,
            (5, _) => return self.spawn_member(slot % 2, &code),
            (4, _) => self.spawn_job(&code),
            _ => {
                let record = world.record(Place::Task, None);
                let future = probe(world, &record, Frame::task(), &code);
                let handle = if op == 3 {
                    let _entered = world.handle.enter();
                    let name = format!("task {}", record.number);
                    task::Builder::new().name(name).spawn(future)
                } else {
                    world.handle.spawn(future)
                };
                (record, handle)
            }
        };
        handle.0.spawned_as(handle.1.id());
        let displaced = world.slots().handles[slot].replace(handle);
        discard(displaced);
    }

    fn spawn_job(&mut self, code: &[u8]) -> Joined {
        let world = self.world;
        let record = world.record(Place::Job, None);
        let (inner, code) = (world.clone(), code.to_vec());
        let never = Box::pin(std::future::pending());
        let mut probe = Probe::new(world, &record, never);
        let own = record.clone();
        let job = move || {
            let run = probe.run(|_| {
                block_on(&inner, &code, false);
                if code.first().is_some_and(|op| op & 0x1f == 28) {
                    panic_any(Marker(own.number));
                }
                Poll::Ready(inner.make_output(&own))
            });
            match run {
                Poll::Ready(output) => output,
                Poll::Pending => unreachable!("a job is not polled twice"),
            }
        };
        (record, world.handle.spawn_blocking(job))
    }

    fn spawn_member(&mut self, number: usize, code: &[u8]) {
        let world = self.world;
        let mut set = world.slots().sets[number].take().unwrap_or_default();
        let record = world.record(Place::Task, None);
        record.set.store(number as u8 + 1, SeqCst);
        let _entered = world.handle.enter();
        let abort = set.spawn(probe(world, &record, Frame::task(), code));
        record.spawned_as(abort.id());
        self.put_back(number, set);
    }

    fn put_back(&self, number: usize, set: JoinSet<Output>) {
        let displaced = self.world.slots().sets[number].replace(set);
        if displaced.is_some() {
            self.world.set_is_aborted(number);
        }
        discard(displaced);
    }

    async fn gate(&mut self, op: u8, slot: usize) {
        let gate = &self.world.gates[slot];
        match op {
            6 if self.frame.hurries => {
                let _ = poll_fn(|cx| Poll::Ready(gate.poll(cx))).await;
            }
            6 => gate.wait().await,
            7 => gate.open(false),
            _ => gate.shut(),
        }
    }

    async fn waker(&mut self, op: u8, slot: usize) {
        let world = self.world;
        if op == 9 {
            let waker = own_waker().await;
            let displaced = world.slots().wakers[slot].replace(waker);
            return drop(displaced);
        }
        let Some(waker) = world.slots().wakers[slot].take() else {
            return;
        };
        match op {
            10 => waker.wake(),
            11 => {
                waker.wake_by_ref();
                let displaced = world.slots().wakers[slot].replace(waker);
                drop(displaced);
            }
            12 => {
                let copy = waker.clone();
                check(copy.will_wake(&waker), "a clone would wake another", world);
                let displaced = world.slots().wakers[slot].replace(copy);
                drop((displaced, waker));
            }
            _ => {
                let errand = match self.byte() % 3 {
                    0 => Errand::Wake(waker),
                    1 => Errand::WakeTwice(waker),
                    _ => Errand::DropWaker(waker),
                };
                self.send(errand);
            }
        }
    }

    fn send(&self, errand: Errand) {
        if self.world.is_local {
            errand.run();
        } else {
            helper::send(self.world, errand);
        }
    }

    /// Pending so many times, each time woken before.
    async fn wake_self(&mut self, mut times: usize) {
        poll_fn(|cx| {
            if times == 0 {
                return Poll::Ready(());
            }
            times -= 1;
            if times % 2 == 0 {
                cx.waker().wake_by_ref();
            } else {
                let waker = cx.waker().clone();
                waker.wake();
            }
            Poll::Pending
        })
        .await;
    }

    async fn poll_handle(&mut self, slot: usize) {
        let Some((record, mut handle)) = self.world.slots().handles[slot].take() else {
            return;
        };
        match poll_once(&mut handle).await {
            Poll::Ready(result) => record::settle(self.world, &record, result),
            Poll::Pending => {
                let displaced = self.world.slots().handles[slot].replace((record, handle));
                discard(displaced);
            }
        }
    }

    async fn await_handle(&mut self, slot: usize) {
        if self.frame.hurries {
            self.poll_handle(slot).await;
            return task::yield_now().await;
        }
        let own = self.record.number;
        let taken = self.world.slots().handles[slot].take_if(|(record, _)| record.number > own);
        if let Some((record, handle)) = taken {
            let result = handle.await;
            record::settle(self.world, &record, result);
        }
    }

    fn abort(&mut self, op: u8, slot: usize) {
        let mut slots = self.world.slots();
        if op == 19 {
            let Some((record, handle)) = &slots.handles[slot] else {
                return;
            };
            let made = (record.clone(), handle.abort_handle());
            let displaced = slots.aborts[slot].replace(made);
            drop(slots);
            return drop(displaced);
        }
        if op == 18 {
            let Some((record, handle)) = slots.handles[slot].take() else {
                return;
            };
            drop(slots);
            record.abort(|| handle.abort());
            let displaced = self.world.slots().handles[slot].replace((record, handle));
            return discard(displaced);
        }
        let Some((record, abort)) = slots.aborts[slot].clone() else {
            return;
        };
        drop(slots);
        if self.byte() % 2 == 0 || self.world.is_local {
            record.abort(|| abort.abort());
        } else {
            record.aborted.store(true, SeqCst);
            self.send(Errand::Abort(abort));
        }
    }

    fn drop_handle(&mut self, op: u8, slot: usize) {
        let Some((_, handle)) = self.world.slots().handles[slot].take() else {
            return;
        };
        if op == 21 {
            discard(handle);
        } else {
            self.send(Errand::DropHandle(handle));
        }
    }

    async fn sleep_in_place(&mut self, variant: usize) {
        if variant >= 4 && !self.world.may_nap() {
            return;
        }
        let begin = Instant::now();
        let short = Duration::from_nanos(u64::from(self.byte()) * 100);
        let world = self.world;
        let never = sleep(Duration::MAX);
        match variant {
            0 => sleep(Duration::ZERO).await,
            1 => sleep_until(begin - short).await,
            2 => {
                let mut never = never;
                check(
                    poll_once(&mut never).await.is_pending(),
                    "never has ended",
                    world,
                );
                Pin::new(&mut never).reset(begin);
                never.await;
            }
            3 => {
                let late = timeout(Duration::ZERO, std::future::pending::<()>()).await;
                check(late.is_err(), "a timeout of nothing", world);
            }
            4 | 5 => {
                sleep(short).await;
                check(begin.elapsed() >= short, "a sleep ended early", world);
            }
            6 => {
                let late = timeout(short, never).await;
                let ended = late.is_err() && begin.elapsed() >= short;
                check(ended, "a timeout ended early", world);
            }
            _ => {
                let late = timeout(short, self.world.gates[variant].wait()).await;
                let in_time = late.is_ok() || begin.elapsed() >= short;
                check(in_time, "a timeout ended early", world);
            }
        }
    }

    /// A sleep that wanders from task to task.
    async fn sleep_in_slot(&mut self, slot: usize) {
        let choice = self.byte();
        let duration = match choice % 8 {
            0 => Duration::ZERO,
            1 => Duration::from_nanos(1),
            2 => Duration::from_micros(5),
            3 => Duration::from_nanos(16_384),
            4 => Duration::from_micros(30),
            5 => Duration::from_secs(3600),
            6 => Duration::from_nanos(u64::MAX),
            _ => Duration::MAX,
        };
        let found = self.world.slots().sleeps[slot].take();
        let mut kept: Sleep = match (found, choice & 0x30) {
            (None, _) => sleep(duration),
            (Some(found), 0) => return drop(found),
            (Some(mut found), 0x10) => {
                let deadline = Instant::now().checked_add(duration);
                if let Some(deadline) = deadline {
                    Pin::new(&mut found).reset(deadline);
                }
                found
            }
            (Some(found), _) => found,
        };
        let deadline = kept.deadline();
        if poll_once(&mut kept).await.is_ready() {
            check(
                Instant::now() >= deadline,
                "a sleep ended early",
                self.world,
            );
        }
        let displaced = self.world.slots().sleeps[slot].replace(kept);
        drop(displaced);
    }

    async fn channel(&mut self, variant: usize) {
        let (sender, receiver) = &self.world.channel;
        match variant {
            0..=2 if !self.frame.hurries => drop(sender.send(variant as u8).await),
            3..=5 if !self.frame.hurries => drop(receiver.recv().await),
            0..=2 | 6 => drop(sender.try_send(variant as u8)),
            _ => drop(receiver.try_recv()),
        }
    }

    async fn set(&mut self, variant: usize) {
        let number = variant % 2;
        let Some(mut set) = self.world.slots().sets[number].take() else {
            return;
        };
        match variant / 2 {
            0 => {
                while let Some(result) = set.try_join_next() {
                    self.world.settle_member(result);
                }
            }
            1 => {
                let polled = poll_fn(|cx| Poll::Ready(set.poll_join_next(cx))).await;
                if let Poll::Ready(Some(result)) = polled {
                    self.world.settle_member(result);
                }
            }
            2 => {
                self.world.set_is_aborted(number);
                set.abort_all();
            }
            _ => {
                if self.byte() % 2 == 0 {
                    set.detach_all();
                } else {
                    self.world.set_is_aborted(number);
                }
                return discard(set);
            }
        }
        self.put_back(number, set);
    }

    /// Blocks the thread, or could.
    fn block(&mut self, variant: usize) {
        if variant < 3 {
            let gate = &self.world.gates[variant];
            return executor::block_in_place(|| gate.open(false));
        }
        let code = self.child();
        if !self.world.is_full() {
            block_on(self.world, &code, self.frame.thread_hurries);
        }
    }

    fn throw(&mut self, variant: usize) {
        match variant {
            0..=3 => panic_any(Marker(self.record.number)),
            4 | 5 if self.record.place != Place::Inline => {
                self.record.drop_throws.store(true, SeqCst);
            }
            _ => self.record.output_throws.store(true, SeqCst),
        }
    }

    async fn use_budget(&mut self, variant: usize) {
        if variant < 4 {
            for _ in 0..150 {
                task::consume_budget().await;
            }
        } else {
            let times = variant - 3;
            task::unconstrained(self.wake_self(times)).await;
        }
    }

    fn shut_down(&mut self, variant: usize) {
        if variant >= 4 && self.frame.over.is_none() && self.record.place == Place::Task {
            // Inside one of its own tasks it does not wait.
            drop(self.world.take_runtime());
        } else {
            self.world.shut_down(variant % 2 == 1);
        }
    }
}

const _: () = assert!(SLOTS == 8, "three bits name a slot");
