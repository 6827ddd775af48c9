"""`southbridge monitor`: a person at a running machine, at a terminal or through a pipe."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.core.cli.conftest import PROGRAM
from tests.terminal import PATIENCE_S, Terminal

Southbridge = Callable[..., Any]


@pytest.fixture
def machine(start: Southbridge) -> Any:
    """The process of a machine `looked-at`."""
    settings = ["name=looked-at", "accelerator=qtest", "chardevs.serial0.type=null", "memory=16M"]
    options = [word for setting in settings for word in ("--set", setting)]
    process = start("run", "pc", "--log", "info", *options, text=True)
    for line in process.stderr:
        if re.fullmatch(r"southbridge: machine id looked-at\n", line):
            return process
    raise AssertionError("it didn't start")


def test_lines_from_a_pipe(machine: Any) -> None:
    lines = "info status\nfoo\ninfo uuid\nquit\ninfo status\n"
    command = [*PROGRAM, "monitor", "looked-at"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=PATIENCE_S)
    expected = "VM status: running\nunknown command: 'foo'\n00000000-0000-0000-0000-000000000000\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    assert machine.wait(PATIENCE_S) == 0


def test_a_terminal(machine: Any) -> None:
    inner, outer = pty.openpty()
    with subprocess.Popen([*PROGRAM, "monitor", "looked-at"], stdin=outer, stdout=outer, stderr=outer) as process:
        try:
            os.close(outer)
            terminal = Terminal(inner)
            terminal.until(b"(looked-at) ")
            terminal.press(b"info na\t\n")
            terminal.until(b"\nlooked-at")
            terminal.until(b"(looked-at) ")
            terminal.press(b"info device keyb\t\n")
            terminal.until(b"\nbank ")
            terminal.until(b"(looked-at) ")
            terminal.press(b"\x04")
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            os.close(inner)
    assert machine.poll() is None


def test_no_such_machine(southbridge: Southbridge) -> None:
    result = southbridge("monitor", "none")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "there is no running machine 'none'" in result.err
