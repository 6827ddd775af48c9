"""Interrupts on their way to the controllers that the hypervisor plays.

The hypervisor routes PCI interrupts itself, to the ISA lines that the chipset's registers say and to the I/O APIC's
inputs above them; so it is told of slots and pins, and of those registers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from southbridge.hookspecs import hookimpl

from .hypervisor import DeviceModel

MESSAGES = range(0xFEE0_0000, 0xFEF0_0000)
"""Where stores are messages to local APICs."""

log = logging.getLogger(__name__)


class Interrupts:
    """The interrupt hooks of an accelerator that plays the controllers."""

    def __init__(self, model: DeviceModel) -> None:
        self._model = model
        self._failed = False
        self._links: list[int] = [0] * 4

    @hookimpl
    def irq_set(self, line: int, level: bool) -> bool:
        """See hookspecs."""
        return self._do(self._model.set_isa_irq_level, line, level)

    @hookimpl
    def pci_irq_set(self, bus: int, slot: int, pin: int, level: bool) -> bool:
        """See hookspecs."""
        return self._do(self._model.set_pci_intx_level, 0, bus, slot, pin, level)

    @hookimpl
    def pci_links_changed(self, links: list[int]) -> None:
        """See hookspecs."""
        for link, line in enumerate(links):
            if line != self._links[link]:
                self._links[link] = line
                self._do(self._model.set_pci_link_route, link, line)

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool | None:
        """See hookspecs."""
        if address not in MESSAGES:
            return None
        return self._do(self._model.inject_msi, address, data)

    def _do(self, call: Callable[..., None], *values: int) -> bool:
        """A device is not to blame for what the hypervisor refuses: a domain that is about to end, for one."""
        try:
            call(*values)
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.error("an interrupt is lost: %s", error.strerror)
        return True
