"""A device's registers as somebody looks at them: by bank, and from the outside, so that nothing changes by it."""

from __future__ import annotations

from collections.abc import Iterator

from .component import Component
from .registers import Register


def register_banks(component: Component, prefix: str = "") -> Iterator[tuple[str, list[Register]]]:
    """Each bank of a device and its parts that has registers, by its dotted name, and these in their order."""
    for bank in component.bank_specs:
        specs = sorted(component.register_specs, key=lambda spec: spec.offset)
        if registers := [getattr(component, spec.name) for spec in specs if spec.bank is bank]:
            yield prefix + bank.name, registers
    for name, part in component.parts():
        yield from register_banks(part, f"{prefix}{name}.")
