"""Broken descriptions, on the command line and with the plugins that are shipped: one line, exit status 2."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from southbridge.description.loader import shipped

Southbridge = Callable[..., Any]

QUIET = 'extends: pc\nchardevs: {serial0: {type: "null"}}\n'

BROKEN = {
    "an unknown key": (
        QUIET + "memroy: 64M\n",
        "3:1: memroy: a machine description has no such key; did you mean 'memory'?",
    ),
    "a wrong type": (
        QUIET + "devices:\n  com1: {irq: four}\n",
        "4:15: devices.com1.irq: expected an integer, not 'four'",
    ),
    "an unknown property": (
        QUIET + "devices:\n  com1: {iobse: 0x3F8}\n",
        "4:10: devices.com1.iobse: uart16550 has no such property; did you mean 'iobase'?",
    ),
    "an unknown device": (
        QUIET + "devices:\n  com2: {type: uart16650}\n",
        "4:16: devices.com2.type: there is no device 'uart16650'; did you mean 'uart16550'?",
    ),
    "a missing back end": (
        QUIET + "devices:\n  com1: {chardev: serial1}\n",
        "4:19: devices.com1.chardev: there is no chardev 'serial1'; did you mean 'serial0'?",
    ),
    "a back end that another one uses": (
        QUIET + "devices:\n  com2: {type: uart16550, iobase: 0x2F8, irq: 3, chardev: serial0}\n",
        "4:59: devices.com2.chardev: chardevs.serial0 is used by com1 already, and can't be shared",
    ),
    "two devices on one port": (
        QUIET + "devices:\n  com2: {type: uart16550, irq: 3}\n",
        "4:3: devices.com2: ports 0x3f8 to 0x3ff (8 B) overlap 0x3f8 to 0x3ff, which com1 has",
    ),
    "two devices on one interrupt line": (
        QUIET + "devices:\n  com2: {type: uart16550, iobase: 0x2F8}\n",
        "4:3: devices.com2: IRQ 4 is taken by com1",
    ),
    "two devices in one PCI slot": (
        QUIET + "devices:\n  card: {type: pci-card, addr: 01.0}\n",
        "4:3: devices.card: pci.0 slot 01.0 is taken by isa",
    ),
    "two disks at one place": (
        QUIET + "blockdevs: {d: {type: raw, path: good.img, read_only: true}}\n"
        "devices:\n  a: {type: ide-cd, unit: 0}\n  b: {type: ide-cd, unit: 0}\n",
        "6:3: devices.b: ",
    ),
    "a bus that is not there": (
        QUIET + "devices:\n  a: {type: ide-cd, bus: ide.7}\n",
        "4:26: devices.a.bus: no device provides a bus 'ide.7'; did you mean 'ide.1'?",
    ),
    "a board without its host bridge": (
        QUIET + "devices:\n  host: null\n",
        "{isa}: devices.isa.bus: no device provides a bus 'pci.0' (there are: none)",
    ),
    "an image that is not there": (
        QUIET + "blockdevs:\n  d: {type: raw, path: gone.img}\n",
        "4:3: blockdevs.d: {folder}/gone.img: cannot open the image: No such file or directory",
    ),
    "an image that is a folder": (
        QUIET + "blockdevs:\n  d: {type: raw, path: .}\n",
        "4:3: blockdevs.d: {folder}: expected an image file or a block device",
    ),
    "an empty image": (
        QUIET + "blockdevs:\n  d: {type: raw, path: empty.img}\n",
        "4:3: blockdevs.d: {folder}/empty.img: the image is empty; expected at least one byte of disk",
    ),
    "an image that is cut short": (
        QUIET + "blockdevs:\n  d: {type: qcow2, path: short.qcow2, read_only: true}\n",
        "4:3: blockdevs.d: {folder}/short.qcow2: ",
    ),
    "firmware that is not there": (
        QUIET + "devices:\n  bios: {image: bois.bin}\n",
        "4:3: devices.bios: image: there is no firmware 'bois.bin' in ",
    ),
    "a circle": (
        "extends: other.yaml\n",
        "{folder}/other.yaml:1:10: extends: descriptions extend each other in a circle: "
        "{folder}/m.yaml -> {folder}/other.yaml -> {folder}/m.yaml",
    ),
    "a size that is none": (QUIET + "memory: 64Q\n", "3:9: memory: expected a size such as 256M, not '64Q'"),
    "too little memory for the board": (
        QUIET + "memory: 64K\n",
        "{host}: devices.host: needs at least 1 MiB of memory, not 64 KiB",
    ),
    "a bomb of aliases": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in pairwise("abcdefgh")),
        "5:44: aliases expand this to more than 100000 values",
    ),
    "a bomb of two mebibytes": (
        "a: &a [x]\nb: [" + "*a, " * (1 << 19) + "]\n",
        "1:1: larger than 1 MiB, which no machine description is",
    ),
}


@pytest.mark.parametrize("text, expected", BROKEN.values(), ids=BROKEN)
def test_a_broken_description_is_one_line_and_status_2(
    southbridge: Southbridge, kit: Path, tmp_path: Path, text: str, expected: str
) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text if text.startswith(("a:", "extends: other")) else f"{text}accelerator: still\n")
    (tmp_path / "other.yaml").write_text("extends: m.yaml\n")
    (tmp_path / "good.img").write_bytes(bytes(512))
    (tmp_path / "empty.img").touch()
    (tmp_path / "short.qcow2").write_bytes(b"QFI\xfb\0\0\0\3" + bytes(20))
    result = southbridge("run", str(path))
    assert (result.status, result.out) == (2, "")
    line = result.err.splitlines()[-1]
    place = "" if expected.startswith("{") else f"{path}:"
    whole = "southbridge: " + place + expected.format(folder=tmp_path, **board_places())
    assert line.startswith(whole) if expected.endswith((": ", " in ")) else line == whole
    assert "Traceback" not in result.err


def board_places() -> dict[str, str]:
    """Where the devices of the board are described: host, isa and so on."""
    path = shipped()["pc"]
    lines = enumerate(path.read_text().splitlines(), 1)
    return {line.split(":")[0].strip(): f"{path}:{number}:3" for number, line in lines if line.startswith("  ")}
