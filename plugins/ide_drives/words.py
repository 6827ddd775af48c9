"""Building blocks of the 256-word structures that drives describe themselves with (ATA/ATAPI-6, section 8.15)."""

from __future__ import annotations

from collections.abc import Mapping

WORDS = 256


def text(value: str, length: int) -> bytes:
    """`value` in `length` bytes, padded with blanks, each word's first character in its high byte."""
    padded = value.encode("ascii", "replace")[:length].ljust(length)
    return bytes(padded[index ^ 1] for index in range(length))


def structure(words: Mapping[int, int], texts: Mapping[int, bytes]) -> bytes:
    """512 bytes with `words` (a value may be wider than a word: the low word comes first) and `texts` in place."""
    data = bytearray(2 * WORDS)
    for place, value in words.items():
        size = 2 * max(1, -(-value.bit_length() // 16))
        data[2 * place : 2 * place + size] = value.to_bytes(size, "little")
    for place, characters in texts.items():
        data[2 * place : 2 * place + len(characters)] = characters
    return with_checksum(data, 0xA5)


def with_checksum(data: bytearray, signature: int | None = None) -> bytes:
    """`data` with its last byte such that all add up to 0; before it goes `signature`, if there is one."""
    if signature is not None:
        data[-2] = signature
    data[-1] = 0
    data[-1] = -sum(data) & 0xFF
    return bytes(data)


def mode_bits(count: int, selected: int | None) -> int:
    """The word for `count` supported DMA modes, of which mode `selected` is in use."""
    return (1 << count) - 1 | (0 if selected is None else 1 << 8 + selected)
