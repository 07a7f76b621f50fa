"""The signs by which docs/debugging.md finds the faults of examples/hidden_faults. See ci/debugging.sh."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from browser import Browser, check

PATIENCE = 60  # seconds, for a machine that has much else to do


class Program:
    """One of the four, with the settings of the guide."""

    def __init__(self, examples, name, seconds, **environment):
        self.name = name
        self.process = subprocess.Popen(
            [examples / "hidden_faults", name, str(seconds)], text=True, bufsize=1,
            env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.lines = []

    def until(self, pattern):
        """Reads on to a line like this."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        check(False, f"{self.name} never said {pattern}:\n" + "\n".join(self.lines))

    def enter(self):
        """What it says of itself when it is asked: until the end of the list of tasks."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        begin = len(self.lines)
        count = int(self.until(r"^(\d+) tasks$")[1])
        self.until(r"^$")
        report = self.lines[begin:]
        listed = sum(int(found[1] or 1) for line in report if (found := re.match(r"  (?:task \d+|(\d+) tasks)[ ,]", line)))
        check(listed == count, f"{listed} of {self.name}'s {count} tasks are listed:\n" + "\n".join(report))
        return report

    def end(self):
        self.lines += self.process.communicate(timeout=PATIENCE)[0].splitlines()
        check(self.process.returncode == 0, f"{self.name} ended with {self.process.returncode}:\n" + "\n".join(self.lines))


def count(lines, pattern):
    return sum(bool(re.search(pattern, line)) for line in lines)


def polls(trace):
    events = json.loads(trace.read_text())["traceEvents"]
    return [event for event in events if event["ph"] == "X" and event["cat"] == "poll"]


def shop(examples, folder):
    """Whose polls take longest."""
    trace = folder / "shop.json"
    program = Program(examples, "shop", 3, EXECUTOR_DEBUG="histograms=1", EXECUTOR_TRACE=str(trace))
    program.until(r"\d+ orders")
    report = program.enter()
    check(count(report, r"^poll times: \d+ measured") == 1, "poll times are not in the report:\n" + "\n".join(report))
    program.end()
    total = collections.Counter()
    for poll in polls(trace):
        total[poll["name"]] += poll["dur"]
    first = [name for name, _ in total.most_common(2)]
    check(all(name.startswith("canteen") for name in first), f"most time in polls: {total.most_common(5)}")
    print(f"shop: most time in the polls of {first}")
    return trace


# What the tasks of the warehouse wait for, and the line that says so.
WAITS = {
    "shelves": "let mut shelves = warehouse.shelves.lock().await",
    "books": "warehouse.books.lock().await.push(",
    "left": "warehouse.shelves.lock().await.values()",
}


def warehouse(examples, folder):
    """Who waits where: of thirty pickers one for the books."""
    trace = folder / "warehouse.json"
    program = Program(examples, "warehouse", 6, EXECUTOR_DEBUG="tasks=1", EXECUTOR_TRACE=str(trace))
    program.until("no parcels")
    program.until("no parcels")
    report = program.enter()
    program.end()
    text = "\n".join(report)
    at = r'%s.*waiting for (up to )?[\d.]+s;.*\n +future .*\n +> async fn at \S*warehouse\.rs:%s\n'
    line = lines_of("warehouse", WAITS)
    for who, what in ((r'  task \d+ "picker', "books"), (r"  29 tasks", "shelves"), (r'  task \d+ "stocktaking"', "left")):
        check(len(re.findall(at % (who, line[what]), text)) == 1, f"{who} does not wait in line {line[what]}:\n{text}")
    print(f"warehouse: a picker waits in line {line['books']}, the others in line {line['shelves']}, stocktaking in line {line['left']}")
    return trace


# Where the readers of the library wait. A function that awaits in its only line stands for that line.
AWAITS = {
    "select": "select(looking_up, patience).await",
    "complaint": "complain(&catalogue).await",
    "in look_up": "async fn look_up(",
    "in complain": "async fn complain(",
}


def library(examples, folder):
    """Whose future has been handed the lock, and is not polled."""
    program = Program(examples, "library", 6, EXECUTOR_DEBUG="stacks=1")
    program.until("no readers")
    program.until("no readers")
    text = "\n".join(program.enter())
    program.end()
    line = {what: number + what.startswith("in ") for what, number in lines_of("library", AWAITS).items()}
    deeper = r"\n(?: +(?![ >]|futurelock).*\n)*"
    frames = {what: rf" +> async fn at \S*library\.rs:{number}" + deeper for what, number in line.items()}
    task = r'  task \d+ "reader \d+", .*: waiting\n +future .*\n'
    lost = task + frames["complaint"] + frames["in complain"] + r" +futurelock: the task has not .*\n" + frames["select"] + frames["in look_up"]
    check(len(re.findall(lost, text + "\n")) == 1, f"no reader has lost the lock in line {line['select']}:\n{text}")
    print(f"library: the future of a reader in line {line['select']} has the lock, for which it waits in line {line['complaint']}")


def lines_of(name, sought):
    """In which line of the program each of these texts stands."""
    source = pathlib.Path(f"examples/hidden_faults/{name}.rs").read_text().split("\n")
    return {what: number for number, line in enumerate(source, 1) for what, text in sought.items() if text in line}


def gallery(examples, folder):
    """What all threads of the pool are busy with, and how many jobs wait for them."""
    trace = folder / "gallery.json"
    program = Program(examples, "gallery", 8, EXECUTOR_DEBUG="tasks=1", EXECUTOR_TRACE=str(trace))
    for _ in range(6):
        program.until("visitors")
    report = program.enter()
    program.end()
    check(count(report, r"blocking queue [1-9]") == 1, "no job waits:\n" + "\n".join(report))
    # A job that ends at this very moment stands for itself: its stack cannot be read.
    jobs = [re.match(r"  (?:(\d+) tasks|task \d+), .*gallery\.rs.*job, blocked", line) for line in report]
    taken = sum(int(job[1] or 1) for job in jobs if job)
    check(taken == 4, "not all threads are taken:\n" + "\n".join(report))
    check(count(report, r"gallery\.rs.*queued") > 0, "no job is shown as queued:\n" + "\n".join(report))
    print(f"gallery:{report[1].split(';')[1]}")
    return trace


# Chooses the last poll of a task by a processor.
STOCKTAKING = """(() => {
    let last = null;
    for (const lane of trace.lanes.filter(lane => lane.hasProcessor)) {
        lane.levels.forEach((level, at) => level.task.forEach((task, index) => {
            const slice = { lane, level: at, index, begin: level.begin[index] };
            if (trace.tasks[task].title === "stocktaking" && !(last?.begin > slice.begin)) last = slice;
        }));
    }
    chooseSlice(last);
    look(last.begin - 8000, last.begin + 8000);
})()"""
VIEWS = {
    "shop": "location.hash = '#from=1000000&to=1400000&search=canteen'",
    "warehouse": STOCKTAKING,
    "gallery": "0",
}


def pictures(program, examples, traces):
    browser = Browser(program)
    try:
        for trace in traces:
            page = trace.with_suffix(".html")
            subprocess.run([examples / "timeline", "--page", trace, page], check=True)
            browser.open(page)
            browser.run(VIEWS[trace.stem])
            time.sleep(1)  # the view glides
            browser.picture(pathlib.Path("docs/debugging") / f"{trace.stem}.png")
    finally:
        browser.close()


def main():
    examples, folder, *program = sys.argv[1:]
    examples, folder = pathlib.Path(examples), pathlib.Path(folder)
    library(examples, folder)
    traces = [fault(examples, folder) for fault in (shop, warehouse, gallery)]
    if program:
        pictures(program[0], examples, traces)


main()
