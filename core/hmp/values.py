"""`driver,key=value,key=value` as the command line has it, for words that take that."""

from __future__ import annotations

from typing import Any

from ..qemu_system.words import pieces
from .line import Line, LineError


def settings(line: Line, first: str, missing: str = "") -> dict[str, Any]:
    """What is left of the line, by key; the first piece is `first`'s without one. Commas are doubled in values.

    Raises LineError with what is `missing` if nothing is left.
    """
    found: dict[str, Any] = {}
    for number, piece in enumerate(filter(None, pieces(line.rest()))):
        key, equals, value = piece.partition("=")
        if number == 0 and not equals:
            found[first] = key
        else:
            found[key.strip()] = _plain(value.strip()) if equals else True
    if not found and missing:
        raise LineError(f"{line.name}: {missing}")
    return found


def _plain(text: str) -> Any:
    if text in ("on", "off"):
        return text == "on"
    try:
        return int(text, 0)
    except ValueError:
        return text
