// Hands: mouse, wheel, keys and links; and the beginning.

let drag = null; // where it began, and what was in view then

/** What is at this point: a slice, a mark or a counter. Thin things can be hit from two pixels away. */
function find(x, y) {
  const row = y > TOP && x >= GUTTER && rows.find(row => y + scroll >= row.y && y + scroll < row.y + row.h);
  if (!row) return null;
  const at = T(x),
    near = 2.5 / scale();
  if (row.kind === "counter") {
    const i = lower(row.what.at, at) - 1;
    return i < 0 ? null : { counter: row.what, value: row.what.peaks.values[i] };
  }
  if (row.kind !== "lane") return null;
  const lane = row.what;
  const depth = row.bar ? Math.floor((y + scroll - row.y - 3) / row.bar) : -1;
  if (depth >= 0 && depth < lane.levels.length) {
    const { begin, end, longest } = lane.levels[depth];
    const under = lower(begin, at) - 1;
    const slice = index => ({ slice: { lane, level: depth, index } });
    if (under >= 0 && end[under] >= at && end[under] - begin[under] > near / 2) return slice(under);
    const from = lower(end, at - near),
      to = lower(begin, at + near);
    return from < to ? slice(longest.largest(from, to)) : null;
  }
  const from = lower(lane.markAt, at - 2 * near),
    to = lower(lane.markAt, at + 2 * near);
  return from < to ? { lane, mark: lane.marks[lane.markPeaks.largest(from, to)], others: to - from - 1 } : null;
}

/** Highlights an entry of the table, a task or a group of them, and perhaps one poll. */
function choose(entry, slice = null) {
  chosen = entry && { entry, slice };
  highlight();
  list();
  detail();
  linkSoon();
}

/** Chooses a poll; keeps a chosen group of tasks if that is one of theirs. */
function chooseSlice(slice, move = false) {
  const { begin, end, task } = slice.lane.levels[slice.level],
    about = trace.tasks[task[slice.index]];
  choose(chosen?.entry.tasks.includes(about) ? chosen.entry : about, slice);
  const at = entries.findIndex(isChosen) * ROW,
    { scrollTop, clientHeight } = $("list");
  if (at >= 0 && (at < scrollTop || at + ROW > scrollTop + clientHeight)) $("list").scrollTop = at - clientHeight / 2;
  if (!move) return;
  const [from, to] = [begin[slice.index], end[slice.index]],
    span = view.to - view.from;
  if (from < view.from || to > view.to) glide({ from: (from + to - span) / 2, to: (from + to + span) / 2 });
  const row = rows[slice.lane.row];
  scroll = Math.max(Math.min(scroll, row.y - TOP), row.y + row.h - height);
  layOut();
}

/** Lists the slices that stand out, so that drawing need not look for them. */
function highlight() {
  const set = new Set(chosen?.entry.tasks),
    isLit = chosen ? task => set.has(task) : wanted();
  lit = chosen || $("search").value.trim() ? Uint8Array.from(trace.tasks, isLit) : null;
  for (const level of trace.levels) {
    const indices = [];
    if (lit) level.task.forEach((task, index) => lit[task] && indices.push(index));
    level.lit = Uint32Array.from(indices);
  }
  later();
}

/** All slices of what is highlighted, in order of time. */
function litSlices() {
  const all = [];
  for (const lane of trace.lanes) {
    lane.levels.forEach(({ begin, lit }, level) =>
      lit.forEach(index => all.push({ lane, level, index, begin: begin[index] })),
    );
  }
  return all.sort((a, b) => a.begin - b.begin);
}

/** To the chosen task's next poll, or the one before; to the first in view if none is chosen. */
function step(by) {
  if (!chosen) return;
  const all = litSlices(),
    { slice } = chosen;
  const isSame = ({ lane, level, index }) => lane === slice.lane && level === slice.level && index === slice.index;
  const at = slice ? all.findIndex(isSame) + by : all.findIndex(({ begin }) => begin >= view.from);
  if (all[at]) chooseSlice(all[at], true);
}

/** The picture moves under the cursor as well as the cursor over it. */
function aim() {
  if (!cursor) return;
  cursor.at = T(cursor.x);
  hover = drag?.moved ? null : find(cursor.x, cursor.y);
  const pointer = drag?.moved ? "grabbing" : hover?.slice ? "pointer" : "default";
  canvas.style.cursor = cursor.y < OVERVIEW ? "ew-resize" : pointer;
  showTip();
}

function point({ clientX, clientY }) {
  const { left, top } = canvas.getBoundingClientRect();
  cursor = { x: clientX - left, y: clientY - top };
  aim();
  later();
}

canvas.addEventListener("pointerdown", event => {
  if (!trace || event.button) return;
  cancelAnimationFrame(glider);
  point(event);
  drag = { x: cursor.x, y: cursor.y, view, scroll, moved: false, overview: cursor.y < OVERVIEW };
  try {
    canvas.setPointerCapture(event.pointerId);
  } catch {
    /* a pointer that is no more */
  }
  if (drag.overview) recentre();
});
canvas.addEventListener("pointermove", event => {
  if (!trace) return;
  point(event);
  if (!drag) return;
  const [dx, dy] = [cursor.x - drag.x, cursor.y - drag.y];
  drag.moved ||= Math.abs(dx) + Math.abs(dy) > 3;
  if (!drag.moved) return;
  if (drag.overview) return recentre();
  const shift = (-dx / (width - GUTTER)) * (drag.view.to - drag.view.from);
  scroll = drag.scroll - dy;
  layOut();
  look(drag.view.from + shift, drag.view.to + shift);
});
canvas.addEventListener("pointerup", event => {
  if (drag && !drag.moved && !drag.overview) {
    if (hover?.slice) chooseSlice(hover.slice);
    else choose(null);
  }
  drag = null;
  if (trace) point(event);
});
canvas.addEventListener("pointercancel", () => (drag = null));
canvas.addEventListener("pointerleave", () => {
  if (!drag) {
    cursor = hover = null;
    showTip();
    later();
  }
});
canvas.addEventListener("dblclick", () => focusOn(hover?.slice));
canvas.addEventListener(
  "wheel",
  event => {
    event.preventDefault();
    if (!trace) return;
    cancelAnimationFrame(glider);
    const unit = event.deltaMode === 1 ? 16 : 1,
      [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    point(event);
    if (event.shiftKey) {
      scroll += dy || dx;
      layOut();
      aim();
    } else if (Math.abs(dx) > Math.abs(dy)) {
      look(view.from + dx / scale(), view.to + dx / scale());
    } else {
      // What touch pads send for a pinch has small steps.
      const { from, to } = around(Math.max(view.from, cursor.at), Math.exp(dy * (event.ctrlKey ? 0.01 : 0.0016)));
      look(from, to);
    }
  },
  { passive: false },
);

/** Moves the frame in the overview to the cursor. */
function recentre() {
  const all = fit(),
    span = view.to - view.from;
  const at = all.from + ((cursor.x - GUTTER) / (width - GUTTER)) * (all.to - all.from);
  look(at - span / 2, at + span / 2);
}

function focusOn(slice) {
  if (!slice) return;
  const { begin, end } = slice.lane.levels[slice.level],
    [from, to] = [begin[slice.index], end[slice.index]];
  const margin = (to - from) * 0.6 + HAIR;
  glide({ from: from - margin, to: to + margin });
}

addEventListener("keydown", event => {
  if (!trace || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    $("search").value = "";
    $("search").blur();
    return choose(null);
  }
  if (event.target === $("search") || (event.target === $("list") && event.key.startsWith("Arrow"))) return;
  const span = view.to - view.from,
    at = cursor && cursor.x > GUTTER ? cursor.at : (view.from + view.to) / 2;
  const aside = part => glide({ from: view.from + span * part, to: view.to + span * part });
  const keys = {
    w: () => glide(around(at, 0.6)),
    s: () => glide(around(at, 1.6)),
    a: () => aside(-0.25),
    d: () => aside(0.25),
    0: () => glide(fit()),
    f: () => focusOn(chosen?.slice ?? hover?.slice),
    "[": () => step(-1),
    "]": () => step(1),
    "/": () => $("search").focus(),
  };
  Object.assign(keys, { arrowup: keys.w, arrowdown: keys.s, arrowleft: keys.a, arrowright: keys.d, home: keys[0] });
  const act = keys[event.key.toLowerCase()];
  if (act) {
    event.preventDefault();
    act();
  }
});
$("search").addEventListener("input", () => {
  if (trace) choose(null);
});
$("group").addEventListener("change", () => {
  if (trace) choose(null);
});
$("list").addEventListener("scroll", listRows);
addEventListener("hashchange", () => {
  if (trace) follow();
});
addEventListener("dragover", event => event.preventDefault());
addEventListener("drop", event => {
  event.preventDefault();
  event.dataTransfer.files[0]?.text().then(show);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
new ResizeObserver(() => {
  resize();
  list();
}).observe($("plot"));

function say(title, text) {
  $("message").replaceChildren(element("b", title), element("p", text));
  $("message").hidden = false;
  $("facts").textContent = "";
  document.documentElement.dataset.failed = title;
}

function show(text) {
  const start = performance.now();
  trace = chosen = hover = null;
  try {
    // The second is what a page has into which nothing was written.
    if (["", "%" + "TRACE%"].includes(text.trim()))
      return say("There is no trace in this page", "Drop a trace file here.");
    const found = read(text);
    if (found.begin > found.end) {
      const odd = `It has ${counted(found.odd, "event")} of kinds that this page does not know.`;
      return say("The trace is empty", found.odd ? odd : "It has no events: nothing ran while it was recorded.");
    }
    trace = found;
  } catch (error) {
    return say("This trace cannot be read", error.message);
  }
  $("message").hidden = true;
  sumUp();
  $("group").checked = new Set(trace.tasks.map(task => task.group)).size <= trace.tasks.length / 2;
  $("list").scrollTop = scroll = 0;
  resize();
  follow();
  const reading = performance.now() - start,
    drawn = draw();
  const counts = { reading: reading.toFixed(0), drawing: (performance.now() - start - reading).toFixed(1) };
  for (const what of ["lanes", "counters", "tasks", "arrows"]) counts[what] = trace[what].length;
  Object.assign(counts, { slices: trace.slices, shown: drawn.slices, columns: drawn.columns });
  // For those who look at the page with a program.
  document.documentElement.dataset.drawn = Object.entries(counts)
    .map(pair => pair.join("="))
    .join(";");
  delete document.documentElement.dataset.failed;
}

/** The line at the top. */
function sumUp() {
  const { tasks, lanes, processes, lost, odd, begin, end } = trace;
  const processors = lanes.filter(lane => lane.hasProcessor).length,
    polls = tasks.reduce((sum, task) => sum + task.polls, 0);
  const facts = [
    counted(processors, "processor"),
    counted(tasks.length, "task"),
    counted(polls, "poll"),
    time(end - begin),
  ];
  $("facts").replaceChildren([...processes.values(), ...facts].join("  ·  "));
  const warn = (count, what, title) => {
    if (count)
      $("facts").append(element("span", `  ·  ${counted(count, "event")} ${what}`, { className: "warn", title }));
  };
  warn(lost, "overwritten", "Each lane keeps the last of its events; what is older is missing here.");
  warn(odd, "not understood", "They are left out.");
}

addEventListener("error", event => (document.documentElement.dataset.failed = event.message));
dress();
// After a first frame, so that a large trace is announced before the page is busy with it.
setTimeout(() => {
  const text = $("trace").textContent;
  $("trace").remove();
  show(text);
});
