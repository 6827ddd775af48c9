"""Installed distributions as our reader and importlib.metadata see them."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from southbridge.installed import Distribution, EntryPoint, distributions


def test_what_is_installed_here_is_what_importlib_finds() -> None:
    ours: dict[tuple[str, str], list[EntryPoint]] = {}
    for found in distributions(sys.path):
        ours.setdefault(found.name_and_version(), sorted(found.entry_points()))
    theirs: dict[tuple[str, str], list[EntryPoint]] = {}
    for other in importlib.metadata.distributions():
        entries = sorted(EntryPoint(entry.group, entry.name, entry.value) for entry in other.entry_points)
        theirs.setdefault((other.metadata["Name"], other.version), entries)
    assert ours == theirs
    assert any(name == "southbridge" for name, _ in ours)


def test_comments_extras_and_folders_that_are_none(distribution: Callable[..., Path]) -> None:
    text = "# a remark\n; another\n[a.b]\n one = m:f [extra]\n\n[c]\ntwo=m.n:o.p\n"
    folder = distribution("acme", "1.0", text)
    (found,) = distributions([str(folder), "/nowhere", str(folder / "acme-1.0.dist-info" / "METADATA")])
    assert found.name_and_version() == ("acme", "1.0")
    assert found.entry_points() == [EntryPoint("a.b", "one", "m:f [extra]"), EntryPoint("c", "two", "m.n:o.p")]


def test_no_version(tmp_path: Path) -> None:
    folder = tmp_path / "acme-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: acme\n\nVersion: 3\n")
    with pytest.raises(ValueError, match="no version"):
        Distribution(str(folder)).name_and_version()
