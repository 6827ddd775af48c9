#!/bin/bash
# restrict.sh MODEL: a device model with few rights, as libxl has it with dm_restrict and device_model_user.
. ./common.sh
model=$1
cp boot.img /tmp/boot.img
head -c 1M /dev/zero > /tmp/cd2.iso
chmod 666 /tmp/boot.img
base=131072
cat >> /etc/passwd <<END
xen-qemuuser-range-base:x:$base:$base::/nonexistent:/usr/sbin/nologin
xen-qemuuser-shared:x:$((base - 2)):$((base - 2))::/nonexistent:/usr/sbin/nologin
model:x:2000:2000::/nonexistent:/usr/sbin/nologin
END
cat >> /etc/group <<END
xen-qemuuser-range-base:x:$base:
xen-qemuuser-shared:x:$((base - 2)):
model:x:2000:
END

configure() {
    cat > "/tmp/$1.cfg" <<END
name = "$1"
type = "hvm"
memory = 64
vcpus = 1
vnc = 0
vga = "none"
usb = 0
serial = "file:/tmp/$1.log"
disk = [ "format=raw,vdev=hda,access=rw,backendtype=qdisk,target=/tmp/boot.img",
         "format=raw,vdev=hdc,access=ro,devtype=cdrom,backendtype=qdisk,target=/tmp/cd2.iso" ]
boot = "c"
device_model_version = "qemu-xen"
device_model_override = "$model"
$2
END
}

# rights NAME: whose rights the model has, and where.
rights() {
    local pid domain
    domain=$(xl domid "$1")
    pid=$(xenstore-read "/local/domain/$domain/image/device-model-pid")
    awk '/^[UG]id:/ { print "'"$1"': " $1, $2 }' "/proc/$pid/status" | sed "s/Uid: $((base + domain))$/Uid: the domain's/"
    echo "$1: root $(readlink "/proc/$pid/root" | sed 's/[0-9]*$//')"
}

show() { sed "s/^/# model: /" "/var/log/xen/qemu-dm-$1.log"; }

configure r "dm_restrict = 1"
step create-r xl -vvv create /tmp/r.cfg || { show r; exit 1; }
heard start-r "the boot sector runs" /tmp/r.log
rights r
step cd-eject-r xl cd-eject r hdc
step cd-insert-r xl cd-insert r hdc /tmp/cd2.iso
step monitor-r xl qemu-monitor-command r "info status"
tr -d '\r' < /tmp/monitor-r.log
step save-r xl save r /tmp/r.save
step restore-r xl restore /tmp/r.save
ticks_on restored-r /tmp/r.log
step destroy-r xl destroy r
gone destroy-r r
show r

configure u 'device_model_user = "model"'
step create-u xl create /tmp/u.cfg || { show u; exit 1; }
heard start-u "the boot sector runs" /tmp/u.log
rights u
step destroy-u xl destroy u
gone destroy-u u
show u
echo "models: $(ps ax -o args | grep -c '[x]en-domid')"
true
