"""Memtest86+, Debian's package: operated through the serial port, read from the screen that it draws there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.guests.conversation import Result, talk
from tests.guests.screen import screen
from tests.linux.packages import unpacked

PACKAGE = "memtest86+"
CONSOLE = "console=ttyS0,115200"
PATIENCE_S = 90.0
"""Only a guest that hangs meets this."""

_EXIT_MENU = b"Exit menu"
FIRST_TESTS = [
    (b"<F1>", b"1"),
    (b"Test selection", b"1"),
    (_EXIT_MENU, b"1"),  # clears the selection
    (_EXIT_MENU, b"4"),
    (b"first test #", b"0\r"),
    (b"last test #", b"3\r"),
    (_EXIT_MENU, b"0"),
    (_EXIT_MENU, b"0"),
]
"""What is typed, and when: tests 0 to 3 only. A whole pass takes minutes."""

PASSED = b"Pass:  1"


def program(width: int = 64) -> Path:
    """The program, which starts as a Linux kernel does."""
    return unpacked(PACKAGE) / "boot" / f"memtest86+{'x64' if width == 64 else 'ia32'}.bin"


def run_memtest(command: Sequence[str | Path]) -> Result:
    """Runs the machine until Memtest86+ was through its first tests once."""
    # It draws a line from left to right, and the number of errors comes behind: that is there once it draws the next.
    return talk(command, send=[*FIRST_TESTS, (PASSED, b"")], until=PASSED, timeout_s=PATIENCE_S)


def shown(result: Result) -> str:
    """Its screen."""
    return "\n".join(screen(result.output))


def errors(text: str) -> int:
    """How many errors it counts."""
    found = re.search(r"Errors: (\d+)", text)
    assert found, text
    return int(found.group(1))
