#!/usr/bin/env bash
# Puts what every request passes side by side in a program that is built: BOLT counts which way it takes under
# omni-bench's load, and writes it anew by that. What is moved stays where it was as well, so the file grows.
#
#   benches/arrange.sh PROGRAM OMNI_BENCH ARRANGED
#
# PROGRAM has its symbols and relocations, as README.md beside this says. Needs BOLT (Debian: bolt) and Rust; prints
# what BOLT says where something fails.
set -euo pipefail

[ $# -eq 3 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
program=$(realpath "$1") bench=$(realpath "$2") arranged=$(realpath -m "$3")
# Not by a pipe into grep -q, which ends before readelf does.
case $(readelf -SW "$program") in
  *' .rela.text '*) ;;
  *) echo "arrange.sh: $program has no relocations; README.md beside this says how to build it" >&2 && exit 1 ;;
esac

newest() { # newest TOOL: as it is called, or the newest that has its version in its name
  command -v "$1" || compgen -c "$1-" | grep -x "$1-[0-9]*" | sort -t- -k3 -n | tail -1 | grep . \
    || { echo "arrange.sh: there is no $1; Debian has it in the package bolt" >&2; return 1; }
}
bolt=$(newest llvm-bolt)
merge=$(newest merge-fdata)
# (That of binutils breaks what BOLT wrote.)
rust=$(rustc --print sysroot)/lib
strip=$rust/rustlib/$(rustc --print host-tuple)/bin/rust-objcopy
[ -x "$strip" ] || { echo "arrange.sh: this Rust has no $strip" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quietly() { "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }; }

echo "arrange.sh: counting which way the program takes" >&2
quietly "$bolt" "$program" -instrument -instrumentation-file="$work/way" -instrumentation-file-append-pid -o "$work/counts"
quietly "$bench" --rounds 1 --seconds 1 --omni "$work/counts"
quietly "$merge" -o "$work/ways" "$work"/way.*

echo "arrange.sh: writing it anew" >&2
quietly "$bolt" "$program" -data="$work/ways" -reorder-blocks=ext-tsp -reorder-functions=cdsort \
  -split-functions -split-all-cold -split-eh -icf=all -plt=hot -no-huge-pages -align-text=4096 -o "$work/arranged"
LD_LIBRARY_PATH=$rust quietly "$strip" --strip-all "$work/arranged" "$work/stripped"
said=$(env -i "$work/stripped" --version)
case $said in "omni "[0-9]*) ;; *) echo "arrange.sh: it says $said" >&2 && exit 1 ;; esac
install -D -m 755 "$work/stripped" "$arranged"
