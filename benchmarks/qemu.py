"""QEMU, held before its first instruction until we say so."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .processes import PATIENCE, Watched, memory, watch_descriptor

MACHINE = ("qemu-system-x86_64", "-machine", "pc", "-cpu", "qemu64", "-m", "128")
PLAIN = ("-nodefaults", "-display", "none", "-chardev", "stdio,id=debug")
DEBUGCON = ("-device", "isa-debugcon,iobase=0x402,chardev=debug")


def run(markers: Sequence[bytes], *arguments: str, accelerator: str = "tcg") -> Watched:
    """When each marker appeared on the debug console, in seconds after the machine was let go."""
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder, "qmp")
        command = [
            *MACHINE,
            "-accel",
            accelerator,
            *PLAIN,
            *DEBUGCON,
            *arguments,
            "-S",
            "-qmp",
            f"unix:{control},server=on,wait=off",
        ]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        try:
            with _connected(control) as client:
                _execute(client, "qmp_capabilities")
                start = time.perf_counter()
                _execute(client, "cont")
                seconds = watch_descriptor(process.stdout.fileno(), markers, start, "QEMU")
            return Watched(seconds, memory(process.pid), {})
        finally:
            process.kill()
            process.communicate()


def _connected(path: Path) -> socket.socket:
    give_up = time.perf_counter() + PATIENCE
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(os.fspath(path))
        except OSError:
            client.close()
            if time.perf_counter() > give_up:
                raise SystemExit("QEMU didn't open its monitor") from None
            time.sleep(0.01)
        else:
            client.recv(4096)
            return client


def _execute(client: socket.socket, command: str) -> None:
    client.sendall(json.dumps({"execute": command}).encode())
    client.recv(4096)
