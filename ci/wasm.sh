#!/usr/bin/env bash
# The crate where there are no threads: the tests of tests/wasm, here and as WebAssembly, and what compiles for it.
#
#   ci/wasm.sh [PART...]    the parts here, check, wasip1 and unknown; all of them unless named
#
#   here       the tests on this system, whose threads a cfg takes away (executor_no_threads); here a panic unwinds
#   check      each feature that WebAssembly can have, alone and together, without a warning; the others are refused in a sentence
#   wasip1     the program, in wasmtime: it ends well, and where nothing can wake it, it says so and aborts
#   unknown    a library that imports nothing, whose functions wasmtime calls
#
# RUSTC: a compiler that has the library for these targets, or its source. Without it: the ordinary one, if it has the library
# (rustup target add wasm32-wasip1 wasm32-unknown-unknown); else target/systems/rustc, which ci/systems.sh --fetch makes. JOBS, for
# cargo (2). To link it takes rust-lld, which comes with most compilers, or wasm-ld (Debian: lld). The program takes a C
# library where the compiler has none (Debian: wasi-libc, which is unpacked and not installed). wasmtime comes from PyPI. All of it
# lies in target/wasm. What cannot be had is skipped, with a line at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/target/wasm
jobs=${JOBS:-2}
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 RUST_BACKTRACE=0
# The program says where a panic came from, and no more.
unset RUSTFLAGS
mkdir -p "$folder"
[ $# -gt 0 ] || set -- here check wasip1 unknown

lines=()
passed() {
    echo "ci/wasm.sh: $1"
    lines+=("$1")
}
skipped() {
    lines+=("skipped: $1")
}

# ---- compiler, linker, C library, engine

ordinary=$(RUSTC='' rustc --print sysroot)
given=${RUSTC-}
unset RUSTC

# Whether the ordinary compiler has the library of a target.
has_library() {
    [ -z "$given" ] && compgen -G "$ordinary/lib/rustlib/$1/lib/libstd-*.rlib" >/dev/null
}

# Where the compiler is whose library is built from its source.
with_source() {
    if [ -n "$given" ]; then
        echo "$given"
    elif [ -x target/systems/rustc ] || { [ -f ci/systems.sh ] && bash ci/systems.sh --fetch >&2; }; then
        echo "$PWD/target/systems/rustc"
    else
        return 1
    fi
}

# cargo for a target: `cargo_for TARGET ARGUMENT...`, with the flags of $flags.
flags=
cargo_for() {
    local target=$1
    shift
    if has_library "$target"; then
        RUSTFLAGS="$flags" timeout 900 cargo "$@" -j "$jobs" --target "$target" --target-dir "$folder"
    else
        RUSTC=$compiler RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" timeout 900 cargo "$@" -j "$jobs" -Zbuild-std=std,panic_abort \
            --target "$target" --target-dir "$folder"
    fi
}

can_compile() {
    has_library "$1" || compiler=$(with_source) || {
        skipped "$2: no library of $1 (rustup target add $1), and no compiler with its source (ci/systems.sh --fetch)"
        return 1
    }
}

# Sets $flags. The linker that the target names comes with its compiled library.
can_link() {
    flags=
    ! has_library "$1" || return 0
    local linker
    linker=$(compgen -G "$ordinary/lib/rustlib/*/bin/rust-lld" | head -n 1) || linker=$(command -v wasm-ld) || {
        skipped "$2: neither rust-lld nor wasm-ld (Debian: lld)"
        return 1
    }
    flags="-Clinker=$linker -Clinker-flavor=wasm-ld"
}

# Sets $libc.
has_libc() {
    libc=/usr/lib/wasm32-wasi
    [ ! -f "$libc/crt1-command.o" ] || return 0
    libc=$folder/wasi/usr/lib/wasm32-wasi
    [ ! -f "$libc/crt1-command.o" ] || return 0
    mkdir -p "$folder/wasi"
    if command -v apt-get >/dev/null && (cd "$folder/wasi" && apt-get download -qq wasi-libc 2>/dev/null &&
        dpkg-deb --extract wasi-libc*.deb . && rm wasi-libc*.deb); then
        return 0
    fi
    skipped "$1: no C library for WASI (Debian: wasi-libc)"
    return 1
}

has_engine() {
    export PYTHONPATH=$folder/python
    command -v python3 >/dev/null && { python3 -c 'import wasmtime' 2>/dev/null ||
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$folder/python" wasmtime; } || {
        skipped "$1: no wasmtime (python3 -m pip install wasmtime)"
        return 1
    }
}

# `ends STATUS TEXT COMMAND...`: the command ends so, and says that.
ends() {
    local status=$1 text=$2 said=0
    shift 2
    timeout 120 "$@" >"$folder/said" 2>&1 || said=$?
    if [ "$said" -ne "$status" ] || ! grep -qF -- "$text" "$folder/said"; then
        cat "$folder/said"
        echo "ci/wasm.sh: FAILED: $* ended with $said and not with $status, or has not said: $text"
        exit 1
    fi
}

# What the program does with an argument: `by_argument COMMAND...`
by_argument() {
    ends 134 'all tasks are asleep' "$@" asleep
    ends 134 'further down' "$@" beneath
    ends 134 'of a task' "$@" panic
    # Written by the thread that has the message.
    EXECUTOR_TRACE=/nowhere/trace.json ends 0 '/nowhere/trace.json cannot be made' "$@" message
}

program="--manifest-path tests/wasm/Cargo.toml --locked --bin wasm-tests --features time"

# ---- parts

part_here() {
    # shellcheck disable=SC2086
    RUSTFLAGS='--cfg executor_no_threads' CARGO_PROFILE_DEV_PANIC=unwind cargo build -j "$jobs" --target-dir "$folder/here" $program
    timeout 300 "$folder/here/debug/wasm-tests" 2>/dev/null
    passed "here: the tests pass without threads, where panics unwind"
}

# `check TARGET FEATURES`
check() {
    echo "== check $1 $2"
    cargo_for "$1" check --lib --no-default-features --features "$2"
}

# `refuse TARGET FEATURE TEXT`
refuse() {
    if cargo_for "$1" check --lib --no-default-features --features "$2" >"$folder/said" 2>&1; then
        echo "ci/wasm.sh: FAILED: feature $2 compiles for $1"
        exit 1
    fi
    grep -F "$3" "$folder/said" || { cat "$folder/said"; exit 1; }
}

part_check() {
    local target features
    for target in wasm32-wasip1 wasm32-unknown-unknown; do
        can_compile "$target" check || continue
        flags=-Dwarnings
        features="macros futures-task tracing metrics"
        [ "$target" != wasm32-wasip1 ] || features+=" time"
        check "$target" ''
        for feature in $features; do
            check "$target" "$feature"
        done
        check "$target" "${features// /,}"
        flags=
        refuse "$target" net 'feature `net` needs an operating system with sockets'
        refuse "$target" stacks 'feature `stacks` needs call stacks that can be read'
        refuse "$target" sim 'feature `sim` needs stacks that can be switched'
        passed "check: $target compiles without a warning with each of: $features"
    done
    can_compile wasm32-unknown-unknown check || return 0
    refuse wasm32-unknown-unknown time 'feature `time` needs a clock'
}

part_wasip1() {
    local target=wasm32-wasip1 libc more=
    can_compile $target wasip1 && can_link $target wasip1 && has_engine wasip1 || return 0
    if ! has_library $target; then
        has_libc wasip1 || return 0
        flags+=" -Clink-self-contained=no -L$libc -Clink-arg=$libc/crt1-command.o"
        more=,old-libc
    fi
    # shellcheck disable=SC2086
    cargo_for $target build $program$more
    local run="python3 ci/wasm.py $folder/$target/debug/wasm-tests.wasm"
    timeout 300 $run
    by_argument $run
    passed "wasip1: the tests pass in wasmtime"
}

part_unknown() {
    local target=wasm32-unknown-unknown
    can_compile $target unknown && can_link $target unknown && has_engine unknown || return 0
    cargo_for $target build --manifest-path tests/wasm/Cargo.toml --locked --example called
    local module=$folder/$target/debug/examples/called.wasm
    ends 0 ' tests' python3 ci/wasm.py --call run "$module"
    ends 134 trap python3 ci/wasm.py --call asleep "$module"
    ends 134 trap python3 ci/wasm.py --call panics "$module"
    passed "unknown: $(timeout 120 python3 ci/wasm.py --call run "$module") pass in a module without imports"
}

for part in "$@"; do
    case $part in
    here | check | wasip1 | unknown) "part_$part" ;;
    *)
        echo "usage: ci/wasm.sh [here] [check] [wasip1] [unknown]" >&2
        exit 2
        ;;
    esac
done
echo "== ci/wasm.sh, in $SECONDS s"
printf '%s\n' "${lines[@]}"
