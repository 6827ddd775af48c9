"""The models that have QEMU's names show what QEMU's do."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge.cpu_models import CpuidTable, find_model
from southbridge.cpu_models.features import FEATURES

from tests.core.cpu_models.qemu_cpuid import qemu_cpuid

LEAVES = [
    *((leaf, 0) for leaf in range(5)),
    *((4, subleaf) for subleaf in range(1, 5)),
    *((leaf, 0) for leaf in range(6, 0xE)),
    *((leaf, 0) for leaf in range(0x8000_0000, 0x8000_0009)),
]
SVM_LEAF = 0x8000_000A
SVM = 1 << FEATURES["svm"].number


def adjusted(model: str, key: tuple[int, int], qemu: tuple[int, ...]) -> tuple[int, ...]:
    """`qemu`'s answer without SVM, which our models don't have."""
    eax, ebx, ecx, edx = qemu
    if key[0] == 0x8000_0000:
        eax = min(eax, SVM_LEAF - 2)
    elif key[0] == 0x8000_0001 and model == "qemu64":
        assert ecx & SVM
        ecx &= ~SVM
    return eax, ebx, ecx, edx


@pytest.mark.parametrize("cpus", [1, 3, 8])
@pytest.mark.parametrize("name", ["qemu64", "kvm64", "Conroe", "Penryn", "Nehalem", "Westmere"])
def test_same_as_qemu(tmp_path: Path, name: str, cpus: int) -> None:
    table = CpuidTable(find_model(name).cpuid(0, cpus))
    for key, registers in qemu_cpuid(tmp_path, name, LEAVES, cpus).items():
        assert table.answer(*key) == adjusted(name, key, registers), f"leaf {key[0]:#x}, subleaf {key[1]}"


@pytest.mark.parametrize(
    "name",
    [
        "qemu64,+popcnt,-cx16,-svm",
        "qemu64,-svm,sse4_1=on,sse4.2,+ssse3,nx=off",
        "qemu64,-svm,+rdtscp,+bmi1,+smep,-pse36",
        "Westmere,-aes,+fsgsbase",
        "kvm64,popcnt=off,+popcnt",
    ],
)
def test_changed_as_qemu_changes_it(tmp_path: Path, name: str) -> None:
    table = CpuidTable(find_model(name).cpuid(0, 1))
    for key, registers in qemu_cpuid(tmp_path, name, LEAVES, 1).items():
        assert table.answer(*key) == adjusted(name, key, registers), f"leaf {key[0]:#x}, subleaf {key[1]}"
