"""Trees of shipped descriptions, kept beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.description import loader, yaml_tree
from southbridge.description.kept import keep, kept
from southbridge.description.loader import load_tree
from southbridge.description.nodes import Node
from southbridge.errors import Location

DATA = "a: &one {b: 1, c: [x, null, true]}\nd: [*one, *one]\n"
names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
    max_leaves=12,
)


def tree_of(path: Path) -> Node:
    node = yaml_tree.parse(path.read_text(), lambda line, column: Location(str(path), line, column))
    assert node is not None
    return node


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "machine.yaml"
    path.write_text(DATA)
    keep(path, tree_of(path))
    return path


def place(path: Path) -> Path:
    (found,) = (path.parent / "__pycache__").iterdir()
    return found


def test_what_was_kept_is_what_was_read(path: Path) -> None:
    assert kept(path) == tree_of(path)


@given(value=values)
@settings(deadline=None)
def test_any_tree(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "any_tree.yaml"
    path.write_text(json.dumps(value))
    keep(path, tree_of(path))
    assert kept(path) == tree_of(path)


def test_another_place_of_the_same_file_is_named(path: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "moved").resolve()
    moved.mkdir()
    for name in (path.name, "__pycache__"):
        (tmp_path / name).rename(moved / name)
    assert kept(moved / path.name) == tree_of(moved / path.name)


def test_a_file_that_changed_is_read_anew(path: Path) -> None:
    path.write_text(DATA + "e: 1\n")
    assert kept(path) is None
    path.write_text(DATA)
    os.utime(path, (1, 1))
    assert kept(path) is None


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff" * 40])
def test_what_is_no_tree_is_as_nothing(path: Path, data: bytes) -> None:
    place(path).write_bytes(data)
    assert kept(path) is None


def test_a_tree_that_was_cut_short(path: Path) -> None:
    whole = place(path).read_bytes()
    for length in range(len(whole)):
        place(path).write_bytes(whole[:length])
        assert kept(path) is None


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "machine.yaml"
    path.write_text(DATA)
    (tmp_path / "__pycache__").write_text("no folder")
    keep(path, tree_of(path))
    assert kept(path) is None


def test_only_shipped_descriptions_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shipped").mkdir()
    for folder in (tmp_path, tmp_path / "shipped"):
        (folder / "m.yaml").write_text("extends: pc\n")
    pc = loader.shipped()["pc"]
    (tmp_path / "shipped/pc.yaml").write_bytes(pc.read_bytes())
    monkeypatch.setattr(loader, "shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    read = load_tree(str(tmp_path / "m.yaml"))
    assert not list(tmp_path.rglob("*.tree"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for _ in range(2):
        assert load_tree(str(tmp_path / "m.yaml")) == read
        assert {path.name.split(".")[0] for path in tmp_path.rglob("*.tree")} == {"pc"}


def test_by_hand() -> None:
    assert subprocess.run([sys.executable, "-m", "southbridge.description"]).returncode == 0
    for path in loader.shipped().values():
        assert kept(path) == tree_of(path)
