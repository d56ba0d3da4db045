#!/usr/bin/env bash
# Runs a command beside a system bus and a systemd-logind of its own: logind.sh COMMAND...
# Call it in new mount and process namespaces. What they write stays in memory.
set -euo pipefail
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/systemd/{inhibit,seats,sessions,users}
dbus-daemon --system --nofork --nopidfile &
until [[ -S /run/dbus/system_bus_socket ]]; do sleep 0.01; done
/lib/systemd/systemd-logind &
until busctl --quiet status org.freedesktop.login1 >/dev/null 2>&1; do sleep 0.01; done
"$@"
