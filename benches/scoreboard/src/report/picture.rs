//! The README's picture: how late ticks are beside tasks that misbehave, as bars of text.

use std::fmt::Write;

use super::{machine, number};
use crate::contest::{Allocator, Contest};
use crate::rows::{SMOL, TOKIO};
use crate::runtimes::go;
use crate::support::{Gosched, Scheduler};

/// The rows, side by side, and which figure of theirs is drawn.
const ROWS: [&str; 2] = ["block", "spin"];
const FIGURE: &str = "late p99";
const SYSTEMS: [(&str, &str); 4] = [
    (Gosched::NAME, "gosched"),
    (go::NAME, "Go"),
    (TOKIO, "tokio"),
    (SMOL, "smol"),
];
/// Of the longest bar.
const BAR: f64 = 20.0;
/// Of all prose in the README.
const COLUMNS: usize = 80;

/// `None` when one of the rows was not measured.
pub(super) fn draw(contest: &Contest) -> Option<String> {
    let mut titles = Vec::new();
    let mut columns = Vec::new();
    for name in ROWS {
        let r = contest.rows.iter().position(|row| row.name == name)?;
        let row = contest.rows[r];
        let f = row
            .figures
            .iter()
            .position(|figure| figure.name == FIGURE)?;
        titles.push(row.title.split(',').next()?);
        let median = |(system, _)| Some(contest.summary(r, f, system, Allocator::System)?.median);
        columns.push(SYSTEMS.map(median));
    }
    let all = columns.iter().flatten().flatten();
    let longest = all.copied().fold(0.0, f64::max);
    let mut lines = vec![format!("{:17}{:31}{}", "", titles[0], titles[1])];
    for (s, (_, name)) in SYSTEMS.iter().enumerate() {
        let [left, right] = [0, 1].map(|column: usize| {
            let late = columns[column][s];
            let bar = late.map_or(0.0, |late| late / longest * BAR).round();
            format!("{:>7}  {:22}", number(late), "#".repeat(bar as usize))
        });
        lines.push(format!("{name:8}{left}{right}"));
    }
    let mut text = "```text\n".to_owned();
    for line in lines {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = write!(text, "```\n\n{}", wrap(&machine::describe(contest)));
    Some(text)
}

fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one at least");
        match last.len() {
            0 => last.push_str(word),
            length if length + 1 + word.len() <= COLUMNS => *last += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}
