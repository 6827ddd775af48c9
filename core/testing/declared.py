"""What a guest's accesses do to plain registers, as declared: computed anew, not with the code that serves them.

A register is plain if no method answers it and nothing else is at its place.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..banks import BankRegion
from ..component import Component
from ..device import Device
from ..registers import Register, RegisterSpec

Width = int
"""In bytes."""


def plain_registers(device: Device) -> Iterator[tuple[Component, BankRegion, RegisterSpec]]:
    """Each plain register of the device and its parts, with the bank that it is in."""
    for component in device.components():
        for bank in component.bank_specs:
            region = vars(component)[bank.name]
            if not isinstance(region, BankRegion):
                continue
            places = region.declared()
            for spec in component.register_specs:
                methods = spec.reader or spec.writer or spec.after_write
                alone = sum(place.start < spec.end and spec.offset < place.stop for place in places) == 1
                if spec.bank is bank and alone and not methods and spec.when is None:
                    yield component, region, spec


def register(component: Component, spec: RegisterSpec) -> Register:
    """The register that `spec` declares."""
    found: Register = vars(component)[spec.name]
    return found


def accesses(spec: RegisterSpec) -> Iterator[tuple[int, Width]]:
    """Each naturally aligned access that lies within the register: where in it, and the width."""
    for size in (1, 2, 4, 8):
        for at in range(spec.width - size + 1):
            if not (spec.offset + at) % size:
                yield at, size


def after_read(spec: RegisterSpec, value: int, at: int, size: Width) -> tuple[int, int]:
    """What a read gives, and the register's value then. A refused one gives ones."""
    ones = (1 << 8 * size) - 1
    if not spec.readable:
        return spec.bank.unmapped & ones, value
    if size in spec.widths:
        lanes = ones << 8 * at
        return (value & ~spec.wo_mask & lanes) >> 8 * at, value & ~(spec.rc_mask & lanes)
    if size < min(spec.widths):
        return ones, value
    half = size // 2
    low, value = after_read(spec, value, at, half)
    high, value = after_read(spec, value, at + half, half)
    return low | high << 8 * half, value


def after_write(spec: RegisterSpec, value: int, at: int, size: Width, data: int) -> int:
    """The register's value after `data` was written. A refused write changes nothing."""
    if size in spec.widths:
        lanes = ((1 << 8 * size) - 1) << 8 * at
        data = data << 8 * at & lanes
        stored = value & ~(spec.rw_mask & lanes) | data & spec.rw_mask
        return stored & ~(data & spec.w1c_mask)
    if size < min(spec.widths):
        return value
    half = size // 2
    value = after_write(spec, value, at, half, data & ((1 << 8 * half) - 1))
    return after_write(spec, value, at + half, half, data >> 8 * half)
