#!/usr/bin/env bash
# Tries an unmodified amazon-ecs-agent against Roadstead: a control plane, a Docker engine and the agent, each
# started from nothing in namespaces of their own, so that all they make goes away with them.
#
#   tools/stock-agent.sh /path/to/amazon-ecs-agent [-k PART-OF-A-NAME]
#
# Not in `make test`: no package that Debian or Python has contains the agent. See docs/stock-agent.md.
set -euo pipefail
cd "$(dirname "$0")/.."
agent=${1:?"usage: tools/stock-agent.sh /path/to/amazon-ecs-agent [-k PART-OF-A-NAME]"}
shift
agent=$(realpath "$agent")
roadstead=$(realpath "${ROADSTEAD_BIN:-$HOME/.cache/roadstead/target/release/roadstead}")
venv=${ROADSTEAD_VENV:-$HOME/.cache/roadstead/venv-$(cksum < tools/requirements.txt | cut -d' ' -f1)}
for needed in "$agent" "$roadstead" "$venv/bin/python"; do
    [ -x "$needed" ] || { echo "$needed is not there; try make build" >&2; exit 1; }
done
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

# Docker makes its rules with iptables; nginx ends TLS before the control plane.
missing=()
command -v iptables > /dev/null || missing+=(iptables)
command -v nginx > /dev/null || missing+=(nginx-light)
[ ${#missing[@]} -eq 0 ] || "${as_root[@]}" apt-get install -y -qq "${missing[@]}" > /dev/null

# Where Docker is not installed, Debian's is unpacked, never installed; `make bench` uses the same folder.
docker=()
if ! command -v dockerd > /dev/null; then
    cache=${ROADSTEAD_BENCH_DIR:-$HOME/.cache/roadstead/bench}
    tools/debian-docker.sh "$cache"
    docker=(--docker "$cache/debian")
fi

top=$(mktemp -d /tmp/roadstead-stock-agent.XXXXXX)
status=0
"${as_root[@]}" unshare --net --mount --propagation slave --pid --fork --kill-child --mount-proc \
    "$venv/bin/python" -B tools/stock-agent/main.py --top "$top" --roadstead "$roadstead" --agent "$agent" \
    "${docker[@]}" "$@" || status=$?
if [ "$status" -eq 0 ]; then
    "${as_root[@]}" rm -rf "$top"
else
    echo "logs: $top" >&2
fi
exit "$status"
