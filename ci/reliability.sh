#!/usr/bin/env bash
# The rows of the scorecard, this crate beside tokio and smol by the same harness; fails when ours misses a limit.
#
#   ci/reliability.sh [--runtime NAME] [ROW...]    all rows and runtimes unless given; `list` names the rows
#   ci/reliability.sh --record [ROW...]            also writes the table of docs/reliability.md (all rows, please)
#
# Some rows need root, strace, prlimit, setpriv, unshare or taskset; without them they say so and give no figure. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
arguments=("$@")
if [ "${1-}" = --record ]; then
    arguments=(--record docs/reliability.md "${@:2}")
fi
cargo build --quiet --release --locked --manifest-path tests/reliability/Cargo.toml
exec tests/reliability/target/release/reliability "${arguments[@]}"
