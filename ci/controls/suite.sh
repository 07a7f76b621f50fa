# Sourced by asan.sh, tsan.sh and valgrind.sh: builds the crate's unit and integration tests, shows first that the tool sees
# what it is for, then runs them under it, one group after the other: the unit tests are a group, each file of tests/it,
# tests/ends and tests/alone is one (`stall::report`), and so is each other program of tests/.
#
#   suite_build FOLDER         fills $binaries with the test programs, and builds ci/controls/faults.rs against the same crate
#   suite_control FAULT WORD   the seeded fault must be reported, by a report that holds WORD and the name of the fault
#   suite_clean                the control without a fault must not be
#   suite_skip GROUP TEST      leaves out one test of one group
#   suite_omit GROUP           leaves out all of it
#   suite_run FILTER           runs the groups whose name contains FILTER, and ends with what passed
#
# A first argument of --quick is taken away, and stands for fewer programs. The caller sets `tool`, the name of its script;
# `runner`, the words before each program; and the environment that makes the tool write its reports to $reports.PID, those of
# the children of tests too: nobody may read the exit status of a child.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
limit=${LIMIT:-300}
read -ra test_args <<<"${TEST_ARGS:-}"
read -ra cargo_args <<<"${CARGO_ARGS:-}"
target=$(rustc -vV | sed -n 's/^host: //p')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
reports=$scratch/report
runner=()
targets=(--lib --tests)
optimised=1
# The unit tests, and of the others those in which memory changes hands in the most ways.
if [ "${1:-}" = --quick ]; then
    shift
    targets=(--lib --test ends)
    # They run for seconds, and to compile them took a minute more.
    optimised=0
fi
declare -A skipped=() omitted=()
export CARGO_MANIFEST_DIR=$PWD RUST_BACKTRACE=1 PROPTEST_CASES=${PROPTEST_CASES:-8}
# The tests' bound for a hang is a multiple of the usual one.
export EXECUTOR_TEST_SLOW=1
# Optimised a little, or the tools cost too much; lines for the reports.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_TEST_OPT_LEVEL=${CARGO_PROFILE_TEST_OPT_LEVEL:-$optimised} CARGO_PROFILE_TEST_DEBUG=line-tables-only

suite_build() {
    echo "building for $tool"
    local folder=target/$1
    # What the crate stands on is generic, and so compiled, with the tool, in the crate: the rest need not be fast.
    cargo test --no-run "${targets[@]}" --target "$target" --target-dir "$folder" "${cargo_args[@]}" \
        --config 'profile.test.package."*".opt-level=0' \
        --message-format=json-render-diagnostics >"$scratch/built" 2>"$scratch/log" || {
        cat "$scratch/log"
        exit 1
    }
    mapfile -t binaries < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$scratch/built")
    local library
    library=$(grep -o '"[^"]*/libexecutor-[0-9a-f]*\.rlib"' "$scratch/built" | tail -1 | tr -d '"')
    # Macros are made for the host, in the second folder.
    # shellcheck disable=SC2086
    rustc --edition 2024 --target "$target" ${RUSTFLAGS:-} -Copt-level=1 -Cdebuginfo=1 ci/controls/faults.rs -o "$scratch/faults" \
        --extern "executor=$library" -L "dependency=${library%/*}" -L "dependency=$folder/debug/deps"
    echo "built ${#binaries[@]} test programs in $SECONDS s"
}

# What the tool has reported; some make a file in any case.
suite_reports() {
    find "$scratch" -name 'report*' -size +0 -exec cat {} +
}

suite_control() {
    local status=0
    rm -f "$reports"*
    timeout --kill-after=10 60 "${runner[@]}" "$scratch/faults" "$1" >"$scratch/log" 2>&1 || status=$?
    suite_reports >>"$scratch/log"
    if ! grep -qF -- "$2" "$scratch/log" || ! grep -qF -- "faults::$1" "$scratch/log"; then
        cat "$scratch/log"
        echo "$tool is blind: it does not report the seeded $1 (status $status)"
        exit 1
    fi
    echo "control: the seeded $1 is seen"
}

suite_clean() {
    rm -f "$reports"*
    local status=0
    timeout --kill-after=10 60 "${runner[@]}" "$scratch/faults" nothing >"$scratch/log" 2>&1 || status=$?
    suite_reports >>"$scratch/log"
    if [ "$status" -ne 0 ] || [ "$(cat "$scratch/log")" != ended ]; then
        cat "$scratch/log"
        echo "$tool reports a control without a fault (status $status)"
        exit 1
    fi
    echo "control: without a fault there is no report"
}

suite_skip() {
    skipped[$1]+=" --skip $2"
    skips=$((${skips:-0} + 1))
}

# The groups of a program, a line each: the name, and what chooses its tests. A test is called by its file, and may stand in a
# module of that.
suite_groups() {
    local name=$1 binary=$2
    case $name in
        it | ends | alone)
            "$binary" --list 2>/dev/null | sed -n 's/::[a-z0-9_]*: test$//p' | sort -u | while read -r module; do
                while [ ! -f "tests/$name/${module//:://}.rs" ] && [[ $module == *::* ]]; do
                    module=${module%::*}
                done
                echo "$module $module::"
            done | uniq
            ;;
        *) echo "$name" ;;
    esac
}

suite_omit() {
    omitted[$1]=1
}

suite_run() {
    local filter=${1:-} runs=0 tests=0 ignored=0 binary group choice status begin skip
    local groups=()
    for binary in "${binaries[@]}"; do
        while read -r group choice; do
            groups+=("$group $binary $choice")
        done < <(suite_groups "$(basename "${binary%-*}")" "$binary")
    done
    for group in "${groups[@]}"; do
        read -r group binary choice <<<"$group"
        case $group in *"$filter"*) ;; *) continue ;; esac
        [ -z "${omitted[$group]:-}" ] || continue
        begin=$SECONDS
        status=0
        rm -f "$reports"*
        read -ra skip <<<"${skipped[$group]:-}"
        # shellcheck disable=SC2206 -- a choice may be none
        local command=("${runner[@]}" "$binary" $choice "${skip[@]}" "${test_args[@]}")
        timeout --kill-after=10 "$limit" "${command[@]}" >"$scratch/log" 2>&1 </dev/null || status=$?
        if [ "$status" -ne 0 ] || [ -n "$(suite_reports)" ]; then
            cat "$scratch/log"
            suite_reports
            [ "$status" -ne 124 ] || echo "no end after $limit s: a hang"
            echo "$group under $tool: status $status, after $runs good runs. To repeat it:"
            echo "  cd $PWD && TEST_ARGS='${test_args[*]}' ci/$tool.sh $group"
            exit 1
        fi
        runs=$((runs + 1))
        tests=$((tests + $(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$scratch/log" | awk '{ n += $1 } END { print n + 0 }')))
        ignored=$((ignored + $(sed -n 's/^test result: ok\..* \([0-9]*\) ignored.*/\1/p' "$scratch/log" | awk '{ n += $1 } END { print n + 0 }')))
        echo "$group: $(sed -n 's/^test result: ok\. \(.* passed\).*/\1/p' "$scratch/log" | tail -1), $((SECONDS - begin)) s"
    done
    if [ "$runs" -eq 0 ]; then
        echo "no group of tests matches '$filter'"
        exit 1
    fi
    echo "$tool: no report in $runs groups, ${#omitted[@]} groups and ${skips:-0} tests left out by name, $ignored ignored, $SECONDS s"
    echo "$tests passed, 0 failed"
}

# These two compare the memory of their process with a bound. The tools keep what was freed, to see who uses it still.
suite_skip hazards::spawn the_memory_of_a_million_tasks_from_one_worker_is_used_again
suite_skip hazards::spawn a_million_cancels_keep_no_task_and_no_memory
