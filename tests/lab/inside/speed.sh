#!/bin/bash
# speed.sh ROUNDS MODEL...: for each model, in turn, seconds from `xl create` to the boot sector's first line, and how
# many requests a second the model serves a guest that reads a port all the time:
# "SECONDS-CREATED SECONDS-HEARD REQUESTS MODEL".
. ./common.sh
rounds=$1
shift
serial=/tmp/serial.log
cp requests.img /tmp/requests.img

for ((round = 1; round <= rounds; round++)); do
    for model in "$@"; do
        cat > /tmp/s.cfg <<END
name = "s"
type = "hvm"
memory = 64
vcpus = 1
vnc = 0
vga = "none"
usb = 0
hpet = 0
serial = "file:$serial"
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/tmp/requests.img" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
END
        rm -f $serial
        began=$(seconds)
        xl create /tmp/s.cfg > /tmp/create.log 2>&1 || { sed 's/^/# /' /tmp/create.log /var/log/xen/qemu-dm-s.log; exit 1; }
        created=$(seconds)
        follow $serial +1 "the boot sector runs" || exit 1
        heard=$(seconds)
        follow $serial +1 "^tick 0006" || exit 1
        most=0
        for count in $(tr -d '\r' < $serial | sed -n 's/^requests //p'); do
            ((16#$count > most)) && most=$((16#$count))
        done
        echo "$began $created $heard" | awk '{ printf "%.2f %.2f ", $2 - $1, $3 - $1 }'
        echo "$most $model"
        xl destroy s
        gone gone s
    done
done
