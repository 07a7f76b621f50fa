//! Source files as text: without comments, strings and tests, and with lines for positions.

use std::fs;
use std::path::Path;

/// One file below `src/`.
pub(crate) struct Source {
    pub(crate) path: String,
    /// The first part of its path: `scheduler` for `scheduler/parked_worker.rs`.
    pub(crate) module: String,
    pub(crate) text: String,
    /// The text with comments, strings and character literals blanked out; positions are those of `text`.
    pub(crate) code: String,
    /// `code` with test modules blanked out as well.
    shipped: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = blank_comments_and_strings(text);
        let stem = path.trim_end_matches(".rs");
        let is_test = stem.split('/').any(|part| part == "tests");
        let shipped = if is_test {
            String::new()
        } else {
            blank_tests(&code)
        };
        let module = stem.split('/').next().unwrap_or(stem).to_owned();
        Source {
            path: path.to_owned(),
            module,
            text: text.to_owned(),
            code,
            shipped,
        }
    }

    /// The code without its test modules; positions are those of `text`.
    pub(crate) fn shipped(&self) -> &str {
        &self.shipped
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// The names that follow `root::` in shipped code, also in a group `root::{a, b::c}`, with their lines.
    pub(crate) fn names_after(&self, root: &str) -> Vec<(usize, String)> {
        self.names(&self.shipped, root)
    }

    pub(crate) fn names_in_all_code_after(&self, root: &str) -> Vec<(usize, String)> {
        self.names(&self.code, root)
    }

    fn names(&self, code: &str, root: &str) -> Vec<(usize, String)> {
        let mut names = Vec::new();
        for at in words(code, root) {
            let Some(rest) = code[at + root.len()..].strip_prefix("::") else {
                continue;
            };
            let start = at + root.len() + 2;
            if !rest.starts_with('{') {
                names.push((self.line(start), identifier(rest).to_owned()));
                continue;
            }
            let mut depth = 0;
            let mut fresh = false;
            for (offset, c) in rest.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ if depth == 1 && fresh && !c.is_whitespace() => {
                        names.push((
                            self.line(start + offset),
                            identifier(&rest[offset..]).to_owned(),
                        ));
                    }
                    _ => {}
                }
                fresh = (fresh && c.is_whitespace()) || (depth == 1 && (c == ',' || offset == 0));
                if depth == 0 {
                    break;
                }
            }
        }
        names
    }

    /// Chains `super::super::..` that leave the file's top module, with their lines.
    pub(crate) fn supers_to_the_root(&self) -> Vec<(usize, String)> {
        let stem = self.path.trim_end_matches(".rs");
        if stem == "lib" {
            return Vec::new();
        }
        let depth = stem.trim_end_matches("/mod").split('/').count();
        let mut found = Vec::new();
        let mut seen_to = 0;
        for at in words(&self.shipped, "super") {
            if at < seen_to {
                continue;
            }
            let mut supers = 0;
            while self.shipped[at + 7 * supers..].starts_with("super::") {
                supers += 1;
            }
            seen_to = at + 7 * supers;
            if supers >= depth + inline_modules_around(&self.shipped, at) {
                found.push((self.line(at), "super::".repeat(supers)));
            }
        }
        found
    }
}

/// How many `mod name { .. }` of this file enclose a position.
fn inline_modules_around(code: &str, position: usize) -> usize {
    let opens_before = |at: &usize| {
        let Some(open) = code[*at..].find(['{', ';']).map(|offset| at + offset) else {
            return false;
        };
        code[open..].starts_with('{') && open < position && position < end_of_item(code, *at)
    };
    words(code, "mod").filter(opens_before).count()
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    each_rust_file(&root, &mut |path, text| {
        let name = path
            .strip_prefix(&root)
            .expect("below the root")
            .to_string_lossy();
        sources.push(Source::new(&name.replace('\\', "/"), &text));
    });
    assert!(!sources.is_empty(), "no sources in {}", root.display());
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

/// Below this folder, except what cargo has put there.
pub(crate) fn each_rust_file(folder: &Path, f: &mut impl FnMut(&Path, String)) {
    for entry in fs::read_dir(folder).expect("the sources are readable") {
        let path = entry.expect("the sources are readable").path();
        if path.is_dir() && !path.ends_with("target") {
            each_rust_file(&path, f);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            f(
                &path,
                fs::read_to_string(&path).expect("a source file is text"),
            );
        }
    }
}

fn identifier(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    &text[..end]
}

/// The positions of `word` where it is not part of a longer one.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part)
        })
}

/// Blanks every item under a `#[cfg(..test..)]`.
fn blank_tests(code: &str) -> String {
    let mut shipped = code.to_owned();
    for (at, _) in code.match_indices("#[cfg(") {
        let Some(end) = code[at..].find(']').map(|offset| at + offset) else {
            continue;
        };
        let condition = &code[at..end];
        if words(condition, "test").next().is_some() && !condition.contains("not(test") {
            blank(&mut shipped, at, end_of_item(code, end));
        }
    }
    shipped
}

/// The end of the item that starts at `at`: a semicolon, or the brace that closes its first block.
fn end_of_item(code: &str, at: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + offset + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    code.len()
}

fn blank(text: &mut String, from: usize, to: usize) {
    let blanked: String = text[from..to]
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect();
    text.replace_range(from..to, &blanked);
}

fn blank_comments_and_strings(text: &str) -> String {
    let mut code = text.to_owned();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = string(text, at) {
            length
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        blank(&mut code, at, at + length);
        at += length;
    }
    code
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of the string, raw string or character literal that starts at `at`, if one does.
fn string(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let in_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let raw = rest
        .strip_prefix('r')
        .or_else(|| rest.strip_prefix("br"))
        .filter(|_| !in_word);
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = rest.len() - raw.len() + hashes + 1;
            let end = rest[body..]
                .find(&close)
                .map_or(rest.len(), |end| body + end + close.len());
            return Some(end);
        }
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut chars = rest.char_indices().skip(1);
    if quote == '\'' {
        // A lifetime has no closing quote after its first character.
        let mut ahead = rest.chars().skip(1);
        let first = ahead.next()?;
        if first != '\\' && ahead.next() != Some('\'') {
            return None;
        }
    }
    while let Some((offset, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            _ if c == quote => return Some(offset + 1),
            _ => {}
        }
    }
    Some(rest.len())
}
