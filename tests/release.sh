#!/usr/bin/env bash
# Builds the program as the Dockerfile does, in a clean checkout of the last commit without what .dockerignore leaves
# out, and runs it with no environment. Prints where it is; tests use it when OMNI_TEST_RELEASE says so.
#
#   OMNI_TEST_RELEASE=$(tests/release.sh) cargo test … deploy::image
set -euo pipefail
cd "$(dirname "$0")/.."

command=$(sed -n 's/^RUN \(cargo build .*\)$/\1/p' Dockerfile)
[ -n "$command" ] || { echo "the Dockerfile builds nothing" >&2; exit 1; }

place=${CARGO_TARGET_DIR:-$PWD/target}/checkout
# What was compiled there before stays: cargo looks at what changed.
mkdir -p "$place"
find "$place" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git archive HEAD | tar -x -C "$place"
while read -r pattern; do
  case $pattern in '' | '#'* | *'*'*) ;; *) rm -rf "${place:?}/$pattern" ;; esac
done <.dockerignore

(cd "$place" && env -u CARGO_TARGET_DIR -u RUSTFLAGS bash -c "$command") >&2
built=$place/target/release/omni
said=$(env -i "$built" --version)
case $said in "omni "[0-9]*) ;; *) echo "omni --version said: $said" >&2 && exit 1 ;; esac
echo "$built"
