"""The IDE cable: what a host adapter's channel and the drives on it know of each other (ATA/ATAPI-6, chapters 5 to 9).

An adapter makes an `IdeBus` for each channel and offers it to drives. A drive implements `IdeDrive` and attaches
itself. Registers are numbered as in the command block: 0 data, 1 error and features, 2 sector count, 3 to 5 LBA low,
mid and high, 6 device, 7 status and command.
"""

from __future__ import annotations

from typing import Protocol

from .errors import RealizeError

STATUS_REGISTER = 7
DEVICE_REGISTER = 6
DEV = 0x10
"""The device register's bit that selects device 1."""
SRST = 0x04
"""The device control register's software reset."""
EXECUTE_DEVICE_DIAGNOSTIC = 0x90
FLOATING = 0x7F
"""What an empty cable reads as: DD7 has a pull-down, so that nobody seems busy."""


class IdeDrive(Protocol):
    """A drive, as its cable sees it. All is called with the machine lock held."""

    @property
    def interrupt_request(self) -> bool:
        """Whether it would drive INTRQ high, were it selected; it tells the bus of changes with `interrupt_changed`."""

    def read_register(self, register: int) -> int:
        """Command block register 1 to 7 of the selected drive; reading status has its side effects."""

    def write_register(self, register: int, value: int) -> None:
        """Command block register 1 to 6, which both drives latch."""

    def command(self, value: int) -> None:
        """A command for this drive."""

    def alternate_status(self) -> int:
        """Status without the side effects."""

    def write_control(self, value: int) -> None:
        """The device control register, which both drives see: nIEN, SRST, HOB."""

    def read_data16(self) -> int:
        """A word from the data register."""

    def read_data32(self) -> int:
        """Two words from the data register, the first one low."""

    def write_data16(self, value: int) -> None:
        """A word for the data register."""

    def write_data32(self, value: int) -> None:
        """Two words for the data register, the first one low."""

    def read_data(self, words: int) -> bytes:
        """As many words from the data register as are there at once, at most `words`."""

    def write_data(self, data: memoryview) -> int:
        """Whole words for the data register, as many as there is room for at once; how many bytes those were."""

    def dma_request(self) -> int:
        """DMARQ: how many bytes it can give (positive) or take (negative) at once by DMA; 0 for none."""

    def dma_read(self, length: int) -> memoryview:
        """Gives up to `length` bytes. The view holds until the next call of any method."""

    def dma_write(self, data: memoryview) -> None:
        """Takes `data`, no more than it asked for."""

    def diagnose(self) -> None:
        """EXECUTE DEVICE DIAGNOSTIC, which both drives obey."""


class IdeHost(Protocol):
    """A host adapter's channel, as the cable sees it."""

    def interrupt(self, level: bool) -> None:
        """INTRQ changed to `level`."""

    def dma_requested(self) -> None:
        """The selected drive's `dma_request` became other than 0."""


class IdeBus:
    """A cable with room for device 0 and device 1.

    `number` counts the adapter's channels. `firmware_path` is where firmware finds the cable, in Open Firmware's form.
    """

    def __init__(self, name: str, number: int, firmware_path: str, host: IdeHost) -> None:
        self.name = name
        self.number = number
        self.firmware_path = firmware_path
        self.drives: list[IdeDrive | None] = [None, None]
        self.selected: IdeDrive = _NoDrive(self, 0)
        """Who answers the host. Where no drive is, that is a stand-in with an absent drive's manners."""
        self._host = host
        self._unit = 0
        self._level = False

    def __repr__(self) -> str:
        return f"<IdeBus {self.name}>"

    # --- for drives ----------------------------------------------------------------------------------------------

    def attach(self, drive: IdeDrive, unit: int | None, who: str) -> int:
        """Connects `drive`, called `who`, as device `unit`, or as the first that is free; says which it is.

        Raises RealizeError if there is no room.
        """
        free = [place for place, other in enumerate(self.drives) if other is None]
        if unit is None:
            if not free:
                raise RealizeError(f"{who}: {self.name} has two drives already")
            unit = free[0]
        elif unit not in free:
            raise RealizeError(f"{who}: {self.name} unit {unit} is taken")
        self.drives[unit] = drive
        self._select(self._unit)
        return unit

    def detach(self, drive: IdeDrive) -> None:
        """Disconnects `drive`, if it is connected."""
        self.drives = [None if other is drive else other for other in self.drives]
        self._select(self._unit)

    def interrupt_changed(self) -> None:
        """A drive's `interrupt_request` changed; only the selected drive's reaches the host."""
        level = self.selected.interrupt_request
        if level is not self._level:
            self._level = level
            self._host.interrupt(level)

    def dma_requested(self, drive: IdeDrive) -> None:
        """`drive` is ready for DMA."""
        if self.selected is drive:
            self._host.dma_requested()

    # --- for the host adapter ------------------------------------------------------------------------------------

    @property
    def unit(self) -> int:
        """Which device is selected: 0 or 1."""
        return self._unit

    def restore(self, unit: int, level: bool) -> None:
        """Takes over which device is selected and what INTRQ's level is, as after a reset or a restore of the host."""
        self._unit = unit
        self._level = level
        self.selected = self.drives[unit] or _NoDrive(self, unit)

    def write_register(self, register: int, value: int) -> None:
        """The host's write to command block register 1 to 7."""
        if register == STATUS_REGISTER:
            self._command(value)
            return
        for drive in self.drives:
            if drive is not None:
                drive.write_register(register, value)
        if register == DEVICE_REGISTER:
            self._select(value >> 4 & 1)

    def write_control(self, value: int) -> None:
        """The host's write to the device control register."""
        for drive in self.drives:
            if drive is not None:
                drive.write_control(value)
        if value & SRST:
            self._select(0)

    def _command(self, value: int) -> None:
        if value != EXECUTE_DEVICE_DIAGNOSTIC:
            self.selected.command(value)
            return
        for drive in self.drives:
            if drive is not None:
                drive.diagnose()
        self._select(0)

    def _select(self, unit: int) -> None:
        self._unit = unit
        self.selected = self.drives[unit] or _NoDrive(self, unit)
        self.interrupt_changed()


class _NoDrive:
    """Nobody. Device 0 answers for an absent device 1 with its own registers, but with a status of 0."""

    interrupt_request = False

    def __init__(self, bus: IdeBus, unit: int) -> None:
        self._other = bus.drives[0] if unit else None
        self._status = FLOATING if self._other is None else 0

    def read_register(self, register: int) -> int:
        if register == STATUS_REGISTER or self._other is None:
            return self._status
        return self._other.read_register(register)

    def write_register(self, register: int, value: int) -> None: ...

    def command(self, value: int) -> None: ...

    def alternate_status(self) -> int:
        return self._status

    def write_control(self, value: int) -> None: ...

    def read_data16(self) -> int:
        return 0xFF00 | FLOATING

    def read_data32(self) -> int:
        return 0xFFFF_FF00 | FLOATING

    def write_data16(self, value: int) -> None: ...

    def write_data32(self, value: int) -> None: ...

    def read_data(self, words: int) -> bytes:
        return b""

    def write_data(self, data: memoryview) -> int:
        return len(data) & ~1

    def dma_request(self) -> int:
        return 0

    def dma_read(self, length: int) -> memoryview:
        return memoryview(b"")

    def dma_write(self, data: memoryview) -> None: ...

    def diagnose(self) -> None: ...
