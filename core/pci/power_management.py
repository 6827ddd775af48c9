"""Power management of a PCI function (PCI Bus Power Management Interface Specification 1.1, section 3.2).

In D3hot a function answers to configuration accesses only: its BARs are nowhere, it neither masters the bus nor asks
for an interrupt (section 5.4.1). Leaving it resets the function, but for what has power in D3. D1 and D2 are not
offered: what asks for them is dropped (section 3.2.4).
"""

from __future__ import annotations

from ..registers import RO, W1C, RegisterSpec, bit, bits
from .config import CONFIG

CAPABILITY_POWER_MANAGEMENT = 0x01
D0, D3 = 0, 3
_VERSION = 2
_PME_D0, _PME_D3_HOT, _PME_D3_COLD = 1 << 11, 1 << 14, 1 << 15


class PowerManagement:
    """The declaration of the capability at `offset` in configuration space, for a function that can ask to be woken."""

    id = CAPABILITY_POWER_MANAGEMENT

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def registers(self, following: int) -> dict[str, RegisterSpec]:
        """Its configuration registers; `following` is the next capability's offset, or 0."""
        at = self.offset
        can = _VERSION | _PME_D0 | _PME_D3_HOT | _PME_D3_COLD
        control = {
            "STATE": bits(0, 1, doc="0: D0; 3: D3."),
            "PME_ENABLE": bit(8, doc="It may ask to be woken."),
            "PME_STATUS": bit(15, W1C, doc="It asks."),
        }
        specs = {
            "PM_ID": CONFIG.register(at, 2, reset=self.id | following << 8, access=RO, doc="Capability ID and next."),
            "PM_CAPABILITIES": CONFIG.register(at + 2, 2, reset=can, access=RO, doc="What it can."),
            "PM_CONTROL": CONFIG.register(at + 4, 2, fields=control, doc="Control and status."),
        }
        specs["PM_CONTROL"].after_write = "_power_written"
        return specs
