"""How `x`, `xp` and `print` show values."""

from __future__ import annotations

from .line import Format

_NAMED = {"'": "\\'", "\\": "\\\\", "\n": "\\n", "\r": "\\r"}
LINE = 16


def shown_character(value: int) -> str:
    """A byte as a character constant: 'A', '\\x1b'."""
    character = chr(value)
    if character in _NAMED:
        return f"'{_NAMED[character]}'"
    return f"'{character}'" if 32 <= value <= 126 else f"'\\x{value:02x}'"


def shown(value: int, kind: str) -> str:
    """The value of an expression, of 64 bits."""
    signed = value
    value &= (1 << 64) - 1
    if kind == "o":
        return f"0{value:o}" if value else "0"
    if kind == "x":
        return f"{value:#x}" if value else "0"
    if kind == "u":
        return str(value)
    if kind == "c":
        return shown_character(value & 0xFF)
    return str(signed)


def memory(data: bytes, address: int, format: Format, digits: int) -> str:
    """Lines with addresses of `digits` digits, and the values in `data`, which is from `address` on."""
    size = 1 if format.kind == "c" else format.size
    step = 8 if format.size == 1 else LINE
    lines = []
    for start in range(0, len(data), step):
        values = [
            _value(data[at : at + size], format.kind, size) for at in range(start, min(start + step, len(data)), size)
        ]
        lines.append(f"{address + start:0{digits}x}: {' '.join(values)}")
    return "\n".join(lines)


def _value(data: bytes, kind: str, size: int) -> str:
    value = int.from_bytes(data, "little")
    bits = 8 * size
    if kind == "c":
        return shown_character(value)
    if kind == "x":
        return f"0x{value:0{2 * size}x}"
    if kind == "o":
        return (f"0{value:o}" if value else "0").rjust((bits + 2) // 3)
    if kind == "d" and value >> bits - 1:
        value -= 1 << bits
    return str(value).rjust((bits * 10 + 32) // 33)
