"""All words, and all topics of `info`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import PluginError
from . import about, devices, lines, media, memory, objects, person, places, running
from .kinds import KINDS
from .word import Word

if TYPE_CHECKING:
    from ..machine import Machine

log = logging.getLogger(__name__)


def _sorted(*families: Iterable[Word]) -> tuple[Word, ...]:
    return tuple(sorted((word for family in families for word in family), key=lambda word: word.name))


WORDS = _sorted(running.WORDS, memory.WORDS, devices.WORDS, media.WORDS, objects.WORDS, person.WORDS, about.WORDS)
TOPICS = _sorted(about.TOPICS, devices.TOPICS, lines.TOPICS, media.TOPICS, memory.TOPICS, objects.TOPICS, places.TOPICS)


class Vocabulary:
    """What a monitor of `machine` knows: ours, and what plugins add. What can't be one is left out, with a warning."""

    def __init__(self, machine: Machine) -> None:
        hooks = machine.hooks.call
        self.words: tuple[Word, ...] = _with_more("word", WORDS, hooks.register_monitor_words(machine=machine))
        self.topics: tuple[Word, ...] = _with_more("topic", TOPICS, hooks.register_monitor_topics(machine=machine))


def _with_more(what: str, ours: tuple[Word, ...], more: Iterable[Iterable[Word] | None]) -> tuple[Word, ...]:
    known = list(ours)
    for words in more:
        for word in words or ():
            try:
                _check(what, word, known)
            except PluginError as error:
                log.warning("left out: %s", error)
            else:
                known.append(word)
    return _sorted(known) if len(known) > len(ours) else ours


def _check(what: str, word: object, known: list[Word]) -> None:
    """Raises PluginError if it can't be one more."""
    if not isinstance(word, Word):
        raise PluginError(f"monitor {what} {word!r}: expected a southbridge.hmp.Word")
    if not word.names:
        raise PluginError(f"monitor {what} {word.help!r}: it has no name")
    for name in word.names:
        if not isinstance(name, str) or name.split() != [name]:
            raise PluginError(f"monitor {what} {name!r}: expected a name without spaces")
        if lookup(known, name) is not None:
            raise PluginError(f"there are two monitor {what}s {name!r}")
    if not callable(word.does):
        raise PluginError(f"monitor {what} {word.name!r}: expected a function that does it")
    if not callable(word.completes) and word.completes and word.completes not in KINDS:
        expected = f"a function, or one of {', '.join(KINDS)}"
        raise PluginError(f"monitor {what} {word.name!r}: completes {word.completes!r}: expected {expected}")


def lookup(words: Iterable[Word], name: str) -> Word | None:
    """The one that has this name."""
    return next((word for word in words if name in word.names), None)
