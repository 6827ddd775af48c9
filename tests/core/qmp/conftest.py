"""The program, paused, with a client that talks with it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.qemu_system.program import make_files, running
from tests.core.qmp.talking import PATIENCE_S, Talk, talk_with


@pytest.fixture
def converse(tmp_path: Path) -> Callable[..., None]:
    """Starts the program, paused, with these further options, and has a client talk with it."""

    def run(talk: Talk, *options: str) -> None:
        make_files(tmp_path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "qmp"))
        listener.listen()
        all_options = [
            *("-machine", "pc", "-accel", "unicorn", "-nodefaults", "-display", "none", "-S", "-m", "32"),
            *("-chardev", f"socket,id=monitor,fd={listener.fileno()},server=on", "-mon", "monitor,mode=control"),
            *("-name", "talks"),
            *("-drive", f"id=cd,if=none,file={tmp_path}/cd1.iso,format=raw,readonly=on"),
            *("-device", "ide-cd,id=drive,drive=cd,bus=ide.1"),
            *options,
        ]
        with listener, running(all_options, tmp_path / "log", inherited=[listener.fileno()]) as process:
            asyncio.run(asyncio.wait_for(talk_with(tmp_path / "qmp", talk), PATIENCE_S))
            process.terminate()
            assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()

    return run
