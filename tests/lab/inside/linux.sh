#!/bin/bash
# linux.sh MODEL [DISK]: Debian's kernel as HVM guest from an IDE disk: its PCI devices, their interrupts, DMA, an e1000 with
# dom0 at the other end; shut down by xl, and with REBOOT=1 restarted before.
# tsc_mode: else Xen traps RDTSCP, QEMU's software CPU says that it was RDTSC, and Xen gives the kernel #GP in its place.
. ./common.sh
model=$1
disk=${2:-/dev/vdd}
serial=/tmp/serial.log
patience=400
modprobe tun
ip tuntap add cable mode tap
ip address add 10.0.2.2/24 dev cable
ip link set cable up

cat > /tmp/l.cfg <<END
name = "l"
type = "hvm"
memory = 128
vcpus = 1
tsc_mode = "native"
vnc = 0
vga = "none"
usb = 1
usbdevice = "tablet"
serial = "file:$serial"
device_model_args_hvm = [ "-netdev", "tap,id=network,ifname=cable,script=no,downscript=no", "-device", "e1000,netdev=network" ]
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=$disk" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END

step create xl create /tmp/l.cfg || { sed 's/^/# model: /' /var/log/xen/qemu-dm-l.log; exit 1; }
heard up "guest: ready" $serial || { tail -n 40 $serial | sed 's/^/# guest: /'; sed 's/^/# model: /' /var/log/xen/qemu-dm-l.log; exit 1; }
sum=$(dd if="$disk" bs=1M count=1 skip=4 2> /dev/null | sha256sum | cut -c1-64)
tr -d '\r' < $serial | grep '^guest: ' | sed "s/$sum/as it is/"
if [ -n "$REBOOT" ]; then
    before=$(xl domid l)
    rm -f $serial
    step reboot xl reboot l
    heard again "guest: ready" $serial
    [ "$(xl domid l)" -gt "$before" ] && echo "rebooted: a domain anew"
fi
step shutdown xl shutdown l
gone shutdown l
ip link del cable
echo "models: $(ps ax -o args | grep -c '[x]en-domid')"
tail -n 40 $serial | sed 's/^/# guest: /'
sed 's/^/# model: /' /var/log/xen/qemu-dm-l*.log
true
