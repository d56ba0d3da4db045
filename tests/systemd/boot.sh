#!/usr/bin/env bash
# Boots a system manager of its own in new namespaces; called by machine.py as
#   boot.sh outside CGROUP SCRATCH LAYER BIND...
# Its root is this machine's, with a copy of LAYER over it, and what it writes stays in memory:
# nothing that happens inside is seen outside. Each BIND is SOURCE:TARGET, a directory shown read-only.
set -euo pipefail

if [[ $1 = outside ]]; then
    shift
    echo $$ >"$1/cgroup.procs"
    exec unshare --mount --pid --ipc --uts --net --cgroup --fork --kill-child "$0" inside "${@:2}"
fi

scratch=$2 layer=$3
shift 3
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
cp -a "$layer/." "$scratch/upper"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cd "$scratch/root"

# Start-up of a system manager empties these; outside they are somebody's.
for place in run tmp var/tmp dev; do mount -t tmpfs -o mode=0755 tmpfs "$place"; done
chmod 1777 tmp var/tmp
mkdir dev/pts dev/shm
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
for device in null zero full random urandom tty; do cp -a "/dev/$device" dev; done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

mount -t proc proc proc
# No knob of the kernel can be turned from inside.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup

for bind in "$@"; do
    mkdir -p "${bind#*:}"
    mount --bind "${bind%%:*}" "${bind#*:}"
    mount -o remount,bind,ro "${bind#*:}"
done

mkdir .outside
pivot_root . .outside
umount --lazy /.outside
exec env -i container=inhand-test PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
    SYSTEMD_UNIT_PATH=/usr/local/lib/systemd/system:/opt/units \
    /lib/systemd/systemd --unit=multi-user.target --log-target=journal --log-level=notice --show-status=no
