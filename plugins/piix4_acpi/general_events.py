"""General purpose events, block 0 (ACPI specification 6.4, 4.8.4.1), at the ports where QEMU's PCs have them."""

from __future__ import annotations

from collections.abc import Callable

from southbridge.banks import PortBank
from southbridge.component import Component
from southbridge.registers import W1C

BASE, SIZE = 0xAFE0, 4
EVENTS = 16


class GeneralEvents(Component):
    """Sixteen events: each is kept until the system clears it, and interrupts if it is enabled."""

    registers = PortBank(SIZE, doc="At AFE0h.")
    GPE0_STS = registers.register(0, 2, reset=None, access=W1C, widths=(1, 2), doc="What happened.")
    GPE0_EN = registers.register(2, 2, reset=None, widths=(1, 2), doc="What of that interrupts.")

    def connect(self, changed: Callable[[], None]) -> None:
        """`changed` is called when `interrupting` may have changed."""
        self._changed = changed

    @property
    def interrupting(self) -> bool:
        """Whether an enabled event's status is set."""
        return bool(self.GPE0_STS.value & self.GPE0_EN.value)

    def forget(self) -> None:
        """Power came on: no event is enabled, none has happened."""
        self.GPE0_STS.value = self.GPE0_EN.value = 0

    def happen(self, event: int) -> None:
        """The event number `event` happens."""
        self.GPE0_STS.value |= 1 << event
        self._changed()

    @GPE0_STS.written
    @GPE0_EN.written
    def _written(self, value: int) -> None:
        self._changed()
