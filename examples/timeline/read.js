"use strict";
// Reading. Of polls there can be a million, and all are looked at whenever the picture moves: so they become arrays of
// numbers, sorted, with sums and maxima beside them. Times are microseconds everywhere, as in the trace.

const MARKS = ["wake", "park", "steal", "handoff", "retake"]; // the later, the rarer and the more telling
const MOVED_ON = "goes on without the processor";
const NANO = 0.0015; // two times that mean the same moment can differ by the rounding of either

/** The first index from `low` on whose value is not below `value`. */
function lower(values, value, low = 0, high = values.length) {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Answers which of a range is largest without looking at each: maxima of pairs, of pairs of pairs, and so on. */
class Peaks {
  constructor(values) {
    this.values = values;
    this.floors = [];
    let below = Uint32Array.from(values, (_, index) => index);
    while (below.length > 1) {
      const floor = new Uint32Array(below.length >> 1);
      for (let i = 0; i < floor.length; i++) floor[i] = this.better(below[2 * i], below[2 * i + 1]);
      this.floors.push((below = floor));
    }
  }
  better(a, b) {
    return this.values[b] > this.values[a] ? b : a;
  }
  largest(from, to) {
    let best = from;
    for (let floor = -1; from < to; floor++, from >>= 1, to >>= 1) {
      const at = index => (floor < 0 ? index : this.floors[floor][index]);
      if (from & 1) best = this.better(best, at(from++));
      if (to & 1) best = this.better(best, at(--to));
    }
    return best;
  }
}

/** Slices of a lane that do not overlap; a lane has a second level only if some do. */
class Level {
  constructor(slices) {
    const count = slices.length;
    this.begin = new Float64Array(count);
    this.end = new Float64Array(count);
    this.task = new Uint32Array(count);
    this.ending = new Uint8Array(count);
    this.arrow = new Int32Array(count).fill(-1);
    this.busy = new Float64Array(count + 1); // sums, so that the load of any stretch is one subtraction
    slices.forEach(({ begin, end, task, ending }, i) => {
      this.begin[i] = begin;
      this.end[i] = end;
      this.task[i] = task;
      this.ending[i] = ending;
      this.busy[i + 1] = this.busy[i] + end - begin;
    });
    this.longest = new Peaks(this.end.map((end, i) => end - this.begin[i]));
  }
  /** Time spent in polls before this moment. */
  load(at) {
    const i = lower(this.begin, at);
    return i ? this.busy[i] - Math.max(0, this.end[i - 1] - at) : 0;
  }
}

/** Puts slices that overlap, of which there should be none, on levels of their own. */
function levels(slices) {
  const sheets = [],
    ends = [];
  slices.sort((a, b) => a.begin - b.begin);
  for (const slice of slices) {
    let level = ends.findIndex(end => end <= slice.begin + NANO);
    if (level < 0) level = sheets.push([]) - 1;
    ends[level] = slice.end;
    sheets[level].push(slice);
  }
  return sheets.map(sheet => new Level(sheet));
}

function read(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new Error(`It is not JSON: ${error.message}`);
  }
  const events = Array.isArray(data) ? data : data?.traceEvents;
  if (!Array.isArray(events))
    throw new Error("It is JSON, but has no list “traceEvents”, which the trace event format asks for.");

  const lanes = new Map(),
    counters = new Map(),
    processes = new Map(),
    known = new Map(),
    open = new Map();
  const tasks = [],
    endings = [],
    arrows = [];
  let odd = 0,
    begin = Infinity,
    end = -Infinity,
    last = null;
  const laneOf = ({ pid, tid }) => {
    if (last?.pid === pid && last.tid === tid) return last;
    const key = `${pid}/${tid}`;
    if (!lanes.has(key)) {
      const name = `thread ${tid}`;
      lanes.set(key, { pid, tid, name, order: Infinity, slices: [], marks: [], levels: [], out: [] });
    }
    return (last = lanes.get(key));
  };
  const taskOf = (name, args) => {
    const key = args.task ?? name;
    if (!known.has(key)) {
      const place = String(args["spawned at"] ?? "");
      const task = { id: args.task, title: name, place, polls: 0, total: 0, longest: 0, parts: null };
      known.set(key, tasks.push(task) - 1);
    }
    return known.get(key);
  };
  const cover = (from, to) => {
    begin = Math.min(begin, from);
    end = Math.max(end, to);
  };

  for (const event of events) {
    const args = event?.args ?? {},
      { ph, ts } = event ?? {};
    const name = String(event?.name ?? "");
    if (ph === "M") {
      if (name === "process_name") processes.set(event.pid, String(args.name));
      if (name === "thread_name") laneOf(event).name = String(args.name);
      if (name === "thread_sort_index") laneOf(event).order = args.sort_index;
    } else if (!Number.isFinite(ts) || (ph === "X" && !(event.dur >= 0))) {
      odd++;
    } else if (ph === "X" && event.cat === "wake") {
      // Has a length only because an arrow must begin in a slice.
      laneOf(event).marks.push({ at: ts, kind: 0, text: `${name}, outside any poll` });
      cover(ts, ts);
    } else if (ph === "X") {
      const task = taskOf(name, args),
        how = args.poll ?? "";
      let ending = endings.indexOf(how);
      if (ending < 0) ending = endings.push(how) - 1;
      laneOf(event).slices.push({ begin: ts, end: ts + event.dur, task, ending });
      if (how === MOVED_ON) (tasks[task].parts ??= []).push({ since: ts, begin: ts, end: ts + event.dur });
      cover(ts, ts + event.dur);
    } else if (ph === "s") {
      open.set(event.id, { lane: laneOf(event), at: ts });
      cover(ts, ts);
    } else if (ph === "f") {
      const from = open.get(event.id);
      if (from) arrows.push({ from, to: { lane: laneOf(event), at: ts }, spawn: name === "spawn" });
      open.delete(event.id);
    } else if (ph === "i" || ph === "I") {
      let text = name;
      if (name === "steal") text += `: ${counted(args.tasks, "task")} from processor ${args.from}`;
      if (name === "retake") text += `: processor ${args.processor}, from a thread that holds it up`;
      laneOf(event).marks.push({ at: ts, kind: Math.max(1, MARKS.indexOf(name)), text });
      cover(ts, ts);
    } else if (ph === "C") {
      const key = `${event.pid}/${name}`,
        value = Number(Object.values(args)[0]);
      if (!counters.has(key)) counters.set(key, { pid: event.pid, name, points: [] });
      counters.get(key).points.push({ at: ts, value: Number.isFinite(value) ? value : 0 });
      cover(ts, ts);
    } else {
      odd++;
    }
  }
  const lost = Number(data.otherData?.lost_events) || 0;
  const trace = { tasks, endings, arrows, processes, odd, lost, begin, end };
  trace.lanes = [...lanes.values()].filter(lane => lane.slices.length || lane.marks.length);
  trace.lanes.sort((a, b) => a.pid - b.pid || a.order - b.order || a.tid - b.tid);
  trace.counters = [...counters.values()].sort((a, b) => a.pid - b.pid || byText(a.name, b.name));
  finish(trace);
  addUp(trace);
  joinArrows(trace);
  return trace;
}

/** Events become sorted arrays. */
function finish(trace) {
  for (const counter of trace.counters) {
    counter.points.sort((a, b) => a.at - b.at);
    counter.at = Float64Array.from(counter.points, point => point.at);
    counter.peaks = new Peaks(Float64Array.from(counter.points, point => point.value));
    counter.top = Math.max(1, counter.peaks.values[counter.peaks.largest(0, counter.at.length)]);
    delete counter.points;
  }
  for (const lane of trace.lanes) {
    [lane.title, lane.subtitle] = lane.name.replace(/\)$/, "").split(" (");
    lane.hasProcessor = /^processor/.test(lane.name);
    lane.levels = levels(lane.slices);
    lane.marks.sort((a, b) => a.at - b.at);
    lane.markAt = Float64Array.from(lane.marks, mark => mark.at);
    lane.markPeaks = new Peaks(Uint8Array.from(lane.marks, mark => mark.kind));
    delete lane.slices;
  }
  trace.levels = trace.lanes.flatMap(lane => lane.levels);
  trace.slices = trace.levels.reduce((sum, level) => sum + level.begin.length, 0);
}

/** A poll that loses its processor is two or three slices; it is one poll all the same. */
function sinceWhen(task, begin) {
  return task.parts?.find(part => Math.abs(part.end - begin) < 2 * NANO)?.since ?? begin;
}

function addUp({ tasks, levels, endings }) {
  for (const task of tasks) {
    task.parts?.sort((a, b) => a.begin - b.begin);
    task.parts?.forEach(part => (part.since = sinceWhen(task, part.begin)));
  }
  const movedOn = endings.indexOf(MOVED_ON);
  for (const level of levels) {
    for (let i = 0; i < level.begin.length; i++) {
      const task = tasks[level.task[i]];
      task.total += level.end[i] - level.begin[i];
      if (level.ending[i] === movedOn) continue;
      task.polls++;
      task.longest = Math.max(task.longest, level.end[i] - sinceWhen(task, level.begin[i]));
    }
  }
  // Tasks of one name, or of one line that names none, look alike: a thousand children in a thousand colours say nothing.
  const groups = new Map();
  for (const task of tasks) {
    const { title, place } = task;
    if (!groups.has(title)) groups.set(title, { title, place, tasks: [], polls: 0, total: 0, longest: 0 });
    const group = (task.group = groups.get(title));
    group.tasks.push(task);
    group.polls += task.polls;
    group.total += task.total;
    group.longest = Math.max(group.longest, task.longest);
  }
  [...groups.values()].sort((a, b) => b.total - a.total).forEach((group, rank) => (group.colour = rank % HUES));
  for (const task of tasks) task.tasks = [task];
}

/** Arrows twice: by arrival, and for each lane by departure. */
function joinArrows(trace) {
  const { arrows } = trace;
  arrows.sort((a, b) => a.to.at - b.to.at);
  trace.arrivals = Float64Array.from(arrows, arrow => arrow.to.at);
  arrows.forEach((arrow, index) => {
    arrow.from.lane.out.push(index);
    const target = targetOf(arrow);
    if (target) target.lane.levels[target.level].arrow[target.index] = index;
  });
  for (const lane of trace.lanes) {
    lane.out.sort((a, b) => arrows[a].from.at - arrows[b].from.at);
    lane.outAt = Float64Array.from(lane.out, index => arrows[index].from.at);
  }
}

/** The slice to which an arrow leads. */
function targetOf({ to }) {
  for (let level = 0; level < to.lane.levels.length; level++) {
    const { begin } = to.lane.levels[level],
      index = lower(begin, to.at - NANO);
    if (begin[index] < to.at + NANO) return { lane: to.lane, level, index };
  }
  return null;
}

/** The slice in which an arrow begins. */
function sourceOf({ from }) {
  for (let level = 0; level < from.lane.levels.length; level++) {
    const { begin, end } = from.lane.levels[level],
      index = lower(begin, from.at + NANO) - 1;
    if (index >= 0 && end[index] >= from.at - NANO) return { lane: from.lane, level, index };
  }
  return null;
}
