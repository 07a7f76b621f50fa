//! The chart: a bar per runtime and figure, as long as its median is to ours.

use std::fmt::Write;

use crate::contest::Contest;
use crate::rows::{SMOL, TOKIO};
use crate::runtimes::go;
use crate::support::{Gosched, Scheduler};

use super::{lines, machine, number};

const COLORS: [(&str, &str); 4] = [
    (Gosched::NAME, "#1f6feb"),
    (TOKIO, "#d4762c"),
    (SMOL, "#7a9a4a"),
    (go::NAME, "#8a8f98"),
];
const LEFT: f64 = 420.0;
const BARS: f64 = 500.0;
const WIDTH: f64 = LEFT + BARS + 90.0;
const BAR: f64 = 9.0;
const GAP: f64 = 12.0;
/// The scale is logarithmic, from a hundredth of ours to this many times ours.
const DECADES: (f64, f64) = (-1.0, 3.0);

pub(crate) fn svg(contest: &Contest) -> String {
    let lines: Vec<_> = lines(contest)
        .into_iter()
        .filter(|line| line.systems[0].is_some())
        .collect();
    let row_height = BAR * COLORS.len() as f64 + GAP;
    let top = 74.0;
    let height = top + row_height * lines.len() as f64 + 62.0;
    let title = "Cost on each runtime, ours = 1 (shorter is better, logarithmic)";
    let mut svg = frame(WIDTH, height, title, 90.0, &COLORS);
    for decade in DECADES.0 as i32..=DECADES.1 as i32 {
        let x = place(10f64.powi(decade));
        let label = if decade < 0 {
            format!("1/{}", 10i32.pow(-decade as u32))
        } else {
            format!("{}x", 10i32.pow(decade as u32))
        };
        let stroke = if decade == 0 { "#57606a" } else { "#d0d7de" };
        svg += &rule(x, (top, height - 58.0), stroke, &label);
    }
    for (index, line) in lines.iter().enumerate() {
        let y = top + row_height * index as f64;
        let [title, figure] = [line.row.title, line.figure.name].map(escaped);
        let _ = writeln!(
            svg,
            r##"<text x="{}" y="{}" text-anchor="end">{title}</text><text x="{}" y="{}" text-anchor="end" fill="#57606a" font-size="10.5">{figure}, {}</text>"##,
            LEFT - 10.0,
            y + 15.0,
            LEFT - 10.0,
            y + 29.0,
            line.figure.unit
        );
        let ours = line.systems[0].map_or(f64::NAN, |ours| ours.median);
        for (bar, (system, (runtime, color))) in line.systems.iter().zip(COLORS).enumerate() {
            let y = y + BAR * bar as f64;
            let Some(median) = system.map(|system| system.median) else {
                continue;
            };
            let compared = runtime == Gosched::NAME
                || line.peers().contains(&runtime)
                || line.peers() == [go::NAME]
                || line.peers() == [TOKIO];
            let to = if median.is_nan() {
                LEFT + BARS
            } else {
                place(median / ours)
            };
            let opacity = if compared { 1.0 } else { 0.35 };
            let _ = writeln!(
                svg,
                r##"<rect x="{LEFT}" y="{y}" width="{:.1}" height="{}" fill="{color}" fill-opacity="{opacity}"/><text x="{:.1}" y="{}" font-size="9" fill="#57606a">{}</text>"##,
                to - LEFT,
                BAR - 1.0,
                to + 4.0,
                y + BAR - 1.5,
                number(Some(median))
            );
        }
    }
    // One line for the measurement, one for the machine, one for the versions.
    let text = machine::describe(contest);
    let text = text
        .trim()
        .replace(". Linux", ".\nLinux")
        .replace("; tokio", ";\ntokio");
    for (line, text) in text.lines().enumerate() {
        let _ = writeln!(
            svg,
            r##"<text x="12" y="{}" font-size="10" fill="#57606a">{}</text>"##,
            height - 42.0 + 14.0 * line as f64,
            escaped(text)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a bar of this ratio ends.
fn place(ratio: f64) -> f64 {
    let decades = DECADES.1 - DECADES.0;
    let at = (ratio.max(1e-9).log10() - DECADES.0) / decades;
    LEFT + BARS * at.clamp(0.01, 1.0)
}

/// The beginning of a chart: its title, and a name for each color, so far apart.
pub(crate) fn frame(
    width: f64,
    height: f64,
    title: &str,
    apart: f64,
    names: &[(&str, &str)],
) -> String {
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="12" fill="#24292f">
<rect width="{width}" height="{height}" fill="#ffffff"/>
<text x="12" y="24" font-size="17" font-weight="600">{title}</text>
"##
    );
    for (index, (name, color)) in names.iter().enumerate() {
        let x = 12.0 + apart * index as f64;
        let _ = writeln!(
            svg,
            r##"<rect x="{x}" y="36" width="11" height="11" fill="{color}"/><text x="{}" y="46">{name}</text>"##,
            x + 16.0
        );
    }
    svg
}

/// A vertical line of the scale, from below its label to the bottom.
pub(crate) fn rule(x: f64, (top, bottom): (f64, f64), stroke: &str, label: &str) -> String {
    let (from, text) = (top - 6.0, top - 10.0);
    format!(
        r##"<line x1="{x}" x2="{x}" y1="{from}" y2="{bottom}" stroke="{stroke}"/><text x="{x}" y="{text}" text-anchor="middle" fill="#57606a">{label}</text>
"##
    )
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
