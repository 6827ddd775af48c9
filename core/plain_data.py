"""Saved state as JSON: what JSON has no form for is tagged.

Bytes are {"$bytes": base64}, tuples {"$tuple": [...]}, dictionaries with other keys than plain strings
{"$map": [[key, value], ...]}. Everything else is itself.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from .errors import SouthbridgeError

BYTES, TUPLE, MAP = "$bytes", "$tuple", "$map"


def to_json(value: Any) -> bytes:
    """`value` as JSON text. Raises SouthbridgeError if there is something in it that isn't plain data."""
    try:
        return json.dumps(_encoded(value), separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise SouthbridgeError(f"state that can't be saved: {error}") from None


def from_json(data: bytes) -> Any:
    """What `to_json` was given. Raises ValueError."""
    try:
        return _decoded(json.loads(data, parse_constant=_no_number))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {BYTES: base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {TUPLE: [_encoded(item) for item in value]}
    if isinstance(value, list):
        return [_encoded(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _encoded(item) for key, item in value.items()}
        return {MAP: [[_encoded(key), _encoded(item)] for key, item in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} isn't plain data")


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    tagged = [key for key in value if key.startswith("$")]
    if not tagged:
        return {key: _decoded(item) for key, item in value.items()}
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == BYTES and isinstance(content, str):
            return base64.b64decode(content, validate=True)
        if tag == TUPLE and isinstance(content, list):
            return tuple(_decoded(item) for item in content)
        if tag == MAP and isinstance(content, list) and all(isinstance(i, list) and len(i) == 2 for i in content):
            return {_decoded(key): _decoded(item) for key, item in content}
    raise ValueError(f"no such tag: {tagged[0][:20]!r}")


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
