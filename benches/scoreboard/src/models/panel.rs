//! What the small charts are drawn with.

use std::fmt::Write;

use crate::report::chart::escaped;

pub(super) const GREY: &str = "#57606a";
/// Within a panel: where labels end, and bars may.
const LEFT: f64 = 158.0;
const RIGHT: f64 = 340.0;

/// A panel under construction; its corner is the origin.
pub(super) struct Panel {
    pub(super) svg: String,
}

impl Panel {
    pub(super) fn new(title: &str, note: &str) -> Panel {
        let mut panel = Panel { svg: String::new() };
        panel.head(0.0, title, note);
        panel
    }

    pub(super) fn head(&mut self, y: f64, title: &str, note: &str) {
        let bold = "font-weight=\"600\" font-size=\"12\"";
        self.text(0.0, y + 10.0, "start", bold, title);
        let grey = format!("fill=\"{GREY}\" font-size=\"10\"");
        self.text(0.0, y + 24.0, "start", &grey, note);
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: &str, style: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.svg,
            r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" {style}>{text}</text>"##
        );
    }

    pub(super) fn label(&mut self, y: f64, text: &str) {
        self.text(LEFT - 8.0, y, "end", "", text);
    }

    pub(super) fn small(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.text(
            x,
            y,
            anchor,
            &format!("font-size=\"9.5\" fill=\"{GREY}\""),
            text,
        );
    }

    pub(super) fn bar(&mut self, y: f64, height: f64, to: f64, color: &str, text: &str) {
        let _ = writeln!(
            self.svg,
            r##"<rect x="{LEFT}" y="{y:.1}" width="{:.1}" height="{height}" fill="{color}"/>"##,
            to - LEFT
        );
        self.small(to + 4.0, y + height - 1.5, "start", text);
    }

    pub(super) fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], style: &str) {
        let _ = writeln!(
            self.svg,
            r##"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" {style}/>"##
        );
    }

    pub(super) fn dot(&mut self, x: f64, y: f64, color: &str, filled: bool) {
        let fill = if filled { color } else { "#ffffff" };
        let _ = writeln!(
            self.svg,
            r##"<circle cx="{x:.1}" cy="{y:.1}" r="3.2" fill="{fill}" stroke="{color}" stroke-width="1.4"/>"##
        );
    }
}

/// Where a value stands on a logarithmic axis.
pub(super) fn place(value: f64, (least, most): (f64, f64)) -> f64 {
    let part = (value.max(1e-9) / least).log10() / (most / least).log10();
    LEFT + (RIGHT - LEFT) * part.clamp(0.015, 1.0)
}

fn with_unit(value: f64, units: [(&str, f64); 3]) -> String {
    let fits = units.iter().rev().find(|(_, size)| value >= *size);
    let (unit, size) = fits.unwrap_or(&units[0]);
    let value = value / size;
    let digits = usize::from(value < 10.0 && *size > 1.0);
    format!("{value:.digits$} {unit}")
}

pub(super) fn bytes(value: f64) -> String {
    with_unit(
        value,
        [("B", 1.0), ("KiB", 1024.0), ("MiB", 1024.0 * 1024.0)],
    )
}

pub(super) fn nanos(value: f64) -> String {
    with_unit(value, [("ns", 1.0), ("us", 1e3), ("ms", 1e6)])
}
