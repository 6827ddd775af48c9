"""What a program that draws on a serial terminal shows: text, and the cursor's positions; nothing else is looked at."""

from __future__ import annotations

import re

ROWS, COLUMNS = 25, 80

_PIECE = re.compile(rb"\x1b\[(?P<numbers>[0-9;]*)(?P<command>[A-Za-z])|(?P<character>[\x20-\x7e])|[\r\n]")
_POSITION = b"H"


def screen(output: bytes) -> list[str]:
    """The rows of the screen at the end of `output`."""
    rows = [[" "] * COLUMNS for _ in range(ROWS)]
    row = column = 0
    for piece in _PIECE.finditer(output):
        if piece["character"]:
            if row < ROWS and column < COLUMNS:
                rows[row][column] = piece["character"].decode()
            column += 1
        elif piece["command"] == _POSITION:
            numbers = [int(number or 1) for number in (piece["numbers"] + b";").split(b";")[:2]]
            row, column = numbers[0] - 1, numbers[1] - 1
        elif piece.group() == b"\r":
            column = 0
        elif piece.group() == b"\n":
            row += 1
    return ["".join(cells).rstrip() for cells in rows]
