"""The outer form of a machine's saved state. Imported when one is loaded: pydantic takes its time."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PowerState(BaseModel):
    """What `Power.save` gives."""

    model_config = ConfigDict(extra="forbid", strict=True)
    suspended: bool = False
    facs: int = Field(default=0, ge=0, lt=1 << 32)


class PluggedCpu(BaseModel):
    """A CPU that is there."""

    model_config = ConfigDict(extra="forbid", strict=True)
    index: int = Field(ge=0)
    id: str


class MachineState(BaseModel):
    """What `exchange.save_state` gives."""

    model_config = ConfigDict(extra="forbid", strict=True)
    clock: int = Field(ge=0, lt=1 << 63)
    cpus: list[dict[str, Any]]
    plugged_cpus: list[PluggedCpu] | None = None
    """Which these are; None: the first ones."""
    msrs: list[Any]
    power: PowerState = PowerState()
    devices: dict[str, Any]
