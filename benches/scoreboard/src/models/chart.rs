//! The picture: six small charts, the models in the same order and colour in all of them.

use std::fmt::Write;

use crate::report::chart::escaped;

use super::contest::Contest;
use super::panel::{GREY, Panel, bytes, nanos, place};
use super::report::{latencies, numbered, setting, thieves, throughput};
use super::rows::{GROW, PARKED, PING_PONG, SPAWN_JOIN, STEAL_BESIDE_0, STEAL_BESIDE_200, YIELD};
use super::{Entry, MODELS};

const COLORS: [&str; MODELS.len()] = [
    "#8a8f98", "#b07aa1", "#c9a227", "#7a9a4a", "#d4762c", "#1f6feb",
];
const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 790.0;

pub(super) fn svg(contest: &Contest) -> String {
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="11" fill="#24292f">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<text x="12" y="24" font-size="16" font-weight="600">Six ways to run tasks</text>
"##
    );
    let panels = [
        memory(contest),
        spawn(contest),
        switches(contest),
        growth(contest),
        blocking(contest),
        stealing(contest),
    ];
    let places = [(0, 48), (1, 48), (0, 228), (1, 228), (0, 474), (1, 474)];
    for (panel, (column, y)) in panels.into_iter().zip(places) {
        let x = 12 + 408 * column;
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x} {y})\">\n{}</g>",
            panel.svg
        );
    }
    let setting = escaped(&setting(contest));
    let end = setting.find(". ").map_or(0, |end| end + 1);
    let (first, second) = setting.split_at(end);
    for (text, y) in [(first, HEIGHT - 24.0), (second, HEIGHT - 10.0)] {
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{y}\" font-size=\"9.5\" fill=\"{GREY}\">{}</text>",
            text.trim()
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn color(entry: &Entry) -> &'static str {
    let index = MODELS.iter().position(|model| model.name == entry.name);
    COLORS[index.unwrap_or_default()]
}

fn memory(contest: &Contest) -> Panel {
    let note = "resident, and what the kernel keeps for a thread; logarithmic";
    let mut panel = Panel::new("Memory of a task that waits", note);
    for (index, entry) in MODELS.iter().enumerate() {
        let y = 32.0 + 20.0 * index as f64;
        panel.label(y + 11.0, &numbered(entry));
        let kernel = if entry.keeps_thread {
            contest.median(PARKED, entry, 5)
        } else {
            Some(0.0)
        };
        let Some(size) = contest.median(PARKED, entry, 3).zip(kernel) else {
            continue;
        };
        let size = size.0 + size.1;
        panel.bar(
            y,
            14.0,
            place(size, (10.0, 1e5)),
            color(entry),
            &bytes(size),
        );
    }
    panel
}

fn spawn(contest: &Contest) -> Panel {
    let mut panel = Panel::new("Spawn + join", "per task, from one task; logarithmic");
    for (index, entry) in MODELS.iter().enumerate() {
        let y = 32.0 + 20.0 * index as f64;
        panel.label(y + 11.0, &numbered(entry));
        if let Some(time) = contest.median(SPAWN_JOIN, entry, 0) {
            panel.bar(
                y,
                14.0,
                place(time, (10.0, 1e5)),
                color(entry),
                &nanos(time),
            );
        }
    }
    panel
}

fn switches(contest: &Contest) -> Panel {
    let note = "above: yield, 200 tasks; below: a trip there and back of a pair; logarithmic";
    let mut panel = Panel::new("Switching", note);
    for (index, entry) in MODELS.iter().enumerate() {
        let y = 34.0 + 30.0 * index as f64;
        panel.label(y + 15.0, &numbered(entry));
        for (row, y) in [(YIELD, y), (PING_PONG, y + 12.0)] {
            if let Some(time) = contest.median(row, entry, 0) {
                panel.bar(
                    y,
                    10.0,
                    place(time, (10.0, 1e5)),
                    color(entry),
                    &nanos(time),
                );
            }
        }
    }
    panel
}

fn growth(contest: &Contest) -> Panel {
    const BOTTOM: f64 = 198.0;
    const TOP: f64 = 40.0;
    const BEGIN: f64 = 26.0;
    const END: f64 = 236.0;
    let note = "million tasks per second, 16 tasks that spawn 10,000 each";
    let cpus = std::thread::available_parallelism().map_or(0, |cpus| cpus.get());
    let title = format!("Growing with workers, on {cpus} CPUs");
    let mut panel = Panel::new(&title, note);
    let lines = MODELS.each_ref().map(|entry| throughput(contest, entry));
    let most = lines
        .iter()
        .flatten()
        .flatten()
        .fold(1.0, |most, &y| f64::max(most, y));
    // So that its quarters are whole.
    let most = (most / 4.0).ceil() * 4.0;
    let at = |index: usize, y: f64| {
        let x = BEGIN + (END - BEGIN) * index as f64 / (GROW.len() - 1) as f64;
        [x, BOTTOM - (BOTTOM - TOP) * y / most]
    };
    for part in 0..=4 {
        let y = most * f64::from(part) / 4.0;
        let [x, height] = at(0, y);
        panel.line([x, height], [END, height], "stroke=\"#d0d7de\"");
        panel.small(x - 5.0, height + 3.0, "end", &format!("{y:.0}"));
    }
    for (index, (workers, _)) in GROW.iter().enumerate() {
        panel.small(
            at(index, 0.0)[0],
            BOTTOM + 14.0,
            "middle",
            &workers.to_string(),
        );
    }
    panel.small(END + 14.0, BOTTOM + 14.0, "start", "workers");
    let mut labels = Vec::new();
    for (entry, line) in MODELS.iter().zip(&lines) {
        let points = line.iter().enumerate();
        let points: Vec<[f64; 2]> = points.filter_map(|(i, y)| Some(at(i, (*y)?))).collect();
        for pair in points.windows(2) {
            let style = format!("stroke=\"{}\" stroke-width=\"2\"", color(entry));
            panel.line(pair[0], pair[1], &style);
        }
        points
            .iter()
            .for_each(|&[x, y]| panel.dot(x, y, color(entry), true));
        if let Some(&[x, y]) = points.last() {
            // One that does not grow is the same everywhere.
            if x < END {
                let style = format!("stroke=\"{}\" stroke-dasharray=\"2 3\"", color(entry));
                panel.line([x, y], [END, y], &style);
            }
            labels.push((y, entry));
        }
    }
    labels.sort_by(|a, b| f64::total_cmp(&a.0, &b.0));
    let mut next = TOP;
    let spare = |below: usize| BOTTOM + 4.0 - 13.0 * below as f64;
    let count = labels.len();
    for (index, (y, entry)) in labels.into_iter().enumerate() {
        let y = (y + 4.0).max(next).min(spare(count - 1 - index));
        next = y + 13.0;
        let style = format!("fill=\"{}\"", color(entry));
        panel.text(END + 8.0, y, "start", &style, &numbered(entry));
    }
    panel
}

fn blocking(contest: &Contest) -> Panel {
    const AXIS: (f64, f64) = (5.0, 1e6);
    let note = "until a waiting task (full) and a new one (hollow) runs: p50, p99, max; log.";
    let mut panel = Panel::new("A task per worker blocks 100 ms: the others", note);
    let rows: Vec<_> = latencies().collect();
    let bottom = 40.0 + 27.0 * rows.len() as f64;
    for (text, micros) in [("10 us", 1e1), ("1 ms", 1e3), ("100 ms", 1e5)] {
        let x = place(micros, AXIS);
        panel.line([x, 36.0], [x, bottom], "stroke=\"#d0d7de\"");
        panel.small(x, bottom + 12.0, "middle", text);
    }
    for (index, (title, row, entry)) in rows.iter().enumerate() {
        let y = 48.0 + 27.0 * index as f64;
        panel.label(y + 8.0, title);
        for (first, y) in [(0usize, y), (3, y + 10.0)] {
            let get = |figure| contest.median(row, entry, first + figure);
            let [Some(p50), Some(p99), Some(max)] = [0, 1, 2].map(get) else {
                continue;
            };
            let [p50, p99, max] = [p50, p99, max].map(|micros| place(micros, AXIS));
            let style = format!("stroke=\"{}\" stroke-width=\"1.4\"", color(entry));
            panel.line([p50, y], [max, y], &style);
            panel.line([p99, y - 3.5], [p99, y + 3.5], &style);
            panel.line([max, y - 2.0], [max, y + 2.0], &style);
            panel.dot(p50, y, color(entry), first == 0);
        }
    }
    panel
}

fn stealing(contest: &Contest) -> Panel {
    let note = "above: nobody blocks; below: 200 threads blocked; logarithmic";
    let mut panel = Panel::new("Queues looked at per steal", note);
    for (index, entry) in thieves().enumerate() {
        let y = 36.0 + 40.0 * index as f64;
        panel.label(y + 18.0, &numbered(entry));
        for (row, y) in [(STEAL_BESIDE_0, y), (STEAL_BESIDE_200, y + 15.0)] {
            let looks = contest.median(row, entry, 2);
            let (to, text) = match looks {
                Some(looks) => (place(looks, (0.8, 1e3)), format!("{looks:.1}")),
                None => {
                    let bound = 4.0 * crate::support::workers() as f64;
                    (
                        place(bound, (0.8, 1e3)),
                        format!("at most {bound} a search"),
                    )
                }
            };
            panel.bar(y, 12.0, to, color(entry), &text);
        }
    }
    searches(contest, &mut panel);
    panel
}

/// Under the queues looked at: what looking takes, where it is timed.
fn searches(contest: &Contest, panel: &mut Panel) {
    let timed = |entry: &&Entry| contest.median(STEAL_BESIDE_200, entry, 3).is_some();
    for entry in thieves().filter(timed) {
        panel.head(172.0, "One search", "likewise; timed in this model alone");
        panel.label(226.0, &numbered(entry));
        for (row, y) in [(STEAL_BESIDE_0, 208.0), (STEAL_BESIDE_200, 223.0)] {
            if let Some(time) = contest.median(row, entry, 3) {
                panel.bar(
                    y,
                    12.0,
                    place(time, (10.0, 1e5)),
                    color(entry),
                    &nanos(time),
                );
            }
        }
    }
}
