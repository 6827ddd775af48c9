"""Ethernet addresses (IEEE 802, clause 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from ..annotations import Checked
from ..errors import RealizeError

BROADCAST = b"\xff" * 6
MULTICAST_BIT = 1
"""Of the first byte."""
_FIRST = 0x52_54_00_12_34_56
"""The first card's, unless it is said: QEMU's, of its range of locally administered ones."""
_MOST = 256


def parse_mac(text: str) -> bytes:
    """The six bytes of "52:54:00:12:34:56". Raises ValueError if it isn't one that a card may have."""
    if not re.fullmatch(r"[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}", text):
        raise ValueError(f'expected an address such as "52:54:00:12:34:56", not {text!r}')
    address = bytes(int(part, 16) for part in re.split("[:-]", text))
    if address[0] & MULTICAST_BIT:
        raise ValueError(f"{text} is a multicast address, which no card can have: the first byte must be even")
    if not any(address):
        raise ValueError("a card's address can't be all zeros")
    return address


def format_mac(address: bytes) -> str:
    """Six bytes as text."""
    return bytes(address).hex(":")


def _check(text: str) -> str:
    return format_mac(parse_mac(text))


MacAddress = Annotated[str, Checked(_check)]
"""A card's address, as text."""


def default_mac(taken: Iterable[bytes]) -> bytes:
    """The first address from 52:54:00:12:34:56 on that isn't among `taken`. Raises RealizeError if there is none."""
    used = set(taken)
    for number in range(_MOST):
        address = (_FIRST & ~0xFF | (_FIRST + number) & 0xFF).to_bytes(6, "big")
        if address not in used:
            return address
    raise RealizeError(f"the {_MOST} addresses that cards have by default are all taken: give it one (mac)")
