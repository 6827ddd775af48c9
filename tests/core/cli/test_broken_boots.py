"""Kernels that can't be booted, on the command line: one line with the place, the key and what is wrong; status 2."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.boot.images import MIB, bzimage, elf, multiboot

Southbridge = Callable[..., Any]

NONE = "it isn't a kernel: neither a Linux bzImage, nor an ELF file, nor a Multiboot image"

FILES = {
    "text": b"#!/bin/sh\n" * 1000,
    "empty": b"",
    "bzimage": bzimage(gzip.compress(elf([(2 * MIB, b"kernel", 4096)], entry=2 * MIB))),
    "short": bzimage(bytes(100_000))[:50_000],
    "tiny": bzimage()[:0x210],
    "ancient": bzimage(version=0x0200),
    "damaged": bzimage(gzip.compress(elf())[:-20]),
    "elf": elf(pvh=MIB),
    "short-elf": elf([(MIB, bytes(5000), 5000)])[:-1],
    "arm": elf(machine=183),
    "high": elf([(512 * MIB, b"kernel", 4096)], entry=512 * MIB),
    "multiboot": multiboot(4),
    "disk": bytes(7 * MIB),
}

WHATEVER_BEGINS = {
    "no kernel": ("kernel: text", "1:9: kernel: {}/text: " + NONE),
    "an empty kernel": ("kernel: empty", "1:9: kernel: {}/empty is empty"),
    "a kernel that is not there": ("kernel: gone", "1:9: kernel: can't read {}/gone: No such file or directory"),
    "a kernel that is a folder": ("kernel: .", "1:9: kernel: expected a file: {} is none"),
    "a kernel that waits for somebody": ("kernel: fifo", "1:9: kernel: expected a file: {}/fifo is none"),
    "a kernel cut short": ("kernel: short", "1:9: kernel: {}/short: it is cut short: its header promises more code"),
    "half a header": ("kernel: tiny", "1:9: kernel: {}/tiny: it has no Linux setup header"),
    "an old protocol": (
        "kernel: ancient",
        "1:9: kernel: {}/ancient: its boot protocol, 2.00, is too old (2.04 is the first that works)",
    ),
    "an ELF file cut short": (
        "kernel: short-elf",
        "1:9: kernel: {}/short-elf: it is cut short: a segment lies beyond its end",
    ),
    "another machine's": ("kernel: arm", "1:9: kernel: {}/arm: it isn't an executable for x86"),
    "a kernel beyond memory": (
        "kernel: high",
        "1:9: kernel: {}/high: it needs RAM from 0x20000000 to 0x20001000; free is 0x100000 to 0x",
    ),
    "Multiboot that asks for a screen": (
        "kernel: multiboot",
        "1:9: kernel: {}/multiboot: its Multiboot header asks for what isn't there: flags 0x4",
    ),
    "a protocol that it has not": (
        "kernel: elf\nboot_protocol: multiboot",
        "2:16: boot_protocol: the kernel has no Multiboot header",
    ),
    "a bzImage that is none": ("kernel: elf\nboot_protocol: bzimage", "2:16: boot_protocol: the kernel is no bzImage"),
    "no PVH entry": (
        "kernel: bzimage\nboot_protocol: pvh",
        "2:16: boot_protocol: the kernel has no PVH entry (no ELF note XEN_ELFNOTE_PHYS32_ENTRY)",
    ),
    "a damaged payload": ("kernel: damaged\nboot_protocol: vmlinux", "1:9: kernel: {}/damaged: it is cut short"),
    "an initrd that is not there": (
        "kernel: bzimage\ninitrd: gone",
        "2:9: initrd: can't read {}/gone: No such file or directory",
    ),
    "an initrd that does not fit": (
        "kernel: bzimage\ninitrd: disk",
        "2:9: initrd: {}/disk: it doesn't fit: it needs 7168 KiB below 0x",
    ),
    "a long command line": (
        f"kernel: bzimage\ncmdline: {'x' * 101}",
        "2:10: cmdline: it has 101 characters; this kernel takes 100",
    ),
    "a protocol that is none": (
        "kernel: bzimage\nboot_protocol: bzimge",
        "2:16: boot_protocol: expected auto, vmlinux, bzimage, pvh or multiboot, not 'bzimge'; did you mean 'bzimage'?",
    ),
    "a list": ("kernel: [bzimage]", "1:9: kernel: expected a file's path, not a list"),
    "no name": ("kernel: ''", "1:9: kernel: expected a file's path, not an empty text"),
    "a command line that is none": (
        "kernel: bzimage\ncmdline: {quiet: 1}",
        "2:10: cmdline: expected a command line, not a mapping",
    ),
    "a zero in the command line": (
        'kernel: bzimage\ncmdline: "a\\0b"',
        "2:10: cmdline: a zero byte can't be in it",
    ),
}

DESCRIPTIONS = {
    "initrd alone": ("initrd: disk", "1:9: initrd: there is no `kernel` that this is for"),
    "cmdline alone": ("cmdline: quiet", "1:10: cmdline: there is no `kernel` that this is for"),
    "boot_protocol alone": ("boot_protocol: pvh", "1:16: boot_protocol: there is no `kernel` that this is for"),
    "neither firmware nor kernel": (
        "firmware: none",
        "1:11: firmware: `none` needs a `kernel`: nothing else would run",
    ),
    "firmware that is none": ("firmware: bios", "1:11: firmware: expected rom or none, not 'bios'"),
    "no way to the firmware": (
        "kernel: bzimage\ndevices: {firmware-config: null}",
        "1:9: kernel: {}/bzimage: firmware can't find it: the machine has no device of type fw_cfg",
    ),
    "nothing but devices": (
        "firmware: none\nkernel: bzimage\ndevices: {host: null, isa: null, ide: null, power: null, modules: null}",
        "2:9: kernel: {}/bzimage: it needs RAM from 0x200000 to 0x300000; free is nothing above 1 MiB",
    ),
}


def check(southbridge: Southbridge, folder: Path, text: str, expected: str) -> None:
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "fifo")
    path = folder / "m.yaml"
    path.write_text(f"{text}\nextends: pc\nmemory: 8M\naccelerator: still\nchardevs: {{serial0: {{type: 'null'}}}}\n")
    result = southbridge("run", str(path))
    assert (result.status, result.out) == (2, "")
    *before, line = result.err.splitlines()
    assert line.startswith(f"southbridge: {path}:{expected.format(folder)}")
    assert all(other.startswith("southbridge: accelerator ") for other in before)


@pytest.mark.parametrize("firmware", ["none", "rom"])
@pytest.mark.parametrize("text, expected", WHATEVER_BEGINS.values(), ids=WHATEVER_BEGINS)
def test_whatever_begins(
    southbridge: Southbridge, kit: Path, tmp_path: Path, text: str, expected: str, firmware: str
) -> None:
    check(southbridge, tmp_path, f"{text}\nfirmware: {firmware}", expected)


@pytest.mark.parametrize("text, expected", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_what_goes_together(southbridge: Southbridge, kit: Path, tmp_path: Path, text: str, expected: str) -> None:
    check(southbridge, tmp_path, text, expected)
