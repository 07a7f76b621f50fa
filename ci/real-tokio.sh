#!/usr/bin/env bash
# Lets cargo build tokio/ where GitHub cannot be reached: source this, from the root of the repository.
#
# The package there depends on the real tokio by a tag of its repository (docs/tokio.md says why). This makes a repository with
# that tag from the registry's package of the same version, under target/, and tells cargo's git to read it in place of GitHub.
# A lock file written that way names a commit that nobody else has, so none is kept.
real_tokio_version=$(sed -n 's/.*tag = "tokio-\([0-9.]*\)".*/\1/p' tokio/Cargo.toml)
real_tokio=$PWD/target/real-tokio/$real_tokio_version

prepare_real_tokio() {
    local scratch=$PWD/target/real-tokio/fetch manifest
    mkdir -p "$scratch/src"
    : >"$scratch/src/lib.rs"
    printf '[workspace]\n[package]\nname = "fetch"\nedition = "2021"\n[dependencies]\ntokio = "=%s"\n' "$real_tokio_version" \
        >"$scratch/Cargo.toml"
    manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$scratch/Cargo.toml" |
        python3 -c 'import json, sys
print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "tokio"))') || return
    rm -rf "$real_tokio.new" "$real_tokio"
    cp -r "$(dirname "$manifest")" "$real_tokio.new" || return
    chmod -R u+w "$real_tokio.new"
    # The date is fixed, so that the commit has the same name each time and cargo need not build it anew.
    (
        cd "$real_tokio.new" && rm -f Cargo.lock .cargo-ok && git init --quiet . && git add --all --force . &&
            GIT_AUTHOR_DATE="2026-01-01T00:00:00Z" GIT_COMMITTER_DATE="2026-01-01T00:00:00Z" \
                git -c user.name=nobody -c user.email=nobody@localhost commit --quiet -m "tokio $real_tokio_version" &&
            git tag "tokio-$real_tokio_version"
    ) && mv "$real_tokio.new" "$real_tokio"
}

if [ -d "$real_tokio" ] || prepare_real_tokio; then
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$real_tokio.insteadOf" \
        GIT_CONFIG_VALUE_0=https://github.com/tokio-rs/tokio CARGO_NET_GIT_FETCH_WITH_CLI=true
else
    echo "cannot prepare the package of tokio $real_tokio_version" >&2
    false
fi
