"""State as JSON and back, unchanged."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import SouthbridgeError
from southbridge.plain_data import from_json, to_json

KEYS = st.text(max_size=5) | st.sampled_from(["$bytes", "$map", "$", "$tuple"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 256), 1 << 256)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(st.integers() | st.binary(max_size=4), inner)
    ),
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: True isn't 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(VALUES)
def test_everything_comes_back(value: Any) -> None:
    assert same(from_json(to_json(value)), value)


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), [1j], {"a": {"b": len}}])
def test_what_is_not_plain(value: Any) -> None:
    with pytest.raises(SouthbridgeError, match="state that can't be saved"):
        to_json(value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(KEYS | st.just("$other"), inner),
    )
)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    with suppress(ValueError):
        from_json(json.dumps(value).encode())


@pytest.mark.parametrize("text", [b'{"$map": [[[], 1]]}', b'{"$bytes": "?"}', b"NaN", b"[" * 100_000, b"\xff", b""])
def test_refusals(text: bytes) -> None:
    with pytest.raises(ValueError):
        from_json(text)
