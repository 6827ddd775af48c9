#!/bin/bash
# deaths.sh MODEL: what becomes of a device model, confined by -sandbox, when those die that it works with: the xl that
# started it, in the middle of that and later; and, last of all, xenstored, without which nothing more can be done here.
. ./common.sh
model=$1
serial=/tmp/serial.log
cp boot.img /tmp/boot.img

cat > /tmp/d.cfg <<END
name = "d"
type = "hvm"
memory = 64
vcpus = 1
vnc = 0
vga = "none"
usb = 0
hpet = 0
serial = "file:$serial"
device_model_args_hvm = [ "-sandbox", "on" ]
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/tmp/boot.img" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END

# models: how many there are, once that is as many as wanted, or after a while.
models() {
    local tries=0
    until [ "$(ps ax -o args | grep -c '[x]en-domid')" -eq "$1" ] || [ $tries -eq 60 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    echo "models: $(ps ax -o args | grep -c '[x]en-domid')"
}

(xl create /tmp/d.cfg > /tmp/create.log 2>&1 &)
models 1
pkill -KILL -x xl
xl destroy d > /dev/null 2>&1
gone half-made d
models 0

step create xl create /tmp/d.cfg || { sed 's/^/# model: /' /var/log/xen/qemu-dm-d.log; exit 1; }
heard start "the boot sector runs" $serial
awk '/^Seccomp:/ { print "sandbox:", $2 }' "/proc/$(xenstore-read "/local/domain/$(xl domid d)/image/device-model-pid")/status"
pkill -KILL -x xl
ticks_on without-xl $serial
step monitor xl qemu-monitor-command d "info status"
tr -d '\r' < /tmp/monitor.log
step destroy xl destroy d
gone destroy d
models 0

rm -f $serial
step create-again xl create /tmp/d.cfg
heard start-again "the boot sector runs" $serial
pkill -KILL -x xl
pkill -KILL -x xenstored
models 0
sed 's/^/# model: /' /var/log/xen/qemu-dm-*.log
grep -o -h "xenstore.*" /var/log/xen/qemu-dm-d.log | tail -n 1
true
