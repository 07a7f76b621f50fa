//! What is put in the place of the function.

use proc_macro::{Delimiter, Group, Span, TokenStream, TokenTree};

use crate::errors::Errors;
use crate::function::Function;
use crate::options::{Attribute, Options};

pub(crate) fn expand(attribute: Attribute, options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(options, attribute, &mut errors);
    let function = Function::parse(item.clone(), attribute, &mut errors);
    let mut tokens = match function {
        Some(function) => around(attribute, &options, function),
        // As it was, for the editor.
        None => item,
    };
    tokens.extend(errors.into_tokens());
    tokens
}

/// The function with another one around it.
fn around(attribute: Attribute, options: &Options, function: Function) -> TokenStream {
    // Errors of types are shown at what is returned, as far as they are not in the function.
    let place = function
        .returns()
        .first()
        .map_or(function.name.span(), TokenTree::span);
    let place = Span::call_site().located_at(place);
    let mut outer = TokenStream::new();
    if attribute == Attribute::Test && !function.is_test {
        outer.extend(code("#[::core::prelude::v1::test]", Span::call_site()));
    }
    let is_unit = function.returns().is_empty();
    outer.extend(function.attributes);
    outer.extend(function.visibility);
    // With the places that it has: of what is a macro's of another crate, lints say nothing.
    outer.extend([function.keyword, function.name.clone().into()]);
    outer.extend(code("()", function.name.span()));
    match attribute {
        Attribute::Test if !is_unit => {
            outer.extend(code("->", place));
            outer.extend(library(options, place));
            outer.extend(code("::__macros::ExitCode", place));
        }
        Attribute::Test => {}
        Attribute::Main => outer.extend(function.output),
    }
    outer.extend(function.conditions);

    let mut body = TokenStream::from_iter(function.whole);
    if function.is_plain {
        body.extend(library(options, place));
        body.extend(code(&call(attribute, options), place));
        body.extend([group(
            Delimiter::Parenthesis,
            TokenTree::from(function.name).into(),
            place,
        )]);
        if attribute == Attribute::Test && is_unit {
            body.extend(code(";", place));
        }
    } else {
        // An error says why.
        body.extend(code("loop {}", place));
    }
    outer.extend([group(Delimiter::Brace, body, function.body)]);
    outer
}

/// The path of the library.
fn library(options: &Options, place: Span) -> TokenStream {
    options
        .library
        .clone()
        .unwrap_or_else(|| code("::executor", place))
}

/// What follows that path, up to the parentheses with the function.
fn call(attribute: Attribute, options: &Options) -> String {
    let mut call = match attribute {
        Attribute::Main => "::__macros::Main::new()".to_owned(),
        Attribute::Test => "::__macros::Test::new()".to_owned(),
    };
    let worker_threads = options
        .worker_threads
        .map(|count| format!(".worker_threads({count}usize)"));
    let timeout = options.timeout.map(|timeout| {
        let (seconds, nanoseconds) = (timeout.as_secs(), timeout.subsec_nanos());
        format!(".timeout({seconds}u64, {nanoseconds}u32)")
    });
    let seeds = options.seeds.map(|seeds| format!(".seeds({seeds}usize)"));
    let seed = options.seed.map(|seed| format!(".seed({seed}u64)"));
    call.extend([worker_threads, timeout, seeds, seed].into_iter().flatten());
    match options.seeds.is_some() || options.seed.is_some() {
        true => call + ".simulate",
        false => call + ".run",
    }
}

/// These tokens, at that place.
fn code(text: &str, place: Span) -> TokenStream {
    let tokens: TokenStream = text.parse().expect("it is Rust");
    at(tokens, place)
}

fn at(tokens: TokenStream, place: Span) -> TokenStream {
    let placed = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(inside) = &token {
            return group(inside.delimiter(), at(inside.stream(), place), place);
        }
        token.set_span(place);
        token
    });
    placed.collect()
}

fn group(delimiter: Delimiter, inside: TokenStream, place: Span) -> TokenTree {
    let mut group = Group::new(delimiter, inside);
    group.set_span(place);
    group.into()
}
