# Sourced: programs that a bare Debian machine lacks, and a Node that is new enough.

parts=${OMNI_TEST_PARTS:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/parts}

# Older ones lack the global crypto that the servers use; Debian 12 has 18.
node_least=20
node_packages=(node@20.20.2 npm@10.9.4)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
    say "cannot install what is missing without root: $*"
    return 1
  fi
}

apt_install() {
  if ! have apt-get; then
    say "missing: $* — install them and run this again (there is no apt-get here)"
    return 1
  fi
  say "installing $* with apt"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

need_python() {
  local missing=()
  have python3 || missing+=(python3)
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
  if ((${#missing[@]})); then apt_install "${missing[@]}"; fi
}

node_is_new() {
  local major
  major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p')
  ((${major:-0} >= node_least))
}

# The browser that the tests of pages look with.
need_chromium() {
  have chromium || apt_install chromium
  have chromedriver || apt_install chromium-driver
}

# Puts a Node and an npm that fit each other on the path: the machine's, else Debian's, else the registry's.
need_node() {
  local own=$parts/node/node_modules/.bin
  if [ -x "$own/node" ]; then export PATH="$own:$PATH"; fi
  if node_is_new && have npm; then return; fi
  have npm || apt_install nodejs npm
  if node_is_new; then return; fi
  say "node $(node --version) is too old: installing ${node_packages[*]} with npm"
  mkdir -p "$parts/node"
  [ -f "$parts/node/package.json" ] || printf '{"private":true}\n' >"$parts/node/package.json"
  (cd "$parts/node" && npm install --no-audit --no-fund --loglevel=error "${node_packages[@]}" >&2)
  export PATH="$own:$PATH"
  hash -r
  if node_is_new; then return; fi
  say "node $node_least or newer is needed, and this one is $(node --version)"
  return 1
}
