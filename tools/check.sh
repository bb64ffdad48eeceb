#!/usr/bin/env bash
# `make check`: formatting, lints and unit tests of the crates that changed since the last commit on main (or of those
# that are named), for the minutes between two edits. `make test` runs everything.
set -euo pipefail
cd "$(dirname "$0")/.."
crates=("$@")
if [ ${#crates[@]} -eq 0 ]; then
    base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
    # What a file belongs to is the nearest folder above it with a Cargo.toml.
    while read -r file; do
        folder=$(dirname "$file")
        while [ "$folder" != . ] && [ ! -e "$folder/Cargo.toml" ]; do folder=$(dirname "$folder"); done
        [ "$folder" = . ] || crates+=("$(sed -n 's/^name = "\(.*\)"$/\1/p' "$folder/Cargo.toml" | head -1)")
    done < <({ git diff --name-only "$base"; git ls-files --others --exclude-standard; } | grep '\.\(rs\|toml\|snap\)$' | sort -u)
    mapfile -t crates < <(printf '%s\n' "${crates[@]}" | grep . | sort -u)
fi
cargo fmt --all --check
cargo xtask tidy
[ ${#crates[@]} -gt 0 ] || { echo "no crate has changed"; exit 0; }
echo "== ${crates[*]}"
packages=()
for crate in "${crates[@]}"; do packages+=(--package "$crate"); done
cargo clippy "${packages[@]}" --all-targets --locked --quiet -- -D warnings
cargo test "${packages[@]}" --lib --bins --locked --quiet
