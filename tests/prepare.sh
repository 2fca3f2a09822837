# Sourced: installs what building and testing need and a bare Debian machine lacks.
# Nothing happens where everything is there already.

. "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

install_missing() {
  local packages=()
  have cc || packages+=(gcc libc6-dev)
  have make || packages+=(make) # the allocator is built with it
  have git || packages+=(git)
  have curl || packages+=(curl ca-certificates)
  have script || packages+=(bsdutils)
  # The test of the image mounts a root of its own, and gives up its rights.
  have unshare && have setpriv && have mount || packages+=(util-linux mount)
  have tmux || packages+=(tmux)
  if ((${#packages[@]})); then apt_install "${packages[@]}"; fi
  need_python
  need_node
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
  if ! have cargo; then
    echo "cargo is missing: install Rust 1.94 or newer (https://rustup.rs)" >&2
    return 1
  fi
}

install_missing
