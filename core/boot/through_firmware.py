"""Booting through the firmware: it finds an option ROM in fw_cfg, which is a boot device, the first of all.

The numbered items are QEMU's (its include/standard-headers/linux/qemu_fw_cfg.h and hw/i386/x86.c say what is in them).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ..board import MemoryRange
from ..units import MiB
from ..x86 import MSR_EFER
from . import flat_rom, linux_rom
from .bzimage import BzImage
from .kernels import Kernel
from .linux import CMDLINE, LONGEST_CMDLINE
from .memory import FOUR_GIB, RESERVED, Room, firmware_map
from .processor import PAGE_TABLES
from .rom import code, option_rom
from .start import CannotStart, Request, check_cmdline

if TYPE_CHECKING:
    from ..machine import Machine

KERNEL_ADDRESS, KERNEL_SIZE, KERNEL_DATA = 0x07, 0x08, 0x11
INITRD_ADDRESS, INITRD_SIZE, INITRD_DATA = 0x0A, 0x0B, 0x12
CMDLINE_ADDRESS, CMDLINE_SIZE, CMDLINE_DATA = 0x13, 0x14, 0x15
SETUP_ADDRESS, SETUP_SIZE, SETUP_DATA = 0x16, 0x17, 0x18

ROM_FILE = "genroms/kernel.rom"
FIRST = -1
"""Before all that have a `bootindex`."""

_SETUP = 0x1_0000
_KERNEL = 0x10_0000
_HEAP_END = 0xDE00
"""Behind the 16-bit code's stack, less 200h, as the boot protocol has it."""
_UNKNOWN_LOADER = 0xFF
_CAN_USE_HEAP = 0x80
_PASSED = (0, 3, 6, 4)
"""The registers that the ROM sets: EAX, EBX, ESI, ESP."""
LARGEST = 1024 * MiB
"""What a kernel with all that it is given may take: the host has a copy of it."""
_OF_FIRMWARE = MiB
"""At the top of memory, for its tables."""


def offer(machine: Machine, kernel: Kernel, initrd: bytes, cmdline: bytes) -> None:
    """`machine`'s firmware will find all of it. Raises CannotStart, DoesNotFit."""
    if not machine.firmware_config.shown:
        raise CannotStart("kernel", "firmware can't find it: the machine has no device of type fw_cfg")
    if kernel.protocol == "bzimage" and kernel.image is not None:
        _offer_image(machine, kernel.image, initrd, cmdline)
    else:
        _offer_pieces(machine, kernel, initrd, cmdline)
    machine.firmware_config.add_boot_device(FIRST, f"/rom@{ROM_FILE}")


def _offer_image(machine: Machine, image: BzImage, initrd: bytes, cmdline: bytes) -> None:
    """A bzImage, which begins in its 16-bit code. Raises CannotStart, DoesNotFit."""
    check_cmdline(cmdline, min(image.cmdline_size, LONGEST_CMDLINE))
    known = firmware_map(machine.memory_map)
    Room(known).take("kernel", image.pref_address if image.relocatable else _KERNEL, image.init_size)
    room = Room(known)
    room.take("kernel", _KERNEL, len(image.code))
    if image.relocatable:
        room.take_what_is_free(image.pref_address, image.init_size)
    setup = bytearray(image.data[: image.setup_size])
    setup[0x210] = _UNKNOWN_LOADER
    setup[0x211] |= _CAN_USE_HEAP
    struct.pack_into("<H", setup, 0x224, _HEAP_END)
    struct.pack_into("<I", setup, 0x228, CMDLINE)
    at = 0
    if initrd:
        at = room.take_high("initrd", len(initrd), min(image.initrd_addr_max + 1, room.end - _OF_FIRMWARE))
    struct.pack_into("<II", setup, 0x218, at, len(initrd))
    config = machine.firmware_config
    numbers = {
        KERNEL_ADDRESS: _KERNEL,
        KERNEL_SIZE: len(image.code),
        INITRD_ADDRESS: at,
        INITRD_SIZE: len(initrd),
        CMDLINE_ADDRESS: CMDLINE,
        CMDLINE_SIZE: len(cmdline) + 1,
        SETUP_ADDRESS: _SETUP,
        SETUP_SIZE: len(setup),
    }
    for key, value in numbers.items():
        config.add_item(key, struct.pack("<I", value))
    config.add_item(KERNEL_DATA, bytes(image.code))
    config.add_item(INITRD_DATA, initrd)
    config.add_item(CMDLINE_DATA, cmdline + b"\0")
    config.add_item(SETUP_DATA, bytes(setup))
    config.add_file(ROM_FILE, option_rom(code(linux_rom.LISTING)))


def _offer_pieces(machine: Machine, kernel: Kernel, initrd: bytes, cmdline: bytes) -> None:
    """Any other kernel, as if there were no firmware; but that gives the memory map. Raises CannotStart, DoesNotFit."""
    low = max(part.start + part.size for part in machine.memory_map if part.start < FOUR_GIB)
    known = firmware_map(machine.memory_map, [MemoryRange(low - _OF_FIRMWARE, _OF_FIRMWARE, RESERVED)])
    start = kernel.start(Request(known, Room(known), initrd, cmdline))
    state, place = start.state, start.memory_map
    if sum(len(piece) for _, piece in start.pieces) + sum(size for _, size in start.zeros) > LARGEST:
        raise CannotStart("kernel", f"it needs more than the {LARGEST >> 20} MiB that firmware is given")
    pieces = [*start.pieces, *((address, bytes(size)) for address, size in start.zeros)]
    parameters = struct.pack(
        "<HI5I4H",
        MSR_EFER in state.msrs,
        PAGE_TABLES,
        state.rip,
        *(state.registers[index] for index in _PASSED),
        *(place.ranges, place.stride, place.count, place.size),
    )
    table = b"".join(struct.pack("<II", address, len(piece)) for address, piece in pieces)
    program = code(flat_rom.LISTING)
    rom = program[: len(program) - len(parameters)] + parameters + table + bytes(8)
    config = machine.firmware_config
    config.add_item(KERNEL_DATA, lambda: b"".join(piece for _, piece in pieces))
    config.add_file(ROM_FILE, option_rom(rom))
