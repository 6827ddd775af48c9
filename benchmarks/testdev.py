"""A PCI device with plain registers and doorbells, laid out as QEMU's pci-testdev, so that one guest finds either."""

from __future__ import annotations

from southbridge import RO, IoBar, MmioBar, PciDevice, PciIds

PLAIN, BELL = 0x80, 0x84


class TestDevice(PciDevice):
    """TEST 0: OFFSET says where the plain register is; TEST 1: where the doorbell is."""

    ids = PciIds(vendor=0x1B36, device=0x0005, class_code=0xFF0000)

    bar0 = MmioBar(4096)
    MEMORY_TEST = bar0.register(0)
    MEMORY_OFFSET = bar0.register(4, access=RO)
    MEMORY_OFFSET_HIGH = bar0.register(5, access=RO)
    MEMORY_PLAIN = bar0.register(PLAIN)
    MEMORY_BELL = bar0.register(BELL, doorbell=True)

    bar1 = IoBar(256)
    PORT_TEST = bar1.register(0)
    PORT_OFFSET = bar1.register(4, access=RO)
    PORT_OFFSET_HIGH = bar1.register(5, access=RO)
    PORT_PLAIN = bar1.register(PLAIN)
    PORT_BELL = bar1.register(BELL, doorbell=True)

    @MEMORY_OFFSET.read
    def memory_offset(self) -> int:
        """Where to write."""
        return BELL if self.MEMORY_TEST.value else PLAIN

    @PORT_OFFSET.read
    def port_offset(self) -> int:
        """Where to write."""
        return BELL if self.PORT_TEST.value else PLAIN
