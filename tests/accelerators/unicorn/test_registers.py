"""RDMSR, WRMSR, and MOV to and from control registers: what is refused, and who answers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.accelerators.unicorn import helpers
from southbridge.accelerators.unicorn.state import MSRS
from southbridge.cpu_models import CpuModel, find_model
from southbridge.cpu_models.definition import AMD, Definition
from southbridge.x86 import X86State

from tests.accelerators.unicorn.guest import FakeMachine, long_mode, real_mode

GP = None
"""#GP, in place of a value."""
ONES = (1 << 64) - 1

PROGRAM = """
        mov eax, [0x3000]
        mov ecx, [0x3004]
        mov edx, [0x3008]
        xor esi, esi
        cmp dword [0x300c], 0
        jne write
        rdmsr
        jmp done
write:  wrmsr
        jmp done
fault:  mov esi, 13
        mov bp, sp
        mov di, [bp]
        mov [0x3020], di
done:   mov [0x3010], eax
        mov [0x3014], edx
        mov [0x3018], esi
        out 0xf4, al
        hlt
"""


class Msrs:
    """RDMSR and WRMSR as a program in real mode."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.state: X86State | None = None

    def _run(self, number: int, value: int, write: bool) -> int | None:
        machine = self.machine
        code = machine.code(PROGRAM)
        program = bytes(machine.ram.view[code : code + 0x100])
        fault = code + program.index(b"\x66\xbe\x0d\0\0\0")
        machine.write(13 * 4, fault.to_bytes(4, "little"))
        words = (value & 0xFFFF_FFFF, number, value >> 32, int(write))
        machine.write(0x3000, b"".join(word.to_bytes(4, "little") for word in words))
        state = real_mode()
        if self.state is not None:
            state.msrs = self.state.msrs
            state.fs.base, state.gs.base = self.state.fs.base, self.state.gs.base
        machine.start(state)
        machine.run()
        self.state = machine.vcpu.save()
        if machine.word(0x3018):
            assert machine.word(0x3018) == 13
            opcode = b"\x0f\x30" if write else b"\x0f\x32"
            assert machine.word(0x3020, 2) == code + program.index(opcode)
            assert machine.word(0x3010) == words[0]
            return GP
        return machine.word(0x3010) | machine.word(0x3014) << 32

    def read(self, number: int) -> int | None:
        return self._run(number, 0x1234_5678_9ABC_DEF0, False)

    def write(self, number: int, value: int) -> bool:
        return self._run(number, value, True) is not GP


@pytest.fixture
def msrs(machine: FakeMachine) -> Msrs:
    return Msrs(machine)


MODEL = [(0x8B, 0x0100_0065), (0x179, 0x10A), (0x198, 4 << 40 | 1000), (0xC001_0015, 0), (0xC001_001F, 0)]


@pytest.mark.parametrize(("number", "value"), [*MODEL, (0xFE, 0x508), (0x277, 0x0007_0406_0007_0406), (0x1A0, 1)])
def test_reset_values(msrs: Msrs, number: int, value: int) -> None:
    assert msrs.read(number) == value


@pytest.mark.parametrize(
    "number", [0, 0x1B, 0x34, 0x3A, 0x3B, 0x6E0, 0x800, 0xD90, 0xC000_0103, 0xC001_0114, ONES >> 32]
)
def test_registers_that_nobody_has(msrs: Msrs, number: int) -> None:
    """Among them ones that Unicorn has, but the model doesn't: TSC_AUX, BNDCFGS, SMI_COUNT."""
    assert msrs.read(number) is GP
    assert not msrs.write(number, 0)


CANONICAL, NOT_CANONICAL = 0xFFFF_8000_0000_1234, 0x0000_8000_0000_1234
WRITES: list[tuple[int, int, bool]] = [
    *((number, CANONICAL, True) for number in (0xC000_0082, 0xC000_0083, 0xC000_0100, 0xC000_0101, 0xC000_0102)),
    *((number, NOT_CANONICAL, False) for number in (0xC000_0082, 0xC000_0083, 0xC000_0100, 0xC000_0101, 0xC000_0102)),
    (0xC000_0081, ONES, True),
    (0xC000_0084, ONES, True),
    (0x277, 0x0706_0504_0100_0606, True),
    (0x277, 2, False),
    (0x277, 8 << 56, False),
    (0x200, 0xFF_FFFF_F006, True),
    (0x200, 2, False),
    (0x200, 0x100, False),
    (0x200, 1 << 40, False),
    (0x201, 0xFF_FFFF_F800, True),
    (0x201, 0x400, False),
    (0x201, 1 << 40, False),
    (0x250, 0x0606_0606_0606_0606, True),
    (0x26F, 3 << 32, False),
    (0x2FF, 0xC06, True),
    (0x2FF, 0x106, False),
    (0x2FF, 7, False),
    (0xFE, 0x508, False),
    (0x400, ONES, True),
    (0x400, 1, False),
    (0x401, 0, True),
    (0x401, 1, False),
    (0x402, 5, True),
    (0x17B, 1, False),
    (0x17B, ONES, True),
    (0x179, 0x10A, True),
    (0x179, 0, False),
    (0x198, 0, False),
    (0xC001_0015, 1 << 18, True),
    (0xC001_0015, 1, False),
    (0x8B, 0, True),
    (0xC000_0080, 0x901, True),
    (0xC000_0080, 0xD01, True),
    (0xC000_0080, 1 << 12, False),
    (0xC000_0080, 1 << 14, False),
    (0xC000_0080, 2, False),
]
KEPT = {0x8B: 0x0100_0065, 0x401: 0, 0xC000_0080: 0x901}
"""What is read afterwards, where that isn't what was written."""


@pytest.mark.parametrize(("number", "value", "taken"), WRITES)
def test_writes(msrs: Msrs, number: int, value: int, taken: bool) -> None:
    before = msrs.read(number)
    assert msrs.write(number, value) is taken
    after = msrs.read(number)
    assert after == (KEPT.get(number, value) if taken else before)


@pytest.mark.parametrize("number", [0x175, 0x176])
def test_sysenter_addresses_are_made_canonical(msrs: Msrs, number: int) -> None:
    assert msrs.write(number, NOT_CANONICAL)
    assert msrs.read(number) == CANONICAL


def test_model_registers_are_the_machine_s(machine: FakeMachine, msrs: Msrs) -> None:
    assert msrs.write(0xC001_0015, 1 << 18)
    assert machine.msrs.read(0, 0xC001_0015) == 1 << 18
    assert 0xC001_0015 not in machine.vcpu.save().msrs


def test_claimed_register(machine: FakeMachine, msrs: Msrs) -> None:
    values: list[tuple[int, int]] = []

    def write(cpu: int, value: int) -> bool:
        values.append((cpu, value))
        return value != 7

    machine.msrs.claim(0x6E0, lambda cpu: 0xABCD_0000_1111, write)
    assert msrs.read(0x6E0) == 0xABCD_0000_1111
    assert msrs.write(0x6E0, 0x55_0000_0044)
    assert not msrs.write(0x6E0, 7)
    assert values == [(0, 0x55_0000_0044), (0, 7)]


def test_what_a_claimed_register_raises_ends_the_run(machine: FakeMachine, msrs: Msrs) -> None:
    def fail(cpu: int) -> int:
        raise ZeroDivisionError

    machine.msrs.claim(0x6E0, fail, lambda cpu, value: True)
    with pytest.raises(ZeroDivisionError):
        msrs.read(0x6E0)


# --- the time stamp counter -------------------------------------------------------------------------------------------


def near(value: int | None, expected: int) -> bool:
    """Within ten seconds of a host at 4 GHz."""
    return value is not None and 0 <= value - expected < 40_000_000_000


def test_time_stamp(machine: FakeMachine, msrs: Msrs) -> None:
    assert near(msrs.read(0x10), 0)
    assert msrs.write(0x10, 1 << 60)
    assert near(msrs.read(0x10), 1 << 60)
    machine.code("rdtsc\n mov [0x3000], eax\n mov [0x3004], edx\n out 0xf4, al\n hlt")
    machine.start(real_mode(msrs=machine.vcpu.save().msrs))
    machine.run()
    assert near(machine.word(0x3000, 8), 1 << 60)


def test_time_stamp_goes_on_in_another_cpu(machine: FakeMachine) -> None:
    machine.vcpu.load(X86State(msrs={0x10: 1 << 50}))
    state = machine.vcpu.save()
    assert near(state.msrs[0x10], 1 << 50)
    machine.new_vcpu().load(state)
    assert near(machine.vcpu.save().msrs[0x10], state.msrs[0x10])


# --- control registers ------------------------------------------------------------------------------------------------

LONG_PROGRAM = """
        mov rax, [0x3000]
        xor esi, esi
        mov cr{register}, rax
        jmp done
        align 16, nop
fault:  mov esi, 13
done:   mov rax, cr{register}
        mov [0x3008], rax
        mov [0x3010], esi
        out 0xf4, al
        hlt
"""


def write_control(machine: FakeMachine, register: int, value: int) -> int | None:
    """MOV to a control register in 64-bit mode; then what it holds."""
    code = machine.code(LONG_PROGRAM.format(register=register), bits=64)
    fault = code + bytes(machine.ram.view[code : code + 0x100]).index(b"\xbe\x0d\0\0\0")
    gate = fault & 0xFFFF | 0x18 << 16 | 0x8E << 40
    machine.write(13 * 16, gate.to_bytes(16, "little"))
    machine.write(0x3000, value.to_bytes(8, "little"))
    machine.start(long_mode(machine))
    machine.run()
    return GP if machine.word(0x3010) else machine.word(0x3008, 8)


@pytest.mark.parametrize(
    ("register", "value", "held"),
    [
        (0, 0x8001_0033, 0x8001_0033),
        (0, 0xE001_0033, 0xE001_0033),
        (0, 0xA001_0033, GP),
        (0, 0x8001_0032, GP),
        (0, 0x0001_0033, GP),
        (0, 0x1_8001_0033, GP),
        (0, 0x8001_FFF3, 0x8001_0033),
        (4, 0x6A0, 0x6A0),
        (4, 0x600, GP),
        (4, 0x1620, GP),
        (4, 0x4_0620, GP),
        (4, 0x10_0620, GP),
        (4, 0x1_0000_0620, GP),
        (8, 15, 15),
        (8, 16, GP),
        (8, 1 << 63, GP),
        (2, 0x1234_5678_9ABC, 0x1234_5678_9ABC),
    ],
)
def test_control_registers(machine: FakeMachine, register: int, value: int, held: int | None) -> None:
    assert write_control(machine, register, value) == held


ANY_NUMBER = st.sampled_from(
    [*MSRS, *find_model("portable").msrs, 0x10, 0xFE, 0xC000_0080, 0xC000_0100, 0xC000_0101]
) | st.integers(0, ONES >> 32)
ANY_VALUE = st.integers(0, ONES) | st.integers(0, 63).map(lambda bit: 1 << bit) | st.integers(0, 0xFFF)


def test_any_value_for_any_register() -> None:
    """What is refused changes nothing; what is taken can be read, and written once more."""
    machine = FakeMachine()

    @settings(max_examples=200, deadline=None)
    @given(ANY_NUMBER, ANY_VALUE)
    def check(number: int, value: int) -> None:
        msrs = Msrs(machine)
        before = msrs.read(number)
        taken = msrs.write(number, value)
        after = msrs.read(number)
        if not taken:
            assert after == before or number == 0x10
        else:
            assert after is not GP
            assert msrs.write(number, after)

    try:
        check()
    finally:
        machine.close()


def test_any_value_for_control_registers() -> None:
    machine = FakeMachine()

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from([0, 4, 8]), ANY_VALUE | ANY_VALUE.map(lambda value: value ^ 0x8001_0033))
    def check(register: int, value: int) -> None:
        held = write_control(machine, register, value)
        assert held is GP or held & ~value & ~0x10 == 0  # ET is always set

    try:
        check()
    finally:
        machine.close()


class Apic:
    """A local APIC that has a base and a task priority."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.base = 0xFEE0_0900
        self.priority = 5
        self.requests: list[int] = []
        self.acknowledged: list[int] = []

    def set_base(self, value: int) -> bool:
        self.base = value
        return True

    @property
    def cr8(self) -> int:
        return self.priority

    @cr8.setter
    def cr8(self, value: int) -> None:
        self.priority = value

    def pending_vector(self) -> int | None:
        return next((vector for vector in self.requests if vector >> 4 > self.priority), None)

    def acknowledge(self, vector: int) -> None:
        self.requests.remove(vector)
        self.acknowledged.append(vector)


@pytest.fixture
def apic(machine: FakeMachine) -> Apic:
    machine.cpus.local_apics[0] = apic = Apic(machine)
    machine.msrs.claim(0x1B, lambda cpu: apic.base, lambda cpu, value: apic.set_base(value))
    return apic


def test_cr8_is_the_local_apic_s(machine: FakeMachine, apic: Apic) -> None:
    assert write_control(machine, 8, 9) == 9
    assert apic.priority == 9
    state = machine.vcpu.save()
    assert (state.cr8, state.msrs[0x1B]) == (9, 0xFEE0_0900)
    machine.new_vcpu().load(state)
    assert apic.priority == 9


def test_cr8_holds_an_interrupt_back(machine: FakeMachine, apic: Apic) -> None:
    handler = machine.code("inc dword [0x3000]\n iretq", 0x2000, 64)
    gate = handler | 0x18 << 16 | 0x8E << 40
    machine.write(0x51 * 16, gate.to_bytes(16, "little"))
    machine.code(
        """
            sti
            mov ecx, 1000
        again:
            dec ecx
            jnz again
            mov eax, [0x3000]
            mov [0x3004], eax
            mov eax, 4
            mov cr8, rax
            nop
            mov eax, [0x3000]
            mov [0x3008], eax
            out 0xf4, al
            hlt
        """,
        bits=64,
    )
    apic.requests.append(0x51)
    machine.start(long_mode(machine))
    machine.run()
    assert (machine.word(0x3004), machine.word(0x3008)) == (0, 1)
    assert apic.acknowledged == [0x51]


def test_an_engine_of_somebody_else_s(machine: FakeMachine, msrs: Msrs) -> None:
    """Gets Unicorn's own answers: registers that it doesn't know are zero."""
    engine = machine.vcpu._engine
    helpers.forget(engine.env_address)
    assert msrs.read(0x1B) == 0
    assert msrs.write(0x12345, 0)
    assert write_control(machine, 8, 1 << 63) == 0


def test_a_closed_cpu_is_forgotten(machine: FakeMachine) -> None:
    env = machine.vcpu._engine.env_address
    assert env in helpers._answers
    machine.vcpu.close()
    assert env not in helpers._answers


def test_two_cpus_at_once(machine: FakeMachine, msrs: Msrs) -> None:
    """Each machine's registers are its own."""
    other = FakeMachine()
    try:
        machine.msrs.claim(0x6E0, lambda cpu: 0x11, lambda cpu, value: True)
        other.msrs.claim(0x6E0, lambda cpu: 0x22, lambda cpu, value: True)
        assert Msrs(other).read(0x6E0) == 0x22
        assert msrs.read(0x6E0) == 0x11
    finally:
        other.close()


def test_tsc_adjust() -> None:
    """For a model that has it."""
    machine = FakeMachine(cpu=with_features("tsc-adjust", "rdtscp"))
    try:
        msrs = Msrs(machine)
        assert msrs.read(0x3B) == 0
        assert msrs.write(0x3B, 1 << 40)
        assert near(msrs.read(0x10), 1 << 40)
        assert msrs.write(0x10, 1 << 50)
        adjust = msrs.read(0x3B)
        assert adjust is not None
        assert 1 << 49 < adjust <= 1 << 50
        machine.new_vcpu().load(machine_state(msrs))
        assert machine.vcpu.save().msrs[0x3B] == adjust
        assert msrs.write(0xC000_0103, 5)
        assert msrs.read(0xC000_0103) == 5
        assert not msrs.write(0xC000_0103, 1 << 32)
    finally:
        machine.close()


def machine_state(msrs: Msrs) -> X86State:
    assert msrs.state is not None
    return msrs.state


def with_features(*names: str) -> CpuModel:
    features = " ".join([*find_model("portable").features, *names])
    return Definition("more", AMD, 15, 107, 1, 7, features, "").build()
