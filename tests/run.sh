#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, tests, docs, and the one crypto stack.
# Installs what a Debian machine with cargo lacks, or says in one line what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

# Installs what a Debian package brings, or says how.
install() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $1"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >/dev/null
    else
        echo "tests/run.sh: $1 is missing; install it (on Debian: sudo apt-get install $1) and run this again" >&2
        exit 1
    fi
}

# A command, and the Debian package that brings it.
need() {
    command -v "$1" >/dev/null || install "$2"
}

command -v cargo >/dev/null || { echo "tests/run.sh: cargo is missing; install Rust 1.95 or newer and run this again" >&2; exit 1; }
need cc gcc
need curl curl
need jq jq
need npm npm
cargo nextest --version >/dev/null 2>&1 || { say "installing cargo-nextest"; cargo install --quiet --locked cargo-nextest; }

# Schemas made from Discord's own description of its API, which the sandbox and the bot are held against.
ORACLE="discord-api-spec@10.0.266135 zod@4.1.13"
if [ "$(cat target/oracles/installed 2>/dev/null)" != "$ORACLE" ] || [ ! -f target/oracles/discord.json ]; then
    say "fetching $ORACLE"
    mkdir -p target/oracles
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix target/oracles $ORACLE
    node tests/oracles/discord.mjs target/oracles
    echo "$ORACLE" > target/oracles/installed
fi

# A simulation of Discord by others, as a second judge.
SIMCORD="simcord==3.2.1"
if [ "$(cat target/oracles/simcord/installed 2>/dev/null)" != "$SIMCORD" ]; then
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    say "fetching $SIMCORD"
    rm -rf target/oracles/simcord
    python3 -m venv target/oracles/simcord
    target/oracles/simcord/bin/pip install --quiet --disable-pip-version-check "$SIMCORD"
    echo "$SIMCORD" > target/oracles/simcord/installed
fi

# What drives a real browser through the pages.
need node nodejs
need chromium chromium
BROWSER="playwright-core@1.65.1 axe-core@4.14.1"
if [ "$(cat target/browser/installed 2>/dev/null)" != "$BROWSER" ]; then
    say "fetching $BROWSER"
    mkdir -p target/browser
    npm install --silent --no-audit --no-fund --ignore-scripts --no-package-lock --prefix target/browser $BROWSER
    echo "$BROWSER" > target/browser/installed
fi

export INSTA_UPDATE=no CARGO_TERM_COLOR=never

say "format"
cargo fmt --all --check

say "one crypto stack"
for banned in aws-lc-rs openssl native-tls; do
    if cargo tree --workspace --edges normal,build --invert "$banned" 2>/dev/null | grep -q .; then
        echo "tests/run.sh: $banned is in the dependency graph; ring is the one crypto stack (deny.toml)" >&2
        exit 1
    fi
done

say "lints"
cargo clippy --workspace --all-targets --quiet -- -D warnings

say "tests"
cargo nextest run --workspace --no-fail-fast

say "pages in a browser"
CHROMIUM="$(command -v chromium)" node --test --test-concurrency=2 tests/browser/*.test.mjs

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

say "everything passed"
