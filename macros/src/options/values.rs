//! Literals, as values. `None`: it is no such one.

use std::time::Duration;

use proc_macro::{TokenStream, TokenTree};

/// A literal as it is written.
fn literal(value: &[TokenTree]) -> Option<String> {
    match value {
        [TokenTree::Literal(literal)] => Some(literal.to_string()),
        _ => None,
    }
}

/// Of any base, with underscores, also with a suffix.
pub(super) fn integer(value: &[TokenTree]) -> Option<u64> {
    const SUFFIXES: [&str; 13] = [
        "", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
    ];
    let written = literal(value)?.replace('_', "");
    let bases = [("0x", 16), ("0o", 8), ("0b", 2)];
    let (digits, base) = bases
        .iter()
        .find_map(|&(prefix, base)| Some((written.strip_prefix(prefix)?, base)))
        .unwrap_or((&written, 10));
    let end = digits.find(|character: char| !character.is_digit(base));
    let (digits, suffix) = digits.split_at(end.unwrap_or(digits.len()));
    let number = u64::from_str_radix(digits, base).ok()?;
    SUFFIXES.contains(&suffix).then_some(number)
}

/// A string without escapes: no value needs one.
pub(super) fn text(value: &[TokenTree]) -> Option<String> {
    let written = literal(value)?;
    let raw = written
        .strip_prefix('r')
        .unwrap_or(&written)
        .trim_matches('#');
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then(|| text.to_owned())
}

/// `5s`, `1.5s`, `500ms`: longer than nothing.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60 * 1_000_000_000),
        ("h", 3600 * 1_000_000_000),
    ];
    let unit = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let (_, nanoseconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| {
        !digits.is_empty()
            && digits.len() < 10
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let scale = 10_u64.pow(fraction.len() as u32);
    let (whole, fraction): (u64, u64) = (whole.parse().ok()?, fraction.parse().ok()?);
    // Less than 10^9 each, times less than 2^42.
    let all = u128::from(whole) * u128::from(nanoseconds)
        + u128::from(fraction) * u128::from(nanoseconds) / u128::from(scale);
    let seconds = u64::try_from(all / 1_000_000_000).ok()?;
    let duration = Duration::new(seconds, (all % 1_000_000_000) as u32);
    (!duration.is_zero()).then_some(duration)
}

/// A path to a module; its names are those of the place where it is written.
pub(super) fn path(value: &[TokenTree]) -> Option<TokenStream> {
    let text = text(value)?;
    let is_name = |name: &str| {
        let name = name.strip_prefix("r#").unwrap_or(name);
        let mut characters = name.chars();
        characters
            .next()
            .is_some_and(|first| first.is_alphabetic() || first == '_')
            && characters.all(|character| character.is_alphanumeric() || character == '_')
    };
    let names = text.strip_prefix("::").unwrap_or(&text);
    if !names.split("::").all(is_name) {
        return None;
    }
    let path: TokenStream = text.parse().ok()?;
    let span = value[0].span();
    let here = path.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    Some(here.collect())
}
