"""What a guest, time and the world do to a device, step by step: as data, and as lines of text.

read bar0 0x10 4            a read of 4 bytes at 10h of the bank bar0
write bar0 0x10 4 0x1234
advance 50000               time passes, in nanoseconds
feed 0 68690a               bytes arrive on the device's first character back end
memory mixed                the first 64 KiB of guest memory have other contents
reset                       the machine's, and then what firmware does to PCI devices
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any

Step = tuple[Any, ...]
"""What to do, then its arguments, as in the text."""

_ARGUMENTS: dict[str, str] = {"read": "noo", "write": "noov", "advance": "i", "feed": "ib", "memory": "n", "reset": ""}
"""Of each kind of step, what its arguments are: a name, an offset or size, a value, an integer, bytes."""

PATTERNS = ("mixed", "zeros", "ones", "random", "pointers", "registers")
"""Of guest memory: `mixed` has small numbers, addresses and anything else; `pointers` nothing but addresses, and
`registers` nothing but those of devices' registers.
"""


def format_step(step: Step) -> str:
    """The line of text."""
    words = [step[0]]
    for place, (kind, value) in enumerate(zip(_ARGUMENTS[step[0]], step[1:], strict=True)):
        if kind == "n":
            words.append(value)
        elif kind == "b":
            words.append(value.hex())
        else:
            words.append(str(value) if kind == "i" or place == 2 else f"{value:#x}")
    return " ".join(words)


def parse_step(line: str) -> Step:
    """The step that `line` says. Raises ValueError."""
    kind, *words = line.split()
    expected = _ARGUMENTS.get(kind)
    if expected is None or len(words) != len(expected):
        raise ValueError(f"expected a step such as 'write bar0 0x10 4 0x1234', not {line.strip()!r}")
    values: list[Any] = []
    for what, word in zip(expected, words, strict=True):
        if what == "n":
            values.append(word)
        else:
            values.append(bytes.fromhex(word) if what == "b" else int(word, 0))
    if kind in ("read", "write") and values[2] not in (1, 2, 4, 8):
        raise ValueError(f"expected 1, 2, 4 or 8 bytes: {line.strip()!r}")
    return (kind, *values)


def memory_contents(pattern: str, length: int, addresses: Sequence[int], random: Random) -> bytes:
    """`length` bytes of guest memory for a device to find: numbers, and pointers to some of `addresses`.

    Raises ValueError for another pattern than those of `PATTERNS`.
    """
    if pattern == "zeros":
        return bytes(length)
    if pattern == "ones":
        return b"\xff" * length
    if pattern == "random":
        return random.randbytes(length)
    if pattern in ("pointers", "registers"):
        words = random.choices(addresses, k=length // 8)
        return struct.pack(f"<{length // 8}Q", *words)
    if pattern == "mixed":
        few = [*addresses, *(int.from_bytes(struct.pack("<I", address & 0xFFFF_FFFF)) for address in addresses)]
        some = [*few, 0, 1, 2, 8, 64, 512, 4096, 0x8000_0000, *(random.getrandbits(32) for _ in few)]
        words = [word & 0xFFFF_FFFF for word in random.choices(some, k=length // 4)]
        return struct.pack(f"<{length // 4}I", *words)
    raise ValueError(f"expected one of {', '.join(PATTERNS)}, not {pattern!r}")
