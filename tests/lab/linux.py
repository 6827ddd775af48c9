"""A disk with Debian's kernel for a Xen guest, which lists what it finds and then obeys xl."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.linux.guest import CMDLINE, grub_disk
from tests.linux.initramfs import initramfs

_SCRIPT = r"""
mkdir -p /sbin
for name in poweroff reboot; do
    printf '#!/bin/sh\nexec /bin/busybox %s -f\n' $name > /sbin/$name
    /bin/busybox chmod 755 /sbin/$name
done
for device in /sys/bus/pci/devices/*; do
    read vendor < $device/vendor
    read id < $device/device
    echo "guest: pci ${vendor#0x}:${id#0x}"
done | sort
dd if=/dev/sda bs=1M count=8 2>/dev/null | sha256sum | cut -c1-64 > /tmp/sum
echo "guest: disk $(wc -c < /tmp/sum | sed 's/65/64/')"
until awk '/uhci_hcd/ { found = $2 > 0 } END { exit !found }' /proc/interrupts; do usleep 100000; done
echo "guest: interrupts of uhci_hcd"
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


def linux_disk(folder: Path) -> Path:
    """The disk's image, in `folder`."""
    return _disk(folder, _SCRIPT, ["ata_piix", "sd_mod", "uhci_hcd", "usbhid", "hid_generic"])


def cpus_disk(folder: Path) -> Path:
    """The same, with a guest that watches its CPUs."""
    return _disk(folder, _CPUS, [])


def _disk(folder: Path, script: str, modules: list[str]) -> Path:
    # Compressed, and quiet: each sector that GRUB reads, and each character, is a few requests to the device model.
    (folder / "initrd.cpio").write_bytes(gzip.compress(initramfs(script, modules)))
    return grub_disk(folder, f"{CMDLINE} xen_emul_unplug=never quiet")
