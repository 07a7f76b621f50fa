#!/usr/bin/env bash
# The tests of sockets on Linux with the poller of other systems (src/reactor/portable.rs) in the place of epoll: in
# edge-triggered mode, as with kqueue, and in one-shot mode, as on Windows.
#
#   ci/portable.sh [edge | oneshot]     one of the modes; without an argument both
set -euo pipefail
cd "$(dirname "$0")/.."

check() {
    export RUSTFLAGS="--cfg executor_portable $2"
    echo "=== $1"
    local args=(--quiet --target-dir target/portable)
    timeout 1200 cargo test "${args[@]}" --lib -- reactor:: io:: net:: scheduler::
    timeout 1200 cargo test "${args[@]}" --test it -- net:: stall:: timers:: instruments::stack_dumps
}

case ${1-both} in
edge) check edge "" ;;
oneshot) check oneshot '--cfg executor_portable="oneshot"' ;;
both)
    check edge ""
    check oneshot '--cfg executor_portable="oneshot"'
    ;;
*)
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
