"""What is said without pydantic is what pydantic says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from southbridge.annotations import Checked, Converted, Length, Strict, Within
from southbridge.description.loader import keep_trees, shipped_folder
from southbridge.discovery import load, names
from southbridge.properties import FilePath, Size, property_model, valid_properties
from southbridge.quick_check import UNSURE, makes_sense, quickly
from southbridge.units import MiB


def even(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value


TYPES: list[Any] = [
    *(int, bool, str, int | None, str | None, bool | None, int | str, Size, Size | None, FilePath, FilePath | None),
    *(Literal["a", "b"], Literal[1, 2], Literal["a"] | None, Annotated[int, Checked(even)], float, list[int]),
    *(Annotated[int, Within(0, 9)], Annotated[str, Checked(str)] | None, dict[str, FilePath]),
]
CONSTRAINTS: list[dict[str, Any]] = [
    *({}, {"ge": 0}, {"gt": 0, "lt": 9}, {"le": 4096, "multiple_of": 8}, {"min_length": 1, "max_length": 2}),
    *({"pattern": "^a*$"}, {"pattern": r"\w$"}, {"examples": ["x"]}),
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 20),
    st.integers(),
    st.sampled_from([0, 8, 4096, 1.0, "a", "b", "c", "aaa", "", "4K", "1M", "a/b", Path("a"), b"a", [1], {"a": "b"}]),
    st.text(max_size=3),
)


def model_of(kind: Any, constraints: dict[str, Any]) -> type[BaseModel]:
    made: type[BaseModel] = create_model(
        "Model", __config__=ConfigDict(strict=True), value=(kind, Field(..., **constraints))
    )
    return made


@given(st.sampled_from(TYPES), st.sampled_from(CONSTRAINTS), VALUES)
def test_what_it_accepts_pydantic_accepts(kind: Any, constraints: dict[str, Any], value: Any) -> None:
    found = quickly(kind, value, constraints)
    if found is not UNSURE:
        expected = model_of(kind, constraints).model_validate({"value": value}).__dict__["value"]
        assert (found, type(found)) == (expected, type(expected))


@given(st.sampled_from(TYPES), st.sampled_from([*CONSTRAINTS, {"ge": "x"}, {"max_length": "x"}, {"pattern": "("}]))
def test_what_makes_sense_is_what_pydantic_makes_a_model_of(kind: Any, constraints: dict[str, Any]) -> None:
    if makes_sense(kind, constraints):
        model_of(kind, constraints)


@pytest.mark.parametrize(
    ("kind", "value", "constraints"),
    [
        (int, 5, {"ge": 0, "le": 9}),
        (int | None, 5, {"ge": 0}),
        (int | None, None, {"ge": 0}),
        (bool, True, {}),
        (Size, 4096, {"ge": 4096}),
        (Literal["a", "b"], "b", {"examples": ["a"]}),
        (Annotated[str, Checked(str)] | None, "a", {}),
        (str, "cd", {"pattern": "^[a-d]{1,4}$"}),
    ],
)
def test_what_is_plainly_right_needs_no_pydantic(kind: Any, value: Any, constraints: dict[str, Any]) -> None:
    assert quickly(kind, value, constraints) == value
    assert makes_sense(kind, constraints)


def test_conversions() -> None:
    assert quickly(Size, "1M", {}) == MiB
    assert quickly(FilePath, "a/b", {}) == Path("a/b")


@pytest.mark.parametrize("value", ["x", -1, True, None])
def test_a_wrong_size_is_left_to_pydantic(value: object) -> None:
    assert quickly(Size, value, {}) is UNSURE


@pytest.mark.parametrize("kind", ["devices", "blockdevs", "chardevs", "monitors", "accelerators"])
def test_every_property_of_every_plugin(kind: str) -> None:
    """Its default, given, is what pydantic makes of it."""
    for name in names(kind):
        cls = load(kind, name)
        required = {name: "x" for name, spec in cls.properties().items() if spec.required}
        for property, spec in cls.properties().items():
            if isinstance(spec.default, int | str):
                values = {**required, property: spec.default}
                assert valid_properties(cls, values)[property] == getattr(
                    property_model(cls).model_validate(values), property
                )


ANNOTATED: list[tuple[Any, Any, Any]] = [
    (Annotated[int, Within(1, 3)], 3, 4),
    (Annotated[int, Within(1, 3)], 1, "1"),
    (Annotated[list[int], Length(1, 2)], [1], []),
    (Annotated[bool, Strict()], True, 1),
    (Annotated[int, Checked(even)], 2, 3),
    (Annotated[int, Converted(int, {"type": "string"})], "7", "x"),
]


@pytest.mark.parametrize(("kind", "right", "wrong"), ANNOTATED)
def test_marks_are_understood_by_pydantic(kind: Any, right: Any, wrong: Any) -> None:
    model: type[BaseModel] = create_model("Model", value=(kind, ...))
    model(value=right)
    with pytest.raises(ValidationError):
        model(value=wrong)


def test_a_lenient_mark() -> None:
    model: type[BaseModel] = create_model("Model", value=(Annotated[int, Within(1, 3, lenient=True)], ...))
    assert model(value="3").__dict__["value"] == 3


def test_marks_in_the_schema() -> None:
    model: type[BaseModel] = create_model("Model", a=(Annotated[int, Within(1, 3)], ...), b=(Size, ...))
    properties = model.model_json_schema()["properties"]
    assert properties["a"] == {"maximum": 3, "minimum": 1, "title": "A", "type": "integer"}
    assert properties["b"]["examples"] == ["256M"]


BUILDS = """
import sys
from southbridge.builder import build
from southbridge.control.builtin import MachineCommands
from southbridge.description.model import load
machine = build(load("pc", ["chardevs.serial0.type=null", "accelerator=unicorn", *sys.argv[1:]]))
MachineCommands(machine)
machine.close()
print([name for name in ("pydantic", "numpy", "typer", "rich", "stevedore") if name in sys.modules])
"""


CARD = ("netdevs.net.type=user", "devices.card.type=e1000", "devices.card.netdev=net")


@pytest.mark.parametrize("settings", [(), CARD], ids=["pc", "with a network"])
def test_a_machine_is_built_without_what_takes_long_to_import(settings: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-c", BUILDS, *settings], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


DESCRIBES = """
import sys
from southbridge.imported_late import load_tls_late
load_tls_late()
from southbridge.qemu_system.options import read
from southbridge.qemu_system.run import describe
describe(read(["-machine", "xenfv", "-xen-domid", "1", "-nodefaults", "-serial", "null", "-boot", "order=cd"]))
slow = ("importlib.metadata", "email", "difflib", "tempfile", "hashlib", "pydantic", "numpy", "_ssl", "yaml")
print([name for name in slow if name in sys.modules])
"""


def test_a_device_model_is_described_without_what_takes_long_to_import() -> None:
    keep_trees(shipped_folder())
    done = subprocess.run([sys.executable, "-I", "-c", DESCRIBES], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
