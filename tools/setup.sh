#!/usr/bin/env bash
# Installs the system packages that are missing and makes the Python environment at $1 with the AWS
# clients. Does nothing, quickly, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:?usage: setup.sh VENV}

packages=(build-essential pkg-config libseccomp-dev ca-certificates curl python3 python3-venv
          nftables iproute2 procps util-linux busybox-static awscli)
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
