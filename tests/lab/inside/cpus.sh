#!/bin/bash
# cpus.sh MODEL: a guest with one CPU of two (tests/guests/cpuhp) waits for the other, which vcpu-set brings, and starts it.
. ./common.sh
model=$1
serial=/tmp/serial.log
cp cpuhp.img /tmp/cpuhp.img

cat > /tmp/c.cfg <<END
name = "c"
type = "hvm"
memory = 64
vcpus = 1
maxvcpus = 2
vnc = 0
vga = "none"
usb = 0
hpet = 0
serial = "file:$serial"
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/tmp/cpuhp.img" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END

step create xl create /tmp/c.cfg || { sed 's/^/# model: /' /var/log/xen/qemu-dm-c.log; exit 1; }
heard up "WAITING" $serial || { tail -n 40 $serial | sed 's/^/# guest: /'; sed 's/^/# model: /' /var/log/xen/qemu-dm-c.log; exit 1; }
step vcpu-set xl vcpu-set -i c 2 # dom0 has one
heard second "cpuhp-both" $serial
tr -d '\r' < $serial | grep -a -E '^(ok|FAIL) '
xl vcpu-list c | sed 's/^/# /'
step destroy xl destroy c
sed 's/^/# model: /' /var/log/xen/qemu-dm-c*.log
true
