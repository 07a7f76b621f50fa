#!/usr/bin/env bash
# The soak: a runtime under everything at once, each task accounted for; fails when one is not, when it hangs, when rules are
# broken, work is left waiting, or threads, descriptors or memory are left. The seed is printed first, and last again if it failed.
#
#   ci/soak.sh [--runtime NAME] [--stops] [SECONDS] [SEED]    60 s on this crate, with a seed from the time, unless given
#   ci/soak.sh --simulated [SECONDS] [SEED]                   the same load in simulations of 0.3 s each, one seed after the other
#
# FEATURES=--no-default-features builds it without tokio and smol.
# --stops stops and continues the process at random meanwhile. NAME: gosched, tokio, smol. Nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."
arguments=()
numbers=()
while [ $# -gt 0 ]; do
    case $1 in
        --runtime) arguments+=("$1" "$2"); shift ;;
        --simulated) arguments+=("$1"); FEATURES="${FEATURES-} --features sim" ;;
        --*) arguments+=("$1") ;;
        *) numbers+=("$1") ;;
    esac
    shift
done
[ ${#numbers[@]} -lt 1 ] || arguments+=(--seconds "${numbers[0]}")
[ ${#numbers[@]} -lt 2 ] || arguments+=(--seed "${numbers[1]}")
# shellcheck disable=SC2086 -- FEATURES may be several arguments, or none
cargo build --quiet --release --locked ${FEATURES:-} --manifest-path tests/reliability/Cargo.toml
exec tests/reliability/target/release/reliability soak "${arguments[@]}"
