// Drawing. Only what is in view is visited, and of what is narrower than a pixel only one slice for each pixel.

let due = false;

/** Draws once, however often it is asked before the next frame. */
function later() {
  if (!due && trace) {
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw();
    });
  }
}

function resize() {
  const { clientWidth, clientHeight } = $("plot"),
    dots = devicePixelRatio || 1;
  [width, height] = [Math.max(clientWidth, GUTTER + 50), clientHeight];
  [canvas.width, canvas.height] = [width * dots, height * dots];
  pen.setTransform(dots, 0, 0, dots, 0, 0);
  loads = null;
  if (trace) {
    layOut();
    draw();
  }
}

const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** Takes the colours of the reader's scheme. */
function dress() {
  const style = getComputedStyle(document.documentElement);
  const colours = ["paper", "band", "line", "ink", "soft", "faint", "accent", "warn", "glass"];
  paint = Object.fromEntries(colours.map(name => [name, style.getPropertyValue(`--${name}`)]));
  paint.name = dark() ? "#f1f4f8" : "#1d2430";
  palette = dark() ? DARK : LIGHT;
  legend();
  later();
  list();
}

function box(x, y, w, h, colour) {
  pen.fillStyle = colour;
  pen.fillRect(x, y, w, h);
}
function write(text, x, y, colour, size = 12, weight = 400) {
  pen.font = `${weight} ${size}px ${FONT}`;
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

let names = []; // drawn after the arrows, which would strike them out

function draw() {
  names = [];
  const drawn = { slices: 0, columns: 0 };
  pen.globalAlpha = 1;
  pen.textBaseline = "middle";
  box(0, 0, width, height, paint.paper);
  const ticks = tickMarks();
  pen.save();
  pen.beginPath();
  pen.rect(0, TOP, width, height - TOP);
  pen.clip();
  pen.translate(0, -scroll);
  const seen = rows.filter(row => row.y + row.h > TOP + scroll && row.y < height + scroll);
  seen.forEach(label);
  pen.beginPath();
  pen.rect(GUTTER, TOP + scroll, width, height);
  pen.clip();
  for (const row of seen) if (row.kind !== "heading") box(GUTTER, row.y + row.h - 1, width, 1, paint.line);
  pen.globalAlpha = 0.55;
  for (const { x } of ticks.list) box(Math.round(x), TOP + scroll, 1, height, paint.line);
  pen.globalAlpha = 1;
  for (const row of seen) {
    if (row.kind === "lane") {
      drawSlices(row, drawn);
      drawMarks(row);
    }
    if (row.kind === "counter") drawCounter(row);
  }
  drawArrows();
  for (const [text, x, y] of names) write(text, x, y, paint.name);
  outline(chosen?.slice, paint.accent);
  outline(hover?.slice, paint.ink);
  pen.restore();
  drawRuler(ticks);
  drawOverview();
  drawCursor();
  return drawn;
}

/** Names what is in a row, in the margin, with a figure for the part in view. */
function label({ kind, what, y, h, bar }) {
  const room = GUTTER - MARGIN - 8,
    middle = y + (bar ? (h - 12) / 2 + 2 : h / 2);
  if (kind === "heading") return write(what, MARGIN, middle + 2, paint.ink, 12, 600);
  if (kind === "lane" && !bar) return write(shorten(what.title, room), MARGIN, middle, paint.soft, 11.5);
  // Which one it is comes last, and must not be what is cut off.
  const name = what.title ?? what.name.replace(/^queue of processor /, "queue ");
  write(shorten(name, room), MARGIN, middle - 6, bar ? paint.ink : paint.soft, 11.5);
  write(kind === "counter" ? most(what) : load(what), MARGIN, middle + 9, paint.faint, 10.5);
}

function most({ at, peaks }) {
  const from = Math.max(0, lower(at, view.from) - 1),
    to = lower(at, view.to);
  const value = to > from ? peaks.values[peaks.largest(from, to)] : 0;
  return value ? `up to ${number(value)}` : "empty";
}

function load({ hasProcessor, subtitle, levels }) {
  if (!hasProcessor) return subtitle ?? "";
  const busy = levels.reduce((sum, level) => sum + level.load(view.to) - level.load(view.from), 0);
  const share = (100 * busy) / (view.to - view.from);
  return `busy ${share.toFixed(share < 10 ? 1 : 0)} %`;
}

/** By the width of an average letter: to measure each name would take longer than to draw it. */
function shorten(text, room, size = 11.5) {
  const letters = Math.floor(room / (size * 0.57));
  return text.length <= letters ? text : `${text.slice(0, Math.max(1, letters - 1))}…`;
}

function drawSlices({ what: lane, y, bar }, drawn) {
  lane.levels.forEach((level, depth) => {
    const top = y + 4 + depth * bar;
    drawLevel(level, null, top, bar - 2, lane, drawn);
    if (lit) drawLevel(level, level.lit, top, bar - 2, lane, drawn);
  });
}

/** Draws the slices of a level, or those in `only`, and skips from pixel to pixel where they are narrower than that. */
function drawLevel(level, only, y, h, lane, drawn) {
  const { begin, end, task } = level,
    factor = scale(),
    alpha = lit && !only ? 0.25 : 1;
  const count = only ? only.length : begin.length,
    at = only ? i => only[i] : i => i;
  const seek = (values, value, low) => (only ? lowerOf(only, values, value, low) : lower(values, value, low));
  const colour = slice => palette[trace.tasks[task[slice]].group.colour];
  for (let i = seek(end, view.from, 0); i < count && begin[at(i)] < view.to;) {
    const slice = at(i),
      x = X(begin[slice]),
      w = (end[slice] - begin[slice]) * factor;
    if (w >= WIDE) {
      pen.globalAlpha = alpha;
      drawSlice(level, slice, { x, y, w, h }, colour(slice), lane.hasProcessor);
      if (alpha === 1 && w > 22) nameSlice(trace.tasks[task[slice]].title, { x, y, w, h });
      drawn.slices++;
      i++;
      continue;
    }
    const column = Math.floor(x);
    let next = Math.max(i + 1, seek(begin, T(column + 1), i));
    // Only the last that begins in this column can be a wide one, and that is drawn by itself.
    const last = at(next - 1);
    if (next - 1 > i && (end[last] - begin[last]) * factor >= WIDE) next--;
    const longest = only ? slice : level.longest.largest(i, next);
    const busy = only ? 1 : (level.busy[next] - level.busy[i]) * factor;
    pen.globalAlpha = alpha * Math.max(0.35, Math.min(1, busy));
    box(column, y, 1, h, colour(longest));
    drawn.columns++;
    i = next;
  }
  pen.globalAlpha = 1;
}

const WIDE = 1.5; // pixels

/** `lower` among those that `only` lists. */
function lowerOf(only, values, value, low) {
  let high = only.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[only[middle]] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drawSlice(level, slice, { x, y, w, h }, colour, solid) {
  // Far outside the picture the numbers would be too large for some browsers.
  const left = Math.max(x, GUTTER - 4),
    right = Math.min(x + w, width + 4);
  block(left, y, right - left, h, colour, solid);
  if (trace.endings[level.ending[slice]] === MOVED_ON && w > 8 && x + w < width + 4) tear(x + w, y, h);
}

function nameSlice(title, { x, y, w, h }) {
  const start = Math.max(x, GUTTER) + 6,
    room = Math.min(x + w, width) - start - 4;
  if (room > 14) names.push([shorten(title, room, 12), start, y + h / 2 + 0.5]);
}

function block(x, y, w, h, colour, solid) {
  const gap = w > 4 ? 0.75 : 0;
  pen.beginPath();
  if (w > 6) pen.roundRect(x, y, w - gap, h, 2.5);
  else pen.rect(x, y, w - gap, h);
  pen.fillStyle = colour;
  if (solid) return pen.fill();
  // Paler: these threads have no processor, and are not what the scheduler has to share out.
  const alpha = pen.globalAlpha;
  pen.globalAlpha = alpha * 0.42;
  pen.fill();
  pen.globalAlpha = alpha;
  if (w > 3) {
    pen.strokeStyle = colour;
    pen.lineWidth = 1.25;
    pen.stroke();
  }
}

/** The end of a poll that goes on elsewhere. */
function tear(x, y, h) {
  pen.beginPath();
  pen.moveTo(x + 1, y - 1);
  const teeth = Math.max(3, Math.round(h / 6));
  for (let i = 0; i <= 2 * teeth; i++) pen.lineTo(x - (i % 2 ? 0 : 4), y + (h * i) / (2 * teeth));
  pen.lineTo(x + 1, y + h + 1);
  pen.fillStyle = paint.paper;
  pen.fill();
}

function outline(slice, colour) {
  const place = slice && placeOf(slice);
  if (!place) return;
  const left = Math.max(place.x, GUTTER - 4),
    right = Math.min(place.x + Math.max(place.w, 2), width + 4);
  if (right < GUTTER || left > width) return;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.roundRect(left - 0.5, place.y - 0.5, right - left + 0.5, place.h + 1, 3);
  pen.stroke();
}

function placeOf({ lane, level, index }) {
  const { y, bar } = rows[lane.row],
    { begin, end } = lane.levels[level];
  return { x: X(begin[index]), w: (end[index] - begin[index]) * scale(), y: y + 4 + level * bar, h: bar - 2 };
}

const markY = ({ y, h }) => y + h - (h > 26 ? 9 : 13);
const markColour = kind => [paint.faint, paint.faint, paint.accent, paint.warn, paint.warn][kind];

function shape(pen, kind, x, y, colour) {
  const outlines = [
    [
      [-0.5, -3.5],
      [0.5, -3.5],
      [0.5, 3.5],
      [-0.5, 3.5],
    ], // wake: a tick
    null, // park: a ring
    [
      [0, -4],
      [4, 0],
      [0, 4],
      [-4, 0],
    ], // steal: a diamond
    [
      [-3.5, -4],
      [4, 0],
      [-3.5, 4],
    ], // handoff: to another
    [
      [-4, 3.5],
      [0, -4],
      [4, 3.5],
    ], // retake: upwards, to the monitor
  ];
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1.25;
  pen.beginPath();
  if (!outlines[kind]) {
    pen.arc(x, y, 2, 0, 7);
    return pen.stroke();
  }
  for (const [dx, dy] of outlines[kind]) pen.lineTo(x + dx, y + dy);
  pen.fill();
}

function drawMarks(row) {
  const { marks, markAt, markPeaks } = row.what,
    y = markY(row),
    end = lower(markAt, view.to);
  for (let i = lower(markAt, T(GUTTER - 4)); i < end;) {
    // Where they crowd, the most telling one of some pixels stands for the others.
    const next = Math.max(i + 1, lower(markAt, T(X(markAt[i]) + 5), i, end)),
      most = markPeaks.largest(i, next);
    pen.globalAlpha = next - i > 1 && marks[most].kind < 3 ? 0.5 : 1;
    shape(pen, marks[most].kind, X(markAt[most]), y, markColour(marks[most].kind));
    i = next;
  }
  pen.globalAlpha = 1;
}

function drawCounter({ what: counter, y, h }) {
  const { at, peaks, top } = counter,
    floor = y + h - 1,
    room = h - 9;
  const first = Math.max(0, lower(at, view.from) - 1),
    end = lower(at, view.to);
  if (first >= end) return;
  const level = value => floor - (value ? Math.max(1.5, (value / top) * room) : 0);
  pen.beginPath();
  pen.moveTo(Math.max(GUTTER - 2, X(at[first])), floor);
  let x = Math.max(GUTTER - 2, X(at[first]));
  for (let i = first; i < end;) {
    const next = Math.max(i + 1, lower(at, T(Math.floor(x) + 1), i, end));
    const peak = level(peaks.values[peaks.largest(i, next)]);
    pen.lineTo(x, peak);
    pen.lineTo(x, level(peaks.values[next - 1]));
    x = Math.min(X(at[next] ?? trace.end), width + 2);
    pen.lineTo(x, level(peaks.values[next - 1]));
    i = next;
  }
  pen.lineTo(x, floor);
  pen.globalAlpha = 0.28;
  pen.fillStyle = paint.accent;
  pen.fill();
  pen.globalAlpha = 0.6;
  pen.strokeStyle = paint.accent;
  pen.lineWidth = 1;
  pen.stroke();
  pen.globalAlpha = 1;
}

/** Those of the slice under the cursor and of the chosen one; besides, all in view if they are few, or the highlighted. */
function drawArrows() {
  const strong = new Set([...arrowsOf(hover?.slice), ...arrowsOf(chosen?.slice)]);
  for (const index of lit ? litArrows() : fewArrows()) {
    if (!strong.has(index)) arrow(trace.arrows[index], paint.soft, lit ? 0.6 : 0.38);
  }
  for (const index of strong) arrow(trace.arrows[index], paint.accent, 1);
}

function fewArrows() {
  const from = lower(trace.arrivals, view.from),
    to = lower(trace.arrivals, view.to),
    few = new Set();
  if (to - from > FEW_ARROWS) return few;
  for (let i = from; i < to; i++) few.add(i);
  // Those that only begin here.
  for (const { out, outAt } of trace.lanes) {
    const start = lower(outAt, view.from);
    out.slice(start, Math.min(lower(outAt, view.to), start + FEW_ARROWS)).forEach(index => few.add(index));
  }
  return few;
}

function litArrows() {
  const from = lower(trace.arrivals, view.from),
    to = lower(trace.arrivals, view.to),
    some = [];
  // Not all of a million are asked whether they are highlighted: so many arrows would show nothing anyway.
  for (let i = from; i < Math.min(to, from + 20 * FEW_ARROWS) && some.length < FEW_ARROWS; i++) {
    const target = targetOf(trace.arrows[i]);
    if (target && lit[target.lane.levels[target.level].task[target.index]]) some.push(i);
  }
  return some;
}

function arrowsOf(slice) {
  if (!slice) return [];
  const { lane, level, index } = slice,
    { begin, end, arrow } = lane.levels[level];
  const first = lower(lane.outAt, begin[index] - NANO),
    last = lower(lane.outAt, end[index] + NANO);
  const woken = lane.out.slice(first, Math.min(last, first + 2 * FEW_ARROWS));
  return arrow[index] < 0 ? woken : [arrow[index], ...woken];
}

function arrow({ from, to, spawn }, colour, alpha) {
  const ends = [from, to].map(({ lane, at }) => {
    const row = rows[lane.row];
    return row && { x: X(at), y: row.bar ? row.y + 3 + row.bar / 2 : markY(row), lane };
  });
  if (!ends[0] || !ends[1]) return;
  const [{ x: x0, y: y0 }, { x: x1, y: y1 }] = ends;
  if (x1 < GUTTER || x0 > width) return;
  if (from.lane === to.lane && x1 - x0 < 12 && alpha < 1) return; // from a slice to its neighbour: a curl that says nothing
  const bend = Math.max(14, Math.min(70, Math.abs(x1 - x0) / 2)),
    same = from.lane === to.lane;
  const lift = same ? Math.min(26, 8 + Math.abs(x1 - x0) / 12) + (rows[to.lane.row].bar || 0) / 2 : 0;
  pen.globalAlpha = alpha;
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = alpha === 1 ? 1.5 : 1;
  pen.setLineDash(spawn ? [3, 3] : []);
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.bezierCurveTo(x0 + (same ? 0 : bend), y0 + lift, x1 - bend, y1 + lift, x1 - 4, y1);
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x1 - 6, y1 - 3);
  pen.lineTo(x1 - 6, y1 + 3);
  pen.fill();
  pen.beginPath();
  pen.arc(x0, y0, 1.75, 0, 7);
  pen.fill();
  pen.globalAlpha = 1;
}

function tickMarks() {
  const rough = ((view.to - view.from) / (width - GUTTER)) * 110,
    power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(0.001, power * [1, 2, 5, 10].find(factor => factor * power >= rough));
  // Far in, whole moments would differ in their last digits only: then the ticks count from a moment that is said once.
  const digits = Math.log10(Math.max(Math.abs(view.from), Math.abs(view.to)) / step),
    list = [];
  const span = 10 ** Math.ceil(Math.log10(view.to - view.from));
  const base = digits > 4.5 ? Math.floor(view.from / span) * span : 0;
  for (let i = Math.ceil((view.from - base) / step); base + i * step < view.to; i++) {
    list.push({ x: X(base + i * step), text: base ? `+${moment(i * step, step)}` : moment(i * step, step) });
  }
  return { base, list };
}

function drawRuler({ base, list }) {
  box(0, OVERVIEW, width, RULER, paint.paper);
  box(0, TOP - 1, width, 1, paint.line);
  write(base ? moment(base) : "", MARGIN, OVERVIEW + RULER / 2, paint.ink, 11, 600);
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, OVERVIEW, width, RULER);
  pen.clip();
  for (const { x, text } of list) {
    box(Math.round(x), TOP - 6, 1, 5, paint.faint);
    if (x + 60 < width) write(text.replace(/^0 \D+$/, "0"), Math.round(x) + 5, OVERVIEW + RULER / 2, paint.soft, 11);
  }
  pen.restore();
}

let loads = null; // for each pixel of the overview

/** How much of the processors was in use, over the whole recording; the part in view is framed. */
function drawOverview() {
  const all = fit(),
    room = width - GUTTER,
    unit = (all.to - all.from) / room;
  loads ??= loadsOf(all.from, unit, Math.ceil(room));
  box(0, 0, width, OVERVIEW, paint.band);
  box(0, OVERVIEW - 1, width, 1, paint.line);
  write("all processors", MARGIN, OVERVIEW / 2, paint.soft, 11.5);
  pen.globalAlpha = 0.45;
  loads.forEach((load, x) => {
    const h = load > 0 ? Math.max(1, Math.min(1, load) * (OVERVIEW - 8)) : 0;
    box(GUTTER + x, OVERVIEW - 1 - h, 1, h, paint.accent);
  });
  pen.globalAlpha = 1;
  const left = GUTTER + (view.from - all.from) / unit,
    right = GUTTER + (view.to - all.from) / unit;
  if (right - left > room - 1) return;
  box(GUTTER, 0, left - GUTTER, OVERVIEW - 1, paint.glass);
  box(right, 0, width - right, OVERVIEW - 1, paint.glass);
  pen.strokeStyle = paint.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(left, 1, Math.max(2, right - left), OVERVIEW - 3);
}

function loadsOf(from, unit, count) {
  const processors = trace.lanes.filter(lane => lane.hasProcessor && lane.levels.length);
  const busy = at => processors.flatMap(lane => lane.levels).reduce((sum, level) => sum + level.load(at), 0);
  const sums = Float64Array.from({ length: count + 1 }, (_, x) => busy(from + x * unit));
  return Float64Array.from(
    { length: count },
    (_, x) => (sums[x + 1] - sums[x]) / unit / Math.max(1, processors.length),
  );
}

function drawCursor() {
  if (!cursor || cursor.x < GUTTER || cursor.y < OVERVIEW) return;
  const text = moment(cursor.at, (view.to - view.from) / width),
    x = Math.round(cursor.x);
  pen.globalAlpha = 0.5;
  box(x, TOP, 1, height, paint.faint);
  pen.globalAlpha = 1;
  pen.font = `11px ${FONT}`;
  const w = pen.measureText(text).width + 10,
    left = Math.min(Math.max(x - w / 2, GUTTER), width - w);
  pen.beginPath();
  pen.roundRect(left, OVERVIEW + 4, w, RULER - 8, 4);
  pen.fillStyle = paint.ink;
  pen.fill();
  write(text, left + 5, OVERVIEW + RULER / 2, paint.paper, 11);
}
