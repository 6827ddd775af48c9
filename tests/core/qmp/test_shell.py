"""QEMU's own shell for QMP, in a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sysconfig
import time
from pathlib import Path

from tests.core.qemu_system.program import running

SHELL = Path(sysconfig.get_path("scripts"), "qmp-shell")
PATIENCE_S = 60.0


class Terminal:
    """The user's side of a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = b""

    def type(self, line: str) -> None:
        os.write(self._descriptor, line.encode() + b"\n")

    def until(self, text: bytes) -> bytes:
        """What was shown, up to `text`, since the last one."""
        give_up = time.monotonic() + PATIENCE_S
        while text not in self._seen:
            left = give_up - time.monotonic()
            assert left > 0 and select.select([self._descriptor], [], [], left)[0], self._seen
            self._seen += os.read(self._descriptor, 4096)
        shown, _, self._seen = self._seen.partition(text)
        return shown


def test_its_user_types_commands(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    options = ["-machine", "pc", "-accel", "qtest", "-nodefaults", "-display", "none", "-S"]
    options += ["-qmp", f"unix:{path},server=on,wait=off"]
    with running(options, tmp_path / "log") as process:
        while not path.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            select.select([], [], [], 0.01)
        inner, outer = pty.openpty()
        with subprocess.Popen([SHELL, str(path)], stdin=outer, stdout=outer, stderr=outer) as shell:
            os.close(outer)
            terminal = Terminal(inner)
            terminal.until(b"(QEMU) ")
            terminal.type("query-status")
            assert b'"status": "prelaunch"' in terminal.until(b"(QEMU) ")
            terminal.type("query-block device=none")
            assert b'"GenericError"' in terminal.until(b"(QEMU) ")
            terminal.type("quit")
            assert process.wait(PATIENCE_S) == 0
            shell.terminate()
        os.close(inner)
