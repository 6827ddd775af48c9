"""CPU models: what a guest sees of a CPU, whichever accelerator runs it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SouthbridgeError

DEFAULT_MODEL = "portable"


@dataclass(frozen=True)
class CpuModel:
    """A CPU as the guest sees it."""

    name: str
    signature: int = 0x663
    """EAX of CPUID leaf 1, and EDX after a reset."""


def models() -> list[str]:
    """The names of the models."""
    return ["portable", "qemu64"]


def find_model(name: str) -> CpuModel:
    """The model of that name. Raises SouthbridgeError if there is none."""
    if name not in models():
        raise SouthbridgeError(f"no CPU model {name!r}")
    return CpuModel(name)
