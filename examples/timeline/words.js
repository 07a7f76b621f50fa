// In words: what is under the cursor, the table of tasks, the chosen one, and what the signs mean.

function element(tag, text, more) {
  return Object.assign(document.createElement(tag), { textContent: text }, more);
}

function titleOf({ title, id }) {
  return id === undefined ? title : `${title}  ·  task ${id}`;
}

/** What there is to say of a poll, as terms and values. */
function factsOf({ lane, level, index }) {
  const { begin, end, task, ending, arrow } = lane.levels[level],
    about = trace.tasks[task[index]];
  const since = sinceWhen(about, begin[index]),
    facts = [];
  if (about.place) facts.push(["spawned at", about.place]);
  facts.push(["began", moment(begin[index])]);
  const whole = since < begin[index] - NANO ? `; ${time(end[index] - since)} since the poll began` : "";
  facts.push(["took", time(end[index] - begin[index]) + whole]);
  if (trace.endings[ending[index]]) facts.push(["then", trace.endings[ending[index]]]);
  const from = trace.arrows[arrow[index]];
  if (from) {
    const source = sourceOf(from),
      waiting = time(begin[index] - from.from.at);
    const waker = source ? trace.tasks[source.lane.levels[source.level].task[source.index]] : from.from.lane;
    facts.push([from.spawn ? "spawned" : "woken", `by ${waker.title}; waited ${waiting}`, source]);
  }
  return { title: titleOf(about), facts };
}

/** Says what is under the cursor, beside it. */
function showTip() {
  tip.hidden = !hover || !cursor;
  if (tip.hidden) return;
  let title,
    facts = [];
  if (hover.slice) ({ title, facts } = factsOf(hover.slice));
  if (hover.mark) {
    title = hover.mark.text;
    facts.push(["at", moment(hover.mark.at)]);
    if (hover.others) facts.push(["and", `${counted(hover.others, "mark")} beside it`]);
  }
  if (hover.counter) {
    title = hover.counter.name;
    facts.push(["here", counted(hover.value, "task")], ["most", counted(hover.counter.top, "task")]);
  }
  const terms = element("dl", "");
  for (const [term, value] of facts) terms.append(element("dt", term), element("dd", value));
  tip.replaceChildren(element("strong", title), terms);
  const { offsetWidth: w, offsetHeight: h } = tip;
  tip.style.left = `${cursor.x + 16 + w > width ? Math.max(4, cursor.x - 14 - w) : cursor.x + 16}px`;
  tip.style.top = `${cursor.y + 18 + h > height ? Math.max(4, cursor.y - 12 - h) : cursor.y + 18}px`;
}

/** Says what is chosen. */
function detail() {
  $("detail").replaceChildren();
  if (!chosen) return;
  const { entry, slice } = chosen,
    terms = element("dl", "");
  const { title, facts } = slice ? factsOf(slice) : { title: titleOf(entry), facts: [] };
  if (!slice && entry.place) facts.push(["spawned at", entry.place]);
  if (!slice && entry.tasks.length > 1) facts.push(["tasks", number(entry.tasks.length)]);
  facts.push(["in all", `${counted(entry.polls, "poll")}, ${time(entry.total)}`]);
  for (const [term, value, source] of facts) {
    const cell = element("dd", value);
    if (source) cell.append(" ", element("button", "show", { onclick: () => chooseSlice(source, true) }));
    terms.append(element("dt", term), cell);
  }
  const heading = element("div", "");
  const before = element("button", "‹", { title: "the poll before ( [ )", onclick: () => step(-1) });
  const next = element("button", "›", { title: "the next poll ( ] )", onclick: () => step(1) });
  heading.append(element("strong", title), before, next);
  $("detail").append(heading, terms);
}

const COLUMNS = [
  ["title", "Task"],
  ["polls", "Polls"],
  ["total", "Total"],
  ["longest", "Longest"],
];
const ROW = 26;
let sorted = { by: "total", down: true },
  entries = [];

/** Sorts and filters the table. */
function list() {
  if (!trace) return;
  const { by, down } = sorted,
    byName = $("group").checked;
  const all = byName ? [...new Set(trace.tasks.map(task => task.group))] : trace.tasks;
  const compare = by === "title" ? byText : (a, b) => a - b;
  entries = all.filter(wanted()).sort((a, b) => compare(a[by], b[by]) * (down ? -1 : 1));
  $("head").replaceChildren(
    ...COLUMNS.map(([key, text]) => {
      const button = element("button", key === by ? `${text} ${down ? "↓" : "↑"}` : text);
      if (key === by) button.setAttribute("aria-sort", down ? "descending" : "ascending");
      button.onclick = () => {
        sorted = { by: key, down: key === by ? !down : key !== "title" };
        list();
      };
      return button;
    }),
  );
  $("count").textContent = counted(entries.length, byName ? "name" : "task");
  listRows();
}

/** Whether a task, or a group, is what the search box asks for. */
function wanted() {
  const words = $("search").value.trim().toLowerCase();
  return ({ title, place }) => title.toLowerCase().includes(words) || place.toLowerCase().includes(words);
}

/** A task's row stands for the group of it, and a group's for each of its tasks. */
function isChosen(entry) {
  return Boolean(chosen) && (chosen.entry === entry || chosen.entry.group === entry || chosen.entry === entry.group);
}

/** Only the rows in sight exist: there can be a million tasks. */
function listRows() {
  const { scrollTop, clientHeight } = $("list"),
    first = Math.floor(scrollTop / ROW),
    some = [];
  for (let i = first; i < Math.min(entries.length, first + clientHeight / ROW + 2); i++) {
    const row = rowOf(entries[i]);
    row.style.top = `${i * ROW}px`;
    some.push(row);
  }
  const end = element("div", "");
  end.style.height = `${entries.length * ROW}px`;
  $("list").replaceChildren(end, ...some);
}

function rowOf(entry) {
  const row = element("div", "", { className: isChosen(entry) ? "row on" : "row" });
  if (entry.place) row.title = `spawned at ${entry.place}`;
  row.onclick = () => choose(chosen?.entry === entry ? null : entry);
  const name = element("span", ""),
    swatch = element("i", "");
  swatch.style.background = palette[(entry.group ?? entry).colour];
  const which = entry.group ? (entry.id ?? "") : entry.tasks.length > 1 ? `× ${number(entry.tasks.length)}` : "";
  name.append(swatch, entry.title, element("small", `  ${which}`));
  const figures = [number(entry.polls), time(entry.total), time(entry.longest)];
  row.append(name, ...figures.map(figure => element("span", figure)));
  return row;
}

const SIGNS = ["wake outside a poll", "park", "steal", "handoff", "retake"]; // in the order of MARKS
const KEYS = [
  ["W S", "or wheel: zoom"],
  ["A D", "or drag: move"],
  ["0", "all"],
  ["F", "the chosen poll"],
  ["[ ]", "poll before, next"],
  ["Esc", "nothing"],
];

function legend() {
  $("keys").replaceChildren();
  SIGNS.forEach((text, kind) => {
    const icon = element("canvas", "", { width: 20, height: 20 }),
      item = element("span", "");
    const small = icon.getContext("2d");
    small.scale(2, 2);
    shape(small, kind, 5, 5, markColour(kind));
    item.append(icon, text);
    $("keys").append(item, " ");
  });
  const keys = element("div", "");
  for (const [key, text] of KEYS) {
    const item = element("span", "");
    item.append(element("kbd", key), ` ${text}`);
    keys.append(item, " ");
  }
  $("keys").append(keys);
}
