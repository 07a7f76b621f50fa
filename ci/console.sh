#!/usr/bin/env bash
# Does tokio-console see our tasks as they are? A program with tasks of every kind (tests/console) and its subscriber; first a test
# that reads what the console is told and compares it with what the tasks have counted themselves, then the console itself, on a
# terminal of its own, whose screen must have their names and the lines that spawned them.
#
#   ci/console.sh             everything; the first time it builds tokio-console, which takes minutes: not for every change
#   ci/console.sh --quick     the test alone
#   ci/console.sh --record    everything, and the screen goes to docs/console.txt
#
# The console itself needs tmux. It is the installed one if that has the version below, else it is built in target/console.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.1.14
program=(--manifest-path tests/console/Cargo.toml --locked)
# The subscriber insists on one of two cfgs; this is the one that is not about tokio.
export RUSTFLAGS="${RUSTFLAGS-} --cfg console_without_tokio_unstable"

fail() {
    printf 'ci/console.sh: %s\n' "$*" >&2
    exit 1
}

case ${1-} in
    "" | --quick | --record) ;;
    *) fail "unknown argument $1" ;;
esac

timeout 900 cargo test "${program[@]}"
[ "${1-}" != --quick ] || exit 0

command -v tmux >/dev/null || fail "needs tmux"
console=$(command -v tokio-console || true)
if [ -z "$console" ] || ! "$console" --version | grep -qF "$version"; then
    console=$PWD/target/console/bin/tokio-console
    [ -x "$console" ] || env -u RUSTFLAGS cargo install --quiet --locked --root target/console --version "$version" tokio-console
fi

# Two panes of a server of our own: the program, which goes on while its input is open, and the console.
scratch=$(mktemp -d)
terminal=(tmux -f /dev/null -S "$scratch/tmux")
trap '"${terminal[@]}" kill-server 2>/dev/null || true; rm -rf "$scratch"' EXIT
watched=$PWD/tests/console/target/debug/watched
screen() {
    "${terminal[@]}" capture-pane -p -t console | sed 's/ *$//'
}
"${terminal[@]}" new-session -d -s watched "$watched $scratch/socket"
for _ in $(seq 100); do
    [ ! -S "$scratch/socket" ] || break
    sleep 0.1
done
# Unicode and 256 colors as in any terminal of today, and wide enough for the whole table.
"${terminal[@]}" new-session -d -s console -x 150 -y 22 \
    "env -u RUST_LOG LANG=C.UTF-8 $console --no-colors file://localhost$scratch/socket 2>$scratch/log; sleep 60"

# A line each: the state, the name, how many polls, the kind, the place. Those that end are shown for some seconds more.
wanted=(
    '⏸ +ticks .* [2-9][0-9] +task' '[▶⏸] +computes .* [0-9]{2,} +task' '⏸ +waits .* 1 +task' '⏸ +lost .* 1 +task'
    ' woken .* [0-9]{2,} +task' '⏹ +panics .* 1 +task' '⏹ +aborted .* 1 +task' '▶ .* 1 +blocking' '⏸ .* 1 +local' ' block_on'
)
for _ in $(seq 200); do
    screen >"$scratch/screen"
    missing=()
    for line in "${wanted[@]}"; do
        grep -qE "$line +src/main.rs:[0-9]+:[0-9]+ " "$scratch/screen" || missing+=("$line")
    done
    [ ${#missing[@]} -gt 0 ] || break
    sleep 0.1
done
cat "$scratch/screen"
[ ${#missing[@]} -eq 0 ] || fail "not on the screen: ${missing[*]} $(cat "$scratch/log")"
if [ "${1-}" = --record ]; then
    {
        echo "What tokio-console $version shows of tests/console/src/main.rs, as ci/console.sh --record saw it."
        echo
        sed /^connection:/d "$scratch/screen"
    } >docs/console.txt
fi
echo "tokio-console shows all tasks as they are"
