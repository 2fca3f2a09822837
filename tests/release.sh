#!/usr/bin/env bash
# Builds the program as the Dockerfile does, in a clean checkout of the last commit without what .dockerignore leaves
# out, and runs it with no environment. Prints where it is; tests use it when OMNI_TEST_RELEASE says so.
#
#   OMNI_TEST_RELEASE=$(tests/release.sh) cargo test … deploy::image
set -euo pipefail
cd "$(dirname "$0")/.."

command=$(sed -n 's/^ *plain) \(cargo build .*\) ;; .*$/\1/p' Dockerfile)
[ -n "$command" ] || { echo "the Dockerfile builds nothing" >&2; exit 1; }

place=${CARGO_TARGET_DIR:-target}/checkout
mkdir -p "$place"
# Tests look for the program from another directory.
place=$(cd "$place" && pwd)
# What was compiled of other packages stays. Files are as new as this checkout and not as their commit, which may be
# older than what was compiled here before: cargo would take that for theirs.
find "$place" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git archive HEAD | tar -x -m -C "$place"

# What a line of .dockerignore names goes: at the top, or wherever it is.
ignored() {
  case $1 in
    '' | '#'*) ;;
    '**/'*) find "$place" -mindepth 1 -path "$place/target" -prune -o -name "${1#'**/'}" -prune -exec rm -rf {} + ;;
    '!'* | *'*'*) echo ".dockerignore: what ${1} leaves out is not known here" >&2 && exit 1 ;;
    *) rm -rf "${place:?}/${1#/}" ;;
  esac
}
while read -r pattern || [ -n "$pattern" ]; do ignored "$pattern"; done <.dockerignore

# Nothing of the caller's has it build elsewhere, or for another machine, or otherwise.
(cd "$place" && env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET CARGO_TARGET_DIR="$place/target" bash -c "$command") >&2
built=$place/target/release/omni
said=$(env -i "$built" --version)
case $said in "omni "[0-9]*) ;; *) echo "omni --version said: $said" >&2 && exit 1 ;; esac
echo "$built"
