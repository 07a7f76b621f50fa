//! The kernel's side of the reactor, under the names of `rustix` and `polling`: epoll, an eventfd, a timerfd, and pipes.
//!
//! As Linux does it in edge mode, as far as `src/reactor/poller.rs` goes:
//!
//! * What happens to a file (data come, room is made, a count is raised, a timer fires) is written down under the file's
//!   lock; then the file goes on the epoll's list of ready ones, under the list's lock.
//! * A wait takes all from the list, asks each file what it is ready for *now*, and reports that, if it is anything.
//! * Adding a file looks at it once. Deleting takes it off the list; what a wait has taken before is reported all the same.
//!
//! These two locks order memory, as the kernel's do, and nothing else. A timer fires only if a model says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc as PlainArc, Mutex as PlainMutex, OnceLock};

use crate::facade::{Condvar, Mutex};

/// A file, by the number of its descriptor. Plain locks: taken for a look only, between two operations of the checker.
static OPEN: PlainMutex<BTreeMap<RawFd, PlainArc<File>>> = PlainMutex::new(BTreeMap::new());

/// Of a twin: events reach whoever has the place of the one they are for, as if keys had no generation. Those that are
/// watched at the moment, by place.
static OWNERS: PlainMutex<Option<Owners>> = PlainMutex::new(None);

type Owners = PlainArc<Mutex<BTreeMap<u32, u64>>>;

/// Until the end of the execution, events find their place and not their owner.
pub(crate) fn forget_generations() {
    *OWNERS.lock().expect("nobody panics with it") = Some(PlainArc::default());
}

fn owners() -> Option<Owners> {
    OWNERS.lock().expect("nobody panics with it").clone()
}

struct File {
    number: RawFd,
    state: Mutex<Level>,
}

#[derive(Default)]
struct Level {
    /// Bytes to read, a count, or whether the timer has fired.
    readable: usize,
    room: usize,
    /// To be reported once whatever the file says: an event for nothing.
    poked: bool,
    watcher: Option<PlainArc<Epoll>>,
}

impl File {
    /// Opens a file. Its number is a true one, so that `OwnedFd` may close it.
    fn open(room: usize) -> (OwnedFd, PlainArc<File>) {
        static NULL: OnceLock<fs::File> = OnceLock::new();
        let null =
            NULL.get_or_init(|| fs::File::open("/dev/null").expect("the system has /dev/null"));
        let fd = OwnedFd::from(null.try_clone().expect("a few descriptors are enough"));
        let file = PlainArc::new(File {
            number: fd.as_raw_fd(),
            state: Mutex::new(Level {
                room,
                ..Level::default()
            }),
        });
        open_files(|files| files.insert(file.number, file.clone()));
        (fd, file)
    }

    fn of(fd: impl AsFd) -> PlainArc<File> {
        let number = fd.as_fd().as_raw_fd();
        open_files(|files| files.get(&number).cloned()).expect("the file is open")
    }

    /// Something happens to it.
    fn raise(&self, change: impl FnOnce(&mut Level)) {
        let mut level = self.state.lock();
        change(&mut level);
        let watcher = level.watcher.clone();
        drop(level);
        if let Some(epoll) = watcher {
            epoll.mark(self.number);
        }
    }
}

fn open_files<R>(f: impl FnOnce(&mut BTreeMap<RawFd, PlainArc<File>>) -> R) -> R {
    f(&mut OPEN.lock().expect("nobody panics with it"))
}

/// A byte stream's end: what the other end does to it is done through the same handle.
pub(crate) struct Pipe {
    fd: OwnedFd,
    file: PlainArc<File>,
}

impl Pipe {
    pub(crate) fn new(room: usize) -> Pipe {
        let (fd, file) = File::open(room);
        Pipe { fd, file }
    }

    /// Reads a byte. False: it would block.
    pub(crate) fn read(&self) -> bool {
        let mut level = self.file.state.lock();
        let was_readable = level.readable > 0;
        level.readable -= usize::from(was_readable);
        was_readable
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.file.state.lock().readable > 0
    }

    /// Writes a byte. False: it would block.
    pub(crate) fn write(&self) -> bool {
        let mut level = self.file.state.lock();
        let had_room = level.room > 0;
        level.room -= usize::from(had_room);
        had_room
    }

    /// The other end writes a byte.
    pub(crate) fn send(&self) {
        self.file.raise(|level| level.readable += 1);
    }

    /// The other end reads a byte.
    pub(crate) fn drain(&self) {
        self.file.raise(|level| level.room += 1);
    }

    /// An event for nothing.
    pub(crate) fn poke(&self) {
        self.file.raise(|level| level.poked = true);
    }

    /// A signal comes to whoever waits for events, or is the next one to.
    pub(crate) fn interrupt(&self) {
        let watcher = self.file.state.lock().watcher.clone();
        if let Some(epoll) = watcher {
            epoll.list.lock().interrupted = true;
            epoll.changed.notify_one();
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        open_files(|files| files.remove(&self.file.number));
    }
}

/// In place of `polling::Poller`.
pub(crate) struct Poller(PlainArc<Epoll>);

struct Epoll {
    list: Mutex<List>,
    changed: Condvar,
}

#[derive(Default)]
struct List {
    watched: BTreeMap<RawFd, (PlainArc<File>, u64)>,
    ready: Vec<RawFd>,
    interrupted: bool,
}

impl Poller {
    pub(crate) fn new() -> std::io::Result<Poller> {
        Ok(Poller(PlainArc::new(Epoll {
            list: Mutex::new(List::default()),
            changed: Condvar::new(),
        })))
    }
}

impl Drop for Poller {
    /// Eventfd and timerfd are closed right after it.
    fn drop(&mut self) {
        *OWNERS.lock().expect("nobody panics with it") = None;
        let watched = std::mem::take(&mut self.0.list.lock().watched);
        for (file, _) in watched.into_values() {
            file.state.lock().watcher = None;
            open_files(|files| files.remove(&file.number));
        }
    }
}

impl Epoll {
    fn mark(&self, number: RawFd) {
        let mut list = self.list.lock();
        if list.watched.contains_key(&number) && !list.ready.contains(&number) {
            list.ready.push(number);
        }
        drop(list);
        self.changed.notify_one();
    }
}

impl List {
    fn take(&mut self) -> Vec<epoll::Event> {
        let ready = std::mem::take(&mut self.ready);
        let events = ready.iter().filter_map(|number| {
            let (file, key) = self.watched.get(number)?;
            let mut level = file.state.lock();
            let poked = std::mem::take(&mut level.poked);
            let read = poked || level.readable > 0;
            let write = poked || level.room > 0;
            (read || write).then_some(epoll::Event {
                data: epoll::EventData::new_u64(*key),
                flags: epoll::EventFlags::of(read, write),
            })
        });
        events.collect()
    }
}

/// In place of `rustix::event`.
pub(crate) mod event {
    use super::{Errno, File, OwnedFd};

    pub(crate) use super::epoll;

    #[derive(Clone, Copy)]
    #[expect(dead_code, reason = "no model looks at the time")]
    pub(crate) struct Timespec {
        pub(crate) tv_sec: i64,
        pub(crate) tv_nsec: i64,
    }

    impl TryFrom<std::time::Duration> for Timespec {
        type Error = std::num::TryFromIntError;

        fn try_from(time: std::time::Duration) -> Result<Timespec, Self::Error> {
            Ok(Timespec {
                tv_sec: time.as_secs().try_into()?,
                tv_nsec: time.subsec_nanos().into(),
            })
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct EventfdFlags;

    impl EventfdFlags {
        pub(crate) const CLOEXEC: EventfdFlags = EventfdFlags;
        pub(crate) const NONBLOCK: EventfdFlags = EventfdFlags;
    }

    impl std::ops::BitOr for EventfdFlags {
        type Output = EventfdFlags;

        fn bitor(self, _: EventfdFlags) -> EventfdFlags {
            EventfdFlags
        }
    }

    pub(crate) fn eventfd(_: u32, _: EventfdFlags) -> Result<OwnedFd, Errno> {
        Ok(File::open(0).0)
    }
}

pub(crate) mod epoll {
    use std::mem::MaybeUninit;

    use super::event::Timespec;
    use super::{AsFd, Errno, File, Poller, owners};

    #[derive(Clone, Copy)]
    pub(crate) struct EventFlags(u8);

    impl EventFlags {
        pub(crate) const IN: EventFlags = EventFlags(1);
        pub(crate) const OUT: EventFlags = EventFlags(2);
        pub(crate) const PRI: EventFlags = EventFlags(4);
        pub(crate) const RDHUP: EventFlags = EventFlags(8);
        pub(crate) const HUP: EventFlags = EventFlags(16);
        pub(crate) const ERR: EventFlags = EventFlags(32);
        pub(crate) const ET: EventFlags = EventFlags(64);

        pub(super) fn of(read: bool, write: bool) -> EventFlags {
            EventFlags(u8::from(read) | u8::from(write) << 1)
        }

        pub(crate) fn intersects(self, other: EventFlags) -> bool {
            self.0 & other.0 != 0
        }
    }

    impl std::ops::BitOr for EventFlags {
        type Output = EventFlags;

        fn bitor(self, other: EventFlags) -> EventFlags {
            EventFlags(self.0 | other.0)
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct EventData(u64);

    impl EventData {
        pub(crate) fn new_u64(key: u64) -> EventData {
            EventData(key)
        }

        pub(crate) fn u64(self) -> u64 {
            let owner = owners().and_then(|owners| owners.lock().get(&(self.0 as u32)).copied());
            owner.unwrap_or(self.0)
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct Event {
        pub(crate) data: EventData,
        pub(crate) flags: EventFlags,
    }

    pub(crate) fn add(
        epoll: &Poller,
        fd: impl AsFd,
        data: EventData,
        _: EventFlags,
    ) -> Result<(), Errno> {
        let file = File::of(fd);
        if let Some(owners) = owners() {
            owners.lock().insert(data.0 as u32, data.0);
        }
        let mut list = epoll.0.list.lock();
        if list.watched.contains_key(&file.number) {
            return Err(Errno::EXIST);
        }
        list.watched.insert(file.number, (file.clone(), data.0));
        drop(list);
        // To be watched, and then to look: what came before is seen here, what comes later is raised.
        let mut level = file.state.lock();
        level.watcher = Some(epoll.0.clone());
        let is_ready = level.readable > 0 || level.room > 0;
        drop(level);
        if is_ready {
            epoll.0.mark(file.number);
        }
        Ok(())
    }

    pub(crate) fn delete(epoll: &Poller, fd: impl AsFd) -> Result<(), Errno> {
        let file = File::of(fd);
        file.state.lock().watcher = None;
        let mut list = epoll.0.list.lock();
        list.watched.remove(&file.number);
        list.ready.retain(|&number| number != file.number);
        Ok(())
    }

    #[expect(clippy::type_complexity, reason = "rustix has it so")]
    pub(crate) fn wait<'a>(
        epoll: &Poller,
        buffer: &'a mut [MaybeUninit<Event>],
        timeout: Option<&Timespec>,
    ) -> Result<(&'a mut [Event], &'a mut [MaybeUninit<Event>]), Errno> {
        let mut list = epoll.0.list.lock();
        let events = loop {
            let events = list.take();
            if !events.is_empty() || timeout.is_some() {
                break events;
            }
            if std::mem::take(&mut list.interrupted) {
                return Err(Errno::INTR);
            }
            list = epoll.0.changed.wait(list);
        };
        drop(list);
        let (found, rest) = buffer.split_at_mut(events.len());
        for (place, event) in found.iter_mut().zip(events) {
            place.write(event);
        }
        // SAFETY: all of it was written just now.
        Ok((
            unsafe { &mut *(std::ptr::from_mut(found) as *mut [Event]) },
            rest,
        ))
    }
}

/// In place of `rustix::io`.
pub(crate) mod io {
    use super::{AsFd, File};

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Errno {
        INTR,
        EXIST,
        #[expect(dead_code, reason = "an eventfd is never full here")]
        AGAIN,
    }

    impl From<Errno> for std::io::Error {
        fn from(error: Errno) -> std::io::Error {
            std::io::Error::other(format!("{error:?}"))
        }
    }

    /// Whether it is open.
    pub(crate) fn fcntl_getfd(_: impl AsFd) -> Result<(), Errno> {
        Ok(())
    }

    /// To an eventfd.
    pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
        File::of(fd).raise(|level| level.readable += 1);
        Ok(bytes.len())
    }

    pub(crate) fn retry_on_intr<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        loop {
            match call() {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }
}

use io::Errno;

/// In place of `rustix::time`.
pub(crate) mod time {
    use std::ops::BitOr;

    use super::event::Timespec;
    use super::{AsFd, Errno, File, OwnedFd};

    #[expect(dead_code, reason = "no model looks at the time")]
    pub(crate) struct Itimerspec {
        pub(crate) it_interval: Timespec,
        pub(crate) it_value: Timespec,
    }

    pub(crate) enum TimerfdClockId {
        Monotonic,
    }

    #[derive(Clone, Copy)]
    pub(crate) struct TimerfdFlags;

    impl TimerfdFlags {
        pub(crate) const CLOEXEC: TimerfdFlags = TimerfdFlags;
        pub(crate) const NONBLOCK: TimerfdFlags = TimerfdFlags;
    }

    impl BitOr for TimerfdFlags {
        type Output = TimerfdFlags;

        fn bitor(self, _: TimerfdFlags) -> TimerfdFlags {
            TimerfdFlags
        }
    }

    pub(crate) struct TimerfdTimerFlags;

    impl TimerfdTimerFlags {
        pub(crate) fn empty() -> TimerfdTimerFlags {
            TimerfdTimerFlags
        }
    }

    pub(crate) fn timerfd_create(_: TimerfdClockId, _: TimerfdFlags) -> Result<OwnedFd, Errno> {
        Ok(File::open(0).0)
    }

    /// Takes the last expiry back; the next one never comes.
    pub(crate) fn timerfd_settime(
        fd: impl AsFd,
        _: TimerfdTimerFlags,
        _: &Itimerspec,
    ) -> Result<(), Errno> {
        File::of(fd).state.lock().readable = 0;
        Ok(())
    }
}
