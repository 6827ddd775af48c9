"""QEMU's own shell for QMP, in a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sysconfig
from pathlib import Path

from tests.core.qemu_system.program import running
from tests.terminal import PATIENCE_S, Terminal

SHELL = Path(sysconfig.get_path("scripts"), "qmp-shell")


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
