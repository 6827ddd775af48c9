"""The options, a file for each family: the one table that the command line is read by, and help is made of.

To add an option: a `read` function in its family's file (or a new one, with a line here), and a line in that file's
OPTIONS. A `read` function raises OptionError for what it can't understand; whoever calls it names the option.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...discovery import nearest
from ...errors import SouthbridgeError
from ..draft import Draft
from ..words import OptionError
from . import block, character, devices, display, machine, network, process, xen
from .option import Option

OPTIONS: dict[str, Option] = {
    option.name: option
    for family in (machine, devices, block, character, display, network, xen, process)
    for option in family.OPTIONS
}


def read(arguments: Sequence[str]) -> Draft:
    """What a command line without the program's name asks for. Raises SouthbridgeError, naming the option."""
    draft = Draft()
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        option = OPTIONS.get(word.removeprefix("--") if word.startswith("--") else word.removeprefix("-"))
        if not word.startswith("-") or option is None:
            raise SouthbridgeError(_unknown(word))
        argument = ""
        if option.takes:
            if not waiting:
                raise SouthbridgeError(f"{word}: its argument is missing: {option.takes}")
            argument = waiting.pop(0)
        try:
            option.read(draft, argument)
        except OptionError as error:
            raise SouthbridgeError(f"{f'{word} {argument}'.strip()}: {error}") from None
    return draft


def _unknown(word: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is no option; a disk is given by -drive file={word},format=raw"
    hint = nearest(word.lstrip("-"), OPTIONS)
    return f"{word}: there is no such option{hint}"
