#!/usr/bin/env bash
# Everything that must hold, in the order in which failures are cheapest to find. Needs tools/setup.sh first.
set -euo pipefail
cd "$(dirname "$0")/.."
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo -E"
began=$SECONDS
step() { echo; echo "== [$((SECONDS - began)) s] $*"; }

step "formatting and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features --locked --quiet -- -D warnings

step "building the tests"
cargo test --workspace --all-features --locked --no-run

step "unit, property, conformance and simulation tests"
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$sudo" cargo test --workspace --all-features --locked --quiet

step "building the program"
cargo build --locked --package cli --package e2e

step "end to end: the real program, real containers, the real AWS clients"
$sudo env ROADSTEAD_BIN="$CARGO_TARGET_DIR/debug/roadstead" ROADSTEAD_VENV="$ROADSTEAD_VENV" ROADSTEAD_E2E_ALONE=1 \
    "$ROADSTEAD_VENV/bin/python" -m pytest e2e -q

step "done"
