"""Who a machine is: what an inventory would ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

LONGEST_TEXT = 64
"""SMBIOS before 2.7 let a string have no more significant characters; programs may rely on that."""


class Identity(NamedTuple):
    """What SMBIOS's system information says. Empty texts are left unsaid."""

    manufacturer: str = "Southbridge"
    product: str = "Southbridge PC"
    version: str = ""
    serial: str = ""
    sku: str = ""
    family: str = ""
    uuid: UUID | None = None


TEXTS = ("manufacturer", "product", "version", "serial", "sku", "family")
"""Those of its fields that are texts."""


def wrong_text(text: str) -> str | None:
    """What is wrong with `text` as a string of SMBIOS tables; None: nothing."""
    if len(text) > LONGEST_TEXT:
        return f"at most {LONGEST_TEXT} characters, not {len(text)}"
    if not text.isascii() or not text.isprintable():
        return "printable ASCII characters only"
    return None
