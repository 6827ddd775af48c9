"""The real-time clock (Motorola MC146818A), and fw_cfg (QEMU's docs/specs/fw_cfg)."""

from __future__ import annotations

import pytest
from southbridge.units import KiB, MiB

from tests.qtest.machines import MEMORY, Pc

A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D


def cmos(pc: Pc, index: int) -> int:
    pc.write_port(0x70, index)
    return pc.read_port(0x71)


def set_cmos(pc: Pc, index: int, value: int) -> None:
    pc.write_port(0x70, index)
    pc.write_port(0x71, value)


def test_after_the_start(pc: Pc) -> None:
    assert cmos(pc, A) & 0x7F == 0x26
    assert cmos(pc, B) == 0x02
    assert cmos(pc, D) == 0x80
    assert cmos(pc, 0x32) in (0x20, 0x21)


@pytest.mark.parametrize(("binary", "time"), [(False, (0x58, 0x59, 0x23)), (True, (58, 59, 23))])
def test_a_minute_passes_midnight(pc: Pc, binary: bool, time: tuple[int, int, int]) -> None:
    set_cmos(pc, B, 0x02 | 0x04 * binary)  # before SET: together with it, QEMU takes the time for decimal digits
    set_cmos(pc, B, 0x82 | 0x04 * binary)
    for index, value in zip((0, 2, 4), time, strict=True):
        set_cmos(pc, index, value)
    for index, value in ((6, 1), (7, 0x31 if not binary else 31), (8, 0x12 if not binary else 12), (9, 0)):
        set_cmos(pc, index, value)
    set_cmos(pc, B, 0x02 | 0x04 * binary)
    assert tuple(cmos(pc, index) for index in (0, 2, 4)) == time
    pc.until(lambda: cmos(pc, 4) == 0)
    assert (cmos(pc, 2), cmos(pc, 7), cmos(pc, 8)) == (0, 1, 1)
    assert cmos(pc, 9) == 1


def test_flags_without_enables(pc: Pc) -> None:
    """Update-ended comes each second, interrupt or not; reading clears."""
    cmos(pc, C)
    pc.until(lambda: bool(cmos(pc, C) & 0x10))


def test_the_periodic_interrupt(pc: Pc) -> None:
    pc.intercept("ioapic")
    set_cmos(pc, A, 0x2F)
    cmos(pc, C)
    set_cmos(pc, B, 0x42)
    pc.until(lambda: pc.irq(8))
    assert cmos(pc, C) & 0xC0 == 0xC0
    assert not pc.irq(8)
    assert cmos(pc, C) & 0xC0 == 0


def test_the_alarm(pc: Pc) -> None:
    """In any second: C0h to FFh don't care."""
    pc.intercept("ioapic")
    for index in (1, 3, 5):
        set_cmos(pc, index, 0xC0)
    cmos(pc, C)
    set_cmos(pc, B, 0x22)
    pc.until(lambda: pc.irq(8))
    assert cmos(pc, C) & 0xA0 == 0xA0


def test_memory(pc: Pc) -> None:
    for index in (0x40, 0x5A, 0x7F):
        set_cmos(pc, index, 0xA5 ^ index)
    assert [cmos(pc, index) for index in (0x40, 0x5A, 0x7F)] == [0xA5 ^ 0x40, 0xA5 ^ 0x5A, 0xA5 ^ 0x7F]


def test_memory_sizes(pc: Pc) -> None:
    """Below 1 MiB, above it up to 64 MiB, above 16 MiB: in KiB, KiB, 64 KiB."""
    sizes = [cmos(pc, low) | cmos(pc, low + 1) << 8 for low in (0x15, 0x17, 0x30, 0x34)]
    assert sizes == [640, 0xFFFF, 0xFFFF, (MEMORY - 16 * MiB) // (64 * KiB)]


# --- fw_cfg -------------------------------------------------------------------------------------------------------


def item(pc: Pc, key: int, length: int) -> bytes:
    pc.write_port(0x510, key, 2)
    return bytes(int(answer, 0) for answer in pc.commands(["inb 0x511"] * length))


def files(pc: Pc) -> dict[str, tuple[int, int]]:
    """Key and size of each."""
    count = int.from_bytes(item(pc, 0x19, 4), "big")
    directory = item(pc, 0x19, 4 + 64 * count)[4:]
    found: dict[str, tuple[int, int]] = {}
    for at in range(0, len(directory), 64):
        entry = directory[at : at + 64]
        name = entry[8:].split(b"\0")[0].decode()
        found[name] = int.from_bytes(entry[4:6], "big"), int.from_bytes(entry[:4], "big")
    return found


def test_signature_and_features(pc: Pc) -> None:
    assert item(pc, 0, 4) == b"QEMU"
    assert int.from_bytes(item(pc, 1, 4), "little") & 3 == 3
    assert pc.read_port(0x514, 4).to_bytes(4, "little") + pc.read_port(0x518, 4).to_bytes(4, "little") == b"QEMU CFG"


def test_items(pc: Pc) -> None:
    assert int.from_bytes(item(pc, 0x05, 2), "little") == 1
    assert int.from_bytes(item(pc, 0x0F, 2), "little") >= 1
    assert item(pc, 0x3FFF, 2) == b"\0\0"


def test_files(pc: Pc) -> None:
    found = files(pc)
    assert {"etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader", "etc/e820"} <= found.keys()
    key, size = found["etc/acpi/tables"]
    assert b"FACP" in item(pc, key, size)
    assert list(found) == sorted(found)


def test_dma(pc: Pc) -> None:
    """Select and read in one; the control word is cleared at the end. What isn't there is an error."""
    for key, length, control, data in ((0, 4, 0, b"QEMU"), (0x3FFF, 4, 0, bytes(4))):
        pc.write_memory(0x1_0000, b"\xff" * 8)
        command = (key << 16 | 0x0A).to_bytes(4, "big") + length.to_bytes(4, "big") + (0x1_0000).to_bytes(8, "big")
        pc.write_memory(0x2_0000, command)
        pc.write_port(0x514, 0, 4)
        pc.write_port(0x518, int.from_bytes((0x2_0000).to_bytes(4, "big"), "little"), 4)
        assert int.from_bytes(pc.read_memory(0x2_0000, 4), "big") == control
        assert pc.read_memory(0x1_0000, 5) == data + b"\xff"
