#!/usr/bin/env bash
# Installs inhand as a service of this machine, or removes it.
#
#   systemd/install.sh install [--sim] [--dry-run]
#   systemd/install.sh uninstall [--dry-run]
#
#   --sim       also install the simulated hand, for inhandd-sim.service
#   --dry-run   only print the commands
#   PYTHON=...  the interpreter to use (/usr/bin/python3)
#   DESTDIR=... put everything below this directory and leave the running system alone
#
# Installing again upgrades. The configuration in /etc/inhand, the recordings in /var/lib/inhand
# and the user `inhand` are never changed or removed once they are there.
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/.." && pwd)
DESTDIR=${DESTDIR:-}
PYTHON=${PYTHON:-/usr/bin/python3}
PREFIX=$DESTDIR/opt/inhand
LIB=$DESTDIR/usr/local/lib
BIN=$DESTDIR/usr/local/bin
CONFIG=$DESTDIR/etc/inhand/inhandd.toml
UNITS=(inhandd.service inhandd-sim.service)
DRY_RUN=
EXTRA=

fail() {
    echo "error: $*" >&2
    exit 1
}

# Every command that changes the machine is run by this function.
run() {
    echo "+ ${*@Q}"
    [[ $DRY_RUN ]] || "$@"
}

put() { # FILE TARGET
    run install -D -m 644 "$SOURCE/$1" "$2"
}

check() {
    [[ $DESTDIR || $DRY_RUN || $EUID = 0 ]] || fail "this changes the system: run it as root, or look at it with --dry-run"
    [[ $DESTDIR != [!/]* ]] || fail "DESTDIR=$DESTDIR must be an absolute path"
}

check_python() {
    local real
    real=$("$PYTHON" -c 'import os, sys; print(os.path.realpath(sys.executable))') ||
        fail "PYTHON=$PYTHON does not run; name an interpreter of Python 3.11 or later"
    case $real in
    # The unit hides these directories from the daemon.
    /home/* | /root/* | /run/user/*) fail "PYTHON=$real lies in a home directory, which the service cannot see; use the system's Python" ;;
    esac
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "PYTHON=$real is older than Python 3.11"
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || fail "$real cannot make virtual environments; install Debian's package python3-venv"
}

install_program() {
    local part
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    # Built from a copy, so that nothing owned by root is left in the source.
    for part in pyproject.toml constraints.txt README.md LICENSE inhand controller perception hardware sim_backend training policies; do
        [[ ! -e $SOURCE/$part ]] || cp -R "$SOURCE/$part" "$build"
    done
    run "$PYTHON" -m venv "$PREFIX/venv"
    # From a directory, pip installs again even if the version is the same.
    run "$PREFIX/venv/bin/python" -m pip install -q --upgrade -c "$build/constraints.txt" "$build$EXTRA"
    [[ ! $DESTDIR ]] || run find "$PREFIX/venv/bin" -type f -exec sed -i "1s|^#!$DESTDIR|#!|" {} +
    for part in inhand inhandd; do
        run install -d "$BIN"
        run ln -sfn "/opt/inhand/venv/bin/$part" "$BIN/$part"
    done
}

install_files() {
    local unit
    for unit in "${UNITS[@]}"; do
        put "systemd/$unit" "$LIB/systemd/system/$unit"
        # Settings of an earlier version, which the units now hold themselves.
        if [[ -e $LIB/systemd/system/$unit.d/inhand.conf ]]; then
            run rm -f "$LIB/systemd/system/$unit.d/inhand.conf"
            run rmdir --ignore-fail-on-non-empty "$LIB/systemd/system/$unit.d"
        fi
    done
    put systemd/inhand.sysusers "$LIB/sysusers.d/inhand.conf"
    put systemd/inhand.tmpfiles "$LIB/tmpfiles.d/inhand.conf"
    put systemd/70-inhand.rules "$LIB/udev/rules.d/70-inhand.rules"
    put docs/operating.md "$PREFIX/share/operating.md"
    put systemd/inhandd.toml "$PREFIX/share/inhandd.toml"
    put systemd/network.conf "$PREFIX/share/network.conf"
    if [[ -e $CONFIG ]]; then
        echo "$CONFIG stays as it is; the current defaults are in $PREFIX/share/inhandd.toml"
    else
        put systemd/inhandd.toml "$CONFIG"
    fi
}

tell_system() {
    run systemd-sysusers inhand.conf
    run systemd-tmpfiles --create inhand.conf
    run systemctl daemon-reload
    if command -v udevadm >/dev/null; then
        run udevadm control --reload
        run udevadm trigger --subsystem-match=tty --subsystem-match=video4linux
    fi
}

do_install() {
    check_python
    install_program
    install_files
    [[ $DESTDIR ]] || tell_system
    cat <<END

Installed. What is left to do:
  1. edit /etc/inhand/inhandd.toml (the cameras, at least), and check it:
     inhand config check /etc/inhand/inhandd.toml
  2. let somebody command the hand: usermod -aG inhand NAME
  3. start it: systemctl enable --now inhandd     (or inhandd-sim, installed with --sim)
     After an upgrade: systemctl restart inhandd
END
}

do_uninstall() {
    local unit
    if [[ ! $DESTDIR ]]; then
        for unit in "${UNITS[@]}"; do
            [[ ! -e $LIB/systemd/system/$unit ]] || run systemctl disable --now "$unit"
        done
    fi
    for unit in "${UNITS[@]}"; do
        run rm -rf "$LIB/systemd/system/$unit" "$LIB/systemd/system/$unit.d"
    done
    run rm -f "$LIB/sysusers.d/inhand.conf" "$LIB/tmpfiles.d/inhand.conf" "$LIB/udev/rules.d/70-inhand.rules"
    run rm -f "$BIN/inhand" "$BIN/inhandd"
    run rm -rf "$PREFIX"
    [[ $DESTDIR ]] || run systemctl daemon-reload
    echo "Removed. Left in place: /etc/inhand, /var/lib/inhand, and the user inhand."
}

verb=${1:-}
shift || true
for option in "$@"; do
    case $option in
    --dry-run) DRY_RUN=yes ;;
    --sim) EXTRA='[sim]' ;;
    *) fail "unknown option $option; see the top of $0" ;;
    esac
done
check
case $verb in
install) do_install ;;
uninstall) do_uninstall ;;
*) fail "say \`$0 install\` or \`$0 uninstall\`, with --dry-run to look first" ;;
esac
