"""Features that a machine adds to its CPU model or takes away, as QEMU's `-cpu` has it: "qemu64,+popcnt,-svm"."""

from __future__ import annotations

from dataclasses import replace

from ..errors import SouthbridgeError
from .cpuid import CpuidEntry
from .features import AMD_ALIASES, FEATURES, Bit, Word
from .model import CpuModel

_ON, _OFF = ("on", "yes", "true", "y"), ("off", "no", "false", "n")
_OTHER_NAMES = {"sse4-1": "sse4.1", "sse4-2": "sse4.2", "sse3": "pni", "ffxsr": "fxsr-opt", "i64": "lm", "xd": "nx"}
_XSAVE_LEAF = 0xD
_STATE_OF_XSAVE = ("xsave", "xgetbv", "avx", "amx", "fma", "f16c", "pku", "mpx", "xop", "vaes", "vpclmulqdq")
"""Features that begin so have a part in what XSAVE saves, whose sizes are a leaf of their own."""
_FEATURES, _AMD_FEATURES = Word(1, 0, "edx"), Word(0x8000_0001, 0, "edx")


def changed(model: CpuModel, changes: str) -> CpuModel:
    """`model` with `changes`: "+NAME", "-NAME", "NAME", "NAME=on" or "NAME=off", with commas; of two, the last counts.

    Raises SouthbridgeError.
    """
    entries = {(entry.leaf, entry.subleaf): entry for entry in model.entries}
    for change in changes.split(","):
        name, on = _meant(change)
        if on and name.startswith(_STATE_OF_XSAVE) and (_XSAVE_LEAF, 0) not in entries:
            raise SouthbridgeError(f"{name} needs XSAVE, which the CPU model {model.name} doesn't have")
        _set(entries, FEATURES[name], on)
        word, number = FEATURES[name]
        if model.is_amd and word == _FEATURES and AMD_ALIASES >> number & 1:
            _set(entries, Bit(_AMD_FEATURES, number), on)
    return replace(model, name=f"{model.name},{changes}", entries=tuple(entries.values()))


def _meant(change: str) -> tuple[str, bool]:
    """A feature's name, and whether it is to be there."""
    name, equals, value = change.partition("=")
    if name[:1] in ("+", "-"):
        name, on = name[1:], name[0] == "+"
        known = not equals
    else:
        on = not equals or value in _ON
        known = on or value in _OFF
    if not known:
        raise SouthbridgeError(f"expected +FEATURE, -FEATURE, FEATURE=on or FEATURE=off, not {change!r}")
    name = name.replace("_", "-")
    name = _OTHER_NAMES.get(name, name)
    if name not in FEATURES:
        import difflib  # which only mistakes need

        near = difflib.get_close_matches(name, FEATURES)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise SouthbridgeError(f"there is no CPU feature {name!r}{hint}")
    return name, on


def _set(entries: dict[tuple[int, int | None], CpuidEntry], bit: Bit, on: bool) -> None:
    """Sets or clears `bit`. A leaf that isn't there comes with its first feature."""
    leaf, subleaf, register = bit.word
    place = (leaf, None) if (leaf, None) in entries else (leaf, subleaf)
    entry = entries.get(place)
    if entry is None:
        if not on:
            return
        entry = CpuidEntry(leaf, subleaf)
        _reach(entries, leaf)
    value = getattr(entry, register) & ~(1 << bit.number) | on << bit.number
    entries[place] = entry._replace(**{register: value})


def _reach(entries: dict[tuple[int, int | None], CpuidEntry], leaf: int) -> None:
    """The highest leaf, which the first of its kind tells, is at least `leaf`."""
    for place, entry in entries.items():
        if place[0] == leaf & 0x8000_0000 and entry.eax < leaf:
            entries[place] = entry._replace(eax=leaf)
