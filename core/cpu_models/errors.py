"""What goes wrong with CPU models."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SouthbridgeError


class UnknownModelError(SouthbridgeError):
    """There is no CPU model of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        import difflib  # which only mistakes need

        known = list(known)
        by_lower = {each.lower(): each for each in known}
        near = [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        super().__init__(f"there is no CPU model {name!r}; {hint}")
