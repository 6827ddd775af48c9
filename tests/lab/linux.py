"""Disks with Debian's kernel for a Xen guest, which shows what it finds and then obeys xl."""

from __future__ import annotations

import gzip
from pathlib import Path

from southbridge.units import MiB

from tests.linux.dma_disk import dma_disk
from tests.linux.guest import CMDLINE, grub_disk
from tests.linux.initramfs import initramfs

MEMORY_MB = 128
"""Of the guest (linux.sh)."""

_SCRIPT = r"""
mkdir -p /sbin
for name in poweroff reboot; do
    printf '#!/bin/sh\nexec /bin/busybox %s -f\n' $name > /sbin/$name
    /bin/busybox chmod 755 /sbin/$name
done
until set -- /sys/bus/pci/devices/* && [ -e $1/vendor ]; do usleep 100000; done
for device in "$@"; do
    read vendor < $device/vendor
    read id < $device/device
    echo "guest: pci ${vendor#0x}:${id#0x}"
done | sort
until_can_read /dev/sda
dd if=/dev/sda bs=1M count=1 skip=4 2>/dev/null | sha256sum | sed 's/^/guest: disk /; s/ *-$//'
until awk '/uhci_hcd/ { found = $2 > 0 } END { exit !found }' /proc/interrupts; do usleep 100000; done
echo "guest: interrupts of uhci_hcd"
busybox ip link set eth0 up
busybox ip address add 10.0.2.15/24 dev eth0
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do usleep 100000; done
echo "guest: link up"
until busybox ping -c 1 -W 5 10.0.2.2 > /dev/null; do :; done
awk '/eth0/ { found = $2 > 0 } END { exit !found }' /proc/interrupts && echo "guest: answered, by interrupts of eth0"
echo "guest: ready"
while true; do sleep 1; done
"""

_CPUS = r"""
cd /sys/devices/system/cpu
while true; do
    for switch in cpu[0-9]*/online; do
        [ -f $switch ] && read online < $switch && [ $online = 0 ] && echo 1 > $switch
    done
    read possible < possible
    read present < present
    read online < online
    now="guest: CPUs possible $possible present $present online $online"
    [ "$now" = "$last" ] || echo "$now"
    last=$now
    sleep 1
done
"""
"""Switches on every CPU that comes, as udev does, and says what there is."""

_WORDS = f"{CMDLINE} xen_emul_unplug=never loglevel=1 mitigations=off nokaslr"
"""Of the kernel's messages only emergencies: any other could come in the middle of a line of ours."""


def linux_disk(folder: Path) -> Path:
    """The disk's image, in `folder`: loaded by the PIIX3's bus master."""
    return dma_disk(folder, "linux.img", _initramfs(), _WORDS, MEMORY_MB * MiB)


def grub_linux_disk(folder: Path) -> Path:
    """The same guest, by GRUB."""
    # Compressed, and quiet: each sector that GRUB reads, and each character, is a few requests to the device model.
    (folder / "initrd.cpio").write_bytes(gzip.compress(_initramfs()))
    return grub_disk(folder, _WORDS)


def _initramfs() -> bytes:
    return initramfs(_SCRIPT, ["ata_piix", "sd_mod", "uhci_hcd", "usbhid", "hid_generic", "e1000"])


def cpus_disk(folder: Path) -> Path:
    """A disk with a guest that watches its CPUs."""
    return dma_disk(folder, "cpus.img", initramfs(_CPUS, []), _WORDS, MEMORY_MB * MiB)
