"""What a line of the monitor for people may go on with."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .kinds import KINDS
from .vocabulary import Vocabulary, lookup

if TYPE_CHECKING:
    from ..machine import Machine
    from .word import Word

log = logging.getLogger(__name__)


def completions(machine: Machine, vocabulary: Vocabulary, text: str) -> list[str]:
    """The words that the last one of `text` may become."""
    words = text.split()
    if not text or text[-1].isspace():
        words.append("")
    *before, last = words
    return [word for word in _known(machine, vocabulary, before) if word.startswith(last)]


def _known(machine: Machine, vocabulary: Vocabulary, before: list[str]) -> Iterable[str]:
    """What may come after `before`."""
    match before:
        case []:
            return KINDS["words"](machine, vocabulary)
        case ["help" | "?", "info"]:
            return KINDS["topics"](machine, vocabulary)
        case ["info", topic]:
            return _arguments(machine, vocabulary, lookup(vocabulary.topics, topic))
        case [word]:
            return _arguments(machine, vocabulary, lookup(vocabulary.words, word))
    return []


def _arguments(machine: Machine, vocabulary: Vocabulary, word: Word | None) -> list[str]:
    """What `word` may have as its first."""
    if word is None or not word.completes:
        return []
    if not callable(word.completes):
        return sorted(KINDS[word.completes](machine, vocabulary))
    try:
        return sorted(word.completes())
    except Exception:  # a plugin's code may raise anything
        log.exception("the completion of the monitor's %s failed", word.name)
        return []
