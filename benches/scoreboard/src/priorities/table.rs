//! The figures as a table and as a picture.

use std::fmt::Write;

use super::FIGURES;
use crate::report::chart::{escaped, frame, rule};
use crate::report::number;

/// The rounds of one side.
pub(super) struct Samples {
    title: &'static str,
    alone: Vec<f64>,
    beside: Vec<Vec<f64>>,
}

impl Samples {
    pub(super) fn new(title: &'static str) -> Samples {
        Samples {
            title,
            alone: Vec::new(),
            beside: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, is_beside: bool, figures: Vec<f64>) {
        match is_beside {
            true if figures.len() == FIGURES => self.beside.push(figures),
            true => {}
            false => self.alone.extend(figures.first()),
        }
    }

    fn alone(&self) -> f64 {
        median(self.alone.clone())
    }

    fn beside(&self, figure: usize) -> f64 {
        median(self.beside.iter().map(|figures| figures[figure]).collect())
    }

    fn cells(&self, figures: std::ops::Range<usize>) -> String {
        let cells: Vec<_> = figures
            .map(|figure| number(Some(self.beside(figure))))
            .collect();
        cells.join(" | ")
    }

    /// How much longer the batch takes than alone.
    fn ratio(&self) -> f64 {
        self.beside(0) / self.alone()
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(super) fn markdown(samples: &[Samples]) -> String {
    let mut text = String::from(
        "| | tick late, ms: p50 | p99 | p999 | worst | answer, ms: p50 | p99 | p999 | worst | batch alone, s | beside | ratio |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for side in samples {
        let [alone, beside] = [side.alone(), side.beside(0)].map(|figure| number(Some(figure)));
        let _ = writeln!(
            text,
            "| {} | {} | {alone} | {beside} | {:.2} |",
            side.title,
            side.cells(1..9),
            side.ratio(),
        );
    }
    text += "\nBeside the batch, too:\n\n| | task of the batch awaited, ms: p50 | p99 | worst | of these | ticks | answers | CPUs of the process | of the client |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for side in samples {
        let _ = writeln!(text, "| {} | {} |", side.title, side.cells(9..FIGURES));
    }
    text
}

const LEFT: f64 = 330.0;
const BARS: f64 = 480.0;
const WIDTH: f64 = LEFT + BARS + 90.0;
const BAR: f64 = 13.0;
const COLORS: [(&str, &str); 2] = [("p99", "#1f6feb"), ("p999", "#9cc3ff")];
/// Logarithmic, from so many decades of a millisecond to so many.
const DECADES: (f64, f64) = (-2.0, 4.0);

/// p99 and p999 of the ticks, and the batch beside them.
pub(super) fn svg(samples: &[Samples]) -> String {
    let row = 2.0 * BAR + 26.0;
    let top = 78.0;
    let height = top + row * samples.len() as f64 + 12.0;
    let title = "How late a tick of 1 ms is beside a batch (shorter is better, logarithmic)";
    let mut svg = frame(WIDTH, height, title, 70.0, &COLORS);
    for decade in DECADES.0 as i32..=DECADES.1 as i32 {
        let x = place(10f64.powi(decade));
        let label = match decade {
            ..0 => format!("{} µs", 10i32.pow((decade + 3) as u32)),
            0..3 => format!("{} ms", 10i32.pow(decade as u32)),
            _ => format!("{} s", 10i32.pow((decade - 3) as u32)),
        };
        svg += &rule(x, (top, height - 10.0), "#d0d7de", &label);
    }
    for (index, side) in samples.iter().enumerate() {
        let y = top + row * index as f64;
        let batch = format!("batch {} of its time alone", number(Some(side.ratio())));
        let _ = writeln!(
            svg,
            r##"<text x="{0}" y="{1}" text-anchor="end">{2}</text><text x="{0}" y="{3}" text-anchor="end" fill="#57606a" font-size="10.5">{batch}</text>"##,
            LEFT - 10.0,
            y + 12.0,
            escaped(side.title),
            y + 26.0,
        );
        for (bar, (_, color)) in COLORS.into_iter().enumerate() {
            // After the batch's time and p50.
            let (y, late) = (y + BAR * bar as f64, side.beside(2 + bar));
            let to = place(late);
            let _ = writeln!(
                svg,
                r##"<rect x="{LEFT}" y="{y}" width="{:.1}" height="{}" fill="{color}"/><text x="{:.1}" y="{}" font-size="10" fill="#57606a">{} ms</text>"##,
                to - LEFT,
                BAR - 1.0,
                to + 4.0,
                y + BAR - 3.0,
                number(Some(late))
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a bar of so many milliseconds ends.
fn place(millis: f64) -> f64 {
    let at = (millis.max(1e-9).log10() - DECADES.0) / (DECADES.1 - DECADES.0);
    LEFT + BARS * at.clamp(0.01, 1.0)
}
