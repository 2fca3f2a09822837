#!/usr/bin/env bash
# Builds the program for the way that requests take through it: once so that it counts which way that is, under
# omni-bench's load, and once more by what was counted (profile-guided optimisation).
#
#   benches/tune.sh DIR
#
# DIR/omni is the program, DIR/linked the same with what arrange.sh needs; what is built on the way stays in DIR/build,
# some gigabytes, for the next time. Needs Rust with its llvm-tools; says what was said where something fails.
set -euo pipefail

fail() { echo "tune.sh: $1" >&2; exit 1; }

[ $# -eq 1 ] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
place=$(realpath -m "$1")
[ ! -e "$place" ] || [ -d "$place" ] || fail "$place is a file"
# Settings of how C parts are built are read from here.
cd "$(dirname "$0")/.."

host=$(rustc --print host-tuple)
rust=$(rustc --print sysroot)/lib
strip=$rust/rustlib/$host/bin/rust-objcopy
[ -x "$strip" ] || fail "this Rust has no $strip"
# Counts are read by what is as new as the compiler that has them made.
version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
merge=$(command -v "$rust/rustlib/$host/bin/llvm-profdata" "llvm-profdata-$version" | head -1) || true
[ -n "$merge" ] || fail "there is no llvm-profdata of LLVM $version; 'rustup component add llvm-tools' brings it"

said=$(mktemp)
trap 'rm -f "$said"' EXIT
quietly() { # quietly COMMAND...: what it says is said where it fails, and how it ended
  local ended=0
  "$@" >"$said" 2>&1 || ended=$?
  ((ended == 0)) || { cat "$said" >&2; fail "$* ended with $ended"; }
}

build() { # build NAME FLAGS...: the program, in DIR/build/NAME, with flags for what runs on the host and not while building
  local name=$1 flags
  shift
  flags=$(IFS=$'\x1f'; echo "$*")
  quietly env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="$flags" CARGO_PROFILE_RELEASE_STRIP=none \
    cargo build --release --locked -p omni-cli --bin omni --target "$host" --target-dir "$place/build/$name"
}

ways=$place/build/ways
rm -rf "$ways"
mkdir -p "$ways"
echo "tune.sh: building what counts, and the load" >&2
build counting "-Cprofile-generate=$ways"
quietly env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u CARGO_BUILD_TARGET \
  cargo build --locked -p omni-benches --bin omni-bench --target-dir "$place/build"
bench=$place/build/debug/omni-bench

echo "tune.sh: counting which way the program takes" >&2
quietly timeout 30m "$bench" --rounds 1 --seconds 1 --omni "$place/build/counting/$host/release/omni"
LD_LIBRARY_PATH=$rust quietly "$merge" merge -o "$place/build/counts" "$ways"
# What was ended before it wrote its counts is missing in them.
counts=$(LD_LIBRARY_PATH=$rust "$merge" show --counts --function=omni_core4call7perform "$place/build/counts")
grep -q 'Block counts: .*[1-9]' <<<"$counts" || fail "nothing was counted of a service"

echo "tune.sh: building by that" >&2
# Cargo does not look whether the counts are others than last time.
rm -rf "$place/build/tuned"
build tuned "-Cprofile-use=$place/build/counts" -Clink-arg=-Wl,--emit-relocs
LD_LIBRARY_PATH=$rust quietly "$strip" --strip-all "$place/build/tuned/$host/release/omni" "$place/build/omni"

echo "tune.sh: trying it" >&2
quietly env -i "$place/build/omni" --version
quietly timeout 10m "$bench" --quick --omni "$place/build/omni"
cp "$place/build/tuned/$host/release/omni" "$place/linked"
mv -T "$place/build/omni" "$place/omni"
