"""Whatever bytes are given, the loader gives a tree or says what is wrong, and soon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from southbridge.description import load, yaml_tree
from southbridge.errors import DescriptionError, Location

PIECES = (
    "devices",
    "extends",
    "memory",
    ": ",
    "\n",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "!t ",
    "? ",
    "|\n",
)
MORE = (
    '"',
    "'",
    "#",
    "<<",
    "null",
    "0x1F",
    "1.5",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "\t",
    "\x00",
    "\ufeff",
    "\u2028",
    "é",
    "\\",
)

texts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(PIECES + MORE), max_size=60).map("".join),
)


def locate(line: int, column: int) -> Location:
    return Location("m", line, column)


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "_Loader", getattr(yaml, request.param))


@given(text=texts)
@example("? - ? - a")
@example("a: &a [*a]")
@example("[" * 5000)
@example("{a: " * 5000)
@example('"\\ud800"')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_a_tree_or_an_error(parser: None, text: str) -> None:
    try:
        tree = yaml_tree.parse(text, locate)
    except DescriptionError as error:
        assert error.location is not None and error.location.line >= 1 and error.location.column >= 1
    else:
        assert tree is None or tree.weight <= yaml_tree.MAX_NODES


@given(data=st.one_of(st.binary(max_size=200), texts.map(lambda text: text.encode("utf-8", "surrogatepass"))))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_is_a_description_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    try:
        load(str(path))
    except DescriptionError as error:
        assert "\n" not in str(error).removeprefix(str(path))


names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names.filter(lambda name: name != "type"), inner),
    max_leaves=12,
)


@given(value=values)
@settings(deadline=None)
def test_json_is_read_as_it_is(value: object) -> None:
    tree = yaml_tree.parse(json.dumps(value), locate)
    assert tree is not None and tree.plain() == value
