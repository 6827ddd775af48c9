"""What the first argument of a word may name: of each kind, what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..discovery import names

if TYPE_CHECKING:
    from ..machine import Machine
    from .vocabulary import Vocabulary

KINDS: dict[str, Callable[[Machine, Vocabulary], Iterable[str]]] = {
    "words": lambda machine, vocabulary: [name for word in vocabulary.words for name in word.names if name != "?"],
    "topics": lambda machine, vocabulary: [name for topic in vocabulary.topics for name in topic.names],
    "devices": lambda machine, vocabulary: machine.devices,
    "drives": lambda machine, vocabulary: machine.backends["blockdevs"],
    "netdevs": lambda machine, vocabulary: machine.backends["netdevs"],
    "chardevs": lambda machine, vocabulary: machine.backends["chardevs"],
    "drivers": lambda machine, vocabulary: names("devices"),
    "accelerators": lambda machine, vocabulary: names("accelerators"),
}
