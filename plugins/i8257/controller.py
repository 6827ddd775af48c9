"""One of the two controllers: its registers, and which of its channels are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.banks import PortBank
from southbridge.component import Component, Parts, State

from .channel import Channel

if TYPE_CHECKING:
    from .device import I8257

ALL_MASKED = 0xF
DISABLED = 0x04
MEMORY_TO_MEMORY = 0x01
"""Of the command register."""


class Controller(Component):
    """Four channels. `stride` is how far its ports are apart."""

    device: I8257

    channels: list[Channel] = Parts(Channel, 4)
    command: int = State(0, ge=0, le=0xFF)
    mask: int = State(ALL_MASKED, ge=0, le=0xF, doc="Channels that aren't served.")
    ended: int = State(0, ge=0, le=0xF, doc="Channels that came to terminal count, since the guest last looked.")
    asked: int = State(0, ge=0, le=0xF, doc="Channels that the guest requested itself.")
    high_next: bool = State(False, doc="The byte pointer: the next access is to a high byte.")

    ports = PortBank(16, doc="Of the first: at 00h.")
    REGISTERS = ports.window(0, 16, widths=(1,), doc="Addresses and counts; from 8 on: commands and masks.")
    wide_ports = PortBank(32, doc="Of the second: at C0h, two ports a register.")
    WIDE_REGISTERS = wide_ports.window(0, 32, widths=(1,), doc="The same.")

    @property
    def first(self) -> int:
        """The number of its first channel."""
        return 4 * self.device.controllers.index(self)

    def serves(self, channel: int) -> bool:
        """Whether requests of its channel 0 to 3 are heard."""
        return not (self.command & DISABLED or self.mask >> channel & 1 or self.channels[channel].cascaded)

    def end(self, channel: int) -> None:
        """A channel came to terminal count."""
        self.ended |= 1 << channel
        self.asked &= ~(1 << channel)
        if not self.channels[channel].reloads:
            self.mask |= 1 << channel

    # --- registers -----------------------------------------------------------------------------------------------

    @REGISTERS.read
    def read_register(self, offset: int, size: int) -> int:
        """Addresses and counts byte by byte; status; the mask, as the PIIX3 has it at Fh."""
        if offset < 8:
            return self.channels[offset >> 1].byte(offset & 1, self._flip())
        if offset == 8:
            status, self.ended = self.ended | self._requests() << 4, 0
            return status
        return 0xF0 | self.mask if offset == 0xF else 0

    @REGISTERS.write
    def write_register(self, offset: int, size: int, value: int) -> None:
        """See the datasheet, figure 5 and 6."""
        bit = 1 << (value & 3)
        if offset < 8:
            self.channels[offset >> 1].set_byte(offset & 1, self._flip(), value)
        elif offset == 0x8:
            self.command = value
            if value & MEMORY_TO_MEMORY:
                self.guest_error("memory to memory transfers aren't wired on a PC")
        elif offset == 0x9:
            self.asked = self.asked | bit if value & 4 else self.asked & ~bit
        elif offset == 0xA:
            self.mask = self.mask | bit if value & 4 else self.mask & ~bit
        elif offset == 0xB:
            self.channels[value & 3].mode = value & 0xFC
        elif offset == 0xC:
            self.high_next = False
        elif offset == 0xD:
            self.command = self.ended = self.asked = 0
            self.high_next, self.mask = False, ALL_MASKED
        else:
            self.mask = 0 if offset == 0xE else value & 0xF
        if offset >= 8:
            self.device.serve()

    @WIDE_REGISTERS.read
    def read_wide(self, offset: int, size: int) -> int:
        """The even ports count."""
        return self.read_register(offset >> 1, size)

    @WIDE_REGISTERS.write
    def write_wide(self, offset: int, size: int, value: int) -> None:
        """The even ports count."""
        self.write_register(offset >> 1, size, value)

    def _flip(self) -> bool:
        high, self.high_next = self.high_next, not self.high_next
        return high

    def _requests(self) -> int:
        lines = self.device.bus.requests[self.first : self.first + 4]
        return sum(level << channel for channel, level in enumerate(lines)) | self.asked
