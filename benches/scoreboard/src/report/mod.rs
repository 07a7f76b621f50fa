//! What has been measured, as tables and a chart.

pub(crate) mod chart;
pub(crate) mod machine;
mod picture;

use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use crate::contest::{Allocator, Contest, Summary};
use crate::rows::{Figure, Row, SMOL, TOKIO};
use crate::runtimes::go;
use crate::support::{Gosched, Scheduler};

const PEERS: [&str; 3] = [TOKIO, SMOL, go::NAME];
/// Below it, a ratio between two medians is a tie on a shared machine.
const TIE: f64 = 1.15;

/// A figure of a row with what is to be said of it.
struct Line<'a> {
    row: &'a Row,
    figure: &'a Figure,
    /// Ours, then [`PEERS`].
    systems: [Option<Summary>; 4],
    to_best: Option<f64>,
    to_best_mimalloc: Option<f64>,
}

impl Line<'_> {
    fn peers(&self) -> &'static [&'static str] {
        self.figure.aim.as_ref().map_or(&PEERS, |aim| aim.peers)
    }

    fn verdict(&self) -> &'static str {
        let (Some(aim), Some(ratio)) = (&self.figure.aim, self.to_best) else {
            return "";
        };
        match ratio {
            _ if ratio <= aim.ratio => "reached",
            _ if ratio < 1.0 / TIE => "ahead",
            _ if ratio <= TIE => "tie",
            _ => "behind",
        }
    }
}

fn lines(contest: &Contest) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (r, row) in contest.rows.iter().enumerate() {
        for (f, figure) in row.figures.iter().enumerate() {
            let get = |runtime, allocator| contest.summary(r, f, runtime, allocator);
            let peers = figure.aim.as_ref().map_or(&PEERS[..], |aim| aim.peers);
            let to_best = |allocator| {
                let ours = get(Gosched::NAME, allocator)?.median;
                let theirs = peers.iter().filter_map(|peer| get(peer, allocator));
                let best = theirs
                    .map(|peer| peer.median)
                    .filter(|m| !m.is_nan())
                    .reduce(f64::min)?;
                Some(ours / best)
            };
            let system = |runtime| get(runtime, Allocator::System);
            lines.push(Line {
                row,
                figure,
                systems: [Gosched::NAME, TOKIO, SMOL, go::NAME].map(system),
                to_best: to_best(Allocator::System),
                to_best_mimalloc: to_best(Allocator::Mimalloc),
            });
        }
    }
    lines
}

/// Everything, as Markdown.
pub(crate) fn table(contest: &Contest) -> String {
    let mut text = machine::describe(contest);
    text.push_str("\nEach cell: median (least, spread), lower is better; the spread is that of all rounds, from the least to the most, in per cent of the median.\n\n");
    text.push_str("| workload | figure | gosched | tokio | smol | Go | ours / best peer | aim | | with mimalloc: gosched | tokio | smol | ours / best peer |\n");
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|\n");
    for (r, row) in contest.rows.iter().enumerate() {
        for (f, line) in lines(contest)
            .iter()
            .filter(|line| line.row.name == row.name)
            .enumerate()
        {
            let title = if f == 0 { row.title } else { "" };
            let [ours, tokio, smol, go] = line.systems.map(cell);
            let mimalloc = [Gosched::NAME, TOKIO, SMOL]
                .map(|runtime| cell(contest.summary(r, f, runtime, Allocator::Mimalloc)))
                .join(" | ");
            let _ = writeln!(
                text,
                "| {title} | {} | {ours} | {tokio} | {smol} | {go} | {} | {} | {} | {mimalloc} | {} |",
                named(line.figure),
                ratio(line.to_best),
                aim(line.figure),
                line.verdict(),
                ratio(line.to_best_mimalloc),
            );
        }
    }
    text.push_str("\nNot like for like:\n\n");
    for row in contest.rows.iter().filter(|row| !row.note.is_empty()) {
        let _ = writeln!(text, "* {}: {}", row.title, row.note);
    }
    text
}

/// Writes the chart, and the parts of the page and of the README between their marks. The README's needs two rows; where
/// these were not measured it stays.
pub(crate) fn record(contest: &Contest, checkout: &Path) -> io::Result<()> {
    let page = checkout.join("docs/scoreboard.md");
    replace(&page, "scoreboard", &table(contest))?;
    fs::write(checkout.join("docs/scoreboard.svg"), chart::svg(contest))?;
    match picture::draw(contest) {
        Some(picture) => replace(&checkout.join("README.md"), "scoreboard", &picture),
        None => Ok(()),
    }
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- end of NAME -->`.
pub(crate) fn replace(file: &Path, name: &str, part: &str) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    let (from, to) = find_part(file, &text, name)?;
    fs::write(file, format!("{}{part}{}", &text[..from], &text[to..]))
}

/// Whether [`replace`] will find its place: to be asked before what takes long.
pub(crate) fn has_part(file: &Path, name: &str) -> io::Result<()> {
    find_part(file, &fs::read_to_string(file)?, name).map(drop)
}

/// Where it begins and ends.
fn find_part(file: &Path, text: &str, name: &str) -> io::Result<(usize, usize)> {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let places = text.find(&begin).zip(text.find(&end));
    let places = places.map(|(from, to)| (from + begin.len(), to));
    places.filter(|(from, to)| from <= to).ok_or_else(|| {
        let (file, begin) = (file.display(), begin.trim());
        io::Error::other(format!("{file} has no lines {begin} and {end}"))
    })
}

fn named(figure: &Figure) -> String {
    match figure.unit {
        "" => figure.name.to_owned(),
        unit => format!("{}, {unit}", figure.name),
    }
}

fn aim(figure: &Figure) -> String {
    let Some(aim) = &figure.aim else {
        return String::new();
    };
    match aim.peers.len() == PEERS.len() {
        true => format!("{:.2}", aim.ratio),
        false => format!("{:.2} of {}", aim.ratio, aim.peers.join(", ")),
    }
}

fn cell(summary: Option<Summary>) -> String {
    summary.map_or("-".to_owned(), |summary| {
        let spread = (summary.max - summary.min) / summary.median * 100.0;
        match summary.median.is_nan() {
            true => "stalled".to_owned(),
            false => format!(
                "{} ({}, {spread:.0} %)",
                number(Some(summary.median)),
                number(Some(summary.min))
            ),
        }
    })
}

/// Three digits or so. Not a number: nothing came.
pub(crate) fn number(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure.is_nan() => "stalled".to_owned(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) if figure >= 10.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}
