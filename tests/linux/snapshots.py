"""A machine that is saved while Linux runs, and goes on in a new process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from southbridge.control.client import MachineClient, find_machine

from tests.guests.southbridge import PROGRAM
from tests.linux.guest import PATIENCE_S
from tests.linux.initramfs import EXIT_STATUS


def save_when(
    waits_for: bytes, description: Path, snapshot: Path, look: Callable[[MachineClient], None] = lambda machine: None
) -> bytes:
    """Runs a machine until it has said `waits_for`, has a look, saves it, and ends it. Gives what it said."""
    with subprocess.Popen(
        [PROGRAM, "run", description, "--id", "linux"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            assert process.stdout is not None
            output = b""
            while waits_for not in output:
                piece = os.read(process.stdout.fileno(), 65536)
                assert piece, output[-2000:]
                output += piece
            with find_machine("linux") as machine:
                look(machine)
                machine.run("stop")
                machine.run("snapshot-save", path=str(snapshot))
                machine.run("quit")
            rest, _ = process.communicate(timeout=PATIENCE_S)
            return output + rest
        finally:
            process.kill()


def go_on(snapshot: Path) -> bytes:
    """Restores it, and gives what it says to its end."""
    after = subprocess.run(
        [PROGRAM, "snapshot", "restore", snapshot],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=PATIENCE_S,
    )
    assert after.returncode == EXIT_STATUS, after.stdout[-2000:]
    return after.stdout
