//! A stack as its reader wants it: the program's frames and the libraries', without the executor's.
//!
//! A walk begins in the waker that a future clones, and ends in the function that polls the task.
//! Three kinds of frame are left out ([`relevant`]):
//!
//! * at the inner end, what lies between the waker and the leaf that the program or a library
//!   calls: of the executor's own frames there, the outermost alone remains (`Sleep::poll`);
//! * at the outer end, what polls the task's first future;
//! * everywhere the standard library's (`Pin::poll`, `catch_unwind`).
//!
//! The stack of a blocked thread begins in the call that blocks instead, and goes on to the
//! thread's first function.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use super::symbols::{self, Symbol};
use crate::sync::{Arc, OnceLock};

/// Where a task waits: the calls that led to a future that is not ready, as they were when the task
/// was polled; or the calls that led to where its poll, or its job, has its thread blocked.
///
/// In an async program this is the chain of `.await`s, from the leaf to the task's first future. A
/// task that waits for several futures at once (`select!`, `join!`) has a stack for each.
///
/// `Display` writes a frame a line, the innermost first, as `name at file:line`. Names come from
/// the program's symbols, files and lines from its debug information: in release builds they are
/// there with `debug = "line-tables-only"` in the profile.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = executor::Builder::new().build()?;
/// runtime.spawn(std::future::pending::<()>());
/// let dump = runtime.handle().dump_stacks(Duration::from_secs(1));
/// for stack in dump.tasks().iter().flat_map(|task| task.stacks()) {
///     println!("{stack}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskStack {
    addresses: Arc<[usize]>,
    /// Of a blocked thread, not of a future that waits.
    is_of_blocked: bool,
}

impl TaskStack {
    pub(crate) fn new(addresses: Arc<[usize]>) -> TaskStack {
        TaskStack {
            addresses,
            is_of_blocked: false,
        }
    }

    /// The stack of a blocked thread, down to its first function.
    #[cfg_attr(
        not(all(
            feature = "stacks",
            target_os = "linux",
            target_arch = "x86_64",
            target_pointer_width = "64"
        )),
        expect(dead_code)
    )]
    pub(super) fn of_blocked(addresses: Arc<[usize]>) -> TaskStack {
        TaskStack {
            addresses,
            is_of_blocked: true,
        }
    }

    /// The frames of the program and its libraries, the innermost first.
    ///
    /// Looks up their symbols: some microseconds per frame, and tens of milliseconds in the first
    /// call of a process, in which the debug information is read.
    pub fn frames(&self) -> impl Iterator<Item = Frame> {
        let all = self.addresses.iter().flat_map(|&address| {
            let symbols = symbols::at(address);
            match symbols.is_empty() {
                true => vec![Arc::new(Symbol::default())],
                false => symbols.to_vec(),
            }
            .into_iter()
            .map(move |symbol| Frame { symbol, address })
        });
        relevant(all.collect(), self.is_of_blocked).into_iter()
    }

    /// The return addresses as they were read, the executor's with them: for a tool that has the
    /// symbols of a program that was stripped of them.
    pub fn addresses(&self) -> &[usize] {
        &self.addresses
    }
}

impl fmt::Debug for TaskStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.frames()).finish()
    }
}

impl fmt::Display for TaskStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, frame) in self.frames().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{frame}")?;
        }
        Ok(())
    }
}

/// A call in a [`TaskStack`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    pub(super) symbol: Arc<Symbol>,
    address: usize,
}

impl Frame {
    /// The function, as its symbol says. `None`: the program was stripped of its symbols.
    pub fn name(&self) -> Option<&str> {
        self.symbol.name.as_deref()
    }

    /// The source file. `None`: there is no debug information for it.
    pub fn file(&self) -> Option<&Path> {
        self.symbol.file.as_deref()
    }

    /// The line of the call, from 1. `None`: there is no debug information for it.
    pub fn line(&self) -> Option<u32> {
        self.symbol.line
    }

    /// `file:line`, if both are known.
    pub(crate) fn place(&self) -> Option<String> {
        let file = short(self.file()?);
        Some(format!("{}:{}", file.display(), self.line()?))
    }

    /// The return address.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Whether the function is one of this file of the executor, or of any for the empty one. Names
    /// of inlined functions may have no path, and programs no debug information.
    pub(super) fn is_of_executor(&self, file: &str) -> bool {
        let by_file = |folder: &Path| {
            let within = self.file().and_then(|path| path.strip_prefix(folder).ok());
            within.is_some_and(|path| file.is_empty() || path == Path::new(file))
        };
        let by_name = || {
            let module = file.trim_end_matches(".rs").replace('/', "::");
            let name = self.name().unwrap_or_default();
            crate_of(name) == "executor" && name.contains(&module)
        };
        by_file(symbols::own_folder()) || by_name()
    }

    /// Of the executor, or of the package that its tasks come from.
    fn is_ours(&self) -> bool {
        let file = self.file().and_then(Path::to_str).unwrap_or_default();
        self.is_of_executor("")
            || file.contains("/async-task-")
            || crate_of(self.name().unwrap_or_default()) == "async_task"
    }

    fn is_of_std(&self) -> bool {
        let file = self.file().and_then(Path::to_str).unwrap_or_default();
        let by_file = [
            "/library/core/src/",
            "/library/std/src/",
            "/library/alloc/src/",
        ];
        let name = self.name().unwrap_or_default();
        by_file.iter().any(|folder| file.contains(folder))
            || matches!(crate_of(name), "core" | "std" | "alloc")
    }
}

/// `name at file:line`
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(&readable(name))?,
            None => write!(f, "{:#x}", self.address)?,
        }
        if let Some(file) = self.file() {
            write!(f, " at {}", short(file).display())?;
            if let Some(line) = self.line() {
                write!(f, ":{line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// See the module's documentation.
fn relevant(mut frames: Vec<Frame>, is_of_blocked: bool) -> Vec<Frame> {
    let is_in = |file: &'static str| move |frame: &Frame| frame.is_of_executor(file);
    let recorder = frames.iter().position(is_in("tasks/capture.rs"));
    if let Some(recorder) = recorder.filter(|_| !is_of_blocked) {
        frames.drain(..recorder);
        let is_recorder = is_in("tasks/capture.rs");
        let behind = frames.iter().position(|frame| !is_recorder(frame));
        frames.drain(..behind.unwrap_or(frames.len()));
    }
    let polls =
        |frame: &Frame| is_in("tasks/contain.rs")(frame) || is_in("runtime/block_on.rs")(frame);
    if let Some(boundary) = frames.iter().position(polls) {
        frames.truncate(boundary);
    }
    // What is put around each future.
    let is_wrapper = |frame: &Frame| {
        let files = ["tasks/observe.rs", "tasks/capture.rs", "tasks/queue.rs"];
        frame.is_of_std() || files.iter().any(|file| frame.is_of_executor(file))
    };
    let inside = frames.iter().rposition(|frame| !is_wrapper(frame));
    frames.truncate(inside.map_or(0, |inside| inside + 1));
    let is_inner = |frame: &Frame| frame.is_ours() || frame.is_of_std();
    // What polls the task's first future, unless that is the executor's.
    if let Some(first) = frames.iter().rposition(|frame| !is_inner(frame)) {
        frames.truncate(first + 1);
    }
    let inner = frames.iter().position(|frame| !is_inner(frame));
    let inner = inner.unwrap_or(frames.len());
    let leaf = frames[..inner]
        .iter()
        .rposition(|frame| frame.is_of_executor(""));
    frames.drain(..leaf.unwrap_or(inner));
    frames.retain(|frame| !frame.is_of_std());
    frames
}

/// The first part of the path that a symbol is about: of `<a::B<c::D> as e::F>::g` that is `a`, and
/// of `<T as e::F>::g`, which is written for every `T`, it is `e`.
pub(super) fn crate_of(name: &str) -> &str {
    let path = name
        .trim_start_matches(['<', '&'])
        .trim_start_matches("mut ");
    let path = path.trim_start_matches("dyn ");
    let path = match name.starts_with('<') && !is_path(path) {
        true => path
            .split_once(" as ")
            .map_or(path, |(_, of_trait)| of_trait),
        false => path,
    };
    path.split("::").next().unwrap_or(path)
}

/// Whether the type that this begins with has a path, and is not a parameter.
fn is_path(text: &str) -> bool {
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_');
    end.is_some_and(|end| text[end..].starts_with("::"))
}

/// The name as the source has it, as far as that can be told: without type arguments, and without
/// what says only that a function is an async one.
pub(super) fn readable(name: &str) -> Cow<'_, str> {
    // Debug information that has only lines names an inlined function without its path.
    for (made_up, said) in [
        ("{async_fn", "async fn"),
        ("{async_block", "async block"),
        ("{closure", "closure"),
    ] {
        if name.starts_with(made_up) {
            return Cow::Borrowed(said);
        }
    }
    if let Some(of_type) = without_trait(name) {
        return Cow::Owned(readable(&of_type).into_owned());
    }
    let name = match name.find('<') {
        Some(arguments) if arguments > 0 && name.ends_with('>') => &name[..arguments],
        _ => name,
    };
    let mut name = Cow::Borrowed(name);
    for closure in ["::{{closure}}", "::{closure#0}"] {
        if name.contains(closure) {
            name = Cow::Owned(name.replace(closure, ""));
        }
    }
    name
}

/// Of `<a::B<c::D> as e::F>::g` it is `a::B::g`. `None`: the name is none of that kind.
fn without_trait(name: &str) -> Option<String> {
    let of_type = name.strip_prefix('<').filter(|of_type| is_path(of_type))?;
    let mut depth = 0;
    let mut ends = of_type.char_indices().filter(|&(at, char)| {
        depth += match char {
            '<' => 1,
            '>' if !of_type[..at].ends_with('-') => -1,
            _ => 0,
        };
        depth < 0 || depth == 0 && of_type[at..].starts_with(" as ")
    });
    let (of_trait, _) = ends.next()?;
    let (end, _) = ends.find(|&(_, char)| char == '>')?;
    let of_type_alone = &of_type[..of_trait];
    let path = of_type_alone.split('<').next().unwrap_or(of_type_alone);
    Some(format!("{path}{}", &of_type[end + 1..]))
}

/// Relative to the current directory, or to the folder that packages are unpacked into.
fn short(file: &Path) -> PathBuf {
    static CURRENT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let current = CURRENT.get_or_init(|| std::env::current_dir().ok());
    if let Some(relative) = current
        .as_ref()
        .and_then(|current| file.strip_prefix(current).ok())
    {
        return relative.to_owned();
    }
    let parts: Vec<_> = file.components().collect();
    let registry = parts
        .windows(2)
        .position(|pair| pair[0].as_os_str() == "registry" && pair[1].as_os_str() == "src");
    match registry {
        // registry/src/NAME/PACKAGE/..
        Some(at) if at + 3 < parts.len() => parts[at + 3..].iter().collect(),
        _ => file.to_owned(),
    }
}
