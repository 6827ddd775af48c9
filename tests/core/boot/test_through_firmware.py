"""What firmware finds of a kernel, and which kernels can't be given to it."""

from __future__ import annotations

import gzip
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.board import MemoryRange
from southbridge.boot import through_firmware
from southbridge.boot.kernels import Kernel
from southbridge.boot.memory import DoesNotFit
from southbridge.boot.start import CannotStart
from southbridge.boot.through_firmware import (
    CMDLINE_DATA,
    INITRD_ADDRESS,
    INITRD_DATA,
    INITRD_SIZE,
    KERNEL_ADDRESS,
    KERNEL_DATA,
    KERNEL_SIZE,
    ROM_FILE,
    SETUP_DATA,
    SETUP_SIZE,
    offer,
)
from southbridge.firmware_config import resolve
from southbridge.machine import Machine

from tests.core.boot.images import MIB, bzimage, elf, multiboot


def machine_with(memory: int = 64 * MIB) -> Machine:
    """One whose firmware is told of `memory` bytes; it has no device that needs them."""
    machine = Machine(name="pc", memory=MIB)
    machine.memory_map.append(MemoryRange(0, memory))
    machine.firmware_config.shown = True
    return machine


def item(machine: Machine, key: int) -> bytes:
    return resolve(machine.firmware_config.items[key])


def number(machine: Machine, key: int) -> int:
    return int.from_bytes(item(machine, key), "little")


def test_a_bzimage() -> None:
    machine = machine_with()
    image = bzimage(b"payload")
    offer(machine, Kernel(image, "bzimage"), b"disk" * 2000, b"quiet")
    assert item(machine, KERNEL_DATA) == image[5 * 512 :]
    assert (number(machine, KERNEL_ADDRESS), number(machine, KERNEL_SIZE)) == (MIB, len(image) - 5 * 512)
    assert item(machine, CMDLINE_DATA) == b"quiet\0"
    assert item(machine, INITRD_DATA) == b"disk" * 2000
    address = number(machine, INITRD_ADDRESS)
    assert address + 8000 <= 63 * MIB < address + MIB
    setup = item(machine, SETUP_DATA)
    assert len(setup) == number(machine, SETUP_SIZE) == 5 * 512
    assert (setup[0x210], setup[0x211]) == (0xFF, 0x81)
    assert struct.unpack_from("<II", setup, 0x218) == (address, number(machine, INITRD_SIZE)) == (address, 8000)


def test_the_rom_is_the_first_to_boot() -> None:
    machine = machine_with()
    machine.firmware_config.add_boot_device(0, "/disk")
    offer(machine, Kernel(bzimage(), "bzimage"), b"", b"")
    assert machine.firmware_config.boot_order() == b"/rom@genroms/kernel.rom\n/disk\0"
    assert resolve(machine.firmware_config.files[ROM_FILE])[:2] == b"\x55\xaa"


def test_pieces_follow_each_other() -> None:
    machine = machine_with()
    offer(machine, Kernel(elf([(2 * MIB, b"kernel", 4096)], pvh=2 * MIB)), b"module", b"quiet")
    rom = resolve(machine.firmware_config.files[ROM_FILE])
    data = item(machine, KERNEL_DATA)
    at = rom.index(struct.pack("<II", 0x1000, 32))  # the descriptor table is the first piece
    memory: dict[int, bytes] = {}
    position = 0
    while True:
        address, size = struct.unpack_from("<II", rom, at)
        if not size:
            break
        memory[address] = data[position : position + size]
        position, at = position + size, at + 8
    assert position == len(data)
    assert memory[2 * MIB] == b"kernel"
    assert memory[2 * MIB + 6] == bytes(4090)
    assert memory[62 * MIB + MIB - 4096] == b"module"  # below what firmware keeps to itself
    assert b"quiet\0" in memory.values()


def test_without_a_device_that_shows_it() -> None:
    machine = machine_with()
    machine.firmware_config.shown = False
    with pytest.raises(CannotStart, match="no device of type fw_cfg"):
        offer(machine, Kernel(bzimage(), "bzimage"), b"", b"")


@pytest.mark.parametrize(
    ("image", "memory", "initrd", "what"),
    [
        (bzimage(init_size=40 * MIB), 32 * MIB, b"", "kernel"),
        (bzimage(bytes(3 * MIB)), 2 * MIB, b"", "kernel"),
        (bzimage(), 8 * MIB, bytes(6 * MIB), "initrd"),
        (bzimage(initrd_addr_max=4 * MIB - 1), 64 * MIB, bytes(2 * MIB), "initrd"),
        (multiboot(0, (MIB, MIB, 0, 3 * MIB, MIB)), 3 * MIB, b"", "kernel"),
        (multiboot(0, (MIB, MIB, 0, 0, MIB)), 4 * MIB, bytes(2 * MIB), "initrd"),
    ],
)
def test_what_does_not_fit(image: bytes, memory: int, initrd: bytes, what: str) -> None:
    with pytest.raises(DoesNotFit) as caught:
        offer(machine_with(memory), Kernel(image), initrd, b"")
    assert caught.value.what == what


def test_a_command_line_that_is_too_long() -> None:
    with pytest.raises(CannotStart) as caught:
        offer(machine_with(), Kernel(bzimage(cmdline_size=10), "bzimage"), b"", b"x" * 11)
    assert (caught.value.what, str(caught.value)) == ("cmdline", "it has 11 characters; this kernel takes 10")


def test_a_kernel_of_zeros_is_no_reason_to_take_all_of_the_hosts_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through_firmware, "LARGEST", 8 * MIB)
    with pytest.raises(CannotStart, match="needs more than the 8 MiB"):
        offer(machine_with(), Kernel(elf([(2 * MIB, b"kernel", 16 * MIB)], pvh=2 * MIB)), b"", b"")


IMAGES = [bzimage(gzip.compress(elf())), elf(pvh=MIB), elf(), multiboot(0, (MIB, MIB, 0, 0, MIB))]


@given(st.sampled_from(IMAGES), st.sampled_from(["auto", "bzimage", "vmlinux", "pvh", "multiboot"]), st.data())
def test_damage_never_raises_anything_else(image: bytes, protocol: str, data: st.DataObject) -> None:
    damaged = bytearray(image)
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, min(len(image), 0x268) - 1), st.integers(0, 255)), max_size=8)
    ):
        damaged[at] = value
    try:
        offer(machine_with(), Kernel(bytes(damaged), protocol), b"initrd", b"quiet")
    except (CannotStart, DoesNotFit) as error:
        assert error.what in ("kernel", "boot_protocol", "cmdline", "initrd")


def test_program_headers_beyond_any_address() -> None:
    damaged = bytearray(elf())
    damaged[39] = 128  # e_phoff's highest byte
    with pytest.raises(CannotStart, match="program headers lie beyond its end"):
        offer(machine_with(), Kernel(bytes(damaged)), b"", b"")


@given(st.binary(max_size=0x300), st.sampled_from([b"", b"\x7fELF\2\1\1", b"\x7fELF\1\1\1"]))
def test_random_headers(data: bytes, magic: bytes) -> None:
    with pytest.raises((CannotStart, DoesNotFit)):
        offer(machine_with(), Kernel(magic + data), b"", b"")


@given(st.binary(min_size=0x100, max_size=0x100))
def test_random_setup_headers(header: bytes) -> None:
    image = bytearray(bzimage(gzip.compress(elf())))
    image[0x1F1:0x1FE] = header[:13]
    image[0x206:0x268] = header[13 : 13 + 0x62]
    try:
        offer(machine_with(), Kernel(bytes(image)), b"initrd", b"quiet")
    except (CannotStart, DoesNotFit) as error:
        assert error.what in ("kernel", "boot_protocol", "cmdline", "initrd")
