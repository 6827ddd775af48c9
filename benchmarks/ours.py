"""Southbridge as a command, and as an object whose start can be timed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

from .processes import watch_descriptor

DESCRIPTION = """\
extends: pc
accelerator: ACCELERATOR
memory: 128M
chardevs:
  serial0: {type: "null"}
  debug: DEBUG
devices:
  debug: {type: debugcon, iobase: 0x402, chardev: debug}
"""

BELL_PORTS = 0x520

CARD = """\
  nic0: {type: e1000, netdev: net0, romfile: ''}
"""

NETWORK = """\
netdevs:
  net0: NETDEV
"""

DISK = """\
  disk: {type: ide-hd, drive: image}
blockdevs:
  image: {type: raw, path: PATH, overlay: true}
"""


def program() -> Path:
    """The installed command."""
    return Path(sysconfig.get_path("scripts"), "southbridge")


def description(
    folder: Path, image: Path | None = None, accelerator: str = "unicorn", netdev: str | None = None
) -> Path:
    """A machine whose debug console is standard output, with a disk or without; and with a network card, if `netdev`
    says what its cable leads to.
    """
    path = folder / "machine.yaml"
    text = DESCRIPTION.replace("DEBUG", "{type: stdio}").replace("ACCELERATOR", accelerator)
    text += CARD if netdev else ""
    text += DISK.replace("PATH", str(image)) if image else ""
    text += NETWORK.replace("NETDEV", netdev) if netdev else ""
    path.write_text(text)
    return path


def machine_start(path: Path, markers: Sequence[bytes]) -> dict[bytes, float]:
    """When each of `markers` appears, in seconds after the moment when the vCPU may run, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ours", str(path)]
    folder = Path(__file__).parent.parent
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        try:
            prefix = process.stdout.readline()
            return watch_descriptor(process.stdout.fileno(), markers, float(prefix), "Southbridge")
        finally:
            process.kill()


def main() -> None:
    """The child process of `machine_start`: says on standard output when the machine starts, then runs it.

    The machine has the device that the guest exits.asm uses.
    """
    from southbridge import Machine, hookimpl
    from southbridge.builder import build
    from southbridge.construct import make_device
    from southbridge.description import load

    from .testdev import TestDevice

    class Stopwatch:
        @hookimpl
        def machine_resumed(self, machine: Machine) -> None:
            os.write(1, f"{time.perf_counter()}\n".encode())

    machine = build(load(sys.argv[1]))
    machine.plug(make_device(machine, TestDevice, "test"))
    machine.hooks.register(Stopwatch(), "stopwatch")
    machine.run()


if __name__ == "__main__":
    main()
