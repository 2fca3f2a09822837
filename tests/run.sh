#!/usr/bin/env bash
# The one test command: installs what the tests need on a bare Debian machine, then runs everything.
#   tests/run.sh            everything
#   tests/run.sh FILTER     tests whose name contains FILTER
set -euo pipefail
cd "$(dirname "$0")/.."

. tests/prepare.sh # compiler, node, python
tests/parts.sh     # the real MCP servers

export OMNI_TEST_PARTS="${OMNI_TEST_PARTS:-$PWD/tests/parts}"
cargo build --workspace --all-targets --all-features --locked
exec cargo test --workspace --all-features --locked -- "$@"
