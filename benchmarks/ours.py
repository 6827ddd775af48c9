"""Southbridge as a command, and as an object whose start can be timed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

from .processes import watch_descriptor

DESCRIPTION = """\
extends: pc
memory: 128M
chardevs:
  serial0: {type: "null"}
  debug: DEBUG
devices:
  debug: {type: debugcon, iobase: 0x402, chardev: debug}
"""

DISK = """\
  disk: {type: ide-hd, drive: image}
blockdevs:
  image: {type: raw, path: PATH, overlay: true}
"""


def program() -> Path:
    """The installed command."""
    return Path(sysconfig.get_path("scripts"), "southbridge")


def description(folder: Path, image: Path | None = None) -> Path:
    """A machine whose debug console is standard output, with a disk or without."""
    path = folder / "machine.yaml"
    text = DESCRIPTION.replace("DEBUG", "{type: stdio}")
    path.write_text(text if image is None else text + DISK.replace("PATH", str(image)))
    return path


def machine_start(path: Path, marker: bytes) -> float:
    """Seconds from the moment when the vCPU may run until `marker` appears, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.ours", str(path), marker.decode()],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    return float(result.stdout)


def main() -> None:
    """The child process of `machine_start`."""
    from southbridge import hookimpl
    from southbridge.builder import build
    from southbridge.description import load
    from southbridge.machine import Machine, ShutdownReason

    reading, writing = os.pipe()
    started: list[float] = []

    class Stopwatch:
        @hookimpl
        def machine_resumed(self, machine: Machine) -> None:
            started.append(time.perf_counter())

    debug = f"chardevs.debug={{type: file, path: /dev/fd/{writing}}}"
    machine = build(load(sys.argv[1], [debug]))
    machine.hooks.register(Stopwatch(), "stopwatch")
    found: list[float] = []

    def look() -> None:
        watch_descriptor(reading, [sys.argv[2].encode()], time.perf_counter(), "Southbridge")
        found.append(time.perf_counter())
        machine.request_shutdown(ShutdownReason.HOST_QUIT)

    threading.Thread(target=look, daemon=True).start()
    machine.run()
    print(found[0] - started[0])
    machine.close()


if __name__ == "__main__":
    main()
