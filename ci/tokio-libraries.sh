#!/usr/bin/env bash
# Do libraries that are bound to tokio work, unmodified, on the package in tokio/? It takes the registry's place by
# [patch.crates-io], and it is an error if any package of a graph has the registry's all the same. First the tests in tests/tokio:
# those of tests/libraries that tokio has the names for, and one of each library over real sockets. Then the libraries' own tests,
# which ci/tokio-packages.py takes from the registry.
#
#   ci/tokio-libraries.sh                       everything
#   ci/tokio-libraries.sh tests [FILTER...]     only those in tests/tokio, or those of them whose names contain a filter
#   ci/tokio-libraries.sh packages [PACKAGE...] only the libraries' own, or those of these libraries
#
# Needs git, python3 and a C compiler. Packages come from the registry, in their newest releases; GitHub is not asked.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=ci/real-tokio.sh
source ci/real-tokio.sh
export CARGO_PROFILE_DEV_DEBUG=0

own=(--quiet --manifest-path tests/tokio/Cargo.toml)

# Whoever depends on a tokio has ours; only ours has the real one, which it takes by git.
only_ours() {
    cargo metadata --quiet --format-version 1 --all-features --manifest-path "$1" | python3 -c '
import json, os, sys
found = json.load(sys.stdin)
packages = {package["id"]: package for package in found["packages"]}
tokios = {id for id, package in packages.items() if package["name"] == "tokio"}
ours = {id for id in tokios if packages[id]["manifest_path"] == os.path.abspath("tokio/Cargo.toml")}
users = {node["id"]: tokios.intersection(node["dependencies"]) for node in found["resolve"]["nodes"]}
wrong = sorted(packages[id]["name"] for id, has in users.items() if id not in ours and has - ours)
if wrong or not ours:
    sys.exit(sys.argv[1] + ": these have another tokio: " + (", ".join(wrong) or "all"))
' "$1"
}

run_tests() {
    only_ours tests/tokio/Cargo.toml
    cargo fmt --manifest-path tests/tokio/Cargo.toml --check -p executor-by-tokio -p libraries-adapters -p libraries-smoke \
        -p libraries-tokio-context
    cargo clippy "${own[@]}" --all-targets -- -D warnings
    # These two use sockets and timers when their runtime has ended; tokio's end with it. A name alone is a filter.
    cargo test "${own[@]}" --test '*' -- "$@" --skip timers_and_sockets_move_between_runtimes_while_they_wait \
        --skip a_channel_outlives_the_runtime_it_was_made_in
}

run_packages() {
    python3 ci/tokio-packages.py "$@"
    only_ours target/tokio-packages/Cargo.toml
}

case ${1-} in
    "")
        run_tests
        run_packages
        ;;
    tests) run_tests "${@:2}" ;;
    packages) run_packages "${@:2}" ;;
    *)
        echo "ci/tokio-libraries.sh: unknown argument $1" >&2
        exit 1
        ;;
esac
