"""Xen's platform device (Xen's docs/misc/hvm-emulated-unplug.pandoc; numbers: Linux' include/xen/platform_pci.h).

A guest with drivers for Xen's own devices finds it on the PCI bus, and by its ports before that; through the ports it
says who it is, has emulated devices leave, and writes to the log.
"""

from __future__ import annotations

import logging

from southbridge.banks import PortBank
from southbridge.component import State
from southbridge.pci import IoBar, MmioBar, PciDevice, PciIds
from southbridge.registers import bit
from southbridge.units import MiB

BASE = 0x10
MAGIC, REFUSAL = 0x49D2, 0xD249
VERSION = 1
LOG_LINE = 1024
"""Characters of a line, at most."""

KINDS = {0: "disks", 1: "nics", 2: "other-disks", 3: "nvme"}
"""What each bit of the unplug port has leave."""

log = logging.getLogger("southbridge.guest")


class XenPlatform(PciDevice):
    """5853:0001. What its memory BAR is for, shared pages, is the guest's and the hypervisor's affair."""

    ids = PciIds(0x5853, 0x0001, class_code=0xFF8000, revision=1, subsystem_vendor=0x5853, subsystem=0x0001)
    interrupt_pin = "INTA"

    fixed = PortBank(16, doc="The unplug protocol's ports, at 10h.")
    protocol = fixed.window(0, 4, widths=(1, 2, 4), doc="What a port is depends on the access's width.")
    bar0 = IoBar(256, doc="Flags and log, once more.")
    FLAGS = bar0.register(0, fields={"ROM_LOCK": bit(0, doc="C0000h to FFFFFh is read-only; stored.")}, doc="Flags.")
    LOG = bar0.register(8, doc="Characters for the log.")
    bar1 = MmioBar(16 * MiB, prefetchable=True, doc="Room for what the hypervisor shares with the guest.")
    shared = bar1.window(0, 16 * MiB, widths=(1, 2, 4, 8), doc="Nothing is there until the guest has it put there.")

    product: int = State(0, ge=0, le=0xFFFF, doc="Which drivers the guest has.")
    build: int = State(0, ge=0, le=0xFFFF_FFFF, doc="And which version of them.")
    line: bytes = State(b"", max_length=LOG_LINE, doc="What of a log line came so far.")

    def realize(self) -> None:
        """Claims the ports."""
        super().realize()
        self.claim_ports(self.fixed, BASE)

    @protocol.read
    def _read(self, offset: int, size: int) -> int:
        if offset == 0 and size == 2:
            return MAGIC
        if offset == 0 and size == 1:
            return self.FLAGS.value
        if offset == 2 and size == 1:
            return VERSION
        return (1 << 8 * size) - 1

    @protocol.write
    def _write(self, offset: int, size: int, value: int) -> None:
        if offset == 0 and size == 1:
            self.FLAGS.guest_store(value)
        elif offset == 0 and size == 2:
            self._unplug(value)
        elif offset == 0:
            self.build = value
        elif offset == 2 and size == 1:
            self._log(value)
        elif offset == 2 and size == 2:
            self.product = value
        else:
            self.guest_error(f"{size} bytes written to port {BASE + offset:#x}")

    @LOG.write
    def _log(self, value: int) -> None:
        if value not in (0x0A, 0x0D):
            self.line += bytes([value])
        if self.line and (value == 0x0A or len(self.line) == LOG_LINE):
            text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in self.line)
            self.line = b""
            log.info("%s: %s", self.id, text)

    def _unplug(self, what: int) -> None:
        for number, kind in KINDS.items():
            if what >> number & 1:
                log.info("%s: the guest needs no emulated %s", self.id, kind)
                self.machine.hooks.call.emulation_replaced(kind=kind)

    @shared.read
    def _read_shared(self, offset: int, size: int) -> int:
        return 0

    @shared.write
    def _write_shared(self, offset: int, size: int, value: int) -> None:
        self.guest_error(f"a write to its memory at {offset:#x}")
