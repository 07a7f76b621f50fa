//! What is unsafe in the sources, and what `docs/unsafe.md` says of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use super::source::{Source, words};

/// How much of one function, or in one implementation, is unsafe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    functions: usize,
    impls: usize,
    blocks: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec!["fn"; self.functions];
        parts.extend(vec!["impl"; self.impls]);
        let blocks = match self.blocks {
            0 => String::new(),
            1 => "1 block".to_owned(),
            count => format!("{count} blocks"),
        };
        parts.extend((self.blocks != 0).then_some(&*blocks));
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// By file and item.
type Counts = BTreeMap<(String, String), Count>;

pub(crate) fn document() -> String {
    read("docs/unsafe.md")
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn differences(sources: &[Source], document: &str) -> Vec<String> {
    let found = found(sources);
    let listed = listed(document);
    let mut broken = Vec::new();
    for key in found.keys().chain(listed.keys()) {
        let [is, said] =
            [&found, &listed].map(|counts| counts.get(key).copied().unwrap_or_default());
        let line = format!("src/{}, {}: {is}, but the list says {said}", key.0, key.1);
        if is != said && !broken.contains(&line) {
            broken.push(line);
        }
    }
    let shipped = found
        .iter()
        .filter(|((file, _), _)| !file.ends_with("tests.rs"));
    let (blocks, functions) = shipped.fold((0, 0), |(blocks, functions), (_, count)| {
        (blocks + count.blocks, functions + count.functions)
    });
    let sum = format!("{blocks} blocks and {functions} functions");
    let is_summed = document.contains(" blocks and ");
    if is_summed && !document.contains(&sum) {
        broken.push(format!("docs/unsafe.md does not say {sum:?} in all"));
    }
    if is_summed && !read("docs/reliability.md").contains(&sum) {
        broken.push(format!("docs/reliability.md does not say {sum:?}"));
    }
    broken
}

fn found(sources: &[Source]) -> Counts {
    let mut counts = Counts::new();
    for source in sources {
        for at in words(&source.code, "unsafe") {
            let next = source.code[at + "unsafe".len()..].trim_start();
            let mut add = |item: &str, add: fn(&mut Count)| {
                let key = (source.path.clone(), item.to_owned());
                add(counts.entry(key).or_default());
            };
            if next.starts_with('{') {
                add(function_around(source, at), |count| count.blocks += 1);
            } else if let Some(name) = next.strip_prefix("fn ") {
                add(name_at(name), |count| count.functions += 1);
            } else if let Some(name) = next.strip_prefix("impl") {
                add(name_at(name), |count| count.impls += 1);
            }
        }
    }
    counts
}

/// The last function that begins before a position.
fn function_around(source: &Source, at: usize) -> &str {
    let last = words(&source.code[..at], "fn").last();
    last.map_or("-", |last| name_at(&source.code[last + 2..]))
}

fn name_at(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// The rows that begin with a file: "| `file` | `item` | fn, 2 blocks |".
fn listed(document: &str) -> Counts {
    let mut counts = Counts::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", file, item, what, ..] = cells[..] else {
            continue;
        };
        let (Some(file), Some(item)) = (quoted(file), quoted(item)) else {
            continue;
        };
        let count = counts.entry((file, item)).or_default();
        for part in what.split(", ") {
            match part.split(' ').collect::<Vec<_>>()[..] {
                ["fn"] => count.functions += 1,
                ["impl"] => count.impls += 1,
                [blocks, "block" | "blocks"] => count.blocks += blocks.parse().unwrap_or(0),
                _ => panic!("docs/unsafe.md: what is {part:?}?"),
            }
        }
    }
    counts
}

fn quoted(cell: &str) -> Option<String> {
    Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned())
}
