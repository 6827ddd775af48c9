#!/bin/bash
# graphics.sh MODEL: the picture that VNC shows of a guest that paints line by line in a standard VGA card's memory: updates
# have what changed, as Xen tells of it.
. ./common.sh
model=$1
serial=/tmp/serial.log
cp graphics.img /tmp/graphics.img

cat > /tmp/p.cfg <<END
name = "p"
type = "hvm"
memory = 96
vcpus = 1
vnc = 1
vnclisten = "127.0.0.1"
vga = "stdvga"
videoram = 16
usb = 0
serial = "file:$serial"
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/tmp/graphics.img" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END

step create xl create /tmp/p.cfg || { sed 's/^/# model: /' /var/log/xen/qemu-dm-p.log; exit 1; }
heard picture "red" $serial || exit 1
timeout 100 python3 picture.py "$(xenstore-read "/local/domain/$(xl domid p)/console/vnc-port")" 3 2>&1
step destroy xl destroy p
gone destroy p
sed 's/^/# model: /' /var/log/xen/qemu-dm-p*.log
true
