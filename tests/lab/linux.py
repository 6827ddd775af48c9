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
done
dd if=/dev/sda bs=1M count=8 2>/dev/null | sha256sum | cut -c1-64 > /tmp/sum
echo "guest: disk $(wc -c < /tmp/sum | sed 's/65/64/')"
echo "guest: ready"
while true; do sleep 1; done
"""


def linux_disk(folder: Path) -> Path:
    """The disk's image, in `folder`."""
    # Compressed: each sector that GRUB reads is a few requests to the device model.
    (folder / "initrd.cpio").write_bytes(gzip.compress(initramfs(_SCRIPT, ["ata_piix", "sd_mod"])))
    return grub_disk(folder, f"{CMDLINE} xen_emul_unplug=never")
