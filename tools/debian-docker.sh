#!/usr/bin/env bash
# Unpacks Debian's Docker, with the containerd and runc that it uses, below the folder that is named, and installs
# nothing. Does nothing when it is there. What runs it sets PATH and LD_LIBRARY_PATH to the folder's.
set -euo pipefail
folder=${1:?usage: debian-docker.sh FOLDER}
packages=(docker.io containerd runc tini libdevmapper1.02.1)
[ ! -e "$folder/debian/ready" ] || exit 0
echo "== fetching ${packages[*]}"
rm -rf "$folder/debian" "$folder/debs"
mkdir -p "$folder/debian" "$folder/debs"
fetch() { (cd "$folder/debs" && apt-get download -qq "$1" 2>/dev/null); }
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
# Where nothing was installed for long, the lists of packages are old, or there are none.
fetch "${packages[0]}" || $sudo apt-get update -qq || true
for package in "${packages[@]}"; do
    fetch "$package" || echo "   $package cannot be fetched"
done
for package in "$folder"/debs/*.deb; do
    [ ! -e "$package" ] || dpkg-deb -x "$package" "$folder/debian"
done
rm -rf "$folder/debs"
# What is missing is tried again next time.
[ ! -e "$folder/debian/usr/sbin/dockerd" ] || touch "$folder/debian/ready"
