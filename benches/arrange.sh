#!/usr/bin/env bash
# Puts what every request passes side by side in a program that is built: BOLT counts which way it takes under
# omni-bench's load, and writes it anew by that. What is moved stays where it was as well, so the file grows.
#
#   benches/arrange.sh PROGRAM OMNI_BENCH ARRANGED
#
# PROGRAM has its symbols and relocations, as README.md beside this says. Needs BOLT and Rust, and half a gigabyte beside
# ARRANGED for as long as it takes; says what was said where something fails.
set -euo pipefail

fail() { echo "arrange.sh: $1" >&2; exit 1; }

[ $# -eq 3 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
program=$(realpath -e "$1")
bench=$(realpath -e "$2")
arranged=$(realpath -m "$3")
[ ! -d "$arranged" ] || fail "$arranged is a directory"
# Not by a pipe into grep -q, which ends before readelf does.
sections=$(readelf -SW "$program")
case $sections in
  *' .rela.text '*) ;;
  *) fail "$program has no relocations; README.md beside this says how to build it" ;;
esac

# As it is called, or the newest that has its version in its name; what merges counts is of the same version.
bolt=$(command -v llvm-bolt || compgen -c llvm-bolt- | grep -x 'llvm-bolt-[0-9][0-9]*' | sort -t- -k3 -n | tail -1) \
  || fail "there is no llvm-bolt; Debian has it in packages like bolt-22"
merge=merge-fdata${bolt##*llvm-bolt}
command -v "$merge" >/dev/null || fail "there is no $merge, which comes with $bolt"
# (The strip of binutils breaks what BOLT wrote.)
rust=$(rustc --print sysroot)/lib
strip=$rust/rustlib/$(rustc --print host-tuple)/bin/rust-objcopy
[ -x "$strip" ] || fail "this Rust has no $strip"

mkdir -p "$(dirname "$arranged")"
work=$(mktemp -d "$arranged.XXXXXX")
trap 'rm -rf "$work"' EXIT
quietly() { # quietly COMMAND...: what it says is said where it fails, and how it ended
  local ended=0
  "$@" >"$work/said" 2>&1 || ended=$?
  ((ended == 0)) || { cat "$work/said" >&2; fail "$* ended with $ended"; }
}

echo "arrange.sh: counting which way the program takes" >&2
quietly "$bolt" "$program" -instrument -instrumentation-file="$work/way" -instrumentation-file-append-pid \
  -o "$work/counts"
quietly timeout 30m "$bench" --rounds 1 --seconds 1 --omni "$work/counts"
quietly "$merge" -o "$work/ways" "$work"/way.*
# What was ended before it wrote its counts is missing in them.
grep -q '4call7perform' "$work/ways" || fail "nothing was counted of a service; is $bench older than this script?"
rm "$work/counts" "$work"/way.*

echo "arrange.sh: writing it anew" >&2
quietly "$bolt" "$program" -data="$work/ways" -reorder-blocks=ext-tsp -reorder-functions=cdsort \
  -split-functions -split-all-cold -split-eh -plt=hot -no-huge-pages -align-text=4096 -o "$work/arranged"
LD_LIBRARY_PATH=$rust quietly "$strip" --strip-all "$work/arranged" "$work/omni"

echo "arrange.sh: trying it" >&2
quietly env -i "$work/omni" --version
quietly timeout 10m "$bench" --quick --omni "$work/omni"
mv -T "$work/omni" "$arranged"
