"""A line of the table of options."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..draft import Draft


class Option(NamedTuple):
    """An option: `-name`, or `--name`. `read` puts into a draft what its argument says, "" if it takes none."""

    name: str
    read: Callable[[Draft, str], None]
    takes: str = ""
    """What its argument is, for people; "" if it has none."""
    doc: str = ""


def flag(name: str, set_it: Callable[[Draft], None], doc: str) -> Option:
    """An option without an argument."""
    return Option(name, lambda draft, argument: set_it(draft), "", doc)


def accepted(name: str, why: str, takes: str = "") -> Option:
    """An option that changes nothing here; `why` says so to the user."""
    return Option(name, lambda draft, argument: draft.note(f"-{name}: {why}"), takes, f"Accepted: {why}.")


def quiet(name: str, doc: str, takes: str = "") -> Option:
    """An option that asks for what is so anyway."""
    return Option(name, lambda draft, argument: None, takes, doc)
