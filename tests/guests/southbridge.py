"""Guests on our own machine, by the command that users type."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tests.guests.conversation import Result, talk
from tests.guests.qemu import Media

PROGRAM = Path(sysconfig.get_path("scripts"), "southbridge")

DRIVES = {
    "disk": "drive0: {type: ide-hd, drive: image, bootindex: 0}",
    "cdrom": "drive0: {type: ide-cd, drive: image, bus: ide.1, bootindex: 0}",
}


def describe(folder: Path, *, image: Path | None = None, media: Media = "disk", more: str = "") -> Path:
    """A description in `folder`: the board, a way to exit, and perhaps an image; `more` goes under devices."""
    lines = ["extends: pc", "memory: 128M", "devices:", "  exit: {type: isa-debug-exit}"]
    if image is not None:
        lines.append(f"  {DRIVES[media]}")
    lines += [f"  {line}" for line in more.splitlines()]
    if image is not None:
        access = "read_only" if media == "cdrom" else "overlay"
        lines += ["blockdevs:", f"  image: {{type: raw, path: '{image}', {access}: true}}"]
    path = folder / "machine.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run_southbridge(
    description: Path, *, send: Sequence[tuple[bytes, bytes]] = (), until: bytes | None = None, timeout_s: float
) -> Result:
    """Runs it with its serial port on a pipe; see `talk`."""
    return talk([PROGRAM, "run", description], send=send, until=until, timeout_s=timeout_s)
