#!/usr/bin/env bash
# Fetches Debian's kernel for virtual machines into DIR: vmlinuz, config, modules/, and its name and version in `package`.
# Nothing is installed; what is there already is kept. Exit 3: this distribution has no such package.
set -euo pipefail
dir=${1:?usage: kernel.sh DIR}
[ ! -e "$dir/package" ] || exit 0

name() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1; }
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() {
    package=$(name)
    [ -n "$package" ] && (cd "$work" && apt-get download -qq "$package" 2>/dev/null)
}

# The package lists may be old, and name what the mirror does not have any more.
fetch || { $sudo apt-get update -qq; fetch || { [ -n "$(name)" ] || exit 3; echo "$package cannot be fetched" >&2; exit 1; }; }
dpkg-deb -x "$work"/linux-image-*.deb "$work/root"
rm -rf "$dir"
mkdir -p "$dir"
cp "$work"/root/boot/vmlinuz-* "$dir/vmlinuz"
cp "$work"/root/boot/config-* "$dir/config"
cp -r "$(echo "$work"/root/lib/modules/*)" "$dir/modules"
basename "$work"/root/lib/modules/* > "$dir/release"
dpkg-deb -f "$work"/linux-image-*.deb Package Version > "$dir/package"
