#!/usr/bin/env bash
# Counts what the hot paths execute, and fails when one has become dearer than ci/instructions.txt says.
#
#   ci/instructions.sh [PATH]      all paths unless given; see benches/instructions.rs
#   ci/instructions.sh --record    writes ci/instructions.txt anew; say in the commit what changed the counts
#
# Counted are the instructions of the worker's thread, under valgrind, for N operations and for 11 N; a tenth of the
# difference is what N operations cost, without what happens once. Other threads and the clock have next to no part in it, so
# a busy machine gives the same counts: they repeat within 0.5 %, those of arm_fire within 1.5 % (the monitor is now and
# then the first to see a timer that is due). What is not caught: waiting and cache misses; see the scoreboard.
#
# Paths named PATH@P run beside P processors that are idle, and of some of them two threads count: benches/instructions.rs
# says which. They repeat within 1 % of their own instructions; of all, those of remote_spawn@P within
# 3 %, since two threads meet in the allocator. What they cost may not grow with P: it fails, too, when one is more than 1.5
# times what it is beside two. A loop in wake_one that looks at each processor, at some 15 instructions each, was seen to fail: it
# makes wake@256 2.2 times wake@2, and wake@64 1.3 times.
#
#   all       of the thread
#   own       without the C library's: allocation, copies, system calls
#   locked    of the own ones those that own the bus: read-modify-writes and full fences, far dearer than others
#
# With another C library than recorded "all" is not compared, and with another compiler or kind of machine nothing is.
#
# FEATURES: for cargo, as in FEATURES="--features sim". What a feature brings may cost nothing while it is not used.
#
# KEEP: a folder for the profiles, with line numbers, to see where a path spends them:
#   KEEP=/tmp/profiles ci/instructions.sh spawn_join && callgrind_annotate --inclusive=yes /tmp/profiles/spawn_join
set -euo pipefail
cd "$(dirname "$0")/.."
recorded=ci/instructions.txt
# Per cent. Twice the spread of the noisiest path.
tolerance=3

fail() {
    printf 'ci/instructions.sh: %s\n' "$*" >&2
    exit 1
}

record=
only=
case ${1-} in
--record) record=1 ;;
-*) fail "usage: ci/instructions.sh [PATH | --record]" ;;
*) only=${1-} ;;
esac
valgrind=$(command -v valgrind) || fail "needs valgrind; on Debian and Ubuntu: apt-get install valgrind"

# The settings of [profile.bench] and nothing else, whatever the caller has set: other settings, other counts.
for variable in $(compgen -e | grep -E '^CARGO_(PROFILE_|ENCODED_RUSTFLAGS$|BUILD_TARGET$)' || true); do
    unset "$variable"
done
export RUSTFLAGS= CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
if [ -n "${KEEP-}" ]; then
    mkdir -p "$KEEP"
    export CARGO_PROFILE_BENCH_DEBUG=line-tables-only
fi

# What else the benches and tests stand on is not in this program, and need not be compiled well.
mapfile -t beneath < <(cargo tree --edges normal --prefix none --format '{p}' | awk 'NR > 1 { print $1 }' | sort -u)
settings=(--config 'profile.bench.package."*".opt-level=0')
for package in "${beneath[@]}" futures-util slab memchr; do
    settings+=(--config "profile.bench.package.$package.opt-level=3")
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck disable=SC2086
cargo bench --bench instructions ${FEATURES-} --no-run --target-dir target/instructions "${settings[@]}" 2>"$scratch/build" ||
    fail "does not build: $(cat "$scratch/build")"
program=$(pwd -P)/$(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$scratch/build")

# profile FILE PATH N: what each thread executes, as FILE-01 and so on.
profile() {
    # Nothing of the caller's environment: not its allocator's settings, and no other length of it. And no retakes, for
    # a poll that takes long only under valgrind.
    timeout 60 env -i EXECUTOR_DEBUG=stall=0,retake=0 "$valgrind" --quiet --tool=callgrind --separate-threads=yes \
        --collect-bus=yes --callgrind-out-file="$1" "$program" "$2" "$3" >"$1.log" 2>&1 </dev/null ||
        fail "$2 ended with status $?: $(cat "$1.log")"
}

# count FILE: the instructions of the threads that count: all, own, locked.
count() {
    local counted file sum
    counted=$(grep -lF this_thread_counts "$1"-*) || fail "no thread of $1 counts"
    for file in $counted; do
        count_thread "$file" "$1" || return 1
    done | awk '{ all += $1; own += $2; locked += $3; threads++ } END { printf "%d %d %d\n", all, own, locked; exit !threads }'
}

count_thread() {
    awk -v program="$program" '
        # "(id) name" the first time, "(id)" from then on.
        function object(text) {
            match(text, /^\([0-9]+\)/)
            id = substr(text, 1, RLENGTH)
            if (length(text) > RLENGTH) names[id] = substr(text, RLENGTH + 2)
            return names[id]
        }
        /^ob=/ { here = object(substr($0, 4)) }
        /^cob=/ { object(substr($0, 5)) }
        # What the callee cost stands on the line after, and again with the callee.
        /^calls=/ { getline; next }
        # Instructions, bus events; zeros at the end are left out.
        /^[-+*0-9]/ { all += $2; bus += $3; if (here == program) { own += $2; locked += $3 } }
        /^totals:/ { if ($2 == all && $3 == bus) understood = 1 }
        END { if (!understood) exit 1; printf "%d %d %d\n", all, own, locked }
    ' "$1" || fail "cannot read the profiles of $("$valgrind" --version)"
    if [ -n "${KEEP-}" ] && [[ $2 != *.once ]]; then
        cp "$1" "$KEEP/${2##*/}${1##"$2"}"
    fi
}

SECONDS=0
"$program" >"$scratch/paths"
if [ -n "$only" ]; then
    grep "^$only " "$scratch/paths" >"$scratch/path" ||
        fail "no path is named '$only', but these are: $(cut -d ' ' -f 1 "$scratch/paths" | paste -sd ' ')"
    mv "$scratch/path" "$scratch/paths"
fi
while read -r path times; do
    profile "$scratch/$path.once" "$path" "$times" &
    profile "$scratch/$path" "$path" $((11 * times))
    wait $! || exit 1
    once=$(count "$scratch/$path.once")
    more=$(count "$scratch/$path")
    awk -v path="$path" -v times="$times" '{ all = $1 - all; own = $2 - own; locked = $3 - locked }
        # Never "-0.0".
        function each(count) { return count < 0 ? 0 : count / times / 10 }
        END { printf "%-16s %9.1f %9.1f %9.1f\n", path, each(all), each(own), each(locked) }' <<<"$once"$'\n'"$more"
done <"$scratch/paths" >"$scratch/counts"

cat >"$scratch/head" <<END
rustc: $(rustc --version | cut -d ' ' -f 2-)
target: $(rustc -vV | sed -n 's/^host: //p')
libc: $( (ldd --version 2>&1 || true) | sed -n '1s/^ldd (\([A-Za-z]*\) [^)]*) \([0-9.]*\).*/\1 \2/p')
END
# In the same run, so it needs nothing recorded.
grown=$(awk -v most=1.5 '
    $1 !~ /@[0-9]+$/ { next }
    { split($1, path, "@"); name = path[1] }
    path[2] == 2 { for (i = 2; i <= 4; i++) base[name, i] = $i; next }
    {
        split("- all own locked", what, " ")
        for (i = 2; i <= 4; i++) if ((name, i) in base && $i > most * base[name, i])
            printf "  %s, %s: %.1f, which is %.1f times what it is beside two\n", $1, what[i], $i, $i / base[name, i]
    }
' "$scratch/counts")
if [ -n "$grown" ]; then
    cat "$scratch/counts"
    fail "grows with the number of processors:"$'\n'"$grown"
fi
columns=$(printf '%-16s %9s %9s %9s' path all own locked)

if [ -n "$record" ]; then
    {
        echo "# Instructions per operation on the threads that count; counted and written by ci/instructions.sh --record."
        echo "date: $(date -u +%Y-%m-%d)"
        cat "$scratch/head"
        echo
        echo "$columns"
        cat "$scratch/counts"
    } >"$recorded"
    cat "$recorded"
    echo "recorded, in $SECONDS s"
    exit
fi

[ -f "$recorded" ] || fail "nothing is recorded yet; to record: ci/instructions.sh --record"
cat "$scratch/head"
echo
for key in rustc target; do
    if ! grep -qxF "$(grep "^$key:" "$scratch/head")" "$recorded"; then
        echo "$columns"
        cat "$scratch/counts"
        echo
        echo "NOT COMPARED: another $key than in $recorded, which says '$(grep "^$key:" "$recorded")'"
        exit
    fi
done
same_libc=1
if ! grep -qxF "$(grep ^libc: "$scratch/head")" "$recorded"; then
    same_libc=0
    echo "another C library than in $recorded, which says '$(grep ^libc: "$recorded")': 'all' is not compared"
fi
awk -v tolerance="$tolerance" -v same_libc="$same_libc" -v only="$only" -v record="ci/instructions.sh --record" '
    function compare(what, old, new) {
        change = old == new ? 0 : old ? (new - old) / old * 100 : 100
        text = sprintf("%s, %s: %.1f instead of %.1f, %+.1f %%", $1, what, new, old, change)
        # One instruction more or less is how the bench itself was compiled.
        slack = what == "locked" ? 0.15 : 1.5
        if (change > tolerance && new - old > slack) worse[++failures] = text
        if (change < -tolerance && old - new > slack) better[++notes] = text
        return sprintf("%9.1f %9s", new, sprintf("%+.1f %%", change))
    }
    FNR == 1 { file++ }
    file == 1 && $1 !~ /:$/ && $2 + 0 > 0 { all[$1] = $2; own[$1] = $3; locked[$1] = $4 }
    file == 1 { next }
    FNR == 1 { printf "%-16s %9s %9s %9s %9s %9s\n", "path", "all", "", "own", "", "locked" }
    !($1 in all) { worse[++failures] = $1 ": not recorded yet"; next }
    {
        text = same_libc ? compare("all", all[$1], $2) : sprintf("%9.1f %9s", $2, "")
        text = text " " compare("own", own[$1], $3) " " compare("locked", locked[$1], $4)
        printf "%-16s %s\n", $1, text
        delete all[$1]
    }
    END {
        if (only == "") for (path in all) worse[++failures] = path ": recorded, but there is no such path"
        for (i = 1; i <= notes; i++) print (i == 1 ? "\nbetter; to hold it there: " record "\n" : "") "  " better[i]
        for (i = 1; i <= failures; i++) print (i == 1 ? "\nFAILED; if it is worth it: " record "\n" : "") "  " worse[i]
        exit failures > 0
    }
' "$recorded" "$scratch/counts" || exit 1
echo "in $SECONDS s"
