"""What a line of the monitor for people may go on with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..discovery import names
from .vocabulary import TOPICS, WORDS, lookup

if TYPE_CHECKING:
    from ..machine import Machine

_FIRST, _SECOND = 1, 2


def completions(machine: Machine, text: str) -> list[str]:
    """The words that the last one of `text` may become."""
    words = text.split()
    if not text or text[-1].isspace():
        words.append("")
    *before, last = words
    return [word for word in _known(machine, before) if word.startswith(last)]


def _known(machine: Machine, before: list[str]) -> list[str]:
    """What may come after `before`."""
    if not before:
        return [name for word in WORDS for name in word.names if name != "?"]
    word = lookup(WORDS, before[0])
    if before[0] in ("info", "help") and len(before) == _SECOND and before[1] != "info":
        word = lookup(TOPICS, before[1]) if before[0] == "info" else None
    elif before[0] == "help" and before[1:] == ["info"]:
        return [topic.name for topic in TOPICS]
    elif len(before) != _FIRST:
        return []
    return [] if word is None else sorted(_KINDS.get(word.completes, _nothing)(machine))


def _nothing(machine: Machine) -> list[str]:
    return []


_KINDS: dict[str, Callable[[Machine], list[str]]] = {
    "words": lambda machine: [name for word in WORDS for name in word.names if name != "?"],
    "topics": lambda machine: [topic.name for topic in TOPICS],
    "devices": lambda machine: list(machine.devices),
    "drives": lambda machine: list(machine.backends["blockdevs"]),
    "netdevs": lambda machine: list(machine.backends["netdevs"]),
    "chardevs": lambda machine: list(machine.backends["chardevs"]),
    "drivers": lambda machine: names("devices"),
    "accelerators": lambda machine: names("accelerators"),
}
