#!/usr/bin/env bash
# Installs the real MCP servers that the integration tests talk to. Quick when they are there.
#
#   tests/parts.sh            into tests/parts
#   OMNI_TEST_PARTS=DIR …     into DIR; the tests look there too when it is set
#
# Needs node, npm and python3 with venv: installed where they are missing or too old.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

npm_packages=(
  @modelcontextprotocol/server-everything@2026.8.31
  @modelcontextprotocol/server-filesystem@2026.8.31
)
pip_packages=(
  mcp-server-time==2026.10.19
  mcp==2.3.0
  schemathesis==4.32.5
)

# One retry: a registry that hiccups once should not fail a test run.
twice() { "$@" || { say "again: $*"; sleep 3; "$@"; }; }

install_npm() {
  mkdir -p "$parts/npm"
  [ -f "$parts/npm/package.json" ] || printf '{"private":true}\n' >"$parts/npm/package.json"
  say "npm: ${npm_packages[*]}"
  (cd "$parts/npm" && twice npm install --save-exact --no-audit --no-fund --ignore-scripts --loglevel=error "${npm_packages[@]}" >&2)
}

install_pip() {
  say "pip: ${pip_packages[*]}"
  [ -x "$parts/venv/bin/python" ] || python3 -m venv "$parts/venv"
  twice "$parts/venv/bin/pip" install --quiet --disable-pip-version-check "${pip_packages[@]}" >&2
}

# What is installed is written down, so that a second run has nothing to ask anybody.
wanted() { printf '%s\n' "${npm_packages[@]}" "${pip_packages[@]}"; }

if [ -f "$parts/installed" ] && [ "$(cat "$parts/installed")" = "$(wanted)" ]; then
  say "present in $parts"
  exit 0
fi
need_python
need_node
install_npm
install_pip
wanted >"$parts/installed"
say "ready in $parts"
