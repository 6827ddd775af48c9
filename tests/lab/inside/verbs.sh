#!/bin/bash
# verbs.sh MODEL: every verb of xl that has to do with a guest's device model, on a boot sector that counts seconds.
. ./common.sh
model=$1
serial=/tmp/serial.log
cp boot.img /tmp/boot.img
for number in 1 2; do head -c 1M /dev/zero > /tmp/cd$number.iso; done

cat > /tmp/g.cfg <<END
name = "g"
type = "hvm"
memory = 64
vcpus = 1
maxvcpus = 2
vnc = 0
vga = "none"
usb = 0
hpet = 0
serial = "file:$serial"
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/tmp/boot.img",
         "format=raw,vdev=hdc,access=ro,devtype=cdrom,backendtype=qdisk,target=/tmp/cd1.iso" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END

step create xl -vvv create /tmp/g.cfg || { cat /var/log/xen/qemu-dm-g.log | sed 's/^/# model: /'; exit 1; }
heard start "the boot sector runs" $serial
ticks_on running $serial

step pause xl pause g
before=$(count $serial)
sleep 2
[ "$(count $serial)" -eq "$before" ] && echo "paused: stands still" || echo "paused: counts on"
step unpause xl unpause g
ticks_on unpaused $serial

step list xl list -l g
step vcpu-set xl vcpu-set -i g 2
echo "CPUs: $(xl vcpu-list g | grep -c '^g ')"
step cd-insert xl cd-insert g hdc /tmp/cd2.iso
step cd-eject xl cd-eject g hdc
step monitor xl qemu-monitor-command g "info status"
tr -d '\r' < /tmp/monitor.log
# The boot sector knows nothing of Xen, so that these two are refused.
step shutdown xl shutdown g
step reboot xl reboot g
ticks_on after-the-verbs $serial

step save xl save g /tmp/g.save
domains
step restore xl restore /tmp/g.save
domains
ticks_on restored $serial

step migrate xl migrate -s '' g 'xl migrate-receive'
domains
ticks_on migrated $serial

step destroy xl destroy g
gone destroy g
domains
echo "models: $(ps ax -o args | grep -c '[x]en-domid')"
sed 's/^/# model: /' /var/log/xen/qemu-dm-*.log
true
