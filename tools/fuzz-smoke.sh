#!/usr/bin/env bash
# Builds the fuzz targets with the installed stable toolchain and runs each for a short, bounded time.
# libFuzzer's counters come from two stable compiler flags, so neither cargo-fuzz nor a nightly is needed
# (they would only add the address sanitizer, which finds little in safe code).
#
# usage: tools/fuzz-smoke.sh [SECONDS_PER_TARGET]     (needs a C++ compiler, for libFuzzer itself)
set -euo pipefail

seconds=${1:-10}
root=$(cd "$(dirname "$0")/.." && pwd)
target=x86_64-unknown-linux-gnu
[ "$(uname -m)" = aarch64 ] && target=aarch64-unknown-linux-gnu

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
echo "fuzz: building"
cargo build --quiet --locked --manifest-path "$root/fuzz/Cargo.toml" --target "$target"
built=$CARGO_TARGET_DIR/$target/debug

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One seed for each target, so that the short run starts behind the first gate.
seed_of() {
    case $1 in
    json) printf '\002{"cluster":"a","tasks":["b"],"include":["TAGS"],"tags":[{"key":"k","value":"v"}]}' ;;
    query) printf '\001Action=RunTask&Version=1\nTags.member.1.Key=a&Map.entry.1.key=b' ;;
    # {"cluster": "a", "tasks": ["b"]}
    cbor) printf '\046\242gclusteraaetasks\201ab' ;;
    # DeleteObjects of S3.
    rest) printf '\017POST /b?delete\nx-amz-mfa: a\n<Delete><Object><Key>a</Key></Object></Delete>' ;;
    sigv4) printf 'AWS4-HMAC-SHA256 Credential=a/20231114/r/ecs/aws4_request, SignedHeaders=host;x-amz-date, Signature=%064d\n20231114T221320Z\n/a/../b%%20c\na=b&c=%%20d' 0 ;;
    agent_frame) printf 'Host: a\r\n\r\n{"type":"PublishHealthRequest","message":{"tasks":[{"containers":null}]}}' ;;
    event_pattern) printf '{"a":["x",{"numeric":[">",0,"<=",5]},{"anything-but":{"wildcard":"*b*"}}]}\n{"$or":[{"b":[{"cidr":"10.0.0.0/8"}]},{"c":[{"exists":false}]}]}\n{"a":[{"b":"10.1.1.1"},3]}' ;;
    # ip-10-0-0-5.ec2.internal, A.
    dns) printf '\000\001\001\000\000\001\000\000\000\000\000\000\013ip-10-0-0-5\003ec2\010internal\000\000\001\000\001' ;;
    schedule) printf '\003\000\340\117\333\236\001\000\000cron(0/15 1-2 ? MAR,NOV SUN#2 2026/1)' ;;
    esac
}

fuzz() {
    mkdir -p "$work/$1"
    seed_of "$1" >"$work/$1/seed"
    (cd "$work" && timeout -k 5 $((seconds + 60)) "$built/$1" -max_total_time="$seconds" -rss_limit_mb=2048 \
        -timeout=10 -max_len=4096 -print_final_stats=1 "$work/$1" >"$work/$1.log" 2>&1) || {
        echo "fuzz: $1 FAILED" >&2
        tail -n 60 "$work/$1.log" >&2
        return 1
    }
    echo "fuzz: $1 for $seconds s, $(grep -E 'number_of_executed_units' "$work/$1.log")"
}

# As many at once as there are processors: each works on one.
export -f fuzz seed_of
export work built seconds
printf '%s\n' json query cbor rest sigv4 agent_frame event_pattern schedule dns | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'fuzz {}'
echo "fuzz: all targets passed"
