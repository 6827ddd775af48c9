"""A connection to a domain of the real Xen."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeVar

from southbridge.accelerator import Availability

from ..hypervisor import Exchange
from .binding import Missing, load
from .ctrl import Control
from .devicemodel import DeviceModel
from .evtchn import EventChannels
from .foreignmemory import ForeignMemory
from .toolcore import restrict_all
from .xenstore import XenStore

OFFLOADS = frozenset({"i8259", "ioapic", "lapic", "i8254", "hpet", "pci-interrupts"})
"""What Xen emulates in every HVM domain."""
Part = TypeVar("Part", DeviceModel, ForeignMemory, EventChannels, XenStore, Control)

_DEVICES = (Path("/dev/xen/privcmd"), Path("/dev/xen/evtchn"))


def availability() -> Availability:
    """Whether this is a domain of Xen's from which others can be served."""
    try:
        load(("libxendevicemodel.so.1",), "libxendevicemodel1")
        load(("libxenforeignmemory.so.1",), "libxenforeignmemory1")
        load(("libxenevtchn.so.1",), "libxenevtchn1")
        load(("libxentoolcore.so.1",), "libxentoolcore1")
        load(("libxenstore.so.4", "libxenstore.so.3.0"), "libxenstore4")
    except Missing as error:
        return Availability(False, error.strerror or str(error))
    for device in _DEVICES:
        if not device.exists():
            return Availability(False, f"there is no {device}: this isn't a domain of Xen's that controls others")
    return Availability(True, "Xen, by its libraries", preferred=False)


class Domain:
    """See Hypervisor."""

    exchange: Exchange | None = None

    def __init__(self, domid: int) -> None:
        self.domid = domid
        self._open = contextlib.ExitStack()
        try:
            self.device_model = self._opened(DeviceModel(domid))
            self.memory = self._opened(ForeignMemory(domid))
            self.events = self._opened(EventChannels(domid))
            self.store: XenStore | None = self._opened(XenStore())
            self.control: Control | None = None
            with contextlib.suppress(OSError):  # only memory of a device's own needs it
                self.control = self._opened(Control(domid))
        except BaseException:
            self._open.close()
            raise

    def _opened(self, part: Part) -> Part:
        self._open.callback(part.close)
        return part

    def restrict(self) -> None:
        """See Hypervisor."""
        restrict_all(self.domid)
        self.store = self.control = None

    def close(self) -> None:
        """See Hypervisor."""
        self._open.close()


def open_domain(domid: int) -> Domain:
    """A connection to the domain `domid`. Raises OSError."""
    return Domain(domid)
