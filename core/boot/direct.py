"""Booting without firmware: at each reset the machine does what firmware and boot loader do, and the kernel begins.

Of the board, firmware sets up what its devices can't do without: the hook `machine_set_up`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..acpi.linker import WAKING_VECTOR, find_facs
from ..board import MemoryRange
from ..smbios.build import pieces
from ..x86 import X86State
from .kernels import Kernel
from .memory import PAGE, Room, firmware_map
from .processor import waking
from .settings import BootSettings
from .start import Request, Start

if TYPE_CHECKING:
    from ..machine import Machine

_ACPI_DATA = 3
_CHUNK = 1 << 20

log = logging.getLogger(__name__)


class DirectBoot:
    """Puts `kernel` and `initrd` into a machine's memory, and gives the CPU's first state."""

    def __init__(self, settings: BootSettings, kernel: Kernel, initrd: bytes = b"") -> None:
        self._settings = settings
        self._kernel = kernel
        self._initrd = initrd
        self._facs = 0

    def check(self, machine: Machine) -> None:
        """Raises CannotStart or DoesNotFit, unless `machine` can start it."""
        self._plan(machine)

    def start(self, machine: Machine) -> X86State:
        """The devices were just reset: loads everything. Gives the first CPU's state. With the lock held."""
        start = self._plan(machine)
        machine.hooks.call.machine_set_up(machine=machine)
        write = machine.hooks.memory_write
        for address, size in start.zeros:
            for at in range(address, address + size, _CHUNK):
                write(at, bytes(min(_CHUNK, address + size - at)))
        for address, piece in start.pieces:
            write(address, piece)
        start.pieces.clear()
        self._kernel.forget()
        machine.power.facs = self._facs
        return start.state

    def wake(self, machine: Machine) -> X86State:
        """The machine woke: where ACPI's waking vector points to, in real mode; from the start if there is none."""
        facs = machine.power.facs
        vector = int.from_bytes(machine.hooks.memory_read(facs + WAKING_VECTOR, 4), "little") if facs else 0
        if not vector:
            log.warning("%s: no waking vector; the kernel is started anew", machine.name)
            return self.start(machine)
        machine.hooks.call.machine_set_up(machine=machine)
        return waking(vector, machine.a20.enabled)

    def _plan(self, machine: Machine) -> Start:
        request = self._request(machine)
        start = self._kernel.start(request)
        start.pieces += [*request.tables, *pieces(machine)]
        return start

    def _request(self, machine: Machine) -> Request:
        """Tables for the operating system, if the machine has any, go to the top of memory below 4 GiB."""
        cmdline = self._settings.cmdline.encode("utf-8")
        known = firmware_map(machine.memory_map)
        rsdp = 0
        tables: list[tuple[int, bytes]] = []
        if machine.boot_tables is not None:
            size = len(machine.boot_tables(0)[0])
            base = Room(known).take_high("memory", size)
            contents, rsdp = machine.boot_tables(base)
            self._facs = find_facs(contents, base, rsdp)
            tables.append((base, contents))
            known = firmware_map(machine.memory_map, [MemoryRange(base, -(-size // PAGE) * PAGE, _ACPI_DATA)])
        return Request(known, Room(known), self._initrd, cmdline, rsdp, machine.a20.enabled, tables)
