"""Network cards: none are there yet, which is what may be said."""

from __future__ import annotations

from ..draft import Draft
from ..words import OptionError
from .option import Option


def _none(draft: Draft, argument: str) -> None:
    if argument != "none":
        raise OptionError("there are no network cards; expected none")


OPTIONS = (
    Option("net", _none, "none", "Network cards: none."),
    Option("nic", _none, "none", "Network cards: none."),
)
