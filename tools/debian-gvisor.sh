#!/usr/bin/env bash
# Unpacks Debian's build of gVisor's `runsc` below the folder that is named, and installs nothing. Does nothing when it is
# there. Of Debian 12 it is the backport: the release's own is older than what tasks need.
set -euo pipefail
folder=${1:?usage: debian-gvisor.sh FOLDER}
version=0.0~20240729
[ ! -e "$folder/gvisor/ready" ] || exit 0
echo "== fetching runsc"
lists="$folder/lists"
rm -rf "$folder/gvisor" "$folder/gvisor-debs" "$lists"
mkdir -p "$folder/gvisor" "$folder/gvisor-debs" "$lists/partial"
trap 'rm -rf "$folder/gvisor-debs" "$lists"' EXIT

# The archive that this host's own packages come from, and its backports: with lists of their own, so that the host's stay
# as they are.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | head -1)
. /etc/os-release
if [ -z "$mirror" ] || [ "${ID:-}" != debian ] || [ -z "${VERSION_CODENAME:-}" ]; then
    echo "   this is not Debian: runsc cannot be fetched"
    exit 0
fi
keys=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in "$VERSION_CODENAME" "$VERSION_CODENAME-backports"; do
    echo "deb [signed-by=$keys] $mirror $suite main"
done > "$lists/sources.list"
apt=(apt-get -qq -o "Dir::Etc::SourceList=$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
     -o "Dir::State::Lists=$lists" -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User=root)
"${apt[@]}" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" update 2>/dev/null || true
for target in "runsc/$VERSION_CODENAME-backports" runsc; do
    (cd "$folder/gvisor-debs" && "${apt[@]}" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= download "$target" 2>/dev/null) && break
done
for package in "$folder"/gvisor-debs/*.deb; do
    if [ ! -e "$package" ]; then
        echo "   runsc cannot be fetched"
    elif dpkg --compare-versions "$(dpkg-deb -f "$package" Version)" lt "$version"; then
        echo "   this distribution's runsc $(dpkg-deb -f "$package" Version) is too old"
    else
        dpkg-deb -x "$package" "$folder/gvisor"
    fi
done
# What is missing is tried again next time.
[ ! -e "$folder/gvisor/usr/bin/runsc" ] || touch "$folder/gvisor/ready"
