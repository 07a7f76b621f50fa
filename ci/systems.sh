#!/usr/bin/env bash
# Checks the crate for the systems other than this one, and runs its tests on those that an emulator gives: what only the
# compiler has seen, and what has run, stands in the last lines.
#
#   ci/systems.sh [PART...]    the parts check, tests, aarch64, windows and wasm, each below; all of them unless named
#   ci/systems.sh --quick      `cargo check` of the library for each target, with the default features
#   ci/systems.sh --fetch      only the compiler: see there
#   ci/systems.sh --here       builds and tests on the system that this runs on, with its own compiler; see there
#
# What it cannot do where it runs it skips, with a line each at the end. A skip is no failure; a check that fails is.
#
# Everything lies in target/systems, and what is there is used again: the second compiler, the library compiled from its source,
# and the programs. Variables: JOBS, for cargo (2). LIMIT, seconds that one test program may take (1500). TEST_ARGS, for the test
# programs. Needs bash alone for --here; the rest is for Linux on x86-64, and installs what it needs as root on Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
folder=$root/target/systems
targets="x86_64-pc-windows-gnu aarch64-apple-darwin x86_64-unknown-freebsd aarch64-unknown-linux-gnu"
jobs=${JOBS:-2}
limit=${LIMIT:-1500}
# To write a backtrace takes seconds in an emulator.
export RUST_BACKTRACE=0
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
# Of this crate: cargo keeps them from the library and from what the crate stands on.
export RUSTFLAGS=${RUSTFLAGS--Dwarnings}
mkdir -p "$folder"

done_lines=()
skip_lines=()
passed() {
    echo "$1"
    done_lines+=("$1")
}
skipped() {
    skip_lines+=("skipped: $1")
}
ended() {
    trap - EXIT
    echo "== systems, in $SECONDS s"
    [ ${#done_lines[@]} -eq 0 ] || printf '%s\n' "${done_lines[@]}"
    [ ${#skip_lines[@]} -eq 0 ] || printf '%s\n' "${skip_lines[@]}"
}
failed() {
    local status=$?
    ended
    echo "FAILED: ci/systems.sh, in $now (status $status)"
    exit "$status"
}
now=preparation
trap failed EXIT

# ---- the compiler
#
# To compile for a target takes the standard library of that target. `rustup target add` brings it compiled. Where it is not,
# cargo builds it from its source, which is an unstable feature of cargo that RUSTC_BOOTSTRAP=1 switches on. The source comes with
# `rustup component add rust-src`; where that is not, Debian's packages have a compiler and the source that belongs to it. They
# are unpacked, not installed: the ordinary compiler stays what it is.

ordinary=$(rustc --print sysroot)

# Whether the ordinary compiler has the library of a target.
has_library() {
    compgen -G "$ordinary/lib/rustlib/$1/lib/libstd-*.rlib" >/dev/null
}

# The packages of the second compiler: it, the source, and those of what they depend on that are not installed here.
packages() {
    local wanted=(rustc-web rust-web-src) seen=" " package needed
    while [ ${#wanted[@]} -gt 0 ]; do
        package=${wanted[0]}
        wanted=("${wanted[@]:1}")
        case $seen in *" $package "*) continue ;; esac
        seen+="$package "
        echo "$package"
        # What stands in angle brackets is a name that several packages have.
        for needed in $(apt-cache depends --important "$package" | sed -n 's/^ *Depends: \([^<]*\)$/\1/p'); do
            dpkg-query --show --showformat '${db:Status-Status}\n' "$needed" 2>/dev/null | grep -qx installed || wanted+=("$needed")
        done
    done
}

unpack() {
    local toolchain=$folder/toolchain package
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    rm -rf "$toolchain" "$folder/packages"
    mkdir -p "$toolchain" "$folder/packages"
    apt-cache show rust-web-src >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ] || apt-get update -qq || true
    # shellcheck disable=SC2046 -- a word each
    (cd "$folder/packages" && apt-get download -qq $(packages)) >"$folder/log" 2>&1 || return 1
    for package in "$folder"/packages/*.deb; do
        # Of the source the library alone: the rest is four times as much.
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$toolchain" --anchored --no-wildcards-match-slash \
            --exclude './usr/src/*/compiler' --exclude './usr/src/*/src' --exclude './usr/share' || return 1
        rm "$package"
    done
    rmdir "$folder/packages"
    touch "$toolchain/complete"
}

# Makes target/systems/rustc, a compiler whose library cargo can build from its source. False where it cannot.
fetch() {
    local toolchain=$folder/toolchain libraries=
    if [ -d "$ordinary/lib/rustlib/src/rust/library" ]; then
        toolchain=$ordinary
    else
        [ -f "$toolchain/complete" ] || {
            echo "fetching a second compiler"
            unpack || {
                [ ! -f "$folder/log" ] || tail -n 3 "$folder/log"
                return 1
            }
        }
        libraries=$(echo "$toolchain"/usr/lib/*-linux-gnu)
        toolchain=$toolchain/usr
    fi
    printf '#!/bin/sh\n%sexec "%s/bin/rustc" "$@"\n' \
        "${libraries:+LD_LIBRARY_PATH=\"$libraries\" }" "$toolchain" >"$folder/rustc"
    chmod +x "$folder/rustc"
    "$folder/rustc" --version >/dev/null
}
[ "${1-}" != --fetch ] || { fetch; trap - EXIT; echo "$folder/rustc: $("$folder/rustc" --version)"; exit; }

# cargo for a target, with whichever library there is: `cargo_for TARGET CRATES ARGUMENT...`, where CRATES are those of the library
# that are built if it is built. False, with a line, where there is none.
cargo_for() {
    local target=$1 crates=$2
    shift 2
    if has_library "$target"; then
        cargo "$@" --target "$target" --target-dir "$folder"
    else
        # What says which compiler the build scripts ask is the variable, too.
        RUSTC=$folder/rustc RUSTC_BOOTSTRAP=1 cargo "$@" -j "$jobs" "-Zbuild-std=$crates" --target "$target" --target-dir "$folder"
    fi
}

# Whether a target can be compiled for; what cannot be fetched is not asked for again.
fetched=
can_compile() {
    has_library "$1" && return
    if [ -z "$fetched" ]; then
        fetch && fetched=yes || fetched=no
    fi
    [ "$fetched" = no ] || return 0
    skipped "$2, $1: no library (rustup target add), nor its source (rustup component add rust-src, or Debian's rustc-web and rust-web-src)"
    return 1
}

# Debian's packages, each with a file that it brings: `have WHAT FILE=PACKAGE...`. False, with a line, where one is missing that
# cannot be installed.
have() {
    local what=$1 pair missing=() packages=()
    shift
    for pair in "$@"; do
        [ -e "${pair%=*}" ] || { missing+=("${pair%=*}") && packages+=("${pair#*=}"); }
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        { apt-get update -qq && apt-get install --yes -qq --no-install-recommends "${packages[@]}"; } >"$folder/log" 2>&1 && return
        tail -n 3 "$folder/log"
    fi
    skipped "$what: ${missing[*]} missing (Debian's packages ${packages[*]})"
    return 1
}

# ---- check: what the compiler says

# `check_each WHAT ARGUMENT...`: cargo with these arguments for each target.
check_each() {
    local what=$1 target count=0
    shift
    for target in $targets; do
        now="$what, $target"
        can_compile "$target" "$what" || continue
        cargo_for "$target" std,panic_abort "$@" --quiet
        count=$((count + 1))
        echo "$now: no error and no warning"
    done
    [ "$count" -eq 0 ] || passed "$what: $count targets, only seen by the compiler"
}

part_check() {
    cargo hack --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-hack
    check_each "the library with each feature alone" hack check --each-feature --exclude-all-features
    check_each "the library with all features" check --all-features
}

# ---- tests: what the compiler says of the tests, benches and examples
#
# For Windows without the benches, which use signals and resource limits of Unix.

part_tests() {
    # criterion compiles ten lines of C for the benches. Nothing is linked here, so that an object without anything in it does.
    printf '#!/bin/sh\nexec cc -x c -c /dev/null -o "$(printf "%%s\\n" "$@" | grep "\\.o$" | tail -n 1)"\n' >"$folder/no-c"
    chmod +x "$folder/no-c"
    export CC_aarch64_apple_darwin=$folder/no-c CC_x86_64_unknown_freebsd=$folder/no-c CC_x86_64_pc_windows_gnu=$folder/no-c
    local targets="aarch64-apple-darwin x86_64-unknown-freebsd"
    check_each "tests, benches and examples" check --tests --benches --examples --features sim
    targets=x86_64-pc-windows-gnu
    check_each "tests and examples" check --tests --examples --features sim
}

# ---- running programs that are not of this system

# Builds test programs: `build TARGET ARGUMENT...`. Their paths are then in $programs, a line each.
build() {
    local target=$1
    shift
    cargo_for "$target" std,panic_unwind,test test --no-run "$@" \
        --message-format=json-render-diagnostics >"$folder/built" 2>"$folder/log" || {
        cat "$folder/log"
        return 1
    }
    programs=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$folder/built")
}

# Runs $programs, without what stands in ci/systems-skip.txt for this system: `run SYSTEM WORD...`, with the words before each
# program. There `deadlock.rs` is a whole program; what does not end so is a part of a test's name.
run() {
    local system=$1 program name test status counts skip=() tests=0 left_out=0
    shift
    for program in $programs; do
        name=$(basename "$program")
        name=${name%-*}
        now="$system, $name"
        if grep -q "^$system  *$name\.rs " ci/systems-skip.txt; then
            skipped "$system, tests/$name.rs: $(sed -n "s/^$system  *$name\.rs  *//p" ci/systems-skip.txt)"
            continue
        fi
        "$@" "$program" --list >"$folder/tests" 2>/dev/null </dev/null
        skip=()
        while read -r test; do
            skip+=(--skip "$test")
            left_out=$((left_out + $(grep -cF -- "$test" "$folder/tests" || true)))
        done < <(sed -n "s/^$system  *\([^ ]*\) .*/\1/p" ci/systems-skip.txt | grep -v '\.rs$')
        status=0
        # shellcheck disable=SC2086 -- several words, or none
        timeout --kill-after=10 "$limit" "$@" "$program" --test-threads "$jobs" "${skip[@]}" ${TEST_ARGS-} \
            >"$folder/log" 2>&1 </dev/null || status=$?
        if [ "$status" -ne 0 ]; then
            cat "$folder/log"
            [ "$status" -ne 124 ] || echo "no end after $limit s: a hang"
            return "$status"
        fi
        counts=$(sed -n 's/^test result: ok\. \(.* ignored\); .* \([0-9]* filtered out\).*/\1; \2/p' "$folder/log" | tail -n 1)
        echo "$now: $counts"
        tests=$((tests + ${counts%% *}))
    done
    passed "$system: $tests tests passed; ci/systems-skip.txt leaves out $left_out, each with its reason"
}

# ---- aarch64: the tests under qemu
#
# What this shows is that the code for this system is right: sizes, layouts, system calls, what the compiler makes of it. It says
# nothing of the orderings of memory: qemu on x86-64 gives the order of x86-64, which is stronger than that of the other. For
# those the argument are the models, which loom explores with weak memory (ci/models.sh).

part_aarch64() {
    local target=aarch64-unknown-linux-gnu
    now=aarch64
    have aarch64 /usr/bin/aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/lib/libc.so.6=libc6-dev-arm64-cross \
        /usr/bin/qemu-aarch64=qemu-user || return 0
    can_compile "$target" aarch64 || return 0
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    # An emulator is ten times slower. The library is optimised a little, and the tests' bound for a hang is a multiple of the usual
    # one. To optimise the tests, too, took longer than they run.
    local package pains=(--config 'profile.test.package."*".opt-level=0')
    for package in core alloc std hashbrown; do
        pains+=(--config "profile.test.package.$package.opt-level=1")
    done
    EXECUTOR_TEST_SLOW=1 build "$target" "${pains[@]}" --features sim --lib --test it --test ends --test alone --test deadlock
    # By this a test that starts itself again does so in the emulator, too.
    export EXECUTOR_TEST_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
    # shellcheck disable=SC2086 -- its words
    PROPTEST_CASES=${PROPTEST_CASES:-8} run aarch64 $EXECUTOR_TEST_RUNNER
}

# ---- windows: programs under wine
#
# Wine is no Windows: what it answers wrongly the programs are not made to bear. ci/systems-skip.txt has those tests.

# The test programs that compile for Windows.
windows_tests=(--lib --test it)

part_windows() {
    local target=x86_64-pc-windows-gnu example
    now=windows
    have windows /usr/bin/x86_64-w64-mingw32-gcc=mingw-w64 /usr/lib/wine/wine64=wine64 || return 0
    can_compile "$target" windows || return 0
    export WINEPREFIX=$folder/wine WINEDEBUG=-all
    stub "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
    # The pictures and what is done with them are not to take minutes.
    cargo_for "$target" std,panic_unwind,test build --quiet --example hello --example images --example echo_server \
        --config profile.dev.opt-level=1 --config 'profile.dev.package."*".opt-level=0' --config profile.dev.package.image.opt-level=3
    for example in hello "images --once" "echo_server --load --connections 64 --seconds 2"; do
        now="windows, $example"
        # shellcheck disable=SC2086 -- the name and its words
        set -- $example
        timeout --kill-after=10 "$limit" /usr/lib/wine/wine64 "$folder/$target/debug/examples/$1.exe" "${@:2}" >"$folder/log" 2>&1 </dev/null || {
            cat "$folder/log"
            return 1
        }
        echo "$now: ends well"
    done
    passed "windows: the examples hello, images and echo_server have run"
    EXECUTOR_TEST_SLOW=1 build "$target" "${windows_tests[@]}"
    run windows /usr/lib/wine/wine64
    /usr/lib/wine/wineserver64 --kill || true
}

# Makes wine's folder, with a library that wine 8 does not have: the source of random numbers for Rust's hash tables.
stub() {
    [ ! -f "$1" ] || return 0
    timeout 300 /usr/lib/wine/wine64 wineboot --init >"$folder/log" 2>&1 </dev/null || {
        cat "$folder/log"
        return 1
    }
    cat >"$folder/stub.c" <<'END'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) { return SystemFunction036(buffer, (ULONG)length); }
END
    x86_64-w64-mingw32-gcc -shared -o "$1" "$folder/stub.c" -ladvapi32
}

# ---- wasm

part_wasm() {
    now=wasm
    if [ ! -f ci/wasm.sh ]; then
        skipped "wasm: there is no ci/wasm.sh"
    else
        bash ci/wasm.sh
        passed "wasm: ci/wasm.sh"
    fi
}

# ---- here: the suite and the examples on a system as it is, hosted or somebody's own
#
# For macOS, Windows, FreeBSD and what else has a Rust compiler; also with the bash 3.2 of macOS. Linux on x86-64 has .ci/run.

here() {
    local tests="--lib --test it --test deadlock --test ends" examples="hello images echo_server" skip=() test
    case $(uname -s) in
        MINGW* | MSYS* | CYGWIN*)
            tests="--lib --test it --test ends"
            # What is no fault of wine's.
            while read -r test; do
                skip+=(--skip "$test")
            done < <(grep -v '  wine: ' ci/systems-skip.txt | sed -n 's/^windows  *\([^ ]*\) .*/\1/p')
            ;;
    esac
    local host example words
    host=$(rustc -vV | sed -n 's/^host: //p')
    now="here, $host"
    # shellcheck disable=SC2086 -- words of their own
    cargo test --features sim $tests -- "${skip[@]}" ${TEST_ARGS-}
    passed "$host: the tests have passed"
    for example in $examples; do
        now="here, $host, $example"
        case $example in
            images) words=--once ;;
            echo_server) words="--load --connections 100 --seconds 2" ;;
            *) words= ;;
        esac
        # shellcheck disable=SC2086
        cargo run --quiet --release --example "$example" -- $words
    done
    passed "$host: the examples have run: $examples"
}

case ${1-} in
    --here) here ;;
    --quick) check_each "the library" check ;;
    -*) sed -n '2,/^set /{/^#/p;}' "$0" && false ;;
    *)
        [ $# -gt 0 ] || set -- check tests aarch64 windows wasm
        for part in "$@"; do
            "part_$part"
        done
        ;;
esac
ended
