//! What stands in the parentheses of an attribute.

use std::fmt;
use std::time::Duration;

use proc_macro::{Span, TokenStream, TokenTree};

use crate::errors::Errors;
use crate::tokens::{flat, is_punct};

mod values;

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    /// Where it stands.
    pub(crate) fn span(self) -> Span {
        Span::call_site()
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Attribute::Main => &["worker_threads", "crate"],
            Attribute::Test => &["worker_threads", "timeout", "seeds", "seed", "crate"],
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attribute::Main => "`#[executor::main]`",
            Attribute::Test => "`#[executor::test]`",
        })
    }
}

/// Those that were given, and are as they should be.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) worker_threads: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) seeds: Option<u64>,
    pub(crate) seed: Option<u64>,
    /// Path to the library.
    pub(crate) library: Option<TokenStream>,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream, attribute: Attribute, errors: &mut Errors) -> Options {
        let mut options = Options::default();
        let mut seen = Vec::new();
        for option in flat(tokens).split(|token| is_punct(token, ',')) {
            let Some(first) = option.first() else {
                // After the last comma, or between two.
                continue;
            };
            let name = first.to_string();
            if !attribute.names().contains(&&*name) {
                errors.over(
                    option_name(option),
                    first.span(),
                    &unknown(&name, attribute),
                );
            } else if seen.contains(&name) {
                errors.at(first.span(), &format!("`{name}` is there already"));
            } else {
                options.set(&name, first.span(), &option[1..], errors);
                if let ("seeds" | "seed", false) = (&*name, cfg!(feature = "sim")) {
                    let message = format!(
                        "`{name}` runs the test in a simulation, which needs the feature `sim` of the package `gosched`"
                    );
                    errors.at(first.span(), &message);
                }
                seen.push(name);
            }
        }
        if !cfg!(feature = "sim") {
            (options.seed, options.seeds) = (None, None);
        }
        options
    }

    /// `rest`: what follows the name.
    fn set(&mut self, name: &str, at: Span, rest: &[TokenTree], errors: &mut Errors) {
        let value = match rest {
            [equals, value @ ..] if is_punct(equals, '=') && !value.is_empty() => value,
            _ => &[],
        };
        let takes = match name {
            "worker_threads" => {
                self.worker_threads = values::integer(value).filter(|&count| count != 0);
                (self.worker_threads.is_none())
                    .then_some("an integer from 1 on, as in `worker_threads = 4`")
            }
            "seeds" => {
                self.seeds = values::integer(value).filter(|&count| count != 0);
                (self.seeds.is_none()).then_some("an integer from 1 on, as in `seeds = 100`")
            }
            "seed" => {
                self.seed = values::integer(value);
                (self.seed.is_none()).then_some("an integer of 64 bits, as in `seed = 0x5eed`")
            }
            "timeout" => {
                self.timeout = values::text(value).and_then(|text| values::duration(&text));
                (self.timeout.is_none()).then_some(
                    "a time in quotes, as in `timeout = \"5s\"`, in `us`, `ms`, `s`, `m` or `h`",
                )
            }
            _ => {
                self.library = values::path(value);
                (self.library.is_none()).then_some("a path in quotes, as in `crate = \"renamed\"`")
            }
        };
        if let Some(takes) = takes {
            let wrong = if value.is_empty() { rest } else { value };
            errors.over(wrong, at, &format!("`{name}` takes {takes}"));
        }
    }
}

/// Up to `=`: a path is one name.
fn option_name(option: &[TokenTree]) -> &[TokenTree] {
    let end = option.iter().position(|token| is_punct(token, '='));
    &option[..end.unwrap_or(option.len())]
}

fn unknown(name: &str, attribute: Attribute) -> String {
    let names: Vec<String> = attribute
        .names()
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let (last, others) = names.split_last().expect("there are some");
    let takes = format!("{attribute} takes {} and {last}", others.join(", "));
    match name {
        "flavor" => format!("there is one kind of runtime, without a `flavor`; {takes}"),
        "start_paused" if attribute == Attribute::Test => {
            format!("time is simulated with `seed` or `seeds`; {takes}")
        }
        _ if Attribute::Test.names().contains(&name) => {
            format!("`{name}` is for tests; {takes}")
        }
        _ => format!("unknown option; {takes}"),
    }
}
