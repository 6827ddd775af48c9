"""Model-specific registers that devices and the CPU model answer."""

from __future__ import annotations

import pytest
from southbridge import RealizeError, SouthbridgeError
from southbridge.cpu_models import ModelMsr
from southbridge.msrs import Msrs

KEPT, FIXED, GONE = 0x8B, 0x17, 0x1234


@pytest.fixture
def msrs() -> Msrs:
    return Msrs({KEPT: ModelMsr(reset=0xF0, writable=0xFF), FIXED: ModelMsr(reset=7)}, cpus=2)


def test_each_cpu_has_the_models_registers(msrs: Msrs) -> None:
    assert msrs.write(1, KEPT, 0x12)
    assert (msrs.read(0, KEPT), msrs.read(1, KEPT)) == (0xF0, 0x12)
    msrs.reset()
    assert msrs.read(1, KEPT) == 0xF0


@pytest.mark.parametrize(("number", "value"), [(FIXED, 8), (KEPT, 0x100), (GONE, 0)])
def test_what_cannot_be_written_is_a_fault(msrs: Msrs, number: int, value: int) -> None:
    before = msrs.save()
    assert not msrs.write(0, number, value)
    assert msrs.save() == before
    assert msrs.read(0, GONE) is None


def test_a_device_comes_before_the_model(msrs: Msrs) -> None:
    written: list[tuple[int, int]] = []

    def write(cpu: int, value: int) -> bool:
        written.append((cpu, value))
        return value < 10

    msrs.claim(KEPT, lambda cpu: cpu + 100, write)
    assert msrs.read(1, KEPT) == 101
    assert msrs.write(0, KEPT, 9)
    assert not msrs.write(1, KEPT, 10)
    assert written == [(0, 9), (1, 10)]
    with pytest.raises(RealizeError, match="two devices claim the model-specific register 0x8b"):
        msrs.claim(KEPT, lambda cpu: 0, write)
    msrs.release(KEPT)
    assert msrs.read(1, KEPT) == 0xF0


def test_saved_values_come_back(msrs: Msrs) -> None:
    msrs.write(1, KEPT, 0x55)
    saved = msrs.save()
    msrs.reset()
    msrs.load(saved)
    assert msrs.read(1, KEPT) == 0x55


@pytest.mark.parametrize(
    "saved", [[], [{}, {}], [{KEPT: 1, FIXED: 7}], [{KEPT: -1, FIXED: 7}] * 2, [{KEPT: 1, FIXED: 7, GONE: 0}] * 2]
)
def test_values_of_another_model_are_refused(msrs: Msrs, saved: list[dict[int, int]]) -> None:
    before = msrs.save()
    with pytest.raises(SouthbridgeError, match="saved model-specific registers"):
        msrs.load(saved)
    assert msrs.save() == before
