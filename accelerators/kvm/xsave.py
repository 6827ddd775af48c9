"""The XSAVE area in its standard form, as KVM_GET_XSAVE and KVM_SET_XSAVE have it (SDM volume 1, 13.4).

It begins with FXSAVE's 512 bytes (10.5.1); the header's first quadword, XSTATE_BV, says which components it holds.
Where the others lie the host's CPU says, in CPUID leaf 0Dh.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from southbridge.x86 import X86State

SIZE = 4096

_FPU = struct.Struct("<HHBxHQQI")
"""FCW, FSW, FTW, FOP, FIP, FDP, MXCSR"""
_STACK, _XMM, _XSTATE_BV = 32, 160, 512
_LEGACY = 0b11
"""x87 and SSE."""
_AVX = 2
_MASK128 = (1 << 128) - 1

Layout = Mapping[int, tuple[int, int]]
"""Offset and size of each component that the guest's CPU has beyond x87 and SSE."""


def save(area: bytes | bytearray, layout: Layout, state: X86State) -> None:
    """Puts what `area` holds into `state`."""
    fields = _FPU.unpack_from(area)
    state.fpu_control, state.fpu_status, state.fpu_tag, state.fpu_opcode = fields[:4]
    state.fpu_ip, state.fpu_dp, state.mxcsr = fields[4:]
    at = range(_STACK, _STACK + 8 * 16, 16)
    state.fpu_registers = [int.from_bytes(area[offset : offset + 10], "little") for offset in at]
    at = range(_XMM, _XMM + 16 * 16, 16)
    state.vector = [int.from_bytes(area[offset : offset + 16], "little") for offset in at]
    held = int.from_bytes(area[_XSTATE_BV : _XSTATE_BV + 8], "little")
    for component, (offset, size) in layout.items():
        if not held >> component & 1:
            continue
        data = bytes(area[offset : offset + size])
        if component == _AVX:
            for index in range(16):
                state.vector[index] |= int.from_bytes(data[16 * index : 16 * index + 16], "little") << 128
        elif any(data):
            state.extended[component] = data


def load(area: bytearray, layout: Layout, state: X86State) -> None:
    """Makes `area`, which is zeroed, hold what `state` says.

    Raises ValueError, naming it, for a component that the CPU doesn't have.
    """
    head = state.fpu_control, state.fpu_status, state.fpu_tag, state.fpu_opcode
    _FPU.pack_into(area, 0, *head, state.fpu_ip, state.fpu_dp, state.mxcsr)
    for index, value in enumerate(state.fpu_registers):
        area[_STACK + 16 * index : _STACK + 16 * index + 10] = value.to_bytes(10, "little")
    for index, value in enumerate(state.vector):
        area[_XMM + 16 * index : _XMM + 16 * index + 16] = (value & _MASK128).to_bytes(16, "little")
    parts = dict(state.extended)
    if any(value >> 128 for value in state.vector):
        parts[_AVX] = b"".join((value >> 128).to_bytes(16, "little") for value in state.vector)
    held = _LEGACY
    for component, data in parts.items():
        if component not in layout:
            raise ValueError(f"XSAVE's component {component} is in use, which the CPU doesn't have")
        offset, size = layout[component]
        if len(data) != size:
            raise ValueError(f"XSAVE's component {component} has {len(data)} bytes; the CPU's has {size}")
        area[offset : offset + size] = data
        held |= 1 << component
    area[_XSTATE_BV : _XSTATE_BV + 8] = held.to_bytes(8, "little")
