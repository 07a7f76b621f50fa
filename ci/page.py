"""The checks of ci/page.sh: page.py BROWSER EXAMPLE FOLDER [--record PNG]."""

import collections
import json
import pathlib
import struct
import subprocess
import sys
import zlib

from browser import HEIGHT, WIDTH, Browser, check


def colours(png):
    """How many pixels a picture has of each colour: of PNG, the part that browsers write."""
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT":
            data += body
        at += 12 + length
    assert (width, height, depth) == (WIDTH, HEIGHT, 8), (width, height, depth)
    size = {2: 3, 6: 4}[colour]
    data, above, found = zlib.decompress(data), bytes(width * size), collections.Counter()
    for row in range(height):
        start = row * (width * size + 1)
        line = bytearray(data[start + 1 : start + 1 + width * size])
        unfilter(data[start], line, above, size)
        found.update(zip(line[0::size], line[1::size], line[2::size]))
        above = line
    return found


def unfilter(kind, line, above, size):
    for i in range(len(line) if kind else 0):
        left, corner = (line[i - size], above[i - size]) if i >= size else (0, 0)
        up = above[i]
        if kind == 4:
            estimate = left + up - corner
            guess = min((left, up, corner), key=lambda value: abs(estimate - value))
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        line[i] = line[i] + guess & 255


def shows(png, is_dark):
    """Not blank, and on the paper that the reader's scheme asks for."""
    picture = colours(png)
    (paper, most), *_ = picture.most_common(1)
    check(len(picture) > 100, f"a picture with {len(picture)} colours")
    check(most < 0.9 * WIDTH * HEIGHT, "a picture that is nearly blank")
    check((sum(paper) < 300) == is_dark, f"paper of the colour {paper}")


class Checks:
    def __init__(self, browser, example, folder):
        self.browser, self.example, self.folder = browser, example, pathlib.Path(folder)

    def page(self, name, text):
        trace, page = self.folder / f"{name}.json", self.folder / f"{name}.html"
        trace.write_text(text, encoding="utf-8")
        subprocess.run([self.example, "--page", trace, page], check=True)
        return page

    def all(self, record):
        subprocess.run([self.example, self.folder], check=True)
        self.browser_sees_errors()
        self.recording(record)
        self.links()
        self.hands()
        self.strange_names()
        self.other_traces()
        self.bad_traces()
        self.half_a_million()
        check(not self.browser.complaints, f"on the console: {self.browser.complaints}")

    def browser_sees_errors(self):
        """The control: a page that fails is seen to fail."""
        page = (self.folder / "timeline.html").read_text().replace("joinArrows(trace);", "joinArrow(trace);", 1)
        (self.folder / "broken.html").write_text(page.replace("dress();\n", "dress();\nnowhere();\n"))
        said = self.browser.open(self.folder / "broken.html")
        check("nowhere" in said, f"a page with an error said {said}")
        check(self.browser.complaints, "an error on a page was not seen")
        self.browser.complaints.clear()

    def recording(self, record):
        """All that is in the trace is in the page."""
        events = json.loads((self.folder / "timeline.json").read_text())["traceEvents"]
        polls = [event for event in events if event["ph"] == "X" and event["cat"] == "poll"]
        expected = {
            "slices": len(polls),
            "tasks": len({event["args"]["task"] for event in polls}),
            "lanes": sum(event["name"] == "thread_name" for event in events),
            "counters": len({event["name"] for event in events if event["ph"] == "C"}),
            "arrows": sum(event["ph"] == "f" for event in events),
        }
        said = self.browser.open(self.folder / "timeline.html")
        check(expected.items() <= {key: int(float(value)) for key, value in said.items()}.items(), f"{said}, of {expected}")
        shows(self.browser.picture(self.folder / "light.png"), is_dark=False)
        if record:
            pathlib.Path(record).write_bytes((self.folder / "light.png").read_bytes())
        self.browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.browser.wait("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        shows(self.browser.picture(self.folder / "dark.png"), is_dark=True)
        self.browser.send("Emulation.setEmulatedMedia", features=[])
        print(f"drawn: {said}")

    def links(self):
        """A view can be linked, and the address follows the view."""
        self.browser.open(self.folder / "timeline.html", "#from=6000&to=9000&task=1")
        check(self.browser.run("[view.from, view.to, chosen?.entry.id]") == [6000, 9000, 1], "a link was not followed")
        shows(self.browser.picture(self.folder / "zoomed.png"), is_dark=False)
        self.browser.run("look(7000, 8000)")
        self.browser.wait("location.hash === '#from=7000.000&to=8000.000&task=1'")
        self.browser.run("location.hash = '#search=ticker'")
        self.browser.wait("lit && lit.reduce((sum, is) => sum + is, 0) === 3 && !chosen")

    def hands(self):
        browser = self.browser
        browser.open(self.folder / "timeline.html")
        span = "(view.to - view.from)"
        whole = browser.run(span)
        x, y = browser.run("""(() => {
            const task = trace.tasks.findIndex(task => task.title === "blocker"), box = canvas.getBoundingClientRect();
            const lane = trace.lanes.findLast(lane => lane.levels[0]?.task.includes(task));
            const place = placeOf({ lane, level: 0, index: lane.levels[0].task.indexOf(task) });
            return [box.left + place.x + place.w / 2, box.top + place.y + place.h / 2];
        })()""")
        browser.mouse("mouseMoved", x, y)
        # If it is the last task, the recording may end before its poll has.
        browser.wait("tip.innerText.includes('blocker') && /task finished|still running/.test(tip.innerText)")
        browser.picture(self.folder / "hover.png")
        browser.click(x, y)
        browser.wait("document.getElementById('detail').innerText.includes('2 polls')")
        browser.key("[")
        browser.wait("chosen.slice.lane.hasProcessor")
        browser.key("f")
        browser.wait(f"{span} < {whole} * 0.9 && document.getElementById('detail').innerText.includes('woken')")
        browser.picture(self.folder / "chosen.png")
        browser.key("Escape")
        browser.wait("!chosen && !lit")
        browser.key("0")
        browser.wait(f"Math.abs({span} - {whole}) < 1")
        browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-500)
        browser.wait(f"{span} < {whole} / 2")
        before = browser.run("view.from")
        browser.mouse("mousePressed", x, y, button="left", clickCount=1)
        browser.mouse("mouseMoved", x - 100, y, button="left", buttons=1)
        browser.mouse("mouseReleased", x - 100, y, button="left", clickCount=1)
        browser.wait(f"view.from > {before} && !chosen")
        browser.key("/")
        for letter in "TILE":
            browser.key(letter)
        browser.wait("entries.length === 16 && lit.reduce((sum, is) => sum + is, 0) === 16")
        browser.key("Escape")
        browser.run("document.querySelectorAll('#head button')[1].click()")
        browser.wait("entries.every((entry, i) => !i || entries[i - 1].polls >= entry.polls)")
        browser.run("document.querySelector('#list .row').click()")
        browser.wait("chosen.entry === entries[0]")

    def strange_names(self):
        """A task's name is text, whatever it looks like."""
        names = ["</script><script>document.title = 'taken'</script>", "<!--<script>", "<img src=x onerror=\"document.title='taken'\">",
                 "\u2028\u2029\u0000", "'\"`${document.title = 'taken'}`", "%SCRIPT%%TRACE%", "𓀀" * 40, ""]
        said = self.browser.open(self.page("names", json.dumps(trace_of(names), ensure_ascii=False)))
        check(said["slices"] == str(len(names)), f"of strange names: {said}")
        found = self.browser.run("trace.tasks.map(task => task.title)")
        check(sorted(found) == sorted(names), f"strange names became {found}")
        self.browser.run("trace.tasks.forEach(task => choose(task))")
        check(self.browser.run("document.title") == "Timeline", "a name was taken for a program")

    def other_traces(self):
        """What other programs write, and a part of which we know nothing of."""
        events = trace_of(["inner", "outer"])["traceEvents"]
        events += [{"ph": "X", "name": "overlaps", "pid": "a", "tid": "b", "ts": 5, "dur": 20}, None, 7, {"ph": "?"}, {"ph": "X", "ts": "soon"},
                   {"ph": "X", "name": "within", "pid": "a", "tid": "b", "ts": 6, "dur": 2}, {"ph": "C", "name": "n", "ts": 3, "args": {"n": 2}},
                   {"ph": "s", "id": 1, "ts": 5, "pid": 3, "tid": 3}, {"ph": "f", "id": 1, "ts": 6, "pid": "a", "tid": "b"}]
        said = self.browser.open(self.page("other", json.dumps(events)))
        check((said["slices"], said["lanes"], said["arrows"]) == ("4", "2", "1"), f"of another program's trace: {said}")
        check("4 events not understood" in self.browser.run("document.getElementById('facts').innerText"), "odd events went unsaid")
        self.browser.run("trace.tasks.forEach(task => { choose(task); step(1); draw(); })")

    def bad_traces(self):
        whole = json.dumps(trace_of(["a"]))
        for name, text, words in [
            ("empty", '{"traceEvents":[],"otherData":{"lost_events":0}}', "The trace is empty"),
            ("nothing", "", "There is no trace in this page"),
            ("cut", whole[:-20], "This trace cannot be read"),
            ("list", '{"events":[]}', "This trace cannot be read"),
            ("null", "null", "This trace cannot be read"),
        ]:
            said = self.browser.open(self.page(name, text))
            check(said == words, f"of a trace that is {name} the page said {said}")
            check(words in self.browser.run("document.getElementById('message').innerText"), f"nothing was said of {name}")
        self.browser.key("w")

    def half_a_million(self):
        """However much there is, a frame draws what can be seen of it."""
        said = self.browser.open(self.page("large", large()))
        check(said["slices"] == "500000", f"of half a million slices: {said}")
        check(int(said["shown"]) + int(said["columns"]) < 8 * WIDTH, f"too much was drawn: {said}")
        self.browser.picture(self.folder / "large.png")
        frames = self.browser.run("""(() => {
            const start = performance.now();
            for (let i = 0; i < 20; i++) { Object.assign(view, around(1e6, i < 10 ? 0.5 : 2)); draw(); }
            return ((performance.now() - start) / 20).toFixed(1);
        })()""")
        print(f"half a million slices: read in {said['reading']} ms, then {frames} ms a frame")


def trace_of(names):
    events = [{"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "processor 0"}}]
    for index, name in enumerate(names):
        args = {"task": index, "name": name, "spawned at": "<b>.rs:1:2", "poll": "returned"}
        events.append({"ph": "X", "cat": "poll", "name": name, "pid": 1, "tid": 1, "ts": index * 10, "dur": 9.5, "args": args})
    return {"traceEvents": events, "otherData": {"lost_events": 3}}


def large():
    """Eight processors that poll for four microseconds and rest for one."""
    lines = ['{"ph":"M","name":"thread_name","pid":1,"tid":%d,"args":{"name":"processor %d"}}' % (tid, tid) for tid in range(8)]
    poll = '{"ph":"X","cat":"poll","name":"conn %d","pid":1,"tid":%d,"ts":%d,"dur":4,"args":{"task":%d,"poll":"returned"}}'
    lines += [poll % (i % 997, tid, i * 5, i % 9973) for tid in range(8) for i in range(62_500)]
    return '{"traceEvents":[' + ",\n".join(lines) + "]}"


def main():
    program, example, folder, *options = sys.argv[1:]
    browser = Browser(program)
    try:
        Checks(browser, example, folder).all(options[1] if options else None)
    finally:
        browser.close()
    print("the page is as it should be")


main()
