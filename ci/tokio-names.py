"""Prints how the public names of tokio/ differ from those of the release that it stands for, or of another one.

    source ci/real-tokio.sh && python3 ci/tokio-names.py [FOLDER]

FOLDER: the source of another release of tokio; what it has more is what a new version of tokio/ has to bring. Names are those that
rustdoc knows with the features `full` and `test-util` on Linux: modules, types with their methods and variants, functions, macros,
constants, and the traits that a type implements. Fails if something is missing that is not in ci/tokio-names.txt, where each line
has its reason.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REAL = pathlib.Path(os.environ["GIT_CONFIG_KEY_0"].removeprefix("url.file://").removesuffix(".insteadOf"))
# Traits that each type has by itself, or not, and that say little.
AUTO = {"Freeze", "UnsafeUnpin", "Any", "Borrow", "BorrowMut", "From", "Into", "TryFrom", "TryInto", "ToOwned", "CloneToUninit", "StructuralPartialEq", "ToString", "IntoFuture"}


def rustdoc(manifest):
    """What rustdoc says of a crate, as JSON. That is not stable yet, so the compiler is told to allow it."""
    target = ROOT / "target/tokio-names"
    command = ["cargo", "rustdoc", "--quiet", "--lib", "--manifest-path", manifest, "--features", "full,test-util"]
    command += ["--target-dir", target / manifest.parent.name, "--", "-Zunstable-options", "--document-hidden-items", "--output-format", "json", "--cap-lints", "allow"]
    subprocess.run(command, check=True, env=os.environ | {"RUSTC_BOOTSTRAP": "1"})
    return json.loads((target / manifest.parent.name / "doc/tokio.json").read_text())


class Crate:
    def __init__(self, doc, other=None):
        self.index, self.paths, self.root, self.other = doc["index"], doc["paths"], doc["root"], other
        self.by_path = {tuple(entry["path"]): key for key, entry in self.paths.items() if entry["crate_id"] == 0}

    def names(self):
        found = set()
        self.module(str(self.root), "tokio", found, set())
        return found

    def module(self, key, path, found, inside):
        if key in inside:
            return
        items = self.index[key]["inner"]["module"]["items"]
        explicit, globs = [], []
        for item in map(str, items):
            entry = self.index.get(item)
            if entry is None:
                continue
            use = entry["inner"].get("use")
            if use and use["is_glob"]:
                globs.append(use)
            else:
                explicit.append((entry, use))
        taken = set()
        for entry, use in explicit:
            name = use["name"] if use else entry["name"]
            taken.add(name)
            if use:
                self.reexport(use, f"{path}::{name}", found, inside | {key})
            else:
                self.item(str(entry["id"]), f"{path}::{name}", found, inside | {key})
        for use in globs:
            crate, target = self.target(use)
            if crate:
                brought = set()
                crate.module(target, path, brought, inside | {key})
                depth = path.count("::") + 1
                found |= {name for name in brought if name.split("::")[depth].split(" ")[0].split(".")[0] not in taken}

    def target(self, use):
        """The crate and the key of what is re-exported. Nothing if it is of a third crate."""
        key = str(use["id"])
        if key in self.index:
            return self, key
        path = tuple(self.paths.get(key, {"path": []})["path"])
        if self.other and path in self.other.by_path:
            return self.other, self.other.by_path[path]
        return None, path

    def reexport(self, use, path, found, inside):
        crate, target = self.target(use)
        if crate:
            crate.item(target, path, found, inside if crate is self else set())
        else:
            found.add(f"{path}")

    def item(self, key, path, found, inside):
        entry = self.index[key]
        if entry["visibility"] not in ("public", "default"):
            return
        (kind, inner), = entry["inner"].items()
        if kind == "module":
            found.add(f"{path}")
            self.module(key, path, found, inside)
        elif kind == "use":
            self.reexport(inner, path, found, inside)
        else:
            found.add(path)
            for impl in map(str, inner.get("impls", []) if isinstance(inner, dict) else []):
                self.implementation(impl, path, found)
            for variant in map(str, inner.get("variants", []) if kind == "enum" else []):
                found.add(f"{path}.{self.index[variant]['name']}")
            for item in map(str, inner.get("items", []) if kind == "trait" else []):
                found.add(f"{path}.{self.index[item]['name']}")

    def implementation(self, key, path, found):
        impl = self.index[key]["inner"]["impl"]
        if impl["blanket_impl"] is not None or impl["is_negative"]:
            return
        trait = impl["trait"]
        if trait is None:
            for item in map(str, impl["items"]):
                if item in self.index and self.index[item]["visibility"] == "public":
                    found.add(f"{path}.{self.index[item]['name']}")
        else:
            name = trait["path"].split("::")[-1]
            if name not in AUTO:
                found.add(f"{path}: {name}")


def main():
    release = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else REAL
    real = Crate(rustdoc(REAL / "Cargo.toml"))
    ours = Crate(rustdoc(ROOT / "tokio/Cargo.toml"), real).names()
    theirs = (real if release == REAL else Crate(rustdoc(release / "Cargo.toml"))).names()
    expected = {}
    for line in (ROOT / "ci/tokio-names.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, reason = line.split("  ", 1)
            expected[name] = reason
    missing, more = sorted(theirs - ours), sorted(ours - theirs)
    for name in missing:
        print(f"- {name}" + (f"  ({expected[name]})" if name in expected else ""))
    for name in more:
        print(f"+ {name}")
    wrong = [name for name in missing if name not in expected]
    print(f"{len(theirs)} names, {len(missing)} missing, {len(more)} more; {len(wrong)} without a reason")
    sys.exit(bool(wrong))


main()
