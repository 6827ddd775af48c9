"""Models by name."""

from __future__ import annotations

from functools import cache

from .definitions import DEFINITIONS
from .errors import UnknownModelError
from .model import CpuModel

DEFAULT_MODEL = "portable"

_BY_NAME = {definition.name: definition for definition in DEFINITIONS}


def model_names() -> list[str]:
    """The names that `find_model` knows, the default first."""
    return list(_BY_NAME)


@cache
def find_model(name: str) -> CpuModel:
    """The model of that name, which may be followed by changes: see `changed`.

    Raises UnknownModelError, with the nearest names; SouthbridgeError for changes that can't be.
    """
    name, comma, changes = name.partition(",")
    definition = _BY_NAME.get(name)
    if definition is None:
        raise UnknownModelError(name, _BY_NAME)
    if not comma:
        return definition.build()
    from .changes import changed  # which few machines need

    return changed(definition.build(), changes)
