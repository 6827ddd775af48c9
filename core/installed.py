"""What is installed: distributions with their entry points, from their metadata's files.

As importlib.metadata has it, which takes long to import: it brings an e-mail parser and archives along. The files'
forms are those of PyPA's specifications "Recording installed projects", "Entry points" and "Core metadata".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_METADATA = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}
"""By a folder's suffix, the file with name and version."""


class EntryPoint(NamedTuple):
    """`value` is "module:object", and maybe extras in brackets."""

    group: str
    name: str
    value: str


class Distribution:
    """An installed one; `folder` is that of its metadata."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return self.folder

    def entry_points(self) -> list[EntryPoint]:
        """Those that its metadata lists."""
        found: list[EntryPoint] = []
        group = ""
        for line in self._text("entry_points.txt").splitlines():
            line = line.strip()
            if line.startswith("[") and line.endswith("]"):
                group = line[1:-1]
            elif line and not line.startswith(("#", ";")):
                name, _, value = line.partition("=")
                found.append(EntryPoint(group, name.strip(), value.strip()))
        return found

    def name_and_version(self) -> tuple[str, str]:
        """As its metadata says. Raises ValueError if it doesn't."""
        fields: dict[str, str] = {}
        for line in self._text(_METADATA[os.path.splitext(self.folder)[1]]).splitlines():
            if not line:
                break
            key, _, value = line.partition(":")
            fields.setdefault(key.lower(), value.strip())
        try:
            return fields["name"], fields["version"]
        except KeyError as error:
            raise ValueError(f"it has no {error.args[0]}") from None

    def _text(self, name: str) -> str:
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""


def distributions(path: Iterable[str]) -> Iterator[Distribution]:
    """Those in the folders of `path`, in their order."""
    for folder in path:
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:  # none, or no folder: an archive has no plugins
            continue
        for name in names:
            if os.path.splitext(name)[1] in _METADATA:
                yield Distribution(os.path.join(folder, name))
