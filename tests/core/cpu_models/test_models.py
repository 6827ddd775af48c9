"""Every model holds together, whatever it is asked; and can be made again from what it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.cpu_models import (
    DEFAULT_MODEL,
    CpuidEntry,
    CpuidTable,
    CpuModel,
    ModelMsr,
    UnknownModelError,
    find_model,
    model_names,
)
from southbridge.cpu_models.cpuid import CR4_OSXSAVE, CR4_PKE
from southbridge.cpu_models.definition import AMD, Definition
from southbridge.cpu_models.features import FEATURES, names_in
from southbridge.errors import SouthbridgeError

names = st.sampled_from(model_names())
words32 = st.integers(0, (1 << 32) - 1)
words64 = st.integers(0, (1 << 64) - 1)
places = st.integers(1, 255).flatmap(lambda cpus: st.tuples(st.integers(0, cpus - 1), st.just(cpus)))

APIC, OSXSAVE, OSPKE, HTT, HYPERVISOR = 1 << 9, 1 << 27, 1 << 4, 1 << 28, 1 << 31


@pytest.mark.parametrize("name", model_names())
def test_model(name: str) -> None:
    model = find_model(name)
    assert model.name == name
    assert model.physical_bits == 40
    assert {"lm", "nx", "syscall", "apic", "sse2", "hypervisor", "mtrr", "pat"} <= model.features
    assert not {"avx", "xsave", "svm", "vmx", "x2apic", "monitor", "tsc-deadline"} & model.features
    assert model.is_amd is (model.vendor == "AuthenticAMD")
    assert model.msrs[0x8B].reset


def test_the_default_is_the_least() -> None:
    """What `portable` has, every model has, but for what QEMU's leave out."""
    assert model_names()[0] == DEFAULT_MODEL == "portable"
    portable = find_model("portable").features
    for name in model_names():
        assert portable - find_model(name).features <= {"lahf-lm", "cx16"}


def test_features_that_arent_named_twice() -> None:
    assert len(FEATURES) == len(set(FEATURES.values()))
    for bit in FEATURES.values():
        assert 0 <= bit.number < 32


def test_features_that_kvm_may_have_have_names() -> None:
    for name in ("avx", "avx2", "avx512f", "xsave", "xsaves", "pku", "rdtscp", "fsgsbase", "invtsc", "tsc-deadline"):
        assert name in FEATURES
    assert names_in(FEATURES["avx"].word, 1 << 28 | 1) == ["pni", "avx"]


def test_unknown_name() -> None:
    with pytest.raises(UnknownModelError, match=r"no CPU model 'nehalm'; did you mean Nehalem\?"):
        find_model("nehalm")
    with pytest.raises(SouthbridgeError, match="there are portable, qemu64"):
        find_model("6502")


@given(names, places)
def test_place_of_a_cpu(name: str, place: tuple[int, int]) -> None:
    index, cpus = place
    model = find_model(name)
    table = CpuidTable(model.cpuid(index, cpus))
    _, ebx, ecx, edx = table.answer(1, 0)
    assert ebx >> 24 == index
    assert bool(edx & HTT) is (cpus > 1)
    assert ebx >> 16 & 0xFF == (cpus if cpus > 1 else 0)
    assert ecx & HYPERVISOR
    width = table.answer(0x8000_0008, 0)[2] >> 12
    assert 1 << width >= cpus > (1 << width) // 2
    assert table.answer(0x8000_0008, 0)[2] & 0xFF == cpus - 1
    assert all(not register >> 32 for entry in model.cpuid(index, cpus) for register in entry[2:])
    if table.answer(4, 0)[0] & 0x1F:
        assert (table.answer(4, 0)[0] >> 26) + 1 == min(cpus, 64)
    if table.answer(0, 0)[0] >= 0xB:
        assert table.answer(0xB, 0) == (0, 1, 0x100, index)
        assert table.answer(0xB, 1) == (width, cpus, 0x201, index)
        assert table.answer(0xB, 5) == (0, 0, 5, index)


@pytest.mark.parametrize("place", [(1, 1), (-1, 1), (0, 256), (0, 0)])
def test_no_place(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="CPU"):
        find_model("portable").cpuid(*place)


@given(names, words32, words32, words64, st.integers(0, 7), words64)
def test_any_leaf(name: str, leaf: int, subleaf: int, cr4: int, xcr0: int, apic_base: int) -> None:
    table = CpuidTable(find_model(name).cpuid(0, 1))
    answer = table.answer(leaf, subleaf, cr4=cr4, xcr0=xcr0, apic_base=apic_base)
    assert all(0 <= value < 1 << 32 for value in answer)
    if not table.is_dynamic(leaf):
        assert answer == table.static(leaf, subleaf)


@given(names, st.sampled_from([0xE, 0x100, 0x7FFF_FFFF, 0x8000_0009, 0x8FFF_FFFF, 0xC000_0000]), st.integers(0, 3))
def test_beyond_the_last_leaf(name: str, leaf: int, subleaf: int) -> None:
    """AMD's CPUs give zeros, Intel's what the last basic leaf gives."""
    model = find_model(name)
    table = CpuidTable(model.cpuid(0, 1))
    last = table.answer(0, 0)[0]
    assert table.answer(leaf, subleaf) == ((0, 0, 0, 0) if model.is_amd else table.answer(last, subleaf))


def test_an_empty_table() -> None:
    assert CpuidTable([]).answer(0x8000_0000, 3) == (0, 0, 0, 0)


@given(names)
def test_apic_bit_follows_the_apic(name: str) -> None:
    model = find_model(name)
    table = CpuidTable(model.cpuid(0, 1))
    assert table.answer(1, 0, apic_base=0xFEE0_0800)[3] & APIC
    assert not table.answer(1, 0, apic_base=0xFEE0_0000)[3] & APIC
    assert bool(table.answer(0x8000_0001, 0, apic_base=0xFEE0_0800)[3] & APIC) is model.is_amd
    assert not table.answer(0x8000_0001, 0, apic_base=0xFEE0_0000)[3] & APIC


def host() -> CpuModel:
    """A model as KVM may describe one: CPU 5 of eight, with OSXSAVE and OSPKE set."""
    return CpuModel.from_cpuid(
        "host",
        [
            CpuidEntry(0, None, 0x1F, 0x756E_6547, 0x6C65_746E, 0x4965_6E69),
            CpuidEntry(1, None, 0x806EC, 5 << 24 | 8 << 16 | 0x800, 1 << 26 | OSXSAVE | 1 << 28, APIC | HTT),
            CpuidEntry(4, 0, 0x1C00_4121, 0x01C0_003F, 0x3F),
            CpuidEntry(4, 3, 0x1C03_C163, 0x02C0_003F, 0x3FFF),
            CpuidEntry(7, 0, 0, 1 << 5, 1 << 3 | OSPKE),
            CpuidEntry(0xB, 0, 1, 2, 0x100, 5),
            CpuidEntry(0xB, 1, 4, 8, 0x201, 5),
            CpuidEntry(0xD, 0, 0x207, 0x988, 0x988),
            CpuidEntry(0xD, 2, 0x100, 0x240),
            CpuidEntry(0xD, 9, 8, 0x980),
            CpuidEntry(0x1F, 0, 1, 2, 0x100, 5),
            CpuidEntry(0x8000_0000, None, 0x8000_0008),
            CpuidEntry(0x8000_0001, None, edx=1 << 29),
            CpuidEntry(0x8000_0008, None, 0x3027),
        ],
    )


def test_from_cpuid() -> None:
    model = host()
    assert model.features == {"xsave", "avx", "apic", "avx2", "pku", "lm"}
    assert (model.vendor, model.signature, model.physical_bits) == ("GenuineIntel", 0x806EC, 39)
    assert model.msrs[0x8B].reset == 1 << 32
    table = CpuidTable(model.cpuid(1, 2))
    assert table.answer(1, 0) == (0x806EC, 0x0102_0800, 1 << 26 | 1 << 28, APIC | HTT)
    assert table.answer(4, 0)[0] == 0x0400_0121
    assert table.answer(4, 3)[0] == 0x0400_4163
    assert table.answer(0xB, 0) == (0, 1, 0x100, 1)
    assert table.answer(0x1F, 0) == (0, 0, 0, 0)
    assert CpuModel.from_cpuid("host", [], {}).physical_bits == 36


def test_what_follows_registers() -> None:
    table = CpuidTable(host().cpuid(0, 1))
    assert not table.answer(1, 0)[2] & OSXSAVE
    assert table.answer(1, 0, cr4=CR4_OSXSAVE)[2] & OSXSAVE
    assert not table.answer(7, 0)[2] & OSPKE
    assert table.answer(7, 0, cr4=CR4_PKE)[2] & OSPKE
    assert [table.answer(0xD, 0, xcr0=xcr0)[1] for xcr0 in (1, 3, 7, 0x203, 0x207)] == [
        *(0x240, 0x240, 0x340, 0x988, 0x988)
    ]


@given(names)
def test_a_model_from_what_another_shows(name: str) -> None:
    model = find_model(name)
    again = CpuModel.from_cpuid(name, model.cpuid(7, 9))
    assert again.cpuid(3, 4) == model.cpuid(3, 4)
    assert again == model
    assert again.features == model.features


@given(st.integers(1, 30), st.integers(0, 255), st.integers(0, 15))
def test_signature(family: int, model: int, stepping: int) -> None:
    signature = Definition("x", AMD, family, model, stepping, 7, "fpu", "").build().signature
    base, extended = signature >> 8 & 15, signature >> 20
    assert base + (extended if base == 15 else 0) == family
    assert (signature >> 4 & 15) | (signature >> 16 & 15) << 4 == model
    assert signature & 15 == stepping


@given(words64, words64, words64, words64)
def test_model_msr(old: int, value: int, writable: int, ignored: int) -> None:
    left = ModelMsr(0, writable, ignored).written(old, value)
    if left is None:
        assert (old ^ value) & ~writable & ~ignored
    else:
        assert (left ^ value) & writable == 0
        assert (left ^ old) & ~writable == 0
    assert ModelMsr(0, writable, ignored).written(old, old) == old


def test_registers_that_operating_systems_write() -> None:
    amd, intel = find_model("portable").msrs, find_model("Nehalem").msrs
    assert intel[0x8B].written(intel[0x8B].reset, 0) == intel[0x8B].reset  # before the revision is read
    assert amd[0xC001_0015].written(0, 1 << 18 | 1 << 6) == 1 << 18
    assert amd[0xC001_0015].written(0, 1) is None
    assert amd[0x198].written(amd[0x198].reset, 0) is None
