"""Runs the tests of libraries that are bound to tokio against tokio/, each in a process of its own.

    source ci/real-tokio.sh && python3 ci/tokio-packages.py [PACKAGE...]      only these of PACKAGES, below

The packages come from the registry, in their newest releases, and are copied under target/, never committed. Nothing in them is
changed but that they are one workspace, in which tokio/ takes the place of the registry's tokio. Tests that may differ stand in
ci/tokio-packages.txt, each with its reason; what counts as a failure is as in ci/tokio-suite.py, which this shares.
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("suite", here / "tokio-suite.py")
suite = importlib.util.module_from_spec(spec)
spec.loader.exec_module(suite)

FOLDER = suite.ROOT / "target/tokio-packages"
# What people have, by the versions that go together.
PACKAGES = {
    "actix-http": "3",
    "actix-rt": "2",
    "actix-server": "2",
    "axum": "0.8",
    "bb8": "0.9",
    "deadpool": "0.13",
    "hyper": "1",
    "hyper-util": "0.1",
    "mini-redis": "0.4",
    "quinn": "0.11",
    "tokio-stream": "0.1",
    "tokio-test": "0.4",
    "tokio-tungstenite": "0.29",
    "tokio-util": "0.7",
    "tonic": "0.14",
    "tower": "0.5",
    "warp": "0.4",
}
# Where all of them do not go together, take long to build, or ask for what is not on each machine.
FEATURES = {
    "actix-http": ["compress-gzip", "http2", "ws"],
    "actix-server": [],
    "deadpool": ["managed", "rt_tokio_1", "unmanaged"],
    "hyper": ["full"],
    "quinn": ["default"],
    "tokio-tungstenite": ["default"],
    "tonic": ["default"],
}
# What tests need of a package that is beside theirs in their repository: the registry's manifests do not say so.
BESIDE = {"axum": 'axum-macros = { version = "0.5", features = ["__private"] }'}


def empty(name, head, depends):
    """A package for what it depends on."""
    folder = FOLDER / name
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src/lib.rs").touch()
    lines = [*head, "[package]", f'name = "{name}"', 'edition = "2021"', "[dependencies]", *depends, ""]
    (folder / "Cargo.toml").write_text("\n".join(lines))
    return folder


def registry():
    """The folder of each package, as cargo has it."""
    depends = [f'{name} = {{ version = "{version}", default-features = false }}' for name, version in PACKAGES.items()]
    scratch = empty("fetch", ["[workspace]"], depends)
    (scratch / "Cargo.lock").unlink(missing_ok=True)
    command = ["cargo", "metadata", "--quiet", "--format-version", "1"]
    found = json.loads(subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, check=True).stdout)
    direct = next(node for node in found["resolve"]["nodes"] if node["id"] == found["resolve"]["root"])["dependencies"]
    return {package["name"]: package for package in found["packages"] if package["id"] in direct}


def copy(package):
    """A copy whose files keep their times, so that what has not changed is not built anew."""
    source = pathlib.Path(package["manifest_path"]).parent
    target = FOLDER / "packages" / f"{package['name']}-{package['version']}"
    if not target.exists():
        part = target.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part, ignore=shutil.ignore_patterns("Cargo.lock", ".cargo-ok", "Cargo.toml.orig"))
        part.rename(target)
    return target


def features(package):
    """Every feature that others may ask for, except where FEATURES says which."""
    name = package["name"]
    chosen = FEATURES.get(name, [feature for feature in package["features"] if not feature.startswith("__")])
    return [f"{name}/{feature}" for feature in chosen]


def main():
    names = sys.argv[1:] or list(PACKAGES)
    packages = registry()
    folders = {name: copy(packages[name]) for name in names}
    beside = empty("beside", [], [line for name, line in BESIDE.items() if name in names])
    members = [str(folder.relative_to(FOLDER)) for folder in [*folders.values(), beside]]
    lines = ["[workspace]", 'resolver = "2"', f"members = {json.dumps(members)}"]
    # Each stands for itself wherever another one depends on it: one type, as in their repositories, and built once.
    patches = {"tokio": suite.ROOT / "tokio"} | folders
    lines += ["[patch.crates-io]", *(f'{name} = {{ path = "{folder}" }}' for name, folder in patches.items())]
    lines += ["[profile.dev]", "debug = 0", ""]
    (FOLDER / "Cargo.toml").write_text("\n".join(lines))

    def name_of(message):
        package = next((name for name, folder in folders.items() if message["manifest_path"] == f"{folder}/Cargo.toml"), "elsewhere")
        target = message["target"]
        return f"{package}/{'lib' if 'lib' in target['kind'] else target['name']}"

    options = ["--workspace", "--features", ",".join(feature for name in names for feature in features(packages[name]))]
    binaries, broken = suite.build(FOLDER, options, name_of)
    jobs = [
        (folders[name.split("/")[0]], name, binary, test)
        for name, binary in sorted(binaries.items())
        for test in suite.tests_of(binary)
    ]
    for name in names:
        count = sum(job[1].startswith(name + "/") for job in jobs)
        print(f"{name} {packages[name]['version']}: {count} tests")
        if count == 0:
            broken.setdefault(f"{name}/all", ["no tests were found"])
    suite.check(jobs, broken, FOLDER, "ci/tokio-packages.txt")


if __name__ == "__main__":
    main()
