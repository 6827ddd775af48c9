"""Message signalled interrupts (PCI Local Bus Specification 3.0, section 6.8.1): one vector, 64-bit address."""

from __future__ import annotations

from ..registers import RO, RegisterSpec, bit, bits
from .config import CONFIG

CAPABILITY_MSI = 0x05


class Msi:
    """The declaration of an MSI capability at `offset` in configuration space."""

    id = CAPABILITY_MSI

    def __init__(self, offset: int = 0x40) -> None:
        self.offset = offset

    def registers(self, following: int) -> dict[str, RegisterSpec]:
        """Its configuration registers; `following` is the next capability's offset, or 0."""
        at = self.offset
        control = {"ENABLE": bit(0), "CAPABLE": bits(1, 3, RO), "ENABLED": bits(4, 6), "ADDRESS_64": bit(7, RO)}
        specs = {
            "MSI_ID": CONFIG.register(at, 2, reset=self.id | following << 8, access=RO, doc="Capability ID and next."),
            "MSI_CONTROL": CONFIG.register(at + 2, 2, reset=0x80, fields=control, doc="Message control."),
            "MSI_ADDRESS": CONFIG.register(at + 4, 4, doc="Message address, low."),
            "MSI_ADDRESS_HIGH": CONFIG.register(at + 8, 4, doc="Message address, high."),
            "MSI_DATA": CONFIG.register(at + 12, 2, doc="Message data."),
        }
        specs["MSI_ADDRESS"].rw_mask = 0xFFFF_FFFC
        specs["MSI_CONTROL"].after_write = "_interrupt_written"
        return specs
