"""The state of a machine's devices, in a short file: where a hypervisor has the memory and the CPUs to save.

It begins with "SBDEVST\\n", the format's version and the text's length (little-endian, 4 bytes each) and the text's
BLAKE2b digest (32 bytes). The text is JSON, in the form of `plain_data`: what `Machine.save_state` gives, and what the
devices are, so that another machine's state is told before it is taken.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING, Any

from .errors import SouthbridgeError
from .plain_data import from_json, to_json

if TYPE_CHECKING:
    from .machine import Machine

MAGIC = b"SBDEVST\n"
VERSION = 1
LARGEST = 32 << 20
"""The longest text that is read, in bytes."""
_HEAD = struct.Struct("<8sII32s")


def devices_state(machine: Machine) -> bytes:
    """The state now. Raises SouthbridgeError."""
    state = machine.save_state()
    text = to_json({"types": _types(machine), "state": state})
    if len(text) > LARGEST:
        raise SouthbridgeError(f"the devices' state has {len(text)} bytes; {LARGEST} are the most that would be read")
    return _HEAD.pack(MAGIC, VERSION, len(text), _digest(text)) + text


def load_devices_state(machine: Machine, descriptor: int) -> None:
    """The machine, which doesn't run, goes on from the state that is read from `descriptor`, which is closed.

    Raises SouthbridgeError for what is none, or another machine's.
    """
    with os.fdopen(descriptor, "rb") as file:
        try:
            content = _content(file.read(_HEAD.size + LARGEST + 1))
        except OSError as error:
            raise SouthbridgeError(f"the devices' state can't be read: {error.strerror}") from None
    there = _types(machine)
    if content["types"] != there:
        different = sorted(id for id, _ in content["types"].items() ^ there.items())
        raise SouthbridgeError(
            f"the devices' state is of a machine with other devices: {', '.join(dict.fromkeys(different))}"
        )
    machine.load_state(content["state"])


def _content(data: bytes) -> dict[str, Any]:
    if len(data) < _HEAD.size:
        raise SouthbridgeError(f"the devices' state is cut off: {len(data)} bytes")
    magic, version, length, digest = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise SouthbridgeError("what comes in is no state of Southbridge's devices; another program's can't be taken")
    if version != VERSION:
        raise SouthbridgeError(f"the devices' state has format {version}; known is {VERSION}")
    text = data[_HEAD.size :]
    if len(text) != length or _digest(text) != digest:
        raise SouthbridgeError("the devices' state is damaged")
    try:
        content = from_json(text)
    except ValueError:
        raise SouthbridgeError("the devices' state is damaged: it is no JSON") from None
    if not isinstance(content, dict) or content.keys() != {"types", "state"} or not isinstance(content["types"], dict):
        raise SouthbridgeError("the devices' state is damaged")
    return content


def _types(machine: Machine) -> dict[str, str]:
    return {id: type(device).__name__ for id, device in machine.devices.items()}


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=32).digest()
