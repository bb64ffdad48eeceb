#!/usr/bin/env bash
# `make bench`: Roadstead's numbers beside those of its peers, measured in one run on this machine.
# The peers are unpacked below ~/.cache/roadstead/bench, never installed; they run in network and mount
# namespaces of their own, so that all they make goes away with them.
set -euo pipefail
cd "$(dirname "$0")/.."
sudo=""
if [ "$(id -u)" -ne 0 ]; then sudo="sudo"; fi
cache=${ROADSTEAD_BENCH_DIR:-$HOME/.cache/roadstead/bench}
mkdir -p "$cache"

tools/debian-docker.sh "$cache"
if [ ! -e "$cache/venv/ready" ]; then
    echo "== fetching the peers: moto, MiniStack"
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    if "$cache/venv/bin/pip" install --quiet --disable-pip-version-check --requirement tools/bench/requirements.txt; then
        touch "$cache/venv/ready"
    else
        echo "   they cannot be fetched"
    fi
fi
exec $sudo python3 tools/bench/main.py --bin "${ROADSTEAD_BIN:?}" --peers "$cache" "$@"
