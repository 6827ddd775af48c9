"""Linux in a machine of ours, by the command that users type, and in QEMU."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.guests.build import GRUB_TERMINAL, grub_disk_image, need
from tests.guests.conversation import Reply, Result, plain, talk
from tests.guests.southbridge import PROGRAM
from tests.linux.initramfs import DONE, EXIT_STATUS
from tests.linux.packages import kernel

PATIENCE_S = 600.0
"""Only a guest that hangs meets this, or one on a very busy host."""

CMDLINE = "console=ttyS0 panic=-1 printk.time=0"
NO_ACPI = f"{CMDLINE} acpi=off"


WAYS = ("none", "rom", "grub")
"""How Linux is started: by the machine itself; by firmware, with the kernel from outside; by firmware and GRUB."""


def describe(
    folder: Path,
    initrd: bytes,
    *,
    cmdline: str = CMDLINE,
    firmware: str = "none",
    settings: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
    blockdevs: Sequence[str] = (),
    netdevs: Sequence[str] = (),
) -> Path:
    """A description in `folder` of a machine that boots Debian's kernel with `initrd`. `firmware` is one of WAYS.

    For GRUB, the machine has a further disk, which is the last (bus ide.1, unit 1).
    """
    (folder / "initrd.cpio").write_bytes(initrd)
    lines = {"memory": "256M", "accelerator": "unicorn", **(settings or {})}
    devices = ["exit: {type: isa-debug-exit}", *devices]
    if firmware == "grub":
        grub_disk(folder, cmdline)
        devices.append("grub: {type: ide-hd, drive: grub, bus: ide.1, unit: 1, bootindex: 0}")
        blockdevs = [*blockdevs, "grub: {type: raw, path: grub.img, read_only: true}"]
    else:
        lines |= {"firmware": firmware, "kernel": f"'{kernel()}'", "initrd": "initrd.cpio", "cmdline": f"'{cmdline}'"}
    text = [
        "extends: pc",
        *(f"{key}: {value}" for key, value in lines.items()),
        "devices:",
        *(f"  {line}" for line in devices),
        *(["blockdevs:", *(f"  {line}" for line in blockdevs)] if blockdevs else []),
        *(["netdevs:", *(f"  {line}" for line in netdevs)] if netdevs else []),
    ]
    path = folder / "machine.yaml"
    path.write_text("\n".join(text) + "\n")
    return path


def grub_disk(folder: Path, cmdline: str) -> Path:
    """A disk on which GRUB starts Debian's kernel with the initrd that is in `folder`, at once."""
    menu = f"set timeout=0\nmenuentry Debian {{\n  linux /vmlinuz {cmdline}\n  initrd /initrd\n}}\n"
    (folder / "grub.img").unlink(missing_ok=True)
    files = {"vmlinuz": kernel(), "initrd": folder / "initrd.cpio"}
    return grub_disk_image(folder, "grub", GRUB_TERMINAL + menu, files)


def run_linux(
    description: Path,
    *,
    until: Sequence[bytes] = (),
    then: Sequence[tuple[bytes, Reply]] = (),
    options: Sequence[str] = (),
) -> Result:
    """Runs the machine until it ends, or has said each of `until`, one after the other.

    Before that, for each pair of `then`: waits until the guest has said the text, and types that, or does it to the
    machine.
    """
    *before, last = until or (None,)
    send: list[tuple[bytes, Reply]] = [*then, *((text, b"") for text in before if text)]
    return talk([PROGRAM, "run", *options, description], send=send, until=last, timeout_s=PATIENCE_S)


@contextmanager
def control_sockets() -> Iterator[None]:
    """Inside, machines have their control sockets in a folder of their own; its path must be short."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield


def only_machine(status: str | None = None) -> str:
    """The id of the only machine there, once there is one, in the state `status`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = json.loads(subprocess.check_output([PROGRAM, "machines", "--json"]))
        if found and status in (None, found[0]["status"]):
            id: str = found[0]["id"]
            return id
    raise AssertionError(f"no machine is {status or 'there'}")


def say(*verb: str, to: str | None = None) -> Callable[[], None]:
    """What has the only machine there hear a verb of the command line, once its state is `to`; "ID" stands for it."""

    def run() -> None:
        id = only_machine(to)
        subprocess.run([PROGRAM, *(id if word == "ID" else word for word in verb)], check=True)

    return run


def said(result: Result) -> str:
    """What the guest printed, which came to its end; also for pytest to show of a test that fails."""
    text = plain(result.output).decode("ascii", "replace")
    print(text)
    assert result.status == EXIT_STATUS, (result.status, text[-3000:])
    assert DONE.decode() in text, text[-3000:]
    return text


def answer(text: str, name: str) -> str:
    """The rest of the line that begins with "name: "."""
    found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    assert found, f"no line {name!r} in:\n{text[-3000:]}"
    return found.group(1).strip()


def qemu_command(initrd: Path, *, cmdline: str = CMDLINE, memory: str = "256M") -> list[str]:
    """QEMU's software CPU with the same kernel, initramfs and memory."""
    return [
        need("qemu-system-x86_64", "qemu-system-x86"),
        *("-machine", "pc", "-accel", "tcg", "-cpu", "qemu64", "-m", memory, "-nodefaults", "-display", "none"),
        *("-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0x501,iosize=2"),
        *("-kernel", str(kernel()), "-initrd", str(initrd), "-append", cmdline),
    ]
