#!/usr/bin/env bash
# The one test command: installs what the tests need on a bare Debian machine, then runs everything.
#   tests/run.sh            everything
#   tests/run.sh FILTER     tests whose name contains FILTER
#   tests/run.sh --full …   the same, with the long forms of tests that have one
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --full ]; then
  shift
  export OMNI_TEST_FULL=1
fi

. tests/prepare.sh # compiler, node, python
tests/parts.sh     # the real MCP servers
. tests/services.sh # PostgreSQL, Redis and MariaDB
need_chromium

# The README's first command: a made-up month, in a home where nothing is configured.
first_question() {
  local empty answer
  empty=$(mktemp -d)
  answer=$(env -u OMNI_CONFIG -u DATABASE_URL -u DATABASE_HOST -u DATABASE_PORT -u DATABASE_NAME -u DATABASE_USER -u DATABASE_PASSWORD -u ANTHROPIC_API_KEY -u OPENAI_API_KEY -u OPENAI_BASE_URL \
    XDG_CONFIG_HOME="$empty" XDG_DATA_HOME="$empty" cargo run -p omni-cli --locked -- --demo ask "Which were the five most expensive questions this week?" </dev/null)
  rm -rf "$empty"
  case $answer in *offline*"5 most expensive questions"*) ;; *) printf 'the first question was answered with: %s\n' "$answer" >&2 && return 1 ;; esac
}

# Runs all tests; what the failing ones said is told once more at the end, where thousands of lines do not hide it.
all_tests() {
  local log status=0
  log=$(mktemp)
  cargo test --workspace --all-features --locked --no-fail-fast -- "$@" 2>&1 | tee "$log" || status=$?
  if ((status)); then
    echo "== what failed"
    sed -n '/^---- .* ----$/,/^failures:$/p' "$log" | grep -vE '^ +([0-9]+:|at ) ' | tail -n 300 # without backtraces
  fi
  rm -f "$log"
  return "$status"
}

export OMNI_TEST_PARTS="${OMNI_TEST_PARTS:-$PWD/tests/parts}"
cargo build --workspace --all-targets --all-features --locked
if [ -n "${OMNI_TEST_FULL:-}" ] && [ $# = 0 ]; then # what the image holds, in place of the debug build
  OMNI_TEST_RELEASE=$(tests/release.sh)
  export OMNI_TEST_RELEASE
fi
if [ $# = 0 ]; then
  first_question
  cargo test --workspace --all-features --locked --bench pipeline --bench ledger --bench limits --bench policy --bench reload --bench http --bench connect --bench gateway --bench search --bench analytics --bench writing # each one once
fi
all_tests "$@"
if [ $# = 0 ]; then # many clients and servers, some of which are killed; the longer the more would be seen to grow
  "${CARGO_TARGET_DIR:-target}/debug/omni-bench" soak --minutes "$([ -n "${OMNI_TEST_FULL:-}" ] && echo 30 || echo 2)"
fi
