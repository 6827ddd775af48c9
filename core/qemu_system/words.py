"""The form of QEMU's option arguments: "file=a.img,if=ide,readonly=on" (QEMU's manual, "Device options")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..discovery import nearest
from ..errors import SouthbridgeError
from ..units import GiB, KiB, MiB

ON, OFF = ("on", "yes", "true", "y"), ("off", "no", "false", "n")
UNITS = {"b": 1, "k": KiB, "m": MiB, "g": GiB, "t": GiB << 10}


class OptionError(SouthbridgeError):
    """An option can't be understood, or there is no such thing as it asks for. Its text doesn't name the option."""


def pieces(text: str) -> list[str]:
    """`text` cut at commas; two of them are one that is meant."""
    found = [""]
    position = 0
    while position < len(text):
        if text[position] != ",":
            found[-1] += text[position]
        elif text[position + 1 : position + 2] == ",":
            found[-1] += ","
            position += 1
        else:
            found.append("")
        position += 1
    return found


class Words:
    """The keys and values of an option's argument. Those that nobody took are complained of by `end`."""

    def __init__(self, text: str, first: str = "") -> None:
        """`first` is the key of a first piece that has none."""
        self._values: dict[str, str] = {}
        self._repeated: dict[str, list[str]] = {}
        self._known: list[str] = []
        for number, piece in enumerate(pieces(text) if text else []):
            key, equals, value = piece.partition("=")
            if not equals and not number and first:
                key, value = first, piece
            elif not equals:
                key, value = (key, "on") if not key.startswith("no") or key == "node-name" else (key[2:], "off")
            if not key:
                raise OptionError(f"expected key=value, not {piece!r}")
            self._values[key] = value
            self._repeated.setdefault(key, []).append(value)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Words:
        """Those that a JSON object has: what is inside another one is "outer.inner"."""
        words = cls("")
        words._values = _flat(values)
        words._repeated = {key: [value] for key, value in words._values.items()}
        return words

    def take(self, key: str, default: str = "") -> str:
        """The value of `key`."""
        self._known.append(key)
        return self._values.pop(key, default)

    def take_all(self, key: str) -> list[str]:
        """Each value that `key` was given."""
        self.take(key)
        return self._repeated.pop(key, [])

    def under(self, prefix: str) -> Words:
        """Those whose keys begin with "prefix.", without it."""
        found = Words("")
        for key in [key for key in self._values if key.startswith(f"{prefix}.")]:
            found._values[key.removeprefix(f"{prefix}.")] = self.take(key)
        return found

    def peek(self, *keys: str) -> list[str]:
        """Those of `keys` that are there, which are left."""
        self._known += keys
        return [key for key in keys if key in self._values]

    def need(self, key: str) -> str:
        """The value of `key`, which must be there."""
        value = self.take(key)
        if not value:
            raise OptionError(f"{key}=... is missing")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """The truth value of `key`."""
        return truth(key, self.take(key, "on" if default else "off"))

    def number(self, key: str, default: int | None = None) -> int:
        """The whole number that `key` is, in decimal, octal or hexadecimal as C has it."""
        return number(key, self.take(key, "" if default is None else str(default)))

    def one_of(self, key: str, known: Iterable[str], default: str = "") -> str:
        """The value of `key`, which must be one of `known`."""
        value = self.take(key, default)
        known = tuple(known)
        if value not in known:
            raise OptionError(f"{key}={value}: expected {', '.join(known)}{nearest(value, known)}")
        return value

    def ignore(self, *keys: str) -> list[str]:
        """Takes `keys`, whatever their values are; gives those that are there."""
        there = [key for key in keys if key in self._values]
        for key in keys:
            self.take(key)
        return there

    def rest(self) -> dict[str, str]:
        """All that nobody took."""
        values, self._values = self._values, {}
        return values

    def end(self) -> None:
        """Raises OptionError if something is left."""
        for key in self._values:
            hint = nearest(key, self._known) or f" (there are: {', '.join(self._known) or 'none'})"
            raise OptionError(f"there is no {key!r}{hint}")


def parsed(argument: str, first: str = "") -> Words:
    """The words of an argument in either form: key=value, or a JSON object. Raises OptionError."""
    if not argument.lstrip().startswith("{"):
        return Words(argument, first)
    import json

    try:
        values = json.loads(argument)
    except ValueError as error:
        raise OptionError(f"not JSON: {error}") from None
    return Words.of(values)


def _flat(values: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, list):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        elif value is not None:
            found[before + key] = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return found


def truth(key: str, value: str) -> bool:
    """Whether `value` is one of QEMU's words for true. Raises OptionError if it is none for false either."""
    if value not in (*ON, *OFF):
        raise OptionError(f"{key}={value}: expected on or off")
    return value in ON


def number(key: str, value: str) -> int:
    """A whole number, as C writes it."""
    try:
        digits = value.lstrip("+-")
        if digits.startswith("0") and digits.isdigit():
            return int(value, 8)
        return int(value, 0)
    except ValueError:
        raise OptionError(f"{key}={value}: expected a number" if key else f"expected a number, not {value!r}") from None


def size(text: str, unit: str) -> int:
    """Bytes that "64", "64M" or "1.5G" are; a number alone counts `unit`."""
    letter = text[-1:].lower()
    figure, letter = (text[:-1], letter) if letter in UNITS else (text, unit)
    try:
        value = float(figure) if "." in figure else number("", figure)
    except (ValueError, OptionError):
        raise OptionError(f"expected a size such as 512M, not {text!r}") from None
    if value < 0:
        raise OptionError(f"expected a size such as 512M, not {text!r}")
    return int(value * UNITS[letter])
