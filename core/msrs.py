"""Model-specific registers that the machine answers rather than the accelerator: a local APIC's, and the CPU model's.

What RDMSR and WRMSR show is the machine's, so that a guest sees one CPU whichever accelerator runs it. An accelerator
holds the architectural registers of the CPU itself; it asks here for any other. One that nobody has raises #GP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .cpu_models import ModelMsr
from .errors import RealizeError, SouthbridgeError
from .x86 import U64, MsrIndex

Reader = Callable[[int], int]
"""(index of the CPU) -> value"""
Writer = Callable[[int, int], bool]
"""(index of the CPU, value) -> False for #GP"""

Values = list[dict[int, int]]
"""For each CPU, the model's registers by number."""


class Msr(NamedTuple):
    """Who answers a register."""

    read: Reader
    write: Writer


class Msrs:
    """The registers of `cpus` CPUs: a device's, or else the CPU `model`'s. Callers hold the machine's lock."""

    def __init__(self, model: Mapping[int, ModelMsr], cpus: int) -> None:
        self._model = model
        self._values: Values = [{} for _ in range(cpus)]
        self._registers: dict[int, Msr] = {}
        self.reset()

    def claim(self, number: int, read: Reader, write: Writer) -> None:
        """Register `number` is answered by these from now on. Raises RealizeError if a device has it."""
        if number in self._registers:
            raise RealizeError(f"two devices claim the model-specific register {number:#x}")
        self._registers[number] = Msr(read, write)

    def release(self, number: int) -> None:
        """No device has it any more."""
        self._registers.pop(number, None)

    def __contains__(self, number: int) -> bool:
        return number in self._registers or number in self._model

    def read(self, cpu: int, number: int) -> int | None:
        """RDMSR on CPU `cpu`; None: #GP."""
        register = self._registers.get(number)
        return self._values[cpu].get(number) if register is None else register.read(cpu)

    def write(self, cpu: int, number: int, value: int) -> bool:
        """WRMSR on CPU `cpu`; False: #GP."""
        register = self._registers.get(number)
        if register is not None:
            return register.write(cpu, value)
        spec = self._model.get(number)
        new = None if spec is None else spec.written(self._values[cpu][number], value)
        if new is not None:
            self._values[cpu][number] = new
        return new is not None

    # --- the model's ---------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The model's registers are as after power-on."""
        for values in self._values:
            values.update((number, spec.reset) for number, spec in self._model.items())

    def save(self) -> Values:
        """The model's registers, for each CPU."""
        return [dict(values) for values in self._values]

    def load(self, saved: Values) -> None:
        """The inverse of `save`. Raises SouthbridgeError, having changed nothing, for what isn't of this model."""
        from pydantic import TypeAdapter, ValidationError

        try:
            checked = TypeAdapter(list[dict[MsrIndex, U64]]).validate_python(saved)
        except ValidationError as error:
            raise SouthbridgeError(f"saved model-specific registers: {error.errors()[0]['msg']}") from None
        if [values.keys() for values in checked] != [values.keys() for values in self._values]:
            raise SouthbridgeError("saved model-specific registers: they are of another CPU model")
        self._values = checked
