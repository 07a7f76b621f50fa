# Sourced by .ci/run and ci/nightly: runs one step after the other, and ends with a table of their times.
#
#   step NAME COMMAND...       runs the command, unless the caller was asked for other steps
#   have PACKAGE=PROGRAM...    installs Debian's packages whose programs are missing, as root on a Debian; elsewhere nothing
#   steps_end                  called last
#
# A step that fails ends the script, which says which one it was: .ci/run. With keep_going=1 the others follow, and all that
# have failed are named at the end: ci/nightly. The caller's filters=(..): only steps whose name contains one of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
# No debug information: half of the build time and most of the disk, and line numbers of panics stay.
export CARGO_PROFILE_DEV_DEBUG=0

keep_going=${keep_going:-}
steps_times=()
steps_failed=()
steps_now=
steps_begin=0
steps_cpu=0
SECONDS=0

# For files of the steps, which are gone afterwards.
scratch=$(mktemp -d)
export TMPDIR="$scratch"

# CPU time of all commands so far, in seconds: a busy machine stretches a step, and not this.
steps_used() {
    # Not through a pipe: a subshell has times of its own.
    times >"$scratch/times"
    steps_cpu_now=$(sed -n 's/[ms]/ /g; 2p' "$scratch/times" | awk '{ print int($1 * 60 + $2 + $3 * 60 + $4) }')
}

steps_line() {
    steps_used
    steps_times+=("$(printf '%7d %7d  %s' $((SECONDS - steps_begin)) $((steps_cpu_now - steps_cpu)) "$1")")
}

steps_table() {
    steps_used
    printf '\n%7s %7s  %s\n' seconds CPU step
    printf '%s\n' "${steps_times[@]}"
    printf '%7d %7d  in all\n' "$SECONDS" "$steps_cpu_now"
}

steps_exit() {
    local status=$?
    if [ -z "$steps_now" ]; then
        rm -rf "$scratch"
        exit "$status"
    fi
    steps_line "$steps_now: FAILED"
    steps_table
    rm -rf "$scratch"
    printf '\nFAILED: %s (status %d)\n' "$steps_now" "$status"
    exit $((status ? status : 1))
}
trap steps_exit EXIT

step() {
    local name=$1 filter wanted=
    shift
    for filter in "${filters[@]-}"; do
        case $name in *"$filter"*) wanted=1 ;; esac
    done
    [ -n "$wanted" ] || return 0
    steps_now=$name
    steps_begin=$SECONDS
    steps_used
    steps_cpu=$steps_cpu_now
    printf '\n=== %s: %s (at %d s)\n' "$name" "$*" "$SECONDS"
    if [ -z "$keep_going" ]; then
        "$@"
    elif ! "$@"; then
        steps_failed+=("$name")
        name+=": FAILED"
    fi
    steps_now=
    steps_line "$name"
}

have() {
    local pair missing=()
    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        return 0
    fi
    for pair in "$@"; do
        compgen -c "${pair#*=}" >/dev/null || missing+=("${pair%=*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    apt-get update -qq && apt-get install --yes -qq --no-install-recommends "${missing[@]}"
}

steps_end() {
    [ ${#steps_times[@]} -gt 0 ] || steps_failed+=("no step is named '${filters[*]-}'")
    steps_table
    [ ${#steps_failed[@]} -eq 0 ] || {
        printf 'FAILED: %s\n' "${steps_failed[@]}"
        exit 1
    }
    printf '\nall passed in %d s\n' "$SECONDS"
}
