# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by scripts/test and scripts/demo: `need_packages NAME...` installs missing packages of
# Debian, or prints which ones root must install. A package counts as present if its command or
# header is found, wherever that comes from: meson may be the user's own. If nothing is missing, apt
# is not called.

declare -A wanted_for=(
    [g++]='command g++' [meson]='command meson' [ninja-build]='command ninja'
    [pkg-config]='command pkg-config' [python3]='command python3' [curl]='command curl'
    [socat]='command socat' [clang]='command clang++'
    [liburing-dev]='header liburing.h' [libfmt-dev]='header fmt/core.h'
    [libssl-dev]='header openssl/ssl.h' [openssl]='command openssl'
    [libcereal-dev]='header cereal/cereal.hpp' [nlohmann-json3-dev]='header nlohmann/json.hpp'
)

is_there() {
    local kind name
    read -r kind name <<<"${wanted_for[$1]-}"
    case $kind in
        command) command -v "$name" >/dev/null ;;
        header) echo "#include <$name>" | g++ -E -x c++ - >/dev/null 2>&1 ;;
        *) return 1 ;;
    esac
}

is_installed() {
    # shellcheck disable=SC2016  # dpkg-query expands it, not the shell
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

need_packages() {
    local missing=() name as_root=()
    for name in "$@"; do is_there "$name" || is_installed "$name" || missing+=("$name"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not Debian: install the equivalents of ${missing[*]} by hand." >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
        if ! sudo -n true 2>/dev/null; then
            echo "Missing packages; as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! {
        "${as_root[@]}" apt-get update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y --no-install-recommends "${missing[@]}"
    } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        echo "apt-get could not install ${missing[*]}: its last lines are above, all in $log" >&2
        return 1
    fi
    rm -f "$log"
}

# shellcheck disable=SC2034  # used by the scripts that source this
# Host loops, adapted libraries and real peers, for all tests.
peer_packages=(libglib2.0-dev libuv1-dev libcurl4-openssl-dev libpq-dev libhiredis-dev postgresql
    redis-server libcereal-dev nlohmann-json3-dev zlib1g-dev libbrotli-dev libzstd-dev libpsl-dev
    libidn2-dev libnghttp2-dev libwslay-dev nghttp2-client nghttp2-server libssl-dev openssl cmake
    nginx-light curl socat netcat-openbsd libgumbo-dev)
# shellcheck disable=SC2034
build_packages=(g++ meson ninja-build pkg-config python3 liburing-dev libfmt-dev)
