//! D-Bus connections of `zbus`, which run on a runtime and a thread of its own, used from our tasks over a private bus.
//!
//! Needs the program `dbus-daemon`, of the Debian package of that name; without it the tests say so and pass.

use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use executor::time::sleep;
use executor::{JoinHandle, spawn, spawn_blocking};
use futures::StreamExt;
use futures::future::{join_all, pending};
use libraries_unmodified::everywhere;
use tempfile::TempDir;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, connection, fdo, interface, proxy};

/// A bus that ends when this is dropped.
struct Bus {
    daemon: Child,
    address: String,
    /// Where its socket is.
    _folder: TempDir,
}

impl Bus {
    /// `None` where there is no such program.
    async fn start() -> Option<Bus> {
        let bus = spawn_blocking(Bus::launch).await.unwrap();
        if bus.is_none() {
            eprintln!("skipped: there is no dbus-daemon");
        }
        bus
    }

    fn launch() -> Option<Bus> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        let text = format!(
            r#"<busconfig>
                <type>session</type>
                <listen>unix:path={}/bus</listen>
                <auth>EXTERNAL</auth>
                <policy context="default">
                    <allow send_destination="*"/>
                    <allow receive_sender="*"/>
                    <allow own="*"/>
                </policy>
                <limit name="max_replies_per_connection">10000</limit>
            </busconfig>"#,
            folder.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let started = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            // As root it complains about its limits.
            .stderr(Stdio::null())
            .spawn();
        let mut daemon = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            started => started.unwrap(),
        };
        let mut address = String::new();
        let mut output = BufReader::new(daemon.stdout.take().unwrap());
        output.read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the bus ended at once");
        Some(Bus {
            daemon,
            address: address.trim().to_owned(),
            _folder: folder,
        })
    }

    /// A new connection, with our service on it if one is given.
    async fn connect(&self, service: Option<Desk>) -> Connection {
        let mut builder = connection::Builder::address(&*self.address);
        if let Some(service) = service {
            builder = builder.serve_at(PATH, service).name(NAME);
        }
        builder.build().await.unwrap()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

const NAME: &str = "org.executor.Desk";
const PATH: &str = "/org/executor/Desk";

/// A service: a method that answers, one that fails, one that never answers; a property; a signal.
#[derive(Default)]
struct Desk {
    /// Calls that have begun.
    calls: Arc<AtomicU64>,
    level: u64,
}

#[interface(name = "org.executor.Desk1")]
impl Desk {
    /// Has the answer worked out by one of our tasks, after a sleep.
    async fn double(&self, n: u64) -> u64 {
        self.calls.fetch_add(1, SeqCst);
        sleep(Duration::from_micros(n % 500)).await;
        spawn(async move { n * 2 }).await.unwrap()
    }

    async fn refuse(&self, n: u64) -> fdo::Result<()> {
        Err(fdo::Error::Failed(format!("not {n}")))
    }

    async fn hold(&self) {
        self.calls.fetch_add(1, SeqCst);
        pending().await
    }

    /// Emits so many signals.
    async fn ring(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        count: u64,
    ) -> fdo::Result<()> {
        for n in 0..count {
            Desk::rung(&emitter, n).await?;
        }
        Ok(())
    }

    #[zbus(signal)]
    async fn rung(emitter: &SignalEmitter<'_>, n: u64) -> zbus::Result<()>;

    #[zbus(property)]
    async fn level(&self) -> u64 {
        self.level
    }

    #[zbus(property)]
    async fn set_level(&mut self, level: u64) {
        self.level = level;
    }
}

#[proxy(
    interface = "org.executor.Desk1",
    default_service = "org.executor.Desk",
    default_path = "/org/executor/Desk"
)]
trait Desk {
    async fn double(&self, n: u64) -> fdo::Result<u64>;
    async fn refuse(&self, n: u64) -> fdo::Result<()>;
    async fn hold(&self) -> zbus::Result<()>;
    async fn ring(&self, count: u64) -> fdo::Result<()>;
    async fn missing(&self) -> fdo::Result<()>;

    #[zbus(signal)]
    async fn rung(&self, n: u64) -> zbus::Result<()>;

    #[zbus(property)]
    fn level(&self) -> zbus::Result<u64>;

    #[zbus(property)]
    fn set_level(&self, level: u64) -> zbus::Result<()>;
}

#[test]
fn calls_at_once_get_their_own_answers() {
    everywhere(async || {
        const TASKS: u64 = 50;
        const EACH: u64 = 20;
        let Some(bus) = Bus::start().await else {
            return;
        };
        let desk = Desk::default();
        let calls = desk.calls.clone();
        let _service = bus.connect(Some(desk)).await;
        // Half of the tasks share a connection, the others come over four more.
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(bus.connect(None).await);
        }
        let tasks = (0..TASKS).map(|task| {
            let client = clients[(task as usize % 8).saturating_sub(3)].clone();
            spawn(async move {
                let desk = DeskProxy::new(&client).await.unwrap();
                let answers = (0..EACH).map(async |n| {
                    let n = task * EACH + n;
                    assert_eq!(desk.double(n).await.unwrap(), 2 * n);
                });
                join_all(answers).await.len() as u64
            })
        });
        let answered = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert_eq!(answered.sum::<u64>(), TASKS * EACH);
        assert_eq!(calls.load(SeqCst), TASKS * EACH);
    });
}

#[test]
fn a_refusal_and_a_method_that_is_missing_are_errors_of_their_callers() {
    everywhere(async || {
        let Some(bus) = Bus::start().await else {
            return;
        };
        let _service = bus.connect(Some(Desk::default())).await;
        let client = bus.connect(None).await;
        let tasks = (0..100).map(|n| {
            let client = client.clone();
            spawn(async move {
                let desk = DeskProxy::new(&client).await.unwrap();
                let refused = fdo::Error::Failed(format!("not {n}"));
                assert_eq!(desk.refuse(n).await.unwrap_err(), refused);
                let error = desk.missing().await.unwrap_err();
                assert!(matches!(error, fdo::Error::UnknownMethod(_)));
                assert_eq!(desk.double(n).await.unwrap(), 2 * n);
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
    });
}

#[test]
fn each_subscriber_sees_every_signal_in_order() {
    everywhere(async || {
        const COUNT: u64 = 300;
        let Some(bus) = Bus::start().await else {
            return;
        };
        let _service = bus.connect(Some(Desk::default())).await;
        let mut subscribers: Vec<JoinHandle<bool>> = Vec::new();
        for _ in 0..3 {
            let client = bus.connect(None).await;
            for _ in 0..2 {
                let desk = DeskProxy::new(&client).await.unwrap();
                let mut rings = desk.receive_rung().await.unwrap();
                subscribers.push(spawn(async move {
                    let mut seen = Vec::new();
                    while seen.len() < COUNT as usize {
                        let ring = rings.next().await.unwrap();
                        seen.push(ring.args().unwrap().n);
                    }
                    seen.into_iter().eq(0..COUNT)
                }));
            }
        }
        let client = bus.connect(None).await;
        let desk = DeskProxy::new(&client).await.unwrap();
        desk.ring(COUNT).await.unwrap();
        for subscriber in subscribers {
            assert!(subscriber.await.unwrap());
        }
    });
}

#[test]
fn a_property_that_is_set_reaches_those_who_watch_it() {
    everywhere(async || {
        const LAST: u64 = 100;
        let Some(bus) = Bus::start().await else {
            return;
        };
        let _service = bus.connect(Some(Desk::default())).await;
        let client = bus.connect(None).await;
        let watched = DeskProxy::new(&client).await.unwrap();
        assert_eq!(watched.level().await.unwrap(), 0);
        let mut changes = watched.receive_level_changed().await;
        let watching = spawn(async move {
            // The newest value may hide those before it, but comes after them.
            let mut newest = 0;
            while newest < LAST {
                let level = changes.next().await.unwrap().get().await.unwrap();
                assert!(level >= newest);
                newest = level;
            }
        });
        let other = bus.connect(None).await;
        let setting = spawn(async move {
            let desk = DeskProxy::new(&other).await.unwrap();
            for level in 1..=LAST {
                desk.set_level(level).await.unwrap();
            }
        });
        setting.await.unwrap();
        watching.await.unwrap();
        assert_eq!(watched.level().await.unwrap(), LAST);
    });
}

#[test]
fn calls_that_wait_when_the_bus_ends_are_errors() {
    everywhere(async || {
        let Some(bus) = Bus::start().await else {
            return;
        };
        let desk = Desk::default();
        let calls = desk.calls.clone();
        let _service = bus.connect(Some(desk)).await;
        let client = bus.connect(None).await;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let client = client.clone();
                spawn(async move {
                    let desk = DeskProxy::new(&client).await.unwrap();
                    desk.hold().await.is_err()
                })
            })
            .collect();
        while calls.load(SeqCst) < 20 {
            sleep(Duration::from_millis(1)).await;
        }
        drop(bus);
        for task in waiting {
            assert!(task.await.unwrap());
        }
        client.closed().await;
    });
}
