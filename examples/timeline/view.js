// What is seen: the trace, the stretch of time, what is chosen, and where the rows are.

const $ = id => document.getElementById(id);
const canvas = $("canvas"),
  pen = canvas.getContext("2d"),
  tip = $("tip");
const GUTTER = 150,
  OVERVIEW = 38,
  RULER = 28,
  TOP = OVERVIEW + RULER;
const MARGIN = 16;
const FEW_ARROWS = 150; // so many can be told apart
const HAIR = 0.05; // no stretch is shorter: the trace has nanoseconds
const FONT = getComputedStyle(document.body).fontFamily;
// Of about one lightness, so that none stands out, and light or dark enough for a name to be read on it.
const LIGHT = [
  "#8db4e2",
  "#f2b880",
  "#93cda2",
  "#c6b0e6",
  "#ef9f9c",
  "#7fcac6",
  "#e5cf74",
  "#e4a9d0",
  "#b5c77c",
  "#a4b4f0",
  "#d3b494",
  "#9fd0ec",
];
const DARK = [
  "#41679a",
  "#96622f",
  "#3d7a52",
  "#6f5596",
  "#974b4d",
  "#2d7673",
  "#80701f",
  "#8a4b76",
  "#5f7131",
  "#4a58a0",
  "#755b42",
  "#38718f",
];
const HUES = LIGHT.length;
let palette; // LIGHT or DARK
let paint; // the colours of the style sheet

let trace = null;
let view = { from: 0, to: 1 };
let rows = []; // { kind, what, y, h }: a heading, a lane or a counter
let scroll = 0;
let width = 0;
let height = 0;
let cursor = null; // { x, y, at }
let hover = null; // the slice, mark or counter under it
let chosen = null; // { entry, slice }: a row of the table, and perhaps one poll
let lit = null; // for each task, whether it is highlighted; null while all are alike

const scale = () => (width - GUTTER) / (view.to - view.from);
const X = at => GUTTER + (at - view.from) * scale();
const T = x => view.from + (x - GUTTER) / scale();

/** The unit in which to say a time, and the power of ten that it is of a microsecond. */
function unitOf(us) {
  return us >= 1e6 ? ["s", 6] : us >= 1e3 ? ["ms", 3] : ["µs", 0];
}

/** A length of time, in three digits. */
function time(us) {
  const [unit, power] = us > 0 && us < 1 ? ["ns", -3] : unitOf(us);
  const value = us / 10 ** power;
  return `${value.toFixed(unit === "ns" || value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${unit}`;
}

/** A moment, as precise as the step to the next one that is said; to the nanosecond if there is none. */
function moment(us, step = 0.001) {
  const [unit, power] = unitOf(Math.abs(us));
  const decimals = power - Math.floor(Math.log10(step) + 1e-9);
  return `${(us / 10 ** power).toFixed(Math.max(0, Math.min(decimals, power + 3)))} ${unit}`;
}

const number = count => Number(count).toLocaleString("en");
const counted = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
const byText = new Intl.Collator("en", { numeric: true }).compare;

function fit() {
  const margin = (trace.end - trace.begin || 1) * 0.01;
  return { from: trace.begin - margin, to: trace.end + margin };
}

/** Shows this stretch, or the nearest that there is. */
function look(from, to) {
  const all = fit();
  const span = Math.min(Math.max(to - from, HAIR), all.to - all.from);
  from = Math.max(all.from, Math.min(from - (span - (to - from)) / 2, all.to - span));
  view = { from, to: from + span };
  aim();
  later();
  linkSoon();
}

let glider = 0;

/** Moves there in a moment that the eye can follow. */
function glide({ from, to }) {
  const start = performance.now(),
    old = view;
  cancelAnimationFrame(glider);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return look(from, to);
  const step = now => {
    const part = Math.min(1, (now - start) / 140),
      ease = 1 - (1 - part) ** 3;
    look(old.from + (from - old.from) * ease, old.to + (to - old.to) * ease);
    if (part < 1) glider = requestAnimationFrame(step);
  };
  glider = requestAnimationFrame(step);
}

/** The stretch of a view so much longer around this moment. */
function around(at, factor) {
  return { from: at - (at - view.from) * factor, to: at + (view.to - at) * factor };
}

let linker = 0;

/** Browsers refuse an address that changes in each frame. */
function linkSoon() {
  clearTimeout(linker);
  linker = setTimeout(link, 250);
}

/** What is seen, as a link. */
function link() {
  const all = fit(),
    parts = [],
    { from, to } = view;
  if (to - from < (all.to - all.from) * 0.999) parts.push(`from=${from.toFixed(3)}`, `to=${to.toFixed(3)}`);
  if (chosen?.entry.id !== undefined) parts.push(`task=${chosen.entry.id}`);
  if ($("search").value) parts.push(`search=${encodeURIComponent($("search").value)}`);
  try {
    history.replaceState(null, "", `#${parts.join("&")}`);
  } catch {
    /* some browsers refuse this to a page from a file */
  }
}

/** Shows what the address asks for. */
function follow() {
  const wish = new URLSearchParams(location.hash.slice(1)),
    all = fit();
  const [from, to] = ["from", "to"].map(key => (wish.has(key) ? Number(wish.get(key)) : all[key]));
  $("search").value = wish.get("search") ?? "";
  choose(trace.tasks.find(task => String(task.id) === wish.get("task")) ?? null);
  if (to > from) look(from, to);
  else look(all.from, all.to);
}

const HEADING = 26,
  THIN = 26,
  COUNTER = 34,
  STRIP = 20;

/** Few lanes get the room that there is; many get what a name needs, and scroll. */
function layOut() {
  const several = trace.processes.size > 1;
  const full = trace.lanes.filter(lane => lane.levels.length).length;
  const headings = several ? trace.processes.size * HEADING : 0;
  const others = headings + (trace.lanes.length - full) * THIN + trace.counters.length * COUNTER + 20;
  const bar = Math.max(20, Math.min(40, (height - TOP - others) / Math.max(full, 1) - STRIP));
  rows = [];
  let y = TOP + 6;
  const put = (kind, what, h, more) => {
    rows.push({ kind, what, y, h, ...more });
    y += h;
  };
  for (const pid of new Set([...trace.lanes, ...trace.counters].map(row => row.pid))) {
    if (several) put("heading", trace.processes.get(pid) ?? `process ${pid}`, HEADING);
    for (const lane of trace.lanes) {
      if (lane.pid !== pid) continue;
      const depth = lane.levels.length,
        h = depth > 1 ? Math.max(16, bar / 2) : bar;
      lane.row = rows.length;
      put("lane", lane, depth ? depth * h + STRIP : THIN, { bar: depth ? h : 0 });
    }
    for (const counter of trace.counters) if (counter.pid === pid) put("counter", counter, COUNTER);
  }
  scroll = Math.max(0, Math.min(scroll, y + 8 - height));
}
