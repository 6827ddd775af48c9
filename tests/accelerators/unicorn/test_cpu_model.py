"""The guest's CPU is the machine's model: what CPUID shows, and what is an undefined instruction."""

from __future__ import annotations

import pytest
from southbridge.accelerators.unicorn import UnicornAccelerator
from southbridge.accelerators.unicorn.cpu_model import FEATURES
from southbridge.cpu_models import CpuidTable, CpuModel, find_model, model_names
from southbridge.cpu_models.definition import AMD, Definition
from southbridge.errors import SouthbridgeError

from tests.accelerators.unicorn.guest import FakeMachine, gate, long_mode, protected_mode, real_mode
from tests.accelerators.unicorn.test_registers import Apic

LEAVES = [
    *((leaf, 0) for leaf in range(0x10)),
    *((4, subleaf) for subleaf in range(1, 5)),
    *((0xB, subleaf) for subleaf in range(1, 3)),
    *((0x8000_0000 + leaf, 0) for leaf in range(0x20)),
    *((leaf, 5) for leaf in (0x4000_0000, 0x4000_0001, 0x4000_0100, 0xC000_0000, 0xFFFF_FFFF)),
]
PROGRAM = """
        mov esi, table
        mov edi, 0x3000
again:  mov eax, [esi]
        mov ecx, [esi + 4]
        cpuid
        mov [edi], eax
        mov [edi + 4], ebx
        mov [edi + 8], ecx
        mov [edi + 12], edx
        add esi, 8
        add edi, 16
        cmp esi, end
        jne again
        out 0xf4, al
        hlt
table:  dd {table}
end:
"""
APIC = 1 << 9


def run_cpuid(machine: FakeMachine) -> dict[tuple[int, int], tuple[int, ...]]:
    machine.code(PROGRAM.format(table=", ".join(f"{leaf:#x}, {subleaf}" for leaf, subleaf in LEAVES)), bits=32)
    machine.start(protected_mode(machine))
    machine.run()
    return {
        key: tuple(machine.word(0x3000 + 16 * number + at) for at in (0, 4, 8, 12)) for number, key in enumerate(LEAVES)
    }


@pytest.mark.parametrize("name", model_names())
def test_cpuid(name: str) -> None:
    machine = FakeMachine(cpu=find_model(name))
    try:
        table = CpuidTable(machine.cpu.cpuid(0, 1))
        shown = run_cpuid(machine)
        for (leaf, subleaf), registers in shown.items():
            assert registers == table.answer(leaf, subleaf, apic_base=0), f"leaf {leaf:#x}"
        assert not shown[1, 0][3] & APIC
        apic = machine.cpus.local_apics[0] = Apic(machine)
        assert run_cpuid(machine)[1, 0][3] & APIC
        apic.base = 0xFEE0_0000
        assert not run_cpuid(machine)[1, 0][3] & APIC
    finally:
        machine.close()


SSE = "mov eax, cr4\n or eax, 0x600\n mov cr4, eax\n"
INSTRUCTIONS = {
    "pni": SSE + "haddps xmm0, xmm1",
    "ssse3": SSE + "pshufb xmm0, xmm1",
    "sse4.1": SSE + "pmulld xmm0, xmm1",
    "sse4.2": "crc32 eax, ebx",
    "aes": SSE + "aesenc xmm0, xmm1",
    "pclmulqdq": SSE + "pclmulqdq xmm0, xmm1, 0",
    "rdtscp": "rdtscp",
    "movbe": "movbe eax, [0x3000]",
    "monitor": "xor ecx, ecx\n xor edx, edx\n monitor",
    "xsave": "xgetbv",
    "rdrand": "rdrand eax",
    "smap": "stac",
}
"""An instruction that comes with a feature. (SSE3's, "pni", execute anyhow, as in QEMU.)"""


def executes(model: CpuModel, source: str) -> bool:
    machine = FakeMachine(cpu=model)
    try:
        machine.code(f"{source}\n mov dword [0x3000], 1\n out 0xf4, al\n hlt", bits=32)
        handler = machine.code("mov dword [0x3000], 6\n out 0xf4, al\n hlt", 0x2000, 32)
        machine.write(8 * 6, gate(6, handler))
        machine.start(protected_mode(machine))
        machine.run()
        return machine.word(0x3000) == 1
    finally:
        machine.close()


@pytest.mark.parametrize("feature", [name for name in INSTRUCTIONS if name != "pni"])
@pytest.mark.parametrize("model", ["portable", "qemu64", "Conroe", "Westmere"])
def test_an_instruction_that_the_model_lacks_is_undefined(model: str, feature: str) -> None:
    assert executes(find_model(model), INSTRUCTIONS[feature]) is (feature in find_model(model).features)


@pytest.mark.parametrize("feature", [name for name in INSTRUCTIONS if name in FEATURES])
def test_an_instruction_that_a_model_has_executes(feature: str) -> None:
    features = " ".join({*find_model("portable").features, feature})
    model = Definition("more", AMD, 15, 107, 1, 7, features, "").build()
    UnicornAccelerator().check_cpu(model)
    assert executes(model, INSTRUCTIONS[feature])


@pytest.mark.parametrize("name", model_names())
def test_every_model_can_be_had(name: str) -> None:
    UnicornAccelerator().check_cpu(find_model(name))


def test_a_model_with_more_is_refused() -> None:
    features = " ".join([*find_model("portable").features, "avx", "svm"])
    model = Definition("more", AMD, 15, 107, 1, 7, features, "").build()
    with pytest.raises(SouthbridgeError, match="CPU model more has what it lacks: avx, svm"):
        UnicornAccelerator().check_cpu(model)
    model = Definition("wide", AMD, 15, 107, 1, 7, "lm", "", physical_bits=48).build()
    with pytest.raises(SouthbridgeError, match="48 bits; only 40 can be had"):
        UnicornAccelerator().check_cpu(model)


SYSTEM_CALLS = """
        mov ecx, 0xc0000080
        rdmsr
        or eax, 1
        wrmsr
        mov ecx, 0xc0000082
        mov eax, target
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000081
        mov eax, target
        mov edx, {code}
        wrmsr
        mov ecx, 0x174
        mov eax, {code}
        xor edx, edx
        wrmsr
        mov ecx, 0x176
        mov eax, target
        wrmsr
        {instruction}
target: mov dword [0x3000], 1
        out 0xf4, al
        hlt
"""


@pytest.mark.parametrize(
    ("model", "instruction", "bits", "executes"),
    [
        ("portable", "syscall", 32, True),
        ("portable", "syscall", 64, True),
        ("Nehalem", "syscall", 32, False),
        ("Nehalem", "syscall", 64, True),
        ("portable", "sysenter", 32, True),
        ("portable", "sysenter", 64, False),
        ("Nehalem", "sysenter", 32, True),
        ("Nehalem", "sysenter", 64, True),
    ],
)
def test_system_calls_of_the_vendors(model: str, instruction: str, bits: int, executes: bool) -> None:
    machine = FakeMachine(cpu=find_model(model))
    try:
        code = 0x08 if bits == 32 else 0x18
        machine.code(SYSTEM_CALLS.format(instruction=instruction, code=code), bits=bits)
        handler = machine.code("mov dword [0x3000], 6\n out 0xf4, al\n hlt", 0x2000, bits)
        machine.write(6 * (8 if bits == 32 else 16), (gate(6, handler, selector=code)).ljust(16, b"\0"))
        machine.start(protected_mode(machine) if bits == 32 else long_mode(machine))
        machine.run()
        assert machine.word(0x3000) == (1 if executes else 6)
    finally:
        machine.close()


def test_signature() -> None:
    """What the machine puts into EDX is what CPUID shows."""
    machine = FakeMachine()
    try:
        machine.code("mov eax, 1\n cpuid\n mov [0x3000], eax\n out 0xf4, al\n hlt")
        machine.start(real_mode())
        machine.run()
        assert machine.word(0x3000) == machine.cpu.signature == 0x60FB1
    finally:
        machine.close()
