"""The virtual machine's generation ID: a number in guest memory, which is new after a snapshot was restored.

Microsoft's "Virtual Machine Generation ID" (2012) says what a guest finds by ACPI; where it lies in memory, and how its
address is learnt, is QEMU's docs/specs/vmgenid.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from southbridge.acpi import AcpiTables, Aml, Block, string
from southbridge.acpi.tables import HEADER, Pointer, table
from southbridge.acpi.terms import (
    LOCAL,
    add,
    device,
    if_,
    index,
    l_equal,
    method,
    name,
    notify,
    package,
    return_,
    scope,
    store,
)
from southbridge.annotations import Checked
from southbridge.component import State
from southbridge.device import Device
from southbridge.errors import GuestMemoryError, RealizeError
from southbridge.hookspecs import hookimpl
from southbridge.properties import Property

AUTO = "auto"
GUID_FILE, ADDRESS_FILE = "etc/vmgenid_guid", "etc/vmgenid_addr"
PAGE, OFFSET = 4096, 40
"""The block of memory, and where in it the number is: behind what could be taken for an ACPI table's header."""
EVENT = 5
"""The general purpose event that says that it has changed."""
CHANGED = 0x80
WORKING, ABSENT = 0x0F, 0
VALUE_OF_NAME = 6
"""Where, in `Name (VGIA, 0x00000000)` with a double word, the value is."""
DOUBLE_WORD = Aml(b"\x0c\0\0\0\0")


def _check_guid(text: str) -> str:
    if text != AUTO:
        try:
            uuid.UUID(text)
        except ValueError:
            raise ValueError(f'expected "{AUTO}" or a UUID, not {text!r}') from None
    return text


Guid = Annotated[str, Checked(_check_guid)]


class VmGenId(Device):
    """Tells a guest that it isn't what it was: that it was restored, or copied."""

    guid: Guid = Property(
        AUTO,
        doc="The number, a UUID; auto: a new one for each run, and for each time that a snapshot is restored.",
        examples=["324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"],
    )

    block: int = State(0, ge=0, lt=1 << 64, doc="Where the block is in guest memory; 0: nobody has said yet.")

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.number = self._new_number()
        self._untold = False

    def _new_number(self) -> uuid.UUID:
        return uuid.uuid4() if self.guid == AUTO else uuid.UUID(self.guid)

    def realize(self) -> None:
        """Tells the firmware of the block, and where it answers."""
        config = self.machine.firmware_config
        try:
            config.add_file(GUID_FILE, self._contents)
            config.add_answer(ADDRESS_FILE, lambda: self.block.to_bytes(8, "little"), self._answered)
        except ValueError:
            raise RealizeError(f"{self.id}: there is another vmgenid") from None

    def _contents(self) -> bytes:
        return (bytes(OFFSET) + self.number.bytes_le).ljust(PAGE, b"\0")

    # --- where it is ---------------------------------------------------------------------------------------------

    def _answered(self, contents: bytes) -> None:
        """Firmware has placed the block."""
        self._placed(int.from_bytes(contents, "little"))

    def _placed(self, address: int) -> None:
        self.block = address

    def acpi(self, tables: AcpiTables) -> None:
        """A table of its own: the device, the block's address, and the event."""
        tables.block(Block(GUID_FILE, self._contents(), PAGE, ADDRESS_FILE, self._placed))
        body = [
            name("VGIA", DOUBLE_WORD),
            scope(
                "\\_SB",
                device(
                    "VGEN",
                    name("_HID", string("STHB0001")),
                    name("_CID", string("VM_Gen_Counter")),
                    name("_DDN", string("VM_Gen_Counter")),
                    method("_STA", 0, if_(l_equal("VGIA", 0), return_(ABSENT)), return_(WORKING)),
                    method(
                        "ADDR",
                        0,
                        store(package(0, 0), LOCAL[0]),
                        store(add("VGIA", OFFSET), index(LOCAL[0], 0)),
                        return_(LOCAL[0]),
                    ),
                ),
            ),
            method(f"\\_GPE._E{EVENT:02X}", 0, notify("\\_SB.VGEN", CHANGED)),
        ]
        pointer = Pointer(HEADER + VALUE_OF_NAME, 4, GUID_FILE)
        tables.add(table("SSDT", 2, b"".join(body), name="SSDT VMGENID", oem_table=b"VMGENID", pointers=[pointer]))

    def wake(self) -> None:
        """Memory is kept, and so is where the number is."""

    # --- a new one -----------------------------------------------------------------------------------------------

    def loaded(self) -> None:
        """A snapshot was restored: the guest is told before it goes on, or soon if it is running."""
        self.number = self._new_number()
        self._untold = True
        self.machine.post(self._tell)

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        self._tell()

    def _tell(self) -> None:
        """Puts the number into the guest's memory, and has ACPI's event happen."""
        with self.machine.lock:
            if not self._untold:
                return
            self._untold = False
            if not self.block:
                return
            try:
                self.dma.write(self.block + OFFSET, self.number.bytes_le)
            except GuestMemoryError:
                return  # where the guest has said that it is, there is no memory
            self.machine.hooks.call.acpi_event(number=EVENT)

    @hookimpl
    def register_monitor_commands(self) -> dict[str, Any]:
        """See the hook."""
        return {"query-vm-generation-id": self.query}

    def query(self) -> dict[str, Any]:
        """The number that the guest has."""
        return {"guid": str(self.number)}
