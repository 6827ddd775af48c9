"""QEMU's firmware configuration device on I/O ports (QEMU's docs/specs/fw_cfg).

The guest selects an item by its number, then reads it byte by byte, or has it copied to memory.
"""

from __future__ import annotations

import struct
from pathlib import Path

from southbridge.acpi import AcpiTables, string
from southbridge.acpi.resources import io, resource_template
from southbridge.acpi.terms import device, name
from southbridge.banks import PortBank
from southbridge.component import State
from southbridge.device import Device
from southbridge.errors import GuestMemoryError, SouthbridgeError
from southbridge.firmware_config import resolve
from southbridge.properties import FilePath, Property
from southbridge.registers import RO, WO
from southbridge.smbios.build import build
from southbridge.units import MiB

from . import items
from .items import u16, u32, u64

PORTS = 0x510
SIGNATURE = b"QEMU CFG"
NO_ITEM = 0xFFFF
HIDDEN = 0x0B
"""ACPI: present, enabled, working; not shown."""
WRITE_FLAG = 0x4000
"""In a key: an obsolete way to write items; selects the same item."""
PADDING_LIMIT = MiB
"""How many zeros one transfer writes beyond an item's end. More is refused: no firmware needs it."""

ERROR, READ, SKIP, SELECT, WRITE = 1, 2, 4, 8, 16


class FwCfg(Device):
    """Hands `machine.firmware_config` to the guest."""

    files: dict[str, FilePath] = Property(
        {}, doc='Files for the guest: name (by convention "opt/...") to the path of the contents.'
    )
    texts: dict[str, str] = Property({}, doc='The same, with the contents themselves: "opt/..." to a text.')
    boot_menu: bool = Property(False, doc="Firmware offers its boot menu.")
    boot_menu_wait: int | None = Property(None, ge=0, le=0xFFFF, doc="How long it offers it, in milliseconds.")
    splash: FilePath | None = Property(None, doc="A picture, JPEG or BMP, that firmware shows with its boot menu.")
    strict_boot: bool = Property(False, doc="Firmware boots only from what has a bootindex.")
    reboot_timeout: int = Property(
        -1, ge=-1, le=0xFFFF, doc="Milliseconds until firmware restarts if nothing is bootable; -1: never."
    )
    serial_console: int | None = Property(
        None, ge=0, le=0xFFF8, doc="Ports of a UART that SeaBIOS uses as its screen and keyboard."
    )

    ports = PortBank(12, doc="At 510h.")
    DATA = ports.register(1, access=RO, doc="The selected item's next byte.")
    SELECTOR = ports.register(0, 2, access=WO, doc="The item's number.")
    DMA = ports.window(4, 8, doc="Address of a transfer's description, big-endian; its second half starts it.")

    key: int = State(NO_ITEM, ge=0, le=0xFFFF, doc="The selected item.")
    position: int = State(0, ge=0, doc="Its next byte.")
    transfer_high: int = State(0, ge=0, le=0xFFFF_FFFF, doc="The first half of DMA.")

    def realize(self) -> None:
        """Claims the ports, reads the user's files. Raises SouthbridgeError if one can't be read."""
        self._items: dict[int, bytes] = {}
        self._answers: dict[int, str] = {}
        self.claim_ports(self.ports, PORTS)
        config = self.machine.firmware_config
        config.shown = True
        try:
            config.add_file("etc/e820", lambda: items.e820(self.machine.memory_map))
            config.add_file("etc/boot-fail-wait", u32(self.reboot_timeout))
            config.add_file("etc/smbios/smbios-anchor", lambda: build(self.machine, with_firmware=True).anchor())
            config.add_file("etc/smbios/smbios-tables", lambda: build(self.machine, with_firmware=True).tables)
            if self.boot_menu_wait is not None:
                config.add_file("etc/boot-menu-wait", u16(self.boot_menu_wait))
            if self.serial_console is not None:
                config.add_file("etc/sercon-port", u16(self.serial_console))
            if self.splash is not None:
                picture = self._contents("splash", self.splash)
                config.add_file(f"bootsplash.{'bmp' if picture[:2] == b'BM' else 'jpg'}", picture)
            for name, path in self.files.items():
                config.add_file(name, self._contents(name, path))
            for name, text in self.texts.items():
                config.add_file(name, text.encode())
        except ValueError as error:
            raise SouthbridgeError(f"{self.id}: {error}") from None

    def _contents(self, name: str, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise SouthbridgeError(f"{self.id}: files: {name}: can't read {path}: {error.strerror}") from None

    def acpi(self, tables: AcpiTables) -> None:
        """For guests that read the files too. It isn't shown to users (the _STA)."""
        resources = [io(PORTS, 12)]
        tables.isa(
            device(
                "FWCF",
                name("_HID", string("QEMU0002")),
                name("_STA", HIDDEN),
                name("_CRS", resource_template(*resources)),
            )
        )

    def reset(self) -> None:
        """Nothing is selected; the items are gathered anew."""
        super().reset()
        config = self.machine.firmware_config
        uuid = self.machine.identity.uuid
        files = {name: resolve(contents) for name, contents in config.files.items()}
        boot_order = config.boot_order()
        if self.strict_boot:
            boot_order = boot_order.rstrip(b"\0") + (b"\n" if boot_order else b"") + b"HALT\0"
        if boot_order:
            files["bootorder"] = boot_order
        if geometries := config.bios_geometry():
            files["bios-geometry"] = geometries
        keys = items.numbers(files)
        self._answers = {keys[name]: name for name in config.answers if name in keys}
        self._items = {
            items.SIGNATURE: SIGNATURE[:4],
            items.ID: u32(items.FEATURES),
            items.UUID: uuid.bytes if uuid else bytes(16),
            items.RAM_SIZE: u64(self.machine.ram.size),
            items.NOGRAPHIC: u16(self.serial_console is not None),
            items.NB_CPUS: u16(len(self.machine.cpus.plugged)),
            items.NUMA: self._numa(),
            items.BOOT_MENU: u16(self.boot_menu),
            items.MAX_CPUS: u16(self.machine.cpus.max),
            items.IRQ0_OVERRIDE: u32(1),
            **items.numbered(files),
            **{key: resolve(contents) for key, contents in config.items.items()},
        }

    def _numa(self) -> bytes:
        """How many nodes there are, each CPU's node, and each node's memory."""
        numa = self.machine.numa
        of_cpus = (numa.node_of(cpu) for cpu in range(self.machine.cpus.max))
        return b"".join(map(u64, (len(numa.nodes), *of_cpus, *(node.memory for node in numa.nodes))))

    # --- byte by byte --------------------------------------------------------------------------------------------

    @SELECTOR.write
    def _select(self, value: int) -> None:
        key = value & ~WRITE_FLAG
        self.key = key if key in self._items else NO_ITEM
        self.position = 0
        if key in self._answers:  # may have changed since the reset
            self._items[key] = resolve(self.machine.firmware_config.files[self._answers[key]])

    @DATA.read
    def _data_read(self) -> int:
        item = self._items.get(self.key, b"")
        position = self.position
        if position >= len(item):
            return 0
        self.position = position + 1
        return item[position]

    # --- DMA -----------------------------------------------------------------------------------------------------

    @DMA.read
    def _dma_read(self, offset: int, size: int) -> int:
        return int.from_bytes(SIGNATURE[offset : offset + size], "little")

    @DMA.write
    def _dma_written(self, offset: int, size: int, value: int) -> None:
        if size != 4:
            self.guest_error(f"DMA address written with {size} bytes; it takes 4")
            return
        half = int.from_bytes(value.to_bytes(4, "little"), "big")
        if offset == 0:
            self.transfer_high = half
        else:
            address = self.transfer_high << 32 | half
            self.transfer_high = 0
            self._transfer(address)

    def _transfer(self, description: int) -> None:
        """Carries out the transfer described at `description`, and stores there how it went."""
        try:
            control, length, address = struct.unpack(">IIQ", self.dma.read(description, 16))
            if control & SELECT:
                self._select(control >> 16)
            status = self._copy(control, length, address)
        except GuestMemoryError:
            status = ERROR
        try:
            self.dma.write(description, struct.pack(">I", status))
        except GuestMemoryError:
            self.guest_error(f"transfer description at {description:#x}, where no RAM is")

    def _copy(self, control: int, length: int, address: int) -> int:
        """Reads, skips or writes `length` bytes of the item. Gives the status. Raises GuestMemoryError."""
        item = self._items.get(self.key, b"")
        present = min(length, max(len(item) - self.position, 0))
        if control & READ:
            if length - present > PADDING_LIMIT:
                self.guest_error(f"read of {length:#x} bytes of item {self.key:#x}, where {present:#x} are")
                return ERROR
            if length:
                self.dma.write(address, item[self.position : self.position + present] + bytes(length - present))
        elif control & WRITE:
            if length and not self._write(item, length, address):
                return ERROR
        elif not control & SKIP:
            return 0
        self.position += present
        return 0

    def _write(self, item: bytes, length: int, address: int) -> bool:
        """Whether the item may be written, with that many bytes from its present position on."""
        name = self._answers.get(self.key)
        if name is None:
            self.guest_error(f"write to item {self.key:#x}, which is read-only")
            return False
        start, end = self.position, self.position + length
        if end > len(item):
            self.guest_error(f"write of {length:#x} bytes at {start:#x} of {name}, which has {len(item):#x}")
            return False
        self._items[self.key] = item[:start] + self.dma.read(address, length) + item[end:]
        self.machine.firmware_config.answers[name](self._items[self.key])
        return True
