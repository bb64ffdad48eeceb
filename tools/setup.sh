#!/usr/bin/env bash
# Installs the system packages that are missing and makes the Python environment at $1 with the AWS
# clients. Does nothing, quickly, when all is there. With `test` as $2 also what only the tests need: virtual
# machines, in which other layouts of control groups than this host's are tested.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: setup.sh VENV [test]}

packages=(build-essential pkg-config libseccomp-dev ca-certificates curl python3 python3-venv
          nftables iproute2 openssl procps util-linux busybox-static awscli)
[ "${2:-}" != test ] || [ "$(uname -m)" != x86_64 ] || packages+=(qemu-system-x86 e2fsprogs kmod)
# What a web page can do is tried in a real browser, where the distribution has it as a package.
[ "${2:-}" != test ] || ! apt-cache show chromium >/dev/null 2>&1 || packages+=(chromium)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "== installing ${missing[*]}"
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ ! -e "$venv/ready" ]; then
    echo "== making a Python environment for the AWS clients in $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tools/requirements.txt
    touch "$venv/ready"
fi

if [ "${2:-}" = test ]; then
    clients="$venv/clients-$(cksum < tools/clients.txt | cut -d' ' -f1)"
    if [ ! -e "$clients" ]; then
        echo "== adding the deployment tools that the tests run"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tools/clients.txt --constraint tools/requirements.txt
        touch "$clients"
    fi
    # The daemon under the engine `docker`, where none is installed; `make bench` measures the same one.
    command -v dockerd > /dev/null || tools/debian-docker.sh "${ROADSTEAD_BENCH_DIR:-$(dirname "$venv")/bench}" || true
    # gVisor, for tasks in sandboxes. Not everywhere is there a package; its tests say so, and CI must have it.
    command -v runsc > /dev/null || tools/debian-gvisor.sh "${ROADSTEAD_BENCH_DIR:-$(dirname "$venv")/bench}" || true
    # Next to the environment. Other distributions have other kernels; the test says what that means.
    tools/vm/kernel.sh "$(dirname "$venv")/vm" || [ $? -eq 3 ]
fi
