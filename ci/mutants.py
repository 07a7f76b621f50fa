"""The stages of ci/mutants.sh, and its account. Arguments: the tree to change, where to write, the explained, filters."""

import json
import pathlib
import re
import subprocess
import sys

SCHEDULER = (
    "acquire submit run_queues/mod run_queues/steal run_queues/detached run_queues/detached/list processor/ownership "
    "processor/slot worker/mod worker/idle worker/search worker/wait worker/wakers timers/mod timers/wheel timers/wheel/advance"
)
# Files, the tests of whole runtimes that are to see what their unit tests do not, and what cargo needs to compile them: programs
# of tests/, and modules of those.
GROUPS = [
    (
        [f"src/scheduler/{name}.rs" for name in SCHEDULER.split()],
        "--test it --test alone --test ends -- block_on:: scheduling::fairness:: fork:: scheduling::handoff:: hazards::wakes:: "
        "instruments::hooks:: instruments::metrics:: scheduling::parallelism:: shutdown::drops:: shutdown::report:: "
        "stall::retakes:: stall::ends:: stall::shutdown:: tasks:: timeline:: timer_pieces:: timers::",
        [],
    ),
    (
        "src/tasks/*.rs",
        "--test it --test alone --test ends -- block_on:: context:: scheduling::fairness:: hazards::depth:: instruments::hooks:: "
        "join_set:: shutdown::lifetimes:: instruments::metrics:: instruments::observed:: panics::contained:: "
        "shutdown::drops:: shutdown::report:: stall::report:: instruments::task_dump:: tasks:: timeline::",
        [],
    ),
    (["src/tasks/observe.rs"], "--test it -- instruments::observed::", ["--features=tracing,metrics"]),
    (
        "src/reactor/*.rs",
        "--test deadlock --test it --test ends -- fork:: hazards::sockets:: hazards::wakers:: hazards::wakes:: net:: "
        "instruments::metrics:: panics::wakers:: shutdown::drops:: timers::",
        [],
    ),
]
UNIT_LIMIT, LIMIT = 20, 60


def run(tree, arguments, **options):
    return subprocess.run(arguments, cwd=tree, check=True, text=True, **options)


def names(tree, file):
    """All changes of a file: what cargo-mutants calls each, and what it is called here. Lines move, so ours has none: of several of
    one name the second is `NAME #2`."""
    listed = run(tree, ["cargo", "mutants", "--list", "--colors", "never", "-f", file], stdout=subprocess.PIPE).stdout
    place = re.compile(r"^([^:]+):(\d+):(\d+): (.*)$")
    found = sorted(place.match(line).groups() for line in listed.splitlines())
    found.sort(key=lambda entry: (int(entry[1]), int(entry[2]), entry[3]))
    count = {}
    result = {}
    for path, line, column, what in found:
        name = f"{path}: {what}"
        count[name] = count.get(name, 0) + 1
        result[f"{path}:{line}:{column}: {what}"] = name if count[name] == 1 else f"{name} #{count[name]}"
    return result


def stage(tree, out, file, tests, limit, only=None):
    """Tests the changes of a file; gives the outcome of each."""
    chosen = []
    for name in only or []:
        # In this syntax a backslash before < or > means something else.
        chosen += ["-F", "^" + re.sub(r"([][\\.*^$+?(){}|])", r"\\\1", name) + "$"]
    programs, filters = (tests[: tests.index("--")], tests[tests.index("--") :]) if "--" in tests else (tests, [])
    cargo = [f"--cargo-arg={argument}" for argument in programs]
    out.mkdir(parents=True, exist_ok=True)
    command = ["cargo", "mutants", "--in-place", "--baseline", "skip", "--no-shuffle", "--colors", "never", "--timeout", str(limit)]
    command += ["--build-timeout", "300", "-f", file, "-o", str(out), *chosen, *cargo]
    # What stands behind a first `--` goes to `cargo test`, and behind a second one to the programs.
    command += ["--", *filters] if filters else []
    with open(out / "said", "w") as said:
        # Its status says whether any survived.
        subprocess.run(command, cwd=tree, stdout=said, stderr=said)
    outcomes = json.loads((out / "mutants.out" / "outcomes.json").read_text())["outcomes"]
    result = {}
    for outcome in outcomes:
        if outcome["scenario"] != "Baseline":
            result[outcome["scenario"]["Mutant"]["name"]] = outcome["summary"]
    return result


def explained(path):
    """Names without an indent, and under them, indented, the reason that they share."""
    reasons, waiting, last = {}, [], None
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] != " ":
            if last == "reason":
                waiting = []
            waiting.append(line)
            reasons[line] = ""
            last = "name"
        else:
            for name in waiting:
                reasons[name] += line.strip() + " "
            last = "reason"
    return reasons


def main():
    tree, out, listed, filters = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).absolute(), pathlib.Path(sys.argv[3]), sys.argv[4:]
    reasons = explained(listed)
    bad = [f"no reason: {name}" for name, reason in reasons.items() if not reason]
    rows, left = [], []
    for files, tests, features in GROUPS:
        unit = [*features, "--lib"]
        tests = [*features, *tests.split()]
        paths = files if isinstance(files, list) else sorted(str(path.relative_to(tree)) for path in tree.glob(files))
        if not isinstance(files, list):
            paths = [path for path in paths if not any(path in other for other, _, _ in GROUPS)]
        # Unit tests are not changed, and the poller of other systems is not compiled on Linux.
        paths = [path for path in paths if not path.endswith(("/tests.rs", "/portable.rs"))]
        paths = [path for path in paths if not filters or any(text in path for text in filters)]
        if paths:
            for sound in (unit, tests):
                run(tree, ["cargo", "test", "--quiet", *sound], stdout=subprocess.DEVNULL)
        for file in paths:
            ours = names(tree, file)
            bad += [f"no such change: {name}" for name in reasons if name.startswith(f"{file}: ") and name not in ours.values()]
            known = [name for name in ours if ours[name] in reasons]
            here = out / file.replace("/", "_")
            first = stage(tree, here / "unit", file, unit, UNIT_LIMIT)
            survivors = [name for name in ours if first.get(name) == "MissedMutant" and name not in known]
            second = stage(tree, here / "runtime", file, tests, LIMIT, survivors) if survivors else {}
            last = [name for name in survivors if second.get(name) != "CaughtMutant" and second.get(name) != "Timeout"]
            left += last
            count = lambda outcomes, summary: sum(1 for value in outcomes.values() if value == summary)
            rows.append(
                (
                    file.removeprefix("src/"),
                    len(ours),
                    count(first, "Unviable"),
                    count(first, "CaughtMutant"),
                    count(second, "CaughtMutant"),
                    count(first, "Timeout") + count(second, "Timeout"),
                    sum(1 for name in known if first.get(name) == "MissedMutant"),
                    len(last),
                )
            )
            print(row(rows[-1]), flush=True)
    print(row(("file", "changes", "do not compile", "unit tests", "runtimes", "hangs", "explained", "not seen")))
    print(row(("all", *(sum(column) for column in list(zip(*rows))[1:]))))
    for name in left:
        print(f"not seen: {name}")
    for fault in bad:
        print(fault)
    sys.exit(1 if left or bad or not rows else 0)


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    main()
