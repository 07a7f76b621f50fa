//! Children made by `fork`, and how they ended.

use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, wait_until};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Panicked,
    Aborted,
    /// Killed, for it did not end by itself.
    Hung,
    Otherwise(i32),
}

const PANICKED: i32 = 101;

/// Waits until every other thread of this process is asleep, hence neither starts nor ends.
pub(crate) fn wait_until_quiet() {
    let this = std::fs::read_link("/proc/thread-self").unwrap();
    let all_asleep = || {
        let mut others = std::fs::read_dir("/proc/self/task").unwrap();
        others.all(|thread| {
            let thread = thread.unwrap();
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            this.ends_with(thread.file_name()) || stat.contains(") S ")
        })
    };
    let mut looks = 0;
    wait_until("all other threads sleep", || {
        looks = if all_asleep() { looks + 1 } else { 0 };
        thread::sleep(Duration::from_micros(200));
        looks == 5
    });
}

/// Forks; the child runs `body` and ends.
pub(crate) fn fork(body: impl FnOnce()) -> Ended {
    wait_until_quiet();
    fork_amid_traffic(body)
}

/// As [`fork`], whatever the other threads do. They must not start or end.
pub(crate) fn fork_amid_traffic(body: impl FnOnce()) -> Ended {
    match fork_now() {
        0 => leave(catch_unwind(AssertUnwindSafe(body))),
        child => wait(child),
    }
}

/// A process forked where it cannot be told what to do.
pub(crate) struct Begun {
    /// Zero in the child.
    child: i32,
    guarded: bool,
}

/// Forks; both processes go on. The child has to come to [`Begun::end`], or to drop it, or be ended otherwise.
pub(crate) fn begin() -> Begun {
    wait_until_quiet();
    Begun {
        child: fork_now(),
        guarded: true,
    }
}

/// As [`begin`], whatever the other threads do. They must not start or end.
pub(crate) fn begin_amid_traffic() -> Begun {
    Begun {
        child: fork_now(),
        guarded: true,
    }
}

/// As [`begin`], but dropping it does not end the child.
pub(crate) fn begin_unguarded() -> Begun {
    Begun {
        guarded: false,
        ..begin()
    }
}

impl Begun {
    pub(crate) fn is_child(&self) -> bool {
        self.child == 0
    }

    pub(crate) fn end(self) -> Ended {
        match self.child {
            0 => leave(Ok(())),
            child => wait(child),
        }
    }
}

impl Drop for Begun {
    /// A child that is unwound past this has panicked.
    fn drop(&mut self) {
        if self.is_child() && self.guarded && thread::panicking() {
            leave(Err(Box::new("unwound")));
        }
    }
}

fn fork_now() -> i32 {
    // SAFETY: what the child does is what is tested. It uses locks of this crate and of the C library, which both see to
    // them, and leaves without running anything that is not its own.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let none = rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
    child
}

/// Ends the child without anything that the parent would do, too.
fn leave(result: Result<(), Box<dyn Any + Send>>) -> ! {
    let code = match result {
        Ok(()) => 0,
        Err(payload) => {
            let said = payload.downcast_ref::<String>().map(String::as_str);
            let said = said.or(payload.downcast_ref::<&str>().copied());
            let line = format!("in the child: {}\n", said.unwrap_or("?"));
            let _ = std::io::stderr().write_all(line.as_bytes());
            PANICKED
        }
    };
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(code) }
}

fn wait(child: i32) -> Ended {
    let begin = Instant::now();
    let mut status = 0;
    let mut hung = false;
    loop {
        // SAFETY: `status` is valid for writes; `child` is ours, and not waited for yet.
        let ended = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
        assert!(ended >= 0, "{}", std::io::Error::last_os_error());
        if ended == child {
            break;
        }
        if begin.elapsed() > PATIENCE / 2 && !hung {
            hung = true;
            // SAFETY: the child is not waited for yet, so the number is still its own.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        thread::sleep(Duration::from_millis(1));
    }
    match status {
        _ if hung => Ended::Hung,
        0 => Ended::Well,
        _ if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == PANICKED => Ended::Panicked,
        _ if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT => Ended::Aborted,
        _ => Ended::Otherwise(status),
    }
}
