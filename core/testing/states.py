"""Saved states: what is wrong with one, and what is unlikely in one; and where two differ."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

Saved = dict[str, Any]

NONSENSE = 1j
"""What no state is."""
GONE = object()
"""Stands for a key that is missing."""
SHOWN = 60


def plain(value: object) -> bool:
    """Whether `value` is of dictionaries by name, lists, numbers, texts, bytes."""
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(plain(inner) for inner in value)
    return value is None or isinstance(value, bool | int | float | str | bytes | bytearray)


def components(saved: Saved) -> Iterator[Saved]:
    """The saved state of a device, and those of its parts."""
    yield saved
    for part in saved["parts"].values():
        yield from components(part)


def mangle(saved: Saved) -> Iterator[tuple[str, Saved]]:
    """Copies of `saved` that are wrong in one place each, with what is wrong."""
    for index, component in enumerate(components(saved)):
        for section, name, value in _wrongs(component):
            mangled = copy.deepcopy(saved)
            place = list(components(mangled))[index]
            if name is None:
                _put(place, section, value)
            else:
                _put(place[section], name, value)
            yield f"{section} {name or ''}: {value!r}", mangled
    for version in (None, -1, "1", saved["version"] + 1, GONE):
        mangled = dict(saved)
        _put(mangled, "version", version)
        yield f"version {version!r}", mangled


def _put(place: Saved, key: str, value: object) -> None:
    if value is GONE:
        del place[key]
    else:
        place[key] = value


def _wrongs(component: Saved) -> Iterator[tuple[str, str | None, object]]:
    """Section, name (None: the section itself), and what must not be there."""
    yield "more", None, {}
    for section in ("registers", "state", "timers", "parts"):
        yield section, None, GONE
        yield section, None, None
        yield section, "MORE", 0
    wrongs = {
        "registers": (GONE, -1, 1 << 128, "text", None, NONSENSE),
        "state": (GONE, NONSENSE),
        "timers": (None, {}, {"deadline": -1, "arguments": {}}, {"deadline": 1, "arguments": {"more": 1}}),
        "parts": (GONE, None, {}),
    }
    for section, values in wrongs.items():
        for name in component[section]:
            yield from ((section, name, value) for value in values)


def disturb(component: Saved, random: Random) -> None:
    """Changes some values of a component's saved state."""
    for section in ("registers", "state"):
        for name, value in component[section].items():
            if random.random() < 0.3:
                component[section][name] = _disturbed(value, random)


def _disturbed(value: Any, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        near = [value + 1, value - 1, 0, 1, 0x7F, 0xFF, 0xFFFF, 0xFFFF_FFFF, 1 << 40, random.getrandbits(8)]
        return random.choice(near)
    if isinstance(value, bytes | bytearray):
        return type(value)(random.randbytes(random.choice([0, 1, len(value), len(value) + 1, 4096])))
    if isinstance(value, list | tuple):
        return type(value)(_disturbed(inner, random) for inner in value[: random.randint(0, len(value))])
    if isinstance(value, dict):
        return {key: _disturbed(inner, random) for key, inner in value.items()}
    return random.choice([None, 0, 1, "", value])


def difference(one: object, other: object, where: str = "") -> str | None:
    """Where two states differ first: "registers.CTRL is 0x1 and 0x0"; None if they don't."""
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{where or 'the state'} has {sorted(one.keys() ^ other.keys())} only once"
        pairs = [(f"{where}.{key}" if where else str(key), one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{where}[{index}]", a, b) for index, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return None if one == other and type(one) is type(other) else f"{where} is {_shown(one)} and {_shown(other)}"
    return next((found for name, a, b in pairs if (found := difference(a, b, name))), None)


def _shown(value: object) -> str:
    text = f"{value:#x}" if type(value) is int else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
