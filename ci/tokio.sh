#!/usr/bin/env bash
# Checks the package in tokio/: lints, each feature alone, its own tests, its public names against those of the release that it
# stands for, and that release's own tests against it.
#
#   ci/tokio.sh [--quick]
#
# --quick: of the release's tests, those of tasks, runtimes, timers, TCP and channels alone; one build of the lints.
#
# Needs git and python3. The first run takes the release's package from the registry; GitHub is not asked (ci/real-tokio.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=ci/real-tokio.sh
source ci/real-tokio.sh
export CARGO_PROFILE_DEV_DEBUG=0

own=(--quiet --manifest-path tokio/Cargo.toml --target-dir target/tokio)
cargo clippy "${own[@]}" --all-targets --features full,test-util -- -D warnings
cargo test "${own[@]}" --features full,test-util
if [ "${1-}" = --quick ]; then
    python3 ci/tokio-suite.py rt_common rt_threaded task_abort task_join_set time_pause time_sleep tcp_stream sync_mpsc
    exit
fi
for feature in fs io-std io-util macros net process rt rt-multi-thread signal sync test-util time; do
    cargo check "${own[@]}" --features "$feature"
done
RUSTDOCFLAGS=-Dwarnings cargo doc "${own[@]}" --no-deps --features full,test-util
python3 ci/tokio-names.py
python3 ci/tokio-suite.py
