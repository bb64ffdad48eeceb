#!/bin/busybox sh
# The first process of the guest: in the initramfs it finds the disk; on the disk it makes what a host of today
# has, with control groups as the kernel's command line says, and then takes orders on port 10.
PATH=/bin
export PATH
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
if [ ! -e /on-disk ]; then
    modprobe -a virtio_pci virtio_blk
    until [ -b /dev/vda ]; do sleep 0.05; done
    mount -t ext4 /dev/vda /root
    umount /dev /proc /sys
    exec switch_root /root /init
fi
mkdir -p /dev/pts /dev/shm /run /tmp
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
if grep -q groups=v1 /proc/cmdline; then
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for tree in cpu,cpuacct cpuset memory pids devices blkio freezer net_cls,net_prio perf_event hugetlb none,name=systemd; do
        mkdir "/sys/fs/cgroup/${tree#none,name=}"
        mount -t cgroup -o "$tree" cgroup "/sys/fs/cgroup/${tree#none,name=}"
    done
else
    mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
fi
modprobe -a virtio_rng virtio_net loop
ulimit -n 65536
hostname guest
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
echo "guest: up"
exec init
