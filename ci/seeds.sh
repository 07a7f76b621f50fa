#!/usr/bin/env bash
# Does anything notice? Puts one bug after the other into a copy of the tree, each a patch in ci/seeds/ with the check that must
# catch it, and sees that check fail, after it has passed without the bug. A seed that does not apply or compile any more is a failure too: mend it.
#
#   ci/seeds.sh [FILTER...]     only seeds whose name contains one of these
#
# LIMIT: seconds for one check (180); longer counts as a hang, and so as caught. About a minute a seed on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
filters=("$@")
limit=${LIMIT:-180}
tree=$PWD/target/seeds/tree
log=$PWD/target/seeds/log
export CARGO_TARGET_DIR=$PWD/target/seeds/target CARGO_PROFILE_DEV_DEBUG=0 CARGO_TERM_COLOR=never

rm -rf "$tree"
mkdir -p "$tree"
# What is tracked, as it is now, and newer than what was built from an earlier copy, which may have had a bug in it.
git ls-files -z | xargs -0 tar -cf - --ignore-failed-read 2>/dev/null | tar -xmf - -C "$tree"
cd "$tree"
# A repository of its own: else git would look for the patch's files in the one around it.
git init --quiet
declare -A sound
caught=0
missed=0
wanted() {
    [ ${#filters[@]} -eq 0 ] && return 0
    for filter in "${filters[@]}"; do
        case $1 in *"$filter"*) return 0 ;; esac
    done
    return 1
}
for patch in ci/seeds/*.patch; do
    name=$(basename "$patch" .patch)
    wanted "$name" || continue
    what=$(sed -n 1p "$patch")
    check=$(sed -n 's/^Caught by: //p' "$patch")
    if [ -z "${sound[$check]-}" ]; then
        # Also builds it, so that the time below is the check's.
        if ! bash -c "$check" >"$log" 2>&1 </dev/null; then
            tail -n 30 "$log"
            echo "$check fails without a bug"
            exit 1
        fi
        sound[$check]=yes
    fi
    if ! git apply "$patch" 2>"$log"; then
        cat "$log"
        echo "MISSED $name: does not apply"
        missed=$((missed + 1))
        continue
    fi
    # The time is the check's, not the compiler's. (Models are small.)
    case $check in "cargo test"*) ${check/test/test --no-run} >"$log" 2>&1 || true ;; esac
    begin=$SECONDS
    status=0
    timeout --kill-after=10 "$limit" bash -c "$check" >"$log" 2>&1 </dev/null || status=$?
    git apply --reverse "$patch"
    if grep -q "could not compile" "$log"; then
        tail -n 30 "$log"
        echo "MISSED $name: does not compile"
        missed=$((missed + 1))
    elif [ "$status" -eq 0 ]; then
        echo "MISSED $name: $check sees nothing. $what"
        missed=$((missed + 1))
    else
        how=$(grep -m1 -oE "^test .* FAILED|[^ ]+ +FAILED.*|panicked at [^ ]*|signal: [0-9]+|deadlock" "$log" || true)
        [ "$status" -ne 124 ] || how="hang"
        echo "caught $name in $((SECONDS - begin)) s by $check: ${how:-status $status}"
        caught=$((caught + 1))
    fi
done
echo "$caught passed, $missed failed"
[ "$missed" -eq 0 ] && [ "$caught" -gt 0 ]
