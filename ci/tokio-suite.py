"""Runs the tests of the real tokio against tokio/, each in a process of its own.

    source ci/real-tokio.sh && python3 ci/tokio-suite.py [PREFIX...]     only files whose names begin so, as `tcp_` or `time_sleep`

The tests come from the registry's package of the release that tokio/ stands for, and are never committed. Those that may differ
stand in ci/tokio-suite.txt, each with its reason. Fails if another one fails, hangs or does not compile, and if one of the list
passes whose reason does not begin with "at times: ", or hangs whose reason does not say that it waits for ever.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
REAL = pathlib.Path(os.environ["GIT_CONFIG_KEY_0"].removeprefix("url.file://").removesuffix(".insteadOf"))
SUITE = ROOT / "target/tokio-suite"
# Tests expect that permissions are kept, and root need not keep them.
AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
# Seconds for one test. The slowest takes some ten with the real tokio.
LIMIT = 60
# For one that stands in the list with this in its reason: it waits for ever.
FOR_EVER = "for ever"
SHORT_LIMIT = 5


# What holds here of the conditions that the tests name; every feature holds, and whatever else they name does not.
HOLDS = {"unix", "test", "debug_assertions", ("panic", "unwind"), ("target_os", "linux"), ("target_family", "unix"), ("target_env", "gnu")}


def holds(words):
    """Whether the condition at the beginning of the list holds. Takes it from there."""
    name = words.pop(0)
    if words[:1] == ["("]:
        words.pop(0)
        inner = []
        while words[0] != ")":
            inner.append(holds(words))
            if words[0] == ",":
                words.pop(0)
        words.pop(0)
        return {"cfg": all(inner), "all": all(inner), "any": any(inner), "not": not all(inner)}[name]
    if words[:1] == ["="]:
        value = words[1].strip('"')
        del words[:2]
        return name in ("feature", "target_has_atomic") or (name, value) in HOLDS
    return name in HOLDS


def applies(path):
    """Whether a file has tests on Linux without tokio's unstable parts."""
    code = re.sub(r"//.*", "", path.read_text())
    words = re.findall(r'\w+|"[^"]*"|\S', code)
    starts = [at for at in range(len(words)) if words[at : at + 5] == ["#", "!", "[", "cfg", "("]]
    return all(holds(words[at + 3 :]) for at in starts)


def dependencies(manifest):
    """What the tests depend on, as tokio's manifest says."""
    found = {name: value for name, value in manifest["dependencies"].items() if not value.get("optional")}
    found |= manifest["dev-dependencies"]
    for target, tables in manifest.get("target", {}).items():
        if "tokio_unstable" not in target and "loom" not in target:
            found |= tables.get("dev-dependencies", {})
    # What the package itself depends on, and tests use.
    for name in ("bytes", "pin-project-lite"):
        found[name] = {"version": manifest["dependencies"][name]["version"]}
    for name in ("windows-sys", "mio-aio", "wasm-bindgen-test"):
        found.pop(name, None)
    return found


def inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def prepare(prefixes):
    manifest = tomllib.loads((REAL / "Cargo.toml").read_text())
    shutil.rmtree(SUITE / "tests", ignore_errors=True)
    (SUITE / "tests").mkdir(parents=True)
    (SUITE / "src").mkdir(exist_ok=True)
    (SUITE / "src/lib.rs").write_text("")
    shutil.copytree(REAL / "tests/support", SUITE / "tests/support")
    names = []
    for path in sorted((REAL / "tests").glob("*.rs")):
        if applies(path) and (not prefixes or path.stem.startswith(tuple(prefixes))):
            # The same words each time, so that what has not changed is not built anew.
            shutil.copy2(path, SUITE / "tests" / path.name)
            names.append(path.stem)
    # A test reads this file, and looks for the address.
    package = ['name = "tokio-suite"', 'edition = "2021"', 'homepage = "https://tokio.rs"']
    lines = ["[workspace]", "[package]", *package, "[features]"]
    # The tests ask for the features of their own package.
    gates = [name for name in manifest["features"] if name not in ("default", "io-uring", "taskdump", "schedule-latency")]
    lines += [f"default = {json.dumps(gates)}"] + [f"{name} = []" for name in gates]
    lines += ["[dependencies]", f'tokio = {{ path = "{ROOT}/tokio", features = ["full", "test-util"] }}']
    lines += [f"{name} = {inline(value)}" for name, value in dependencies(manifest).items()]
    lines += ["[patch.crates-io]", f'tokio = {{ path = "{ROOT}/tokio" }}']
    lines += ["[profile.dev]", "debug = 0", "[lints.rust]", 'warnings = "allow"', ""]
    (SUITE / "Cargo.toml").write_text("\n".join(lines))
    return names


def name_of(message):
    return message["target"]["name"]


def build(folder, options=(), name_of=name_of):
    """The test binaries by name, and the names of the files that do not compile."""
    command = ["cargo", "build", "--tests", "--keep-going", "--message-format=json", "--quiet", *options]
    built = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    binaries, broken = {}, {}
    for line in built.stdout.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("reason") == "compiler-artifact" and message["profile"]["test"] and message["target"]["kind"] != ["bin"]:
            binaries[name_of(message)] = message["executable"]
        if message.get("reason") == "compiler-message" and message["message"]["level"] == "error":
            broken.setdefault(name_of(message), []).append(message["message"]["rendered"])
    if not binaries:
        sys.exit(built.stderr or "nothing was built")
    return binaries, broken


def tests_of(binary):
    def listed(*more):
        out = subprocess.run([binary, "--list", "--format", "terse", *more], stdout=subprocess.PIPE, text=True).stdout
        return {line.removesuffix(": test") for line in out.splitlines() if line.endswith(": test")}

    return sorted(listed() - listed("--ignored"))


def run(folder, name, binary, test, limit):
    begin = time.monotonic()
    command = [*AS_ANYBODY, binary, "--exact", test, "--test-threads", "1", "--nocapture"]
    try:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=limit)
        result, output = ("ok" if done.returncode == 0 else "failed"), done.stdout
    except subprocess.TimeoutExpired as stopped:
        result, output = "hangs", (stopped.stdout or b"").decode(errors="replace")
    return f"{name}::{test}", result, output, time.monotonic() - begin


def expected(listed):
    found = {}
    for line in (ROOT / listed).read_text().splitlines():
        if line and not line.startswith("#"):
            name, reason = line.split(None, 1)
            found[name] = reason
    return found


def check(jobs, broken, folder, listed):
    """Runs the tests, each named by its folder, its file, its binary and itself; fails as the head of this file says."""
    may_differ = expected(listed)

    def limit(job):
        return SHORT_LIMIT if FOR_EVER in may_differ.get(f"{job[1]}::{job[3]}", "") else LIMIT

    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        results = list(pool.map(lambda job: run(*job, limit(job)), jobs))
    log = folder / "failures.log"
    with log.open("w") as out:
        for name, errors in sorted(broken.items()):
            out.write(f"==== {name} does not compile\n" + "".join(errors[:20]))
        for name, result, output, _ in results:
            if result != "ok":
                out.write(f"==== {name} {result}\n{output}\n")
    passed = [name for name, result, _, _ in results if result == "ok"]
    differ = {name: result for name, result, _, _ in results if result != "ok"} | {name: "does not compile" for name in broken}
    wrong = [
        f"{name}: {result}"
        for name, result in differ.items()
        if name not in may_differ or (result == "hangs" and FOR_EVER not in may_differ[name])
    ]
    wrong += [
        f"{name}: passes, and stands in {listed}"
        for name in passed
        if name in may_differ and not may_differ[name].startswith("at times: ")
    ]
    print(f"{len(passed)} of {len(results)} tests pass, {len(differ)} differ ({log.relative_to(ROOT)} says how)")
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


def main():
    names = prepare(sys.argv[1:])
    binaries, broken = build(SUITE)
    jobs = [(SUITE, name, binaries[name], test) for name in names if name in binaries for test in tests_of(binaries[name])]
    check(jobs, broken, SUITE, "ci/tokio-suite.txt")


if __name__ == "__main__":
    main()
