#!/usr/bin/env bash
# What goes wrong around a runtime: no threads, memory or descriptors, system calls that fail or are slow, stops, strange clocks, blocked
# workers; this crate beside tokio and smol. Fails when ours hangs, dies, loses a task or misses a limit.
#
#   ci/faults.sh [--runtime NAME] [ROW...]            all rows of faults and all runtimes unless given
#   RELIABILITY_QUICK=1 ci/faults.sh --runtime gosched    a part of each row, about a minute in all
#   RELIABILITY_VERBOSE=1                             tells what became of each case, not only of those that went wrong
#
# Needs strace that may trace, prlimit, setpriv and unshare, and root for the last two; what cannot be done here is said and gives no figure.
set -euo pipefail
rows=(threads memory descriptors syscalls stops clock idle blocked_workers)
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --*) options+=("$1" "${2:?}"); shift 2 ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] && rows=("$@")
exec "$(dirname "$0")/reliability.sh" "${options[@]}" "${rows[@]}"
