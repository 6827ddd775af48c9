"""Finding plugins: entry points, by kind and name."""

from __future__ import annotations

from importlib.metadata import entry_points

from .properties import Configurable


def load(kind: str, name: str) -> type[Configurable]:
    """The class behind the plugin `name` of `kind` ("devices", "blockdevs", ...)."""
    (entry,) = entry_points(group=f"southbridge.{kind}", name=name)
    loaded: type[Configurable] = entry.load()
    return loaded
