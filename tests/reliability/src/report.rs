//! What has been measured, as text and as a table.

use std::fmt::Write;
use std::{fs, io};

use crate::rows::{Figure, RUNTIMES, Row};

/// A row's figures by contestant; empty where it did not take part.
pub(crate) struct Measured {
    pub(crate) row: &'static Row,
    pub(crate) figures: [Vec<f64>; RUNTIMES.len()],
}

/// The lines between these are the program's.
const BEGIN: &str = "<!-- scorecard -->\n";
const END: &str = "<!-- end -->\n";

impl Measured {
    fn ours(&self, index: usize) -> Option<f64> {
        self.figures[0].get(index).copied()
    }

    fn verdicts(&self) -> impl Iterator<Item = bool> {
        let figures = self.row.figures.iter().enumerate();
        // What could not be measured here is neither.
        let measured = |index| self.ours(index).filter(|value| !value.is_nan());
        figures.filter_map(move |(index, figure)| Some(measured(index)? <= figure.limit()?))
    }

    /// How many of ours are within their limits.
    pub(crate) fn kept(&self) -> usize {
        self.verdicts().filter(|kept| *kept).count()
    }

    pub(crate) fn missed(&self) -> usize {
        self.verdicts().filter(|kept| !*kept).count()
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.row.name, self.row.what);
        for (index, figure) in self.row.figures.iter().enumerate() {
            let name = match figure.unit {
                "" => figure.name.to_owned(),
                unit => format!("{}, {unit}", figure.name),
            };
            write!(text, "  {name:44}").expect("to memory");
            for (place, runtime) in RUNTIMES.iter().enumerate() {
                if let Some(value) = self.figures[place].get(index) {
                    write!(text, " {runtime} {:>9}", number(*value)).expect("to memory");
                }
            }
            let verdict = match (figure.limit(), self.ours(index)) {
                (Some(limit), Some(value)) if value <= limit => "  ok",
                (Some(_), Some(value)) if !value.is_nan() => "  MISSED",
                _ => "",
            };
            writeln!(text, "{verdict}").expect("to memory");
        }
        text
    }

    fn table(&self, into: &mut String) {
        for (index, figure) in self.row.figures.iter().enumerate() {
            let what = match index {
                0 => format!("**{}**: {}", self.row.name, self.row.what),
                _ => String::new(),
            };
            let cells: Vec<String> = (self.figures.iter())
                .map(|figures| {
                    figures
                        .get(index)
                        .map_or("".to_owned(), |value| number(*value))
                })
                .collect();
            writeln!(
                into,
                "| {what} | {} | {} | {} |",
                name(figure),
                limit(figure),
                cells.join(" | ")
            )
            .expect("to memory");
        }
    }
}

fn name(figure: &Figure) -> String {
    match figure.unit {
        "" => figure.name.to_owned(),
        unit => format!("{}, {unit}", figure.name),
    }
}

fn limit(figure: &Figure) -> String {
    figure.at_most.map_or(String::new(), |limit| match limit {
        0.0 => "0".to_owned(),
        limit => format!("≤ {}", number(limit)),
    })
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value.is_infinite() => "never".to_owned(),
        value if value == value.trunc() => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

/// Writes the table between the marks of a page.
pub(crate) fn record(file: &str, measured: &[Measured]) -> io::Result<()> {
    let mut table = String::from("| row | figure | limit |");
    for runtime in RUNTIMES {
        write!(table, " {runtime} |").expect("to memory");
    }
    table.push_str("\n|---|---|--:|--:|--:|--:|\n");
    for row in measured {
        row.table(&mut table);
    }
    let page = fs::read_to_string(file)?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(io::Error::other("the page has no marks for the scorecard"));
    };
    fs::write(file, format!("{before}{BEGIN}{table}{END}{after}"))
}
