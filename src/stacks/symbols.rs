//! Names and lines of addresses, kept for the next who asks.
//!
//! A program has a bounded number of places where a call returns to, so what is kept is bounded,
//! too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::sync::{Arc, Mutex, OnceLock};

/// A function that contains an address. Several functions contain it if the compiler has inlined
/// them into each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Symbol {
    pub(super) name: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) line: Option<u32>,
}

type Symbols = Arc<[Arc<Symbol>]>;

static KNOWN: Mutex<Option<HashMap<usize, Symbols>>> = Mutex::new(None);

/// The functions that contain this return address, the innermost first. Empty: none is known.
///
/// Under the lock, though it reads files the first time: a child that was forked while another
/// thread looks up would find what is underneath locked for ever.
pub(super) fn at(address: usize) -> Symbols {
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    let look_up = || look_up(address).into_iter().map(Arc::new).collect();
    known.entry(address).or_insert_with(look_up).clone()
}

/// Takes the lock, for a fork.
pub(super) fn hold() -> impl Sized + 'static {
    KNOWN.lock()
}

/// The folder of this crate's source, as the debug information names it.
///
/// If the crate has none, functions of its that were compiled with another package may have, where
/// they are generic.
pub(super) fn own_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    if let Some(folder) = FOLDER.get() {
        return folder;
    }
    // Before `get_or_init`: a child that was forked while another thread looks up would wait for
    // that thread there.
    let folder = find_own_folder();
    FOLDER.get_or_init(|| folder)
}

fn find_own_folder() -> PathBuf {
    // An address within this function: return addresses are behind the call.
    let here = at((find_own_folder as fn() -> PathBuf as usize).wrapping_add(1));
    let known = here.last().and_then(|symbol| symbol.file.as_deref());
    let built = Path::new(file!());
    let file = known.or(Some(built).filter(|built| built.is_absolute()));
    match file.and_then(|file| file.parent()?.parent()) {
        Some(folder) => folder.to_owned(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
    }
}

#[cfg(feature = "stacks")]
fn look_up(address: usize) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    backtrace::resolve(std::ptr::without_provenance_mut(address), |symbol| {
        symbols.push(Symbol {
            // Without the hash of its crate.
            name: symbol.name().map(|name| format!("{name:#}")),
            file: symbol.filename().map(PathBuf::from),
            line: symbol.lineno().filter(|&line| line != 0),
        });
    });
    symbols
}

#[cfg(not(feature = "stacks"))]
fn look_up(_: usize) -> Vec<Symbol> {
    Vec::new()
}
