"""A machine's tables on their way to the guest: through its firmware, or, without one, straight into memory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .aml import AcpiError
from .build import build
from .linker import RSDP, SCRIPT, TABLES, TableSet

if TYPE_CHECKING:
    from ..machine import Machine

log = logging.getLogger(__name__)


class Published:
    """The tables of `machine`, which the device with the power management registers offers. Built at each reset."""

    def __init__(self, machine: Machine) -> None:
        """Raises ValueError if another device offers some already."""
        self._machine = machine
        self._last: TableSet | None = None
        self._files: dict[str, bytes] = {}
        machine.firmware_config.add_file(SCRIPT, self._script)
        machine.firmware_config.add_file(TABLES, lambda: self._files.get(TABLES, b""))
        machine.firmware_config.add_file(RSDP, lambda: self._files.get(RSDP, b""))
        machine.boot_tables = self.place

    def withdraw(self) -> None:
        """The machine offers no tables any more."""
        for name in (SCRIPT, TABLES, RSDP):
            self._machine.firmware_config.files.pop(name, None)
        self._machine.boot_tables = None

    def check(self) -> None:
        """Builds the tables, if there is whom to show them to. Raises AcpiError if they are too long."""
        if self._machine.firmware_config.shown or self._machine.boot is not None:
            self._build()

    def _build(self) -> None:
        self._last = build(self._machine)

    def _tables(self) -> TableSet | None:
        """As the machine is now; as it was, if a device that was plugged in makes too much of it."""
        try:
            self._build()
        except AcpiError as error:
            if self._last is None:
                raise
            log.warning("%s: %s; the tables stay as they were", self._machine.name, error)
        return self._last

    def _script(self) -> bytes:
        """The first file that is asked for: the others are of the same tables."""
        tables = self._tables()
        self._files = tables.loader_files() if tables else {}
        return self._files.get(SCRIPT, b"")

    def place(self, address: int) -> tuple[bytes, int]:
        """See Machine.boot_tables."""
        tables = self._tables()
        if tables is None:
            return b"", 0
        placed = tables.place(address)
        contents = placed.tables.ljust(-(-tables.size // tables.alignment) * tables.alignment, b"\0")
        return contents + placed.rsdp, address + len(contents)
