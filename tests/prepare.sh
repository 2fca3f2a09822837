# Sourced: installs what building and testing need and a bare Debian machine lacks.
# Nothing happens where everything is there already.

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else
    echo "cannot install what is missing without root: $*" >&2
    return 1
  fi
}

install_missing() {
  local packages=()
  have cc || packages+=(gcc libc6-dev)
  have git || packages+=(git)
  have curl || packages+=(curl ca-certificates)
  have node || packages+=(nodejs)
  have npm || packages+=(npm)
  have python3 || packages+=(python3)
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages+=(python3-venv)
  if ((${#packages[@]})); then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
  fi
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
  if ! have cargo; then
    echo "cargo is missing: install Rust 1.94 or newer (https://rustup.rs)" >&2
    return 1
  fi
}

install_missing
