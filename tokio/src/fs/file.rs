//! An open file.
//!
//! A file is *idle*, or *busy* with one job, which has the buffer. The buffer of an idle file holds
//! bytes that were read ahead of the caller; the position of the operating system is behind them.
//!
//! # Protocol
//!
//! 1. A read takes from the buffer. If that is empty, a job reads as much as the caller has room
//!    for, and the caller waits. If the caller goes away, the next read finds the bytes.
//! 2. A write waits until the file is idle. It copies its bytes and hands them to a job that is
//!    mandatory (see `blocking`), and does not wait for it. So they are written even if the file is
//!    dropped, or its runtime, but not before the job of a later operation begins.
//! 3. A write, a seek or a change of the length first moves the position back by what was read
//!    ahead, in the same job.
//! 4. An error of a write is returned by the next write or flush, whichever operation saw it.

use std::fmt;
use std::fs::{File as StdFile, Metadata, Permissions};
use std::future::poll_fn;
use std::io::{self, Seek, SeekFrom};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use real::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use real::sync::Mutex;

use super::{FileTimes, OpenOptions, asyncify};
use crate::blocking::{self, Buf, Job, MAX_BUF_SIZE};

/// An open file.
///
/// A write is complete when the bytes are in a buffer. They reach the file even if the `File` is
/// dropped, but [`flush`](real::io::AsyncWrite::poll_flush) is what waits for it and tells errors.
pub struct File {
    std: Arc<StdFile>,
    inner: Mutex<Inner>,
    max_buf_size: usize,
}

struct Inner {
    state: State,
    /// Step 4.
    write_error: Option<io::ErrorKind>,
    /// What the last seek has returned.
    position: u64,
}

#[derive(Debug)]
enum State {
    Idle(Buf),
    Busy(Job<(Done, Buf)>),
}

/// What a job has done.
#[derive(Debug)]
enum Done {
    Read(io::Result<usize>),
    Write(io::Result<()>),
    Seek(io::Result<u64>),
    SetLen(io::Result<()>),
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        File::options().read(true).open(path).await
    }

    /// Opens a file for writing. It is created, or loses its contents.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        options.open(path).await
    }

    /// Creates a file that must not exist, for reading and writing.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        options.open(path).await
    }

    /// Settings for opening a file.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Makes an open file of the standard library asynchronous.
    pub fn from_std(std: StdFile) -> File {
        File {
            std: Arc::new(std),
            inner: Mutex::new(Inner {
                state: State::Idle(Buf::default()),
                write_error: None,
                position: 0,
            }),
            max_buf_size: MAX_BUF_SIZE,
        }
    }

    /// Waits until contents and metadata are on the disk.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.when_idle(|file| file.sync_all()).await
    }

    /// Waits until the contents are on the disk.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.when_idle(|file| file.sync_data()).await
    }

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        let mut inner = self.inner.lock().await;
        inner.complete().await;
        let (buf, back) = inner.take_idle();
        let std = self.std.clone();
        inner.state = State::Busy(blocking::run(move || {
            let result = seek_back(&std, back).and_then(|()| std.set_len(size));
            drop(std);
            (Done::SetLen(result), buf)
        }));
        match poll_fn(|cx| inner.poll_idle(cx)).await? {
            Some(Done::SetLen(result)) => result,
            _ => Ok(()),
        }
    }

    /// What the file system knows about the file.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let std = self.std.clone();
        asyncify(move || std.metadata()).await
    }

    /// A second handle for the same open file. Both have the same position.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn try_clone(&self) -> io::Result<File> {
        let mut file = File::from_std(self.when_idle(|file| file.try_clone()).await?);
        file.max_buf_size = self.max_buf_size;
        Ok(file)
    }

    /// The file of the standard library, after the job that is under way.
    ///
    /// # Panics
    ///
    /// If the future of an operation was dropped before the operation has ended, and there is no
    /// file descriptor left.
    pub async fn into_std(mut self) -> StdFile {
        self.inner.get_mut().complete().await;
        // A job drops its handle before it tells that it has ended, but nobody waits for the job of
        // a future that was dropped.
        Arc::try_unwrap(self.std)
            .unwrap_or_else(|shared| shared.try_clone().expect("no file descriptor left"))
    }

    /// The file of the standard library.
    ///
    /// # Errors
    ///
    /// The file itself, if a job is under way.
    #[allow(clippy::result_large_err)]
    pub fn try_into_std(mut self) -> Result<StdFile, File> {
        match Arc::try_unwrap(self.std) {
            Ok(std) => Ok(std),
            Err(shared) => {
                self.std = shared;
                Err(self)
            }
        }
    }

    /// Changes the file's permissions.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        let std = self.std.clone();
        asyncify(move || std.set_permissions(perm)).await
    }

    /// Changes the file's timestamps.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        let times = times.into_std();
        self.when_idle(move |file| file.set_times(times)).await
    }

    /// Changes the time of the file's last change.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub async fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }

    /// Sets how many bytes one job reads or writes at most.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        assert!(max_buf_size > 0, "`max_buf_size` must be greater than 0");
        self.max_buf_size = max_buf_size;
    }

    /// How many bytes one job reads or writes at most.
    pub fn max_buf_size(&self) -> usize {
        self.max_buf_size
    }

    /// Runs an operation on the file after the job that is under way.
    async fn when_idle<T: Send + 'static>(
        &self,
        f: impl FnOnce(&StdFile) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let mut inner = self.inner.lock().await;
        inner.complete().await;
        let std = self.std.clone();
        asyncify(move || f(&std)).await
    }

    /// Steps 2 to 4.
    fn poll_write_parts<'a>(
        &mut self,
        cx: &mut Context<'_>,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Poll<io::Result<usize>> {
        let inner = self.inner.get_mut();
        loop {
            if let Some(kind) = inner.write_error.take() {
                return Poll::Ready(Err(kind.into()));
            }
            match ready!(inner.poll_idle(cx))? {
                Some(Done::Write(result)) => result?,
                Some(_) => {}
                None => break,
            }
        }
        let (mut buf, back) = inner.take_idle();
        let len = buf.copy_from(parts, self.max_buf_size);
        let std = self.std.clone();
        let job = blocking::run_mandatory(move || {
            let result = seek_back(&std, back).and_then(|()| buf.write_to(&*std));
            drop(std);
            (Done::Write(result), buf)
        })?;
        inner.state = State::Busy(job);
        Poll::Ready(Ok(len))
    }
}

/// Step 3.
fn seek_back(mut file: &StdFile, by: i64) -> io::Result<()> {
    if by == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::Current(by)).map(drop)
}

impl Inner {
    /// Waits for the job that is under way. `None`: the file is idle.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Done>>> {
        let State::Busy(job) = &mut self.state else {
            return Poll::Ready(Ok(None));
        };
        let result = ready!(Pin::new(job).poll(cx));
        let (result, buf) = match result {
            Ok((done, buf)) => (Ok(Some(done)), buf),
            Err(error) => (Err(error), Buf::default()),
        };
        self.state = State::Idle(buf);
        if let Ok(Some(Done::Seek(Ok(position)))) = &result {
            self.position = *position;
        }
        Poll::Ready(result)
    }

    /// The buffer of an idle file without its bytes, and how far to seek because of them.
    fn take_idle(&mut self) -> (Buf, i64) {
        match &mut self.state {
            State::Idle(buf) => {
                let mut buf = mem::take(buf);
                let back = buf.discard();
                (buf, back)
            }
            State::Busy(_) => unreachable!("the caller has waited for the job"),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(kind) = self.write_error.take() {
            return Poll::Ready(Err(kind.into()));
        }
        match ready!(self.poll_idle(cx))? {
            Some(Done::Write(result)) => Poll::Ready(result),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Waits for the job that is under way, and keeps its error.
    async fn complete(&mut self) {
        if let Err(error) = poll_fn(|cx| self.poll_flush(cx)).await {
            self.write_error = Some(error.kind());
        }
    }
}

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        dst: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let inner = me.inner.get_mut();
        loop {
            let done = ready!(inner.poll_idle(cx))?;
            let is_read = matches!(done, Some(Done::Read(_)));
            match done {
                Some(Done::Read(Err(error))) => return Poll::Ready(Err(error)),
                Some(Done::Write(Err(error))) => inner.write_error = Some(error.kind()),
                _ => {}
            }
            let State::Idle(buf) = &mut inner.state else {
                continue;
            };
            if is_read || !buf.is_empty() || dst.remaining() == 0 {
                buf.copy_to(dst);
                return Poll::Ready(Ok(()));
            }
            let mut buf = mem::take(buf);
            let max = dst.remaining().min(me.max_buf_size);
            let std = me.std.clone();
            inner.state = State::Busy(blocking::run(move || {
                let result = buf.read_from(&*std, max);
                drop(std);
                (Done::Read(result), buf)
            }));
        }
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, mut target: SeekFrom) -> io::Result<()> {
        let me = self.get_mut();
        let inner = me.inner.get_mut();
        if let State::Busy(_) = inner.state {
            return Err(io::Error::other(
                "other file operation is pending, call poll_complete before start_seek",
            ));
        }
        let (buf, mut back) = inner.take_idle();
        match &mut target {
            SeekFrom::Current(offset) => {
                // One seek does for both, unless their sum is out of range.
                if let Some(sum) = offset.checked_add(back) {
                    *offset = sum;
                    back = 0;
                }
            }
            // The bytes that were read do not matter.
            SeekFrom::Start(_) | SeekFrom::End(_) => back = 0,
        }
        let std = me.std.clone();
        inner.state = State::Busy(blocking::run(move || {
            let result = seek_back(&std, back).and_then(|()| (&*std).seek(target));
            drop(std);
            (Done::Seek(result), buf)
        }));
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let inner = self.get_mut().inner.get_mut();
        loop {
            match ready!(inner.poll_idle(cx))? {
                Some(Done::Seek(result)) => return Poll::Ready(result),
                Some(Done::Write(Err(error))) => inner.write_error = Some(error.kind()),
                Some(_) => {}
                None => return Poll::Ready(Ok(inner.position)),
            }
        }
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        src: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_parts(cx, [src])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let parts = bufs.iter().map(|part| &**part);
        self.get_mut().poll_write_parts(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl From<StdFile> for File {
    fn from(std: StdFile) -> File {
        File::from_std(std)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File::from_std(fd.into())
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.std.as_raw_fd()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std.as_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> File {
        // SAFETY: the caller promises what this function asks for, too.
        File::from_std(unsafe { StdFile::from_raw_fd(fd) })
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("tokio::fs::File")
            .field("std", &self.std)
            .finish()
    }
}
