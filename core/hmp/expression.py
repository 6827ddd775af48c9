"""Numbers as people type them: `0xffff0 + 16`, `$eip`, `'A'`. As in QEMU's monitor `* / %` bind tightest, then
`& | ^`, then `+ -`; a leading 0 means octal.
"""

from __future__ import annotations

import re

from .line import Line, LineError

BITS = 64
_MASK = (1 << BITS) - 1
_SIGN = 1 << BITS - 1
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
DEEPEST = 64


def expression(line: Line, depth: int = 0) -> int:
    """The value of the expression that comes next, between -2^63 and 2^63 - 1. Raises LineError."""
    value = _logic(line, depth)
    while operator := line.take_if("+-"):
        other = _logic(line, depth)
        value = _signed(value + other if operator == "+" else value - other)
    return value


def optional_expression(line: Line) -> int | None:
    """As `expression`, or None at the line's end."""
    return expression(line) if line.peek() else None


def _logic(line: Line, depth: int) -> int:
    value = _product(line, depth)
    while operator := line.take_if("&|^"):
        other = _product(line, depth)
        value = {"&": value & other, "|": value | other, "^": value ^ other}[operator]
    return value


def _product(line: Line, depth: int) -> int:
    value = _unary(line, depth)
    while operator := line.take_if("*/%"):
        other = _unary(line, depth)
        if operator == "*":
            value = _signed(value * other)
        elif not other:
            raise LineError("division by zero")
        else:
            quotient = abs(value) // abs(other) * (1 if (value < 0) == (other < 0) else -1)
            value = _signed(quotient if operator == "/" else value - quotient * other)
    return value


def _unary(line: Line, depth: int) -> int:
    if depth > DEEPEST:
        raise LineError("the expression is too deep")
    character = line.peek()
    if not character:
        raise LineError("unexpected end of expression")
    if character in "+-~":
        line.take()
        value = _unary(line, depth + 1)
        return {"+": value, "-": _signed(-value), "~": ~value}[character]
    if character == "(":
        line.take()
        value = expression(line, depth + 1)
        if not line.take_if(")"):
            raise LineError("')' expected")
        return value
    if character == "'":
        return _character(line)
    if character == "$":
        return _register(line)
    return _number(line)


def _character(line: Line) -> int:
    line.take()
    value = line.next()
    if not value:
        raise LineError("character constant expected")
    if line.next() != "'":
        raise LineError("missing terminating ' character")
    return ord(value)


def _register(line: Line) -> int:
    line.take()
    name = line.run(lambda character: character.isalnum() or character in "_.")
    if line.register is None:
        raise LineError("unknown register")
    try:
        return _signed(line.register(name.lower()))
    except KeyError:
        raise LineError("unknown register") from None


def _number(line: Line) -> int:
    text = line.match(_NUMBER)
    if not text:
        raise LineError(f"invalid char '{line.peek()}' in expression")
    value = int(text, 16 if text[1:2] in ("x", "X") else 8 if text.startswith("0") else 10)
    if value > _MASK:
        raise LineError("number too large")
    return _signed(value)


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << BITS) if value & _SIGN else value
