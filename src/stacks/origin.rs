//! Whose code a frame is: the program's, or a library's.

use std::path::Path;

use super::frame::{Frame, crate_of, readable};

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// A package that is not one of a registry: of the program, or beside it.
    Program,
    /// This package, without its version.
    Library(&'a str),
}

impl Frame {
    /// By the file. If the debug information has none, by the name: what has the crate of the
    /// task's first future, whose type is given, is the program's then.
    pub(crate) fn origin(&self, future: Option<&str>) -> Origin<'_> {
        if self.is_of_executor("") {
            return Origin::Library("executor");
        }
        match self.file() {
            Some(file) => package_of(file).map_or(Origin::Program, Origin::Library),
            None => {
                let own = crate_of(self.name().unwrap_or_default());
                match future.is_some_and(|future| crate_of(future) == own) {
                    true => Origin::Program,
                    false => Origin::Library(own),
                }
            }
        }
    }

    /// Whether the function is one of this package, by its name or its file. `package` has dashes.
    pub(crate) fn is_of_package(&self, package: &str) -> bool {
        crate_of(self.name().unwrap_or_default()) == package.replace('-', "_")
            || self.file().and_then(package_of) == Some(package)
    }

    /// Whether both stand for the same line of the source. Their addresses may be different, as a
    /// line may call several functions, and one function may have several copies.
    pub(crate) fn is_at_line_of(&self, other: &Frame) -> bool {
        self.symbol == other.symbol && (self.name().is_some() || self.address() == other.address())
    }

    /// Whether it is a function of a collection that polls only those of its futures that were
    /// woken themselves.
    pub(crate) fn hides_futures(&self) -> bool {
        let file = self.file().and_then(Path::to_str).unwrap_or_default();
        file.contains("futures_unordered")
            || (self.name()).is_some_and(|name| readable(name).contains("FuturesUnordered"))
    }
}

/// The package of a registry, a repository or a vendor folder that the file lies in, without its
/// version.
fn package_of(file: &Path) -> Option<&str> {
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let behind = |folders: &[&str], skipped: usize| {
        let at = (parts.windows(folders.len())).rposition(|pair| pair == folders)?;
        let package = parts.get(at + folders.len() + skipped)?;
        Some(without_version(package))
    };
    // Paths that were trimmed begin with the package.
    let trimmed = || {
        let first = parts.first()?;
        let package = without_version(first);
        (package != *first).then_some(package)
    };
    // registry/src/INDEX/PACKAGE, git/checkouts/PACKAGE-HASH/COMMIT, vendor/PACKAGE
    behind(&["registry", "src"], 1)
        .or_else(|| {
            let package = behind(&["git", "checkouts"], 0)?;
            Some(package.rsplit_once('-').map_or(package, |(name, _)| name))
        })
        .or_else(|| behind(&["vendor"], 0))
        .or_else(trimmed)
}

/// Of `async-lock-3.5.0` it is `async-lock`.
fn without_version(package: &str) -> &str {
    let is_version = |at: usize| {
        let version = &package[at + 1..];
        version.starts_with(|char: char| char.is_ascii_digit()) && version.contains('.')
    };
    let mut hyphens = package.match_indices('-').map(|(at, _)| at);
    hyphens
        .find(|&at| is_version(at))
        .map_or(package, |at| &package[..at])
}

/// So much of a type's name is shown.
const LONGEST: usize = 160;

/// A type as the source has it, as far as that can be told: without what says only that a function
/// is an async one, without the modules of the standard library, and not boxed.
pub(crate) fn readable_type(name: &str) -> String {
    let mut name = name;
    while let Some(boxed) = name
        .strip_prefix("core::pin::Pin<alloc::boxed::Box<")
        .and_then(|boxed| boxed.strip_suffix(">>"))
    {
        name = boxed;
    }
    let name = readable_paths(&name.replace("::{{closure}}", ""));
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &name[..end]),
        None => name,
    }
}

/// Without the modules of the standard library.
fn readable_paths(name: &str) -> String {
    let is_of_path = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
    let mut text = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(|char| !is_of_path(char)).unwrap_or(rest.len());
        let (path, others) = rest.split_at(end);
        let is_of_std = matches!(crate_of(path), "core" | "std" | "alloc");
        let last = path.rsplit("::").next().unwrap_or(path);
        text.push_str(if is_of_std { last } else { path });
        let next = others.find(is_of_path).unwrap_or(others.len());
        text.push_str(&others[..next]);
        rest = &others[next..];
    }
    text
}

impl Frame {
    /// Whether the function is the one of this type, as [`readable_type`] writes it.
    pub(crate) fn is_of_type(&self, of_type: &str) -> bool {
        self.name().is_some_and(|name| readable(name) == of_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_whose_it_is() {
        for (file, package) in [
            ("/home/me/shop/src/main.rs", None),
            ("src/main.rs", None),
            ("/srv/shop-1.2.0/src/main.rs", None),
            (
                "/root/.cargo/registry/src/index-1949cf8c6b5b557f/event-listener-strategy-0.5.4/src/lib.rs",
                Some("event-listener-strategy"),
            ),
            (
                "/root/.cargo/git/checkouts/async-lock-2f1a/9d3e/src/mutex.rs",
                Some("async-lock"),
            ),
            ("/home/me/shop/vendor/h2/src/lib.rs", Some("h2")),
            ("h2-0.4.12/src/lib.rs", Some("h2")),
            (
                "/x/registry/src/i/zstd-sys-2.0.16+zstd.1.5.7/src/lib.rs",
                Some("zstd-sys"),
            ),
        ] {
            assert_eq!(package_of(Path::new(file)), package, "{file}");
        }
    }

    #[test]
    fn a_type_is_written_as_the_source_has_it() {
        for (name, readable) in [
            ("shop::serve::{{closure}}", "shop::serve"),
            ("shop::main::{{closure}}::{{closure}}", "shop::main"),
            (
                "core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future<Output = ()> + core::marker::Send>>",
                "dyn Future<Output = ()> + Send",
            ),
            (
                "futures_lite::future::Or<core::future::ready::Ready<u8>, shop::f::{{closure}}>",
                "futures_lite::future::Or<Ready<u8>, shop::f>",
            ),
            ("", ""),
        ] {
            assert_eq!(readable_type(name), readable);
        }
        assert_eq!(readable_type(&"ä".repeat(161)).chars().count(), 162);
    }

    #[test]
    fn a_function_is_named_by_its_type_not_by_the_trait() {
        for (name, readably) in [
            ("<a::B as core::future::future::Future>::poll", "a::B::poll"),
            (
                "<a::B<c::D<E>,fn() -> F> as g::H<I>>::poll::{{closure}}",
                "a::B::poll",
            ),
            ("<T as a::B>::poll", "<T as a::B>::poll"),
            ("a::<impl b::C<T>>::d", "a::<impl b::C<T>>::d"),
            ("a::b::{{closure}}", "a::b"),
            ("a::b<C>", "a::b"),
        ] {
            assert_eq!(readable(name), readably);
        }
    }
}
