//! The reactor: whoever waits for a file is woken, and by nobody else's events.
//!
//! All of `src/reactor` is the real one, with the kernel of [`crate::kernel`] below it.

use std::os::fd::AsFd;
use std::sync::Arc as PlainArc;
use std::sync::atomic::{AtomicUsize as Plain, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use super::DEADLOCK;
use crate::checker::explore;
use crate::kernel::{Pipe, forget_generations};
use crate::queues::Queue;
use crate::reactor::{Direction, Handle, Owner, Reactor, Ready, Source};
use crate::runner::Check;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::thread::{self, JoinHandle, Thread};
use crate::sync::{Arc, Hole, with_hole};

pub(super) const CHECKS: &[Check] = &[
    Check::model("notify", || notify(None)),
    Check::twin("notify/notifies-first", DEADLOCK, || {
        notify(Some(Flaw::NotifiesFirst))
    }),
    Check::twin("notify/notifier-relaxed", DEADLOCK, || {
        notify(Some(Flaw::NotifierRelaxed))
    })
    .loom_only(),
    Check::twin("notify/driver-tears", DEADLOCK, || {
        notify(Some(Flaw::DriverTears))
    })
    .loom_only(),
    Check::model("readiness", || readiness(None)),
    Check::twin("readiness/looks-late", DEADLOCK, || {
        readiness(Some(Flaw::LooksLate))
    }),
    Check::twin("readiness/clear-tears", DEADLOCK, || {
        readiness(Some(Flaw::ClearTears))
    }),
    Check::model("readiness-registering", readiness_registering),
    Check::model("two-directions", || two_directions(None)),
    Check::twin("two-directions/wakes-one", DEADLOCK, || {
        two_directions(Some(Flaw::WakesOne))
    }),
    Check::model("two-readers", || two_readers(None)),
    Check::twin("two-readers/wakes-one", DEADLOCK, || {
        two_readers(Some(Flaw::WakesOne))
    }),
    Check::model("told-once", || told_once(None)),
    Check::twin("told-once/asks-twice", DEADLOCK, || {
        told_once(Some(Flaw::AsksTwice))
    }),
    Check::model("flags", || flags(None)),
    Check::twin("flags/looks-late", DEADLOCK, || {
        flags(Some(Flaw::LooksLate))
    }),
    Check::twin("flags/clear-tears", DEADLOCK, || {
        flags(Some(Flaw::ClearTears))
    }),
    Check::model("taken-back", || taken_back(None)),
    Check::twin("taken-back/forgets-it", "a waker is left", || {
        taken_back(Some(Flaw::ForgetsIt))
    }),
    Check::model("reactor-closing", || closing(None)),
    Check::twin("reactor-closing/wakes-nobody", DEADLOCK, || {
        closing(Some(Flaw::WakesNobody))
    }),
    Check::model("slot-reuse", || slot_reuse(false)),
    Check::twin(
        "slot-reuse/no-generation",
        "an event of somebody else",
        || slot_reuse(true),
    ),
    Check::model("reactor-churn", || churn(None)).shuttle_only(),
    Check::twin("reactor-churn/clear-tears", DEADLOCK, || {
        churn(Some(Flaw::ClearTears))
    })
    .shuttle_only(),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    NotifiesFirst,
    NotifierRelaxed,
    DriverTears,
    /// It asks what was ready after its system call and not before.
    LooksLate,
    ClearTears,
    /// It is told, and asks again before it tries.
    AsksTwice,
    /// Of the wakers that are ready.
    WakesOne,
    WakesNobody,
    /// It goes without taking its waker back.
    ForgetsIt,
}

/// A waker that unparks a thread, and counts.
struct Bell {
    thread: Thread,
    rung: Plain,
}

impl Bell {
    fn of_this_thread() -> PlainArc<Bell> {
        PlainArc::new(Bell {
            thread: thread::current(),
            rung: Plain::new(0),
        })
    }

    fn rung(&self) -> usize {
        self.rung.load(SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: PlainArc<Self>) {
        self.rung.fetch_add(1, SeqCst);
        self.thread.unpark();
    }
}

/// What the threads of a model share.
struct Scene {
    reactor: Arc<Reactor>,
    flaw: Option<Flaw>,
    /// Tasks that have not ended: so long somebody sits with the driver.
    left: AtomicUsize,
}

impl Scene {
    fn new(tasks: usize, flaw: Option<Flaw>) -> Arc<Scene> {
        Arc::new(Scene {
            reactor: Reactor::new().expect("this kernel refuses nothing"),
            flaw,
            left: AtomicUsize::new(tasks),
        })
    }

    fn register(&self, pipe: &Pipe) -> Source {
        Reactor::register(&self.reactor, pipe.as_fd()).expect("this kernel refuses nothing")
    }

    fn hole(&self, of: Flaw, hole: Hole) -> Option<Hole> {
        (self.flaw == Some(of)).then_some(hole)
    }

    fn spawn(scene: &Arc<Scene>, body: impl FnOnce(&Scene) + Send + 'static) -> JoinHandle<()> {
        let scene = scene.clone();
        thread::spawn(move || body(&scene))
    }

    /// Sits with the driver until all tasks have ended.
    fn serve(&self) {
        let mut ready = Vec::new();
        while self.left.load(Ordering::Acquire) > 0 {
            let mut driver = self.reactor.try_driver().expect("nobody else has the driver");
            let _ = driver.poll(None, &mut ready);
            drop(driver);
            if self.flaw == Some(Flaw::WakesOne) {
                ready.truncate(1);
            }
            ready.drain(..).for_each(Waker::wake);
        }
    }

    /// A task of [`Scene::left`] has ended.
    fn ended(&self) {
        if self.left.fetch_sub(1, Ordering::Release) == 1 {
            self.reactor.notify().expect("this kernel refuses nothing");
        }
    }

    /// Does an operation until it would not block. False: the reactor is closed.
    fn complete(
        &self,
        source: &Source,
        direction: Direction,
        operation: impl Fn() -> bool,
    ) -> bool {
        let waker = Waker::from(Bell::of_this_thread());
        let mut context = Context::from_waker(&waker);
        let mut waiting = source.waiting(direction);
        loop {
            let seen = match waiting.poll_ready(&mut context) {
                Poll::Ready(Ok(seen)) => seen,
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => {
                    thread::park();
                    continue;
                }
            };
            if operation() {
                return true;
            }
            let seen = match self.flaw {
                Some(Flaw::LooksLate) => match waiting.poll_ready(&mut context) {
                    Poll::Ready(Ok(seen)) => seen,
                    _ => continue,
                },
                _ => seen,
            };
            with_hole(self.hole(Flaw::ClearTears, Hole::TornSwap), || {
                source.clear_ready(direction, seen);
            });
        }
    }

    fn read(&self, source: &Source, pipe: &Pipe) {
        let open = self.complete(source, Direction::Read, || pipe.read());
        assert!(open, "nobody closes it");
        self.ended();
    }
}

/// A thread that sends so many bytes and then serves. One thread for both: then what it does to the source depends on
/// nobody else, which loom's choice of interleavings needs.
fn send_and_serve(scene: &Arc<Scene>, pipe: &Arc<Pipe>, bytes: usize) -> JoinHandle<()> {
    let pipe = pipe.clone();
    Scene::spawn(scene, move |scene| {
        (0..bytes).for_each(|_| pipe.send());
        scene.serve();
    })
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a thread panicked");
    }
}

/// Two threads publish something and notify; the second may leave the system call out. Whoever waits sees both.
fn notify(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let scene = Scene::new(0, flaw);
        let queue = Arc::new(Queue::new());
        let notifiers = [0, 1].map(|number| {
            let queue = queue.clone();
            Scene::spawn(&scene, move |scene| {
                if scene.flaw == Some(Flaw::NotifiesFirst) {
                    scene.reactor.notify().expect("this kernel refuses nothing");
                    queue.push(number);
                    return;
                }
                queue.push(number);
                with_hole(scene.hole(Flaw::NotifierRelaxed, Hole::Relaxed), || {
                    scene.reactor.notify().expect("this kernel refuses nothing");
                });
            })
        });
        let mut found = 0;
        let mut driver = scene.reactor.try_driver().expect("nobody else has the driver");
        while found < 2 {
            while queue.pop().is_some() {
                found += 1;
            }
            if found < 2 {
                with_hole(scene.hole(Flaw::DriverTears, Hole::TornSwap), || {
                    let _ = driver.poll(None, &mut Vec::new());
                });
            }
        }
        drop(driver);
        join(notifiers);
    })
}

/// An operation that would block, and the event that it waits for, at any moment of it.
fn readiness(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let scene = Scene::new(1, flaw);
        let pipe = Arc::new(Pipe::new(0));
        let source = scene.register(&pipe);
        let server = send_and_serve(&scene, &pipe, 1);
        scene.read(&source, &pipe);
        join([server]);
    })
}

/// The same while the file is being registered.
fn readiness_registering() -> usize {
    explore(2, || {
        let scene = Scene::new(1, None);
        let pipe = Arc::new(Pipe::new(1));
        let threads = [
            Scene::spawn(&scene, Scene::serve),
            thread::spawn({
                let pipe = pipe.clone();
                move || pipe.send()
            }),
        ];
        let source = scene.register(&pipe);
        scene.read(&source, &pipe);
        join(threads);
    })
}

/// One task reads and another writes, and one event may be for both.
fn two_directions(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let scene = Scene::new(2, flaw);
        let pipe = Arc::new(Pipe::new(0));
        let source = Arc::new(scene.register(&pipe));
        let writer = {
            let (pipe, source) = (pipe.clone(), source.clone());
            Scene::spawn(&scene, move |scene| {
                scene.complete(&source, Direction::Write, || pipe.write());
                scene.ended();
            })
        };
        let server = {
            let pipe = pipe.clone();
            Scene::spawn(&scene, move |scene| {
                pipe.send();
                pipe.drain();
                scene.serve();
            })
        };
        scene.read(&source, &pipe);
        join([writer, server]);
    })
}

/// Two tasks read from one file, and its events come together or one by one.
fn two_readers(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let scene = Scene::new(2, flaw);
        let pipe = Arc::new(Pipe::new(0));
        let source = Arc::new(scene.register(&pipe));
        let reader = {
            let (pipe, source) = (pipe.clone(), source.clone());
            Scene::spawn(&scene, move |scene| scene.read(&source, &pipe))
        };
        let server = send_and_serve(&scene, &pipe, 2);
        scene.read(&source, &pipe);
        join([reader, server]);
    })
}

/// Somebody who asks for readiness and then tries behind the reactor's back, where flags are up all the time: told once, then
/// it waits, and no event is missed.
fn told_once(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let scene = Scene::new(1, flaw);
        let pipe = Arc::new(Pipe::new(0));
        let source = scene.register(&pipe);
        let server = send_and_serve(&scene, &pipe, 1);
        let waker = Waker::from(Bell::of_this_thread());
        let mut context = Context::from_waker(&waker);
        let mut last = None;
        while !pipe.read() {
            let mut asks_again = scene.flaw == Some(Flaw::AsksTwice);
            loop {
                let owner = Owner::Handle(Handle::OBJECT);
                let polled = match last {
                    None => source.poll_ready_for(owner, Direction::Read, &mut context),
                    Some(seen) => source.poll_news_for(owner, Direction::Read, seen, &mut context),
                };
                let Poll::Ready(seen) = polled else {
                    thread::park();
                    continue;
                };
                let seen = seen.expect("nobody closes it");
                if source.tell(Direction::Read, seen) && !std::mem::take(&mut asks_again) {
                    break;
                }
                last = Some(seen);
            }
        }
        scene.ended();
        join([server]);
    })
}

/// Somebody who waits for flags of both directions, tries behind the reactor's back, and clears what it has seen: no event is
/// missed.
fn flags(flaw: Option<Flaw>) -> usize {
    explore(3, move || {
        let scene = Scene::new(1, flaw);
        let pipe = Arc::new(Pipe::new(0));
        let source = scene.register(&pipe);
        // So that the first attempt is made before there is an event.
        source.assume(Ready::READABLE);
        let server = send_and_serve(&scene, &pipe, 1);
        let waker = Waker::from(Bell::of_this_thread());
        let mut context = Context::from_waker(&waker);
        let both = Ready::READABLE | Ready::WRITABLE;
        let mut since = None;
        loop {
            let mut waiting = source.waiting_for_flags();
            let seen = loop {
                match source.poll_seen_for(waiting.owner(), both, since, &mut context) {
                    Poll::Ready(seen) => break seen.expect("nobody closes it"),
                    Poll::Pending => thread::park(),
                }
            };
            if pipe.read() {
                break;
            }
            let seen = match scene.flaw {
                Some(Flaw::LooksLate) => source.seen(both),
                _ => seen,
            };
            with_hole(scene.hole(Flaw::ClearTears, Hole::TornSwap), || {
                source.clear_seen(seen);
            });
            since = Some(seen);
        }
        scene.ended();
        join([server]);
    })
}

/// A future goes while its event is delivered. Its waker goes with it, and its neighbour's stays.
fn taken_back(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let scene = Scene::new(1, flaw);
        let pipe = Arc::new(Pipe::new(0));
        let source = Arc::new(scene.register(&pipe));
        let server = send_and_serve(&scene, &pipe, 1);
        let bell = Bell::of_this_thread();
        let fickle = {
            let (source, pipe) = (source.clone(), pipe.clone());
            let waker = Waker::from(bell.clone());
            Scene::spawn(&scene, move |scene| {
                let mut waiting = source.waiting(Direction::Read);
                let mut context = Context::from_waker(&waker);
                if let Poll::Ready(Ok(seen)) = waiting.poll_ready(&mut context)
                    && !pipe.is_readable()
                {
                    source.clear_ready(Direction::Read, seen);
                    let _ = waiting.poll_ready(&mut context);
                }
                if scene.flaw == Some(Flaw::ForgetsIt) {
                    std::mem::forget(waiting);
                } else {
                    drop(waiting);
                }
            })
        };
        scene.read(&source, &pipe);
        join([server, fickle]);
        assert_eq!(PlainArc::strong_count(&bell), 1, "a waker is left");
    })
}

/// The reactor closes while somebody registers, waits, and waits again.
fn closing(flaw: Option<Flaw>) -> usize {
    explore(2, move || {
        let scene = Scene::new(0, flaw);
        let closer = Scene::spawn(&scene, |scene| {
            let mut ready = Vec::new();
            scene.reactor.close(&mut ready);
            if scene.flaw != Some(Flaw::WakesNobody) {
                ready.drain(..).for_each(Waker::wake);
            }
        });
        let looker = Scene::spawn(&scene, |scene| {
            let mut ready = Vec::new();
            let mut driver = scene.reactor.try_driver().expect("nobody else has the driver");
            let _ = driver.poll(Some(std::time::Duration::ZERO), &mut ready);
            ready.drain(..).for_each(Waker::wake);
        });
        let pipe = Pipe::new(1);
        if let Ok(source) = Reactor::register(&scene.reactor, pipe.as_fd()) {
            let open = scene.complete(&source, Direction::Read, || pipe.read());
            assert!(!open, "nobody has sent anything");
        }
        join([closer, looker]);
        let refused = Reactor::register(&scene.reactor, pipe.as_fd());
        assert!(refused.is_err(), "it is closed");
    })
}

/// A source goes while an event is on its way to it, and another takes its slot: the event is not for that one. Whoever
/// still waited at the first one is woken once.
fn slot_reuse(no_generation: bool) -> usize {
    explore(2, move || {
        if no_generation {
            forget_generations();
        }
        let scene = Scene::new(0, None);
        let (old, new) = (Pipe::new(0), Pipe::new(0));
        let bell = Bell::of_this_thread();
        let waker = Waker::from(bell.clone());
        let waits = |source: &Source| {
            let mut context = Context::from_waker(&waker);
            source.poll_ready(Direction::Read, &mut context)
        };
        let mut first = scene.register(&old);
        if let Poll::Ready(Ok(seen)) = waits(&first) {
            first.clear_ready(Direction::Read, seen);
        }
        assert!(waits(&first).is_pending(), "nothing has come yet");
        let server = Scene::spawn(&scene, |scene| {
            let mut ready = Vec::new();
            let mut driver = scene.reactor.try_driver().expect("nobody else has the driver");
            let _ = driver.poll(None, &mut ready);
            drop(driver);
            ready.drain(..).for_each(Waker::wake);
        });
        old.send();
        let _ = first.deregister(old.as_fd());
        let second = scene.register(&new);
        if let Poll::Ready(Ok(seen)) = waits(&second) {
            second.clear_ready(Direction::Read, seen);
        }
        scene.reactor.notify().expect("this kernel refuses nothing");
        join([server]);
        assert_eq!(bell.rung(), 1, "woken once by event or farewell");
        assert!(waits(&second).is_pending(), "an event of somebody else");
    })
}

/// Four tasks, each with two files one after the other and a few bytes from each, under events for nothing, signals, and
/// somebody else who looks.
fn churn(flaw: Option<Flaw>) -> usize {
    const TASKS: usize = 4;
    const BYTES: usize = 3;
    explore(0, move || {
        let scene = Scene::new(TASKS, flaw);
        let tasks = (0..TASKS).map(|_| {
            Scene::spawn(&scene, |scene| {
                for _ in 0..2 {
                    let pipe = Arc::new(Pipe::new(1));
                    let sender = thread::spawn({
                        let pipe = pipe.clone();
                        move || {
                            (0..BYTES).for_each(|_| {
                                pipe.send();
                                pipe.poke();
                                pipe.interrupt();
                            });
                        }
                    });
                    let mut source = scene.register(&pipe);
                    for _ in 0..BYTES {
                        scene.complete(&source, Direction::Read, || pipe.read());
                    }
                    let _ = source.deregister(pipe.as_fd());
                    join([sender]);
                }
                scene.ended();
            })
        });
        let tasks: Vec<_> = tasks.collect();
        scene.serve();
        join(tasks);
        assert!(!scene.reactor.has_sources(), "a source is left");
    })
}
