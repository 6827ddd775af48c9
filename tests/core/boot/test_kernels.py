"""What a kernel's file is taken for, and what is put where for each way to enter it."""

from __future__ import annotations

import gzip
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.boot.kernels import Kernel
from southbridge.boot.linux import CMDLINE
from southbridge.boot.memory import DoesNotFit
from southbridge.boot.start import CannotStart, Start
from southbridge.x86 import MSR_EFER

from tests.core.boot.images import MIB, bzimage, elf, multiboot, request


def memory(start: Start, address: int, length: int) -> bytes:
    """What `start` leaves there, in otherwise zeroed memory."""
    image = bytearray(length)
    for at, piece in start.pieces:
        for index, byte in enumerate(bytes(piece)):
            if 0 <= at + index - address < length:
                image[at + index - address] = byte
    return bytes(image)


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (bzimage(gzip.compress(elf())), "vmlinux"),
        (bzimage(gzip.compress(elf(machine=3, wide=False))), "bzimage"),
        (bzimage(b"unknown"), "bzimage"),
        (elf(), "vmlinux"),
        (elf(pvh=MIB), "pvh"),
        (elf(machine=3, wide=False, pvh=MIB), "pvh"),
        (multiboot(), "multiboot"),
    ],
)
def test_what_it_is(data: bytes, protocol: str) -> None:
    assert Kernel(data).protocol == protocol


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"#!/bin/sh\n" * 1000, "it isn't a kernel: neither a Linux bzImage"),
        (bytes(5000), "it isn't a kernel"),
        (elf()[:60], "it is cut short"),
        (elf()[:-2], "it is cut short: a segment lies beyond its end"),
        (elf(machine=183), "it isn't an executable for x86"),
        (elf(kind=1), "it isn't an executable for x86"),
        (elf([]), "it has no usable program headers"),
        (bzimage()[:2000], "it is cut short"),
        (bzimage(bytes(1000))[:3000], "it is cut short: its header promises more code"),
        (bzimage(version=0x0203), "its boot protocol, 2.03, is too old"),
    ],
)
def test_what_is_none(data: bytes, message: str) -> None:
    with pytest.raises(CannotStart) as caught:
        Kernel(data)
    assert caught.value.what == "kernel"
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "protocol", "message"),
    [
        (elf(), "pvh", "no PVH entry"),
        (elf(machine=3, wide=False), "vmlinux", "no 64-bit entry"),
        (bzimage(gzip.compress(elf())), "multiboot", "no Multiboot header"),
    ],
)
def test_a_protocol_that_it_hasnt(data: bytes, protocol: str, message: str) -> None:
    with pytest.raises(CannotStart) as caught:
        Kernel(data, protocol).start(request())
    assert caught.value.what == "boot_protocol"
    assert message in str(caught.value)


def test_only_a_bzimage_is_one() -> None:
    with pytest.raises(CannotStart, match="no bzImage"):
        Kernel(elf(), "bzimage")


def test_linux_in_64_bit_mode() -> None:
    kernel = Kernel(bzimage(gzip.compress(elf([(2 * MIB, b"kernel", 4096)], entry=2 * MIB + 8))))
    start = kernel.start(request(initrd=b"disk" * 2000, cmdline=b"quiet"))
    state = start.state
    assert state.rip == 2 * MIB + 8
    assert (state.cr0 >> 31, state.cr4, state.msrs[MSR_EFER]) == (1, 0x20, 0x500)
    assert (state.cs.selector, state.ds.selector, state.cs.attributes >> 21 & 1) == (0x10, 0x18, 1)
    page = memory(start, state.registers[6], 4096)
    assert page[0x202:0x206] == b"HdrS"
    assert page[0x210] == 0xFF
    initrd, size = struct.unpack_from("<II", page, 0x218)
    assert (initrd, size) == (64 * MIB - 8192, 8000)
    assert memory(start, initrd, 8000) == b"disk" * 2000
    assert struct.unpack_from("<I", page, 0x228)[0] == CMDLINE
    assert memory(start, CMDLINE, 6) == b"quiet\0"
    assert page[0x1E8] == 4
    assert struct.unpack_from("<QQI", page, 0x2D0 + 60) == (MIB, 63 * MIB, 1)
    assert memory(start, 2 * MIB, 6) == b"kernel"
    assert start.zeros == [(2 * MIB + 6, 4090)]


def test_page_tables_map_4_gib_to_themselves() -> None:
    start = Kernel(elf()).start(request())
    table = memory(start, start.state.cr3, 7 * 4096)

    def entry(address: int) -> int:
        value: int = struct.unpack_from("<Q", table, address - start.state.cr3)[0]
        return value

    for address in (0, 5 * MIB, 0x7FFF_FFFF, 0xFEE0_0000, 0xFFFF_FFFF):
        pointers = entry(start.state.cr3 + 8 * (address >> 39)) & -4096
        directory = entry(pointers + 8 * (address >> 30 & 511)) & -4096
        page = entry(directory + 8 * (address >> 21 & 511))
        assert page & 0x83 == 0x83
        assert page & -(1 << 21) == address & -(1 << 21)


@pytest.mark.parametrize(("xloadflags", "entry", "paging"), [(1, 2 * MIB + 0x200, 1), (0, 2 * MIB, 0)])
def test_a_bzimage_that_decompresses_itself(xloadflags: int, entry: int, paging: int) -> None:
    start = Kernel(bzimage(b"?", xloadflags=xloadflags), "bzimage").start(request())
    assert start.state.rip == entry
    assert start.state.cr0 >> 31 == paging
    assert memory(start, 2 * MIB, 12) == b"decompressor"


def test_pvh() -> None:
    start = Kernel(elf(pvh=MIB + 4)).start(request(initrd=b"module", cmdline=b"quiet"))
    assert (start.state.rip, start.state.cr0 >> 31) == (MIB + 4, 0)
    info = memory(start, start.state.registers[3], 56)
    magic, version, _, modules = struct.unpack_from("<4I", info)
    assert (magic, version, modules) == (0x336EC578, 1, 1)
    module_list, cmdline, rsdp, ranges, number = struct.unpack_from("<4QI", info, 16)
    assert memory(start, cmdline, 6) == b"quiet\0"
    assert rsdp == 0
    at, size = struct.unpack("<QQ", memory(start, module_list, 16))
    assert memory(start, at, size) == b"module"
    assert number == 4
    assert struct.unpack("<QQI", memory(start, ranges + 72, 20)) == (MIB, 63 * MIB, 1)


def test_multiboot() -> None:
    image = multiboot(3, (2 * MIB, 2 * MIB, 0, 2 * MIB + 100, 2 * MIB + 32))
    start = Kernel(image).start(request(initrd=b"module", cmdline=b"quiet"))
    state = start.state
    assert (state.rip, state.registers[0]) == (2 * MIB + 32, 0x2BADB002)
    assert memory(start, 2 * MIB, len(image)) == image
    assert start.zeros == [(2 * MIB + len(image), 100 - len(image))]
    info = memory(start, state.registers[3], 116)
    flags, lower, upper, _, cmdline, count, modules = struct.unpack_from("<7I", info)
    assert (flags, lower, upper, count) == (0x24D, 639, 63 * 1024, 1)
    assert memory(start, cmdline, 6) == b"quiet\0"
    begin, end = struct.unpack("<II", memory(start, modules, 8))
    assert memory(start, begin, end - begin) == b"module"
    length, ranges = struct.unpack_from("<II", info, 44)
    assert length == 4 * 24
    assert struct.unpack("<IQQI", memory(start, ranges + 72, 24)) == (20, MIB, 63 * MIB, 1)


def test_what_multiboot_cant_give() -> None:
    with pytest.raises(CannotStart, match="asks for what isn't there: flags 0x8"):
        Kernel(multiboot(8)).start(request())


@pytest.mark.parametrize("addresses", [(MIB, 2 * MIB, 0, 0, MIB), (2 * MIB, 2 * MIB, 3 * MIB, 0, 2 * MIB)])
def test_multiboot_addresses_that_cant_be(addresses: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(CannotStart) as caught:
        Kernel(multiboot(0, addresses)).start(request())
    assert caught.value.what == "kernel"


def test_a_command_line_that_is_too_long() -> None:
    kernel = Kernel(bzimage(gzip.compress(elf([(2 * MIB, b"kernel", 4096)], entry=2 * MIB)), cmdline_size=10))
    kernel.start(request(cmdline=b"x" * 10))
    with pytest.raises(CannotStart) as caught:
        kernel.start(request(cmdline=b"x" * 11))
    assert caught.value.what == "cmdline"
    assert str(caught.value) == "it has 11 characters; this kernel takes 10"


@pytest.mark.parametrize(
    ("memory_size", "initrd", "what"), [(2 * MIB, b"", "kernel"), (4 * MIB, bytes(3 * MIB), "initrd")]
)
def test_what_does_not_fit(memory_size: int, initrd: bytes, what: str) -> None:
    kernel = Kernel(bzimage(gzip.compress(elf([(2 * MIB, b"kernel", 4096)], entry=2 * MIB))))
    with pytest.raises(DoesNotFit) as caught:
        kernel.start(request(memory_size, initrd=initrd))
    assert caught.value.what == what


def test_an_entry_outside() -> None:
    with pytest.raises(CannotStart, match="lies outside of what it loads"):
        Kernel(elf(entry=0)).start(request())


@given(st.sampled_from([bzimage(gzip.compress(elf())), elf(pvh=MIB), multiboot(0, (MIB, MIB, 0, 0, MIB))]), st.data())
def test_damage_never_raises_anything_else(image: bytes, data: st.DataObject) -> None:
    damaged = bytearray(image)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255)), max_size=8)):
        damaged[at] = value
    try:
        Kernel(bytes(damaged[: data.draw(st.integers(1, len(image)))])).start(request())
    except (CannotStart, DoesNotFit) as error:
        assert error.what in ("kernel", "boot_protocol")
