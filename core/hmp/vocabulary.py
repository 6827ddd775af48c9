"""All words, and all topics of `info`."""

from __future__ import annotations

from collections.abc import Iterable

from . import about, devices, lines, media, memory, objects, person, running
from .word import Word


def _sorted(*families: Iterable[Word]) -> tuple[Word, ...]:
    return tuple(sorted((word for family in families for word in family), key=lambda word: word.name))


WORDS = _sorted(running.WORDS, memory.WORDS, devices.WORDS, media.WORDS, objects.WORDS, person.WORDS, about.WORDS)
TOPICS = _sorted(about.TOPICS, devices.TOPICS, lines.TOPICS, media.TOPICS, memory.TOPICS, objects.TOPICS)


def lookup(words: Iterable[Word], name: str) -> Word | None:
    """The one that has this name."""
    return next((word for word in words if name in word.names), None)
