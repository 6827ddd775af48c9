#!/bin/bash
# linux_cpus.sh MODEL [DISK]: Debian's kernel as HVM guest with one CPU of two (DISK); the second is brought by vcpu-set, and stays.
. ./common.sh
model=$1
serial=/tmp/serial.log
patience=400
disk=${2:-/dev/vdf}

cat > /tmp/c.cfg <<END
name = "c"
type = "hvm"
memory = 128
vcpus = 1
maxvcpus = 2
tsc_mode = "native" # see linux.sh
vnc = 0
vga = "none"
usb = 0
serial = "file:$serial"
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=$disk" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END

step create xl create /tmp/c.cfg || { sed 's/^/# model: /' /var/log/xen/qemu-dm-c.log; exit 1; }
heard up "guest: CPUs" $serial || { tail -n 40 $serial | sed 's/^/# guest: /'; sed 's/^/# model: /' /var/log/xen/qemu-dm-c.log; exit 1; }
step vcpu-set xl vcpu-set -i c 2 # dom0 has one
heard second "online 0-1" $serial
tr -d '\r' < $serial | grep '^guest: '
xl vcpu-list c | sed 's/^/# /'
step destroy xl destroy c
grep -i "cpu1\|acpi.*cpu\|hotplug" $serial | tail -n 20 | sed 's/^/# guest: /'
sed 's/^/# model: /' /var/log/xen/qemu-dm-c*.log
true
