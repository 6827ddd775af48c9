"""Runs a guest under real QEMU, its software CPU, to compare with: the plainest machine that has what ours has."""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tests.guests.build import need
from tests.guests.conversation import Result, talk

Media = Literal["disk", "cdrom"]


def qemu_command(image: Path, *, media: Media = "disk", accel: str = "tcg", devices: Sequence[str] = ()) -> list[str]:
    """The command line: 440FX PC, one drive on the first IDE channel, COM1 on standard input and output.

    The image is never written. isa-debug-exit ends QEMU with status 2 * value + 1.
    """
    drive = f"file={str(image).replace(',', ',,')},format=raw,if=ide,index=0,media={media}"
    return [
        need("qemu-system-x86_64", "qemu-system-x86"),
        *("-machine", "pc", "-accel", accel, "-cpu", "qemu64", "-nodefaults", "-display", "none"),
        *("-chardev", "stdio,id=com1,signal=off", "-serial", "chardev:com1"),
        *("-device", "isa-debug-exit,iobase=0x501,iosize=2"),
        *("-drive", drive + ("" if media == "cdrom" else ",snapshot=on"), "-no-reboot"),
        *(option for device in devices for option in ("-device", device)),
    ]


def run_qemu(
    image: Path,
    *,
    media: Media = "disk",
    accel: str = "tcg",
    devices: Sequence[str] = (),
    until: bytes | None = None,
    timeout_s: float,
    send: Sequence[tuple[bytes, bytes]] = (),
) -> Result:
    """Boots `image` and talks to it as `conversation.talk` does; without `until`, until the guest ends the machine."""
    command = qemu_command(image, media=media, accel=accel, devices=devices)
    return talk(command, send=send, until=until, timeout_s=timeout_s)


INTERNAL_ERROR = b"KVM internal error"


def run_qemu_kvm(image: Path, *, timeout_s: float) -> bytes:
    """What `image` says under QEMU's KVM, until it ends, hangs, or KVM can't go on."""
    with subprocess.Popen(
        qemu_command(image, accel="kvm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        output, deadline = b"", time.monotonic() + timeout_s
        try:
            while INTERNAL_ERROR not in output:
                if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    break
                chunk = process.stdout.read(65536)
                if not chunk:
                    break
                output += chunk
        finally:
            process.kill()
        return output
