"""The options, a file for each family: the one table that the command line is read by, and help is made of.

To add an option: a `read` function in its family's file (or a new one, with a line here), and a line in that file's
OPTIONS. A `read` function raises OptionError for what it can't understand; whoever calls it names the option.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...discovery import nearest
from ...errors import SouthbridgeError
from ..config_file import options_in
from ..draft import Draft
from ..words import OptionError
from . import block, boot, character, devices, display, machine, monitors, network, objects, process, xen
from .option import Option

FAMILIES = (machine, boot, devices, block, character, monitors, display, network, objects, xen, process)

OPTIONS: dict[str, Option] = {option.name: option for family in FAMILIES for option in family.OPTIONS}

EARLY = ("object", "chardev", "accel", "enable-kvm", "machine", "M")
"""Options that others rely on, wherever they stand."""
DISK = "hda"
"""What a word that is no option is an argument of."""


class Given(NamedTuple):
    """An option with its argument; `shown` is how it was written."""

    option: Option
    argument: str
    shown: str


def read(arguments: Sequence[str]) -> Draft:
    """What a command line without the program's name asks for. Raises SouthbridgeError, naming the option."""
    draft = Draft()
    for option, argument, shown in sorted(_given(arguments), key=_rank):
        try:
            option.read(draft, argument)
        except OptionError as error:
            raise SouthbridgeError(f"{shown}: {error}") from None
    return draft


def _rank(given: Given) -> int:
    name = given.option.name
    return EARLY.index(name) if name in EARLY else len(EARLY)


def _given(arguments: Sequence[str]) -> Iterator[Given]:
    waiting = deque(arguments)
    while waiting:
        word = waiting.popleft()
        if not word.startswith("-"):
            yield Given(OPTIONS[DISK], word, word)
            continue
        option = OPTIONS.get(word.removeprefix("--") if word.startswith("--") else word.removeprefix("-"))
        if option is None:
            raise SouthbridgeError(f"{word}: there is no such option{nearest(word.lstrip('-'), OPTIONS)}")
        if option.takes and not waiting:
            raise SouthbridgeError(f"{word}: its argument is missing: {option.takes}")
        argument = waiting.popleft() if option.takes else ""
        if option.name == "readconfig":
            yield from _of_a_file(argument)
        else:
            yield Given(option, argument, f"{word} {argument}".strip())


def _of_a_file(path: str) -> Iterator[Given]:
    try:
        for name, argument in options_in(path):
            yield Given(OPTIONS[name], argument, f"-readconfig {path}: {name} {argument}")
    except OptionError as error:
        raise SouthbridgeError(f"-readconfig {path}: {error}") from None
