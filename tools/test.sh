#!/usr/bin/env bash
# Everything that must hold, in the order in which failures are cheapest to find. Needs `tools/setup.sh VENV test` first.
# Tests of namespaces, cgroups and mounts need root: without it they run by sudo.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
step() { echo; echo "== [$((SECONDS - began)) s] $*"; }

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -E)
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E"
fi

step "formatting and lints"
cargo fmt --all --check
cargo clippy --workspace --all-targets --all-features --locked --quiet -- -D warnings

step "building the tests and the program"
cargo test --workspace --all-features --locked --quiet --no-run
# Of the same features as the tests, which `--examples` (there are none) has cargo ask for: nothing is compiled twice.
cargo build --workspace --all-features --locked --quiet --bins --examples

step "unit, property, conformance and simulation tests"
cargo test --workspace --all-features --locked --quiet --no-fail-fast

step "generated types are fresh, and botocore understands what we write"
botocore=$("$ROADSTEAD_VENV/bin/python" -c 'import botocore, os; print(os.path.dirname(botocore.__file__))')
cargo xtask codegen --check --botocore "$botocore"
"$ROADSTEAD_VENV/bin/python" tools/golden.py check crates/wire/tests/golden

step "a short run of the fuzzers"
tools/fuzz-smoke.sh 10

# The engine's own tests run in virtual machines too (e2e/test_cgroups.py).
engine_tests=$(cargo test --workspace --all-features --locked --quiet --no-run --message-format=json | python3 -c '
import json, sys
built = (json.loads(line) for line in sys.stdin)
print(":".join(b["executable"] for b in built if b.get("executable") and b["profile"]["test"] and "crates/engine#" in b["package_id"]))')

step "end to end: the real program, real containers, the real AWS clients"
end_to_end() {
    "${as_root[@]}" env ROADSTEAD_BIN="$CARGO_TARGET_DIR/debug/roadstead" ROADSTEAD_VENV="$ROADSTEAD_VENV" ROADSTEAD_E2E_ALONE=1 \
        ROADSTEAD_ENGINE_TESTS="$engine_tests" "$ROADSTEAD_VENV/bin/python" -m pytest -q "$@"
}
# A virtual machine without KVM takes a processor for itself. What goes on beside it is what waits more than it works:
# Terraform's provider looks again every few seconds.
beside=(e2e/test_cgroups.py e2e/test_ec2.py e2e/test_clients.py)
end_to_end "${beside[@]}" -n 2 --dist loadfile --no-loadscope-reorder
# Most of what a test does is to wait for what it has begun: two at a time leave half of two processors idle.
end_to_end e2e "${beside[@]/#/--ignore=}" -n "$(($(nproc) + 1))" --dist loadfile --no-loadscope-reorder

step "all of it holds"
