"""The SMBus host controller at SMBBA (82371AB datasheet 290562, sections 7.3 and 11.5; SMBus 2.0, section 5.5).

The guest fills the registers and sets START; the transaction takes as long as its bits do on the wire, and reaches the
device when it ends. The registers' slave half only stores: nobody on this bus masters it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from southbridge.banks import PortBank
from southbridge.component import Component, State, timer
from southbridge.registers import RO, W1C, WO, bit, bits
from southbridge.smbus import LARGEST_BLOCK, Nack, SmbusBus

BIT_US = 10
"""The wire's clock is the fastest that SMBus has, 100 kHz."""
BITS_A_BYTE = 9
"""With its acknowledgement."""
START_AND_STOP = 2


class Command(enum.IntEnum):
    """SMB_CMD_PROT: what kind of transaction. Others don't exist in this chip."""

    QUICK = 0
    BYTE = 1
    BYTE_DATA = 2
    WORD_DATA = 3
    BLOCK = 5


class SmbusHost(Component):
    """Host registers and their transactions; slave registers that are stored."""

    registers = PortBank(16, doc="At SMBBA.")
    SMBHSTSTS = registers.register(
        0x0,
        fields={
            "HOST_BUSY": bit(0, RO, doc="A transaction is under way."),
            "INTER": bit(1, W1C, doc="One was completed."),
            "DEV_ERR": bit(2, W1C, doc="Nobody acknowledged, or there is no such command."),
            "BUS_ERR": bit(3, W1C, doc="Another master won. Never."),
            "FAILED": bit(4, W1C, doc="One was killed."),
        },
        doc="Host status.",
    )
    SMBSLVSTS = registers.register(
        0x1,
        fields={
            "SLV_BSY": bit(0, RO),
            "SLV_STS": bit(2, W1C),
            "SHDW1_STS": bit(3, W1C),
            "SHDW2_STS": bit(4, W1C),
            "ALERT_STS": bit(5, W1C),
        },
        doc="Slave status: nothing happens.",
    )
    SMBHSTCNT = registers.register(
        0x2,
        fields={
            "INTEREN": bit(0, doc="The end of a transaction interrupts."),
            "KILL": bit(1, doc="Ends the one under way, and prevents others."),
            "SMB_CMD_PROT": bits(2, 4, doc="Which command."),
            "START": bit(6, WO, doc="Begins it."),
        },
        doc="Host control. A read begins SMBBLKDAT from its first byte.",
    )
    SMBHSTCMD = registers.register(0x3, doc="Command byte; the data of a byte that is sent without one.")
    SMBHSTADD = registers.register(
        0x4, fields={"READ": bit(0), "ADDRESS": bits(1, 7)}, doc="The device's address, and which way."
    )
    SMBHSTDAT0 = registers.register(0x5, doc="Byte, low byte of a word, or number of bytes of a block.")
    SMBHSTDAT1 = registers.register(0x6, doc="High byte of a word.")
    SMBBLKDAT = registers.register(0x7, doc="The next of a block's 32 bytes.")
    SMBSLVCNT = registers.register(
        0x8,
        fields={"SLV_EN": bit(0), "SHDW1_EN": bit(1), "SHDW2_EN": bit(2), "ALERT_EN": bit(3)},
        doc="Slave control; stored.",
    )
    SMBSHDWCMD = registers.register(0x9, access=RO, doc="The command that a slave port was sent: none.")
    SMBSLVEVT = registers.register(0xA, 2, widths=(1, 2), doc="Which slave data are events; stored.")
    SMBSLVDAT = registers.register(0xC, 2, access=RO, widths=(1, 2), doc="The data that a slave port was sent: none.")

    block: bytes = State(
        bytes(LARGEST_BLOCK), min_length=LARGEST_BLOCK, max_length=LARGEST_BLOCK, doc="What SMBBLKDAT shows."
    )
    index: int = State(0, ge=0, lt=LARGEST_BLOCK, doc="Its next byte.")

    def connect(self, bus: SmbusBus, changed: Callable[[], None]) -> None:
        """The host of `bus`. `changed` is called when `interrupting` may have changed."""
        self._bus = bus
        self._changed = changed

    @property
    def interrupting(self) -> bool:
        """Whether the end of a transaction interrupts."""
        return bool(self.SMBHSTCNT.INTEREN and self.SMBHSTSTS.value & ~1)

    # --- the guest's side ----------------------------------------------------------------------------------------

    @SMBHSTSTS.written
    def _status_written(self, value: int) -> None:
        self._changed()

    @SMBHSTCNT.read
    def _control_read(self) -> int:
        self.index = 0
        return self.SMBHSTCNT.value

    @SMBHSTCNT.written
    def _control_written(self, value: int) -> None:
        control, status = self.SMBHSTCNT, self.SMBHSTSTS
        start = control.START
        control.START = 0
        if control.KILL:
            if status.HOST_BUSY or start:
                self.finish.cancel()
                self._end(failed=True)
        elif start and status.HOST_BUSY:
            self.guest_error("a transaction started while another one is under way")
        elif start:
            status.HOST_BUSY = 1
            self.finish.after(us=(START_AND_STOP + BITS_A_BYTE * self._bytes()) * BIT_US)
        self._changed()

    @SMBBLKDAT.read
    def _block_read(self) -> int:
        return self.block[self._next()]

    @SMBBLKDAT.write
    def _block_written(self, value: int) -> None:
        place = self._next()
        self.block = self.block[:place] + bytes([value]) + self.block[place + 1 :]

    def _next(self) -> int:
        place = self.index
        self.index = (place + 1) % LARGEST_BLOCK
        return place

    # --- transactions --------------------------------------------------------------------------------------------

    def _bytes(self) -> int:
        """How many bytes the transaction has on the wire, addresses included; of a block that is read, at most."""
        read = self.SMBHSTADD.READ
        again = 2 if read else 1
        match self.SMBHSTCNT.SMB_CMD_PROT:
            case Command.BYTE:
                return 2
            case Command.BYTE_DATA:
                return again + 2
            case Command.WORD_DATA:
                return again + 3
            case Command.BLOCK:
                return again + 2 + (LARGEST_BLOCK if read else min(self.SMBHSTDAT0.value, LARGEST_BLOCK))
        return 1

    @timer
    def finish(self) -> None:
        """The transaction ends: the device learns of it, and the guest."""
        try:
            self._transact()
        except Nack:
            self._end(device_error=True)
        except ValueError as error:  # there is no such command or block
            self.guest_error(str(error))
            self._end(device_error=True)
        else:
            self._end()

    def _end(self, *, device_error: bool = False, failed: bool = False) -> None:
        status = self.SMBHSTSTS
        status.HOST_BUSY = 0
        if failed:
            status.FAILED = 1
        elif device_error:
            status.DEV_ERR = 1
        else:
            status.INTER = 1
        self._changed()

    def _transact(self) -> None:
        """Raises Nack; ValueError for what can't be asked for."""
        bus, address, read, command = self._bus, self.SMBHSTADD.ADDRESS, self.SMBHSTADD.READ, self.SMBHSTCMD.value
        low, high = self.SMBHSTDAT0, self.SMBHSTDAT1
        match Command(self.SMBHSTCNT.SMB_CMD_PROT), bool(read):
            case Command.QUICK, _:
                bus.quick(address, bool(read))
            case Command.BYTE, True:
                low.value = bus.receive_byte(address)
            case Command.BYTE, False:
                bus.send_byte(address, command)
            case Command.BYTE_DATA, True:
                low.value = bus.read_byte(address, command)
            case Command.BYTE_DATA, False:
                bus.write_byte(address, command, low.value)
            case Command.WORD_DATA, True:
                word = bus.read_word(address, command)
                low.value, high.value = word & 0xFF, word >> 8
            case Command.WORD_DATA, False:
                bus.write_word(address, command, low.value | high.value << 8)
            case Command.BLOCK, True:
                low.value, data = bus.read_block(address, command)
                self.block = data + self.block[len(data) :]
            case Command.BLOCK, False:
                if low.value > LARGEST_BLOCK:
                    raise ValueError(f"a block of {low.value} bytes")
                bus.write_block(address, command, self.block[: low.value])
