"""The same command line for QEMU: the clock's memory, the PCI devices in their slots, and what fw_cfg says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from southbridge.acpi.build import build as build_tables
from southbridge.builder import build
from southbridge.qemu_system.options import read
from southbridge.qemu_system.translate import describe
from southbridge.reset import reset

from tests.guests.build import need

LETTERS = {1: "b", 2: "h", 4: "w"}
FUNCTIONS = ((0, 0), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (3, 0), (4, 0))
FIXED_ITEMS = {0x00: 4, 0x02: 16, 0x03: 8, 0x05: 2, 0x0D: 32, 0x0E: 2, 0x0F: 2}
"""Items of fw_cfg, and how many bytes of each are compared."""

Access = tuple[int, int, int | None]
"""A port, how many bytes of it, and what is written; None: it is read."""


@contextmanager
def qemu(options: Sequence[str]) -> Iterator[Callable[[str], str]]:
    """QEMU with these options, which doesn't run; what its monitor for people says."""
    command = [need("qemu-system-x86_64", "qemu-system-x86"), *options, "-S", "-accel", "tcg", "-qmp", "stdio"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(name: str, **arguments: str) -> str:
            stdin.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            stdin.flush()
            while "return" not in (answer := json.loads(stdout.readline())):
                pass
            return str(answer["return"])

        stdout.readline()
        ask("qmp_capabilities")
        yield lambda line: ask("human-monitor-command", **{"command-line": line})
        process.terminate()


def theirs(options: Sequence[str], accesses: Sequence[Access]) -> list[int]:
    """What QEMU's machine reads."""
    found = []
    with qemu(options) as say:
        for port, size, value in accesses:
            if value is None:
                found.append(int(say(f"i /{LETTERS[size]} {port}").partition("=")[2], 16))
            else:
                say(f"o /{LETTERS[size]} {port} {value}")
    return found


def ours(options: Sequence[str], accesses: Sequence[Access]) -> list[int]:
    """What our machine reads, just after its first reset."""
    machine = build(describe(read([*options, "-accel", "tcg"])))
    try:
        reset(machine)
        found = []
        for port, size, value in accesses:
            if value is None:
                found.append(machine.ports.read(port, size))
            else:
                machine.ports.write(port, size, value)
        return found
    finally:
        machine.close()


def cmos() -> list[Access]:
    return [access for address in range(0x0A, 0x80) for access in ((0x70, 1, address), (0x71, 1, None))]


def config(register: int) -> list[Access]:
    """That double word of every function's configuration space."""
    addresses = [0x8000_0000 | slot << 11 | function << 8 | register for slot, function in FUNCTIONS]
    return [access for address in addresses for access in ((0xCF8, 4, address), (0xCFC, 4, None))]


def items() -> list[Access]:
    return [access for key, size in FIXED_ITEMS.items() for access in ((0x510, 2, key), *[(0x511, 1, None)] * size)]


BASE = ("-m", "64", "-display", "none", "-serial", "null")


@pytest.mark.parametrize(
    "options",
    [
        ["-boot", "order=ca,once=d", "-no-fd-bootchk", "-nodefaults"],
        ["-fda", "floppy", "-drive", "file=large,format=raw,index=1", "-hda", "small", "-boot", "n"],
        [],
    ],
)
def test_the_clocks_memory(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size in (("small", 100 << 20), ("large", 8 << 30), ("floppy", 1_474_560)):
        with Path(name).open("wb") as file:
            file.truncate(size)
    options = [*BASE, *options]
    bytes_of = [dict(zip(range(0x0A, 0x80), read(options, cmos()), strict=True)) for read in (theirs, ours)]
    differing = {hex(address): (bytes_of[0][address], bytes_of[1][address]) for address in bytes_of[0]}
    assert {at: pair for at, pair in differing.items() if pair[0] != pair[1]} == {}


def test_pci_devices_are_in_the_same_slots() -> None:
    options = [*BASE, "-usb"]
    assert ours(options, config(0)) == theirs(options, config(0))
    classes = [[value >> 8 for value in read(options, config(8))] for read in (ours, theirs)]
    assert classes[0] == classes[1]


NODES = (
    *("-m", "4G", "-smp", "1,maxcpus=4"),
    *("-object", "memory-backend-ram,id=a,size=1M", "-object", "memory-backend-ram,id=b,size=3583M"),
    *("-object", "memory-backend-ram,id=c,size=512M", "-numa", "node,memdev=a,cpus=1,cpus=3"),
    *("-numa", "node,memdev=b,cpus=0", "-numa", "node,memdev=c,cpus=2"),
)
DISTANCES = [
    word
    for pair, value in {"0-1": 21, "1-0": 22, "0-2": 31, "2-0": 32, "1-2": 41, "2-1": 255}.items()
    for word in ("-numa", "dist,src={},dst={},val={}".format(*pair.split("-"), value))
]


@pytest.mark.parametrize("distances", [[], DISTANCES], ids=["without distances", "with distances"])
def test_where_cpus_and_memory_are(distances: list[str]) -> None:
    """The ACPI tables SRAT and SLIT; without what says who made them, and QEMU has no firmware's checksum there yet."""
    options = ["-display", "none", "-serial", "null", *NODES, *distances]
    found = []
    for tables in (our_tables(options), their_tables(options)):
        parts = [table(tables, signature) for signature in (b"SRAT", b"SLIT")]
        found.append([part[:9] + part[36:] for part in parts])
    assert found[0] == found[1]
    assert [bool(part) for part in found[0]] == [True, bool(distances)]


def our_tables(options: Sequence[str]) -> bytes:
    machine = build(describe(read([*options, "-accel", "tcg"])))
    try:
        reset(machine)
        tables = build_tables(machine)
        assert tables is not None
        return b"".join(table.data for table in tables.tables)
    finally:
        machine.close()


def their_tables(options: Sequence[str]) -> bytes:
    """The beginning of fw_cfg's file, in which there are no others' bytes before the tables'."""
    with qemu(options) as say:
        directory = read_item(say, 0x19, 64 * 64)
        count = int.from_bytes(directory[:4], "big")
        files = (directory[4 + 64 * index : 68 + 64 * index] for index in range(count))
        keys = {entry[8:].rstrip(b"\0"): int.from_bytes(entry[4:6], "big") for entry in files}
        return read_item(say, keys[b"etc/acpi/tables"], 12 << 10)


def read_item(say: Callable[[str], str], key: int, length: int) -> bytes:
    say(f"o /h {0x510} {key}")
    return bytes(int(say(f"i /b {0x511}").partition("=")[2], 16) for _ in range(length))


def table(tables: bytes, signature: bytes) -> bytes:
    at = tables.find(signature)
    return b"" if at < 0 else tables[at : at + int.from_bytes(tables[at + 4 : at + 8], "little")]


def test_what_fw_cfg_says() -> None:
    options = [
        *(*BASE, "-uuid", "00112233-4455-6677-8899-aabbccddeeff", "-boot", "menu=on", "-smp", "1,maxcpus=2"),
        *("-object", "memory-backend-ram,id=a,size=16M", "-object", "memory-backend-ram,id=b,size=48M"),
        *("-numa", "node,memdev=a,cpus=0", "-numa", "node,memdev=b,cpus=1"),
    ]
    assert ours(options, items()) == theirs(options, items())
