"""Interrupt messages: what an interrupt command, an I/O APIC or a device says (SDM volume 3A, 11.6.1 and 11.11)."""

from __future__ import annotations

from typing import NamedTuple

FIXED, LOWEST_PRIORITY, SMI, NMI, INIT, STARTUP, EXTINT = 0, 1, 2, 4, 5, 6, 7
"""Delivery modes; 3 is reserved."""

WINDOW = 0xFEE
"""Bits 31 to 20 of the addresses that messages are written to."""
EVERYBODY = 0xFF
ONE_MIB = 20


class Message(NamedTuple):
    """An interrupt on its way to one or more local APICs."""

    destination: int
    logical: bool
    mode: int
    vector: int
    level: bool = False
    """Level-triggered: its end is broadcast to the I/O APICs."""
    asserted: bool = True


def decode_msi(address: int, data: int) -> Message | None:
    """The message that a store of `data` to `address` is; None outside the APICs' window."""
    if address >> ONE_MIB != WINDOW:
        return None
    mode = data >> 8 & 7
    hint, logical = address >> 3 & 1, address >> 2 & 1
    if hint and logical and mode == FIXED:
        mode = LOWEST_PRIORITY
    level = bool(data >> 15 & 1)
    return Message(address >> 12 & 0xFF, bool(logical), mode, data & 0xFF, level, not level or bool(data >> 14 & 1))
