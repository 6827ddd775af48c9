"""AML's encodings, against a reader of their own and the specification's examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.acpi.aml import (
    AcpiError,
    eisa_id,
    field_length,
    integer,
    operand,
    package_length,
    packaged,
    path,
    string,
)

from tests.core.acpi.reader import read_integer, read_package_length, read_path

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
segments = st.builds(
    lambda first, rest: (first + rest).rstrip("_") or "A",
    st.sampled_from(LETTERS),
    st.text(LETTERS + "0123456789", max_size=3),
)


@given(st.integers(0, (1 << 28) - 5))
def test_package_lengths_count_themselves(length: int) -> None:
    data = package_length(length)
    said, size = read_package_length(data)
    assert (said, size) == (length + len(data), len(data))


@pytest.mark.parametrize(
    ("length", "size"),
    [(0, 1), (62, 1), (63, 2), (4093, 2), (4094, 3), ((1 << 20) - 4, 3), ((1 << 20) - 3, 4), ((1 << 28) - 5, 4)],
)
def test_package_lengths_are_as_short_as_can_be(length: int, size: int) -> None:
    assert len(package_length(length)) == size


def test_a_package_that_is_too_long_is_refused() -> None:
    with pytest.raises(AcpiError, match="lengths end"):
        package_length((1 << 28) - 4)


@given(st.integers(0, (1 << 28) - 1))
def test_field_lengths_count_bits(bits: int) -> None:
    data = field_length(bits)
    assert read_package_length(data) == (bits, len(data))


@pytest.mark.parametrize("bits", [-1, 1 << 28])
def test_fields_that_are_none_are_refused(bits: int) -> None:
    with pytest.raises(AcpiError, match="field of"):
        field_length(bits)


@given(st.integers(0, (1 << 64) - 1))
def test_integers(value: int) -> None:
    data = integer(value)
    assert read_integer(data) == value
    shortest = next(size for size in (1, 2, 4, 8) if value < 1 << 8 * size)
    assert len(data) == (1 if value < 2 else 1 + shortest)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_integers_of_more_than_64_bits_are_refused(value: int) -> None:
    with pytest.raises(AcpiError, match="64 bits"):
        integer(value)


@given(st.sampled_from(["", "\\", "^", "^^^"]), st.lists(segments, min_size=1, max_size=255))
def test_paths(prefix: str, parts: list[str]) -> None:
    name = prefix + ".".join(parts)
    assert read_path(path(name)) == name


def test_the_root_is_a_path() -> None:
    assert path("\\") == b"\\\0"
    assert path("^") == b"^\0"


@pytest.mark.parametrize("name", ["", "a", "ABCDE", "1AB", "A..B", "A.", "A B", "Ä", "A\n"])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(AcpiError, match="name"):
        path(name)


def test_a_path_of_256_segments_is_refused() -> None:
    with pytest.raises(AcpiError, match="256 segments"):
        path(".".join(["A"] * 256))


@given(st.text(st.characters(min_codepoint=1, max_codepoint=127)))
def test_strings(text: str) -> None:
    assert string(text) == b"\x0d" + text.encode() + b"\0"


@pytest.mark.parametrize("text", ["ä", "a\0b"])
def test_strings_are_ascii(text: str) -> None:
    with pytest.raises(AcpiError, match="ASCII"):
        string(text)


def test_plug_and_play_identifiers() -> None:
    # The specification's example, section 19.6.37: EisaId ("PNP0C09") is 0x090CD041.
    assert eisa_id("PNP0C09") == integer(0x090CD041)


@pytest.mark.parametrize("text", ["PNP0C0", "PNP0C0X", "pnp0c09", "PNP0C09 "])
def test_what_isnt_a_plug_and_play_identifier_is_refused(text: str) -> None:
    with pytest.raises(AcpiError, match="plug-and-play"):
        eisa_id(text)


def test_operands() -> None:
    assert operand(5) == b"\x0a\x05"
    assert operand("FOO") == b"FOO_"
    assert operand(string("FOO")) == b"\x0dFOO\0"


@given(st.binary(max_size=5000))
def test_packages_hold_their_contents(contents: bytes) -> None:
    data = packaged(b"\x5b\x82", contents)
    said, size = read_package_length(data[2:])
    assert said == len(data) - 2
    assert data[2 + size :] == contents
