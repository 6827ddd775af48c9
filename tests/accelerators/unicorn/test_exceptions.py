"""Exceptions in every mode: vector, error code, return address; double and triple faults; what Unicorn leaves out."""

from __future__ import annotations

import pytest
from southbridge.accelerator import AcceleratorFailure, ExitReason
from southbridge.memory.regions import Io
from southbridge.x86 import DescriptorTable, PendingEvent, Segment, X86State

from tests.accelerators.unicorn.guest import (
    CODE64,
    DATA32,
    GDT,
    TSS,
    USER_CODE32,
    USER_DATA,
    FakeMachine,
    assemble,
    flat,
    gate,
    long_mode,
    protected_mode,
    real_mode,
)

HANDLER = 0x2000
RESULT = 0x3000
IDTR = DescriptorTable(0, 0x7FF)

NOTE_WITH_CODE = "pop dword [0x3004]\n pop dword [0x3008]\n mov dword [0x3000], {vector}\n out 0xf4, al\n hlt"
NOTE = "pop dword [0x3008]\n mov dword [0x3000], {vector}\n out 0xf4, al\n hlt"
WITH_CODE = (8, 10, 11, 12, 13, 14, 17)


def note(machine: FakeMachine, *vectors: int) -> None:
    """Has 32-bit handlers note vector, error code and return address, and end the program."""
    for i, vector in enumerate(vectors):
        address = HANDLER + 0x40 * i
        machine.code((NOTE_WITH_CODE if vector in WITH_CODE else NOTE).format(vector=vector), address, 32)
        machine.write(8 * vector, gate(vector, address))


def noted(machine: FakeMachine) -> tuple[int, int, int]:
    return machine.word(RESULT), machine.word(RESULT + 4), machine.word(RESULT + 8)


@pytest.mark.parametrize(
    ("source", "vector", "code", "offset"),
    [
        pytest.param("xor edx, edx\n xor ecx, ecx\n div ecx", 0, 0, 4, id="divide"),
        pytest.param("int3", 3, 0, 1, id="breakpoint"),
        pytest.param("ud2", 6, 0, 0, id="undefined"),
        pytest.param("mov ax, 0x1238\n mov fs, ax", 13, 0x1238, 4, id="selector"),
        pytest.param("nop\n int 0x50", 13, 0x50 * 8 + 2, 1, id="int-without-gate"),
        pytest.param("nop\n db 0xcd, 3", 3, 0, 3, id="int-3-in-two-bytes"),
        pytest.param("mov eax, [0x400000]", 14, 0, 0, id="page-not-present"),
        pytest.param("mov [0x400000], eax", 14, 2, 0, id="page-not-present-store"),
        pytest.param("mov ax, 0x40\n ltr ax", 11, 0x40, 4, id="not-present"),
        pytest.param("mov ecx, 0xc0000080\n rdmsr\n and al, 0xfe\n wrmsr\n syscall", 6, 0, 11, id="syscall-off"),
        pytest.param("sysenter", 13, 0, 0, id="sysenter-off"),
    ],
)
def test_protected_mode(machine: FakeMachine, source: str, vector: int, code: int, offset: int) -> None:
    # 4 MiB pages: the first present, the second not.
    machine.write(0xA000, (0x87).to_bytes(4, "little"))
    state = protected_mode(machine, cr0=0x8000_0011, cr3=0xA000, cr4=0x10)
    machine.write(GDT + 0x40, (0x0000_0900_0000_0067).to_bytes(8, "little"))
    note(machine, vector)
    machine.code(source, bits=32)
    machine.start(state)
    machine.run()
    assert noted(machine) == (vector, code, 0x1000 + offset)
    if vector == 14:
        assert machine.vcpu.save().cr2 == 0x400000


@pytest.mark.parametrize(
    ("prefix", "length"), [("", 2), ("db 0x48\n", 3), ("db 0x66\n", 3)], ids=["plain", "rex", "operand-size"]
)
def test_system_call_length(machine: FakeMachine, prefix: str, length: int) -> None:
    """Its return address is behind the prefixes too."""
    machine.code(prefix + "syscall", bits=64)
    machine.code("mov [0x3000], rcx\n out 0xf4, al\n hlt", HANDLER, 64)
    state = long_mode(machine)
    state.msrs |= {0xC000_0081: CODE64 << 32, 0xC000_0082: HANDLER}
    machine.start(state)
    machine.run()
    assert machine.word(RESULT, 8) == 0x1000 + length


def test_system_call_in_compatibility_mode(machine: FakeMachine) -> None:
    """32-bit code under a 64-bit kernel goes to CSTAR."""
    machine.code("syscall", bits=32)
    machine.code("mov [0x3000], ecx\n mov ax, cs\n mov [0x3004], ax\n out 0xf4, al\n hlt", HANDLER, 64)
    state = long_mode(machine)
    state.cs, state.ss = flat(USER_CODE32), flat(USER_DATA)
    state.msrs |= {0xC000_0081: CODE64 << 32, 0xC000_0082: 0x5000, 0xC000_0083: HANDLER}
    machine.start(state)
    machine.run()
    assert (machine.word(RESULT), machine.word(RESULT + 4, 2)) == (0x1002, CODE64)


def test_system_call_in_legacy_mode(machine: FakeMachine) -> None:
    """Without long mode the target is in STAR, and flags are kept but for IF."""
    machine.code("stc\n syscall", bits=32)
    machine.code("pushfd\n pop dword [0x3004]\n mov [0x3000], ecx\n mov [0x3008], cs\n out 0xf4, al\n hlt", HANDLER, 32)
    state = protected_mode(machine, rflags=0x202)
    state.msrs |= {0xC000_0080: 1, 0xC000_0081: 8 << 32 | HANDLER}
    machine.start(state)
    machine.run()
    assert (machine.word(RESULT), machine.word(RESULT + 4), machine.word(RESULT + 8, 2)) == (0x1003, 3, 8)


def test_sysenter_and_sysexit(machine: FakeMachine) -> None:
    machine.code("mov ecx, 0x6000\n mov edx, .back\n sysenter\n .back: mov [0x3008], cs\n int 0x50", bits=32)
    machine.code("mov [0x3000], esp\n mov [0x3004], cs\n sysexit", HANDLER, 32)
    machine.code("out 0xf4, al\n hlt", 0x2100, 32)
    machine.write(8 * 0x50, gate(0x50, 0x2100, kind=0xEE))
    state = with_tss(machine, user(protected_mode(machine)))
    state.msrs |= {0x174: 0x08, 0x175: 0x5000, 0x176: HANDLER}
    machine.start(state)
    machine.run()
    # SYSEXIT's CS is two descriptors behind SYSENTER's.
    assert (machine.word(RESULT), machine.word(RESULT + 4, 2), machine.word(RESULT + 8, 2)) == (0x5000, 8, 0x1B)


def user(state: X86State) -> X86State:
    """In ring 3."""
    state.cs, state.ss = flat(USER_CODE32), flat(USER_DATA)
    state.ds = state.es = state.fs = state.gs = flat(USER_DATA)
    return state


def with_tss(machine: FakeMachine, state: X86State, bitmap: bytes = b"") -> X86State:
    """With a 32-bit TSS whose ring 0 stack is at 5000h, and an I/O permission bitmap."""
    tss = bytearray(0x68)
    tss[4:8], tss[8] = (0x5000).to_bytes(4, "little"), DATA32
    tss[0x66:0x68] = (0x68).to_bytes(2, "little")
    machine.write(0xB000, bytes(tss) + bitmap)
    state.tr = Segment(TSS, 0xB000, 0x67 + len(bitmap), 0x8B00)
    return state


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("out 0x21, al", True),
        ("in al, 0x21", True),
        ("out 0x22, al", False),
        ("in al, 0x22", False),
        ("in ax, 0x20", True),
        ("out 0x21, ax", False),
        ("in eax, 0x1e", True),
        ("in eax, 0x1f", False),
        ("mov dx, 0x200\n in al, dx", False),
        ("mov edi, 0x3800\n mov dx, 0x21\n insb", True),
        ("mov edi, 0x3800\n mov dx, 0x22\n insb", False),
        ("mov esi, 0x3800\n mov dx, 0x22\n outsb", False),
    ],
)
def test_port_permissions(machine: FakeMachine, source: str, allowed: bool) -> None:
    """Ring 3 with IOPL 0 may use the ports that the TSS's bitmap says: here all to 3Fh but 22h."""
    bitmap = bytearray(9)
    bitmap[4] = 1 << 2
    bitmap[8] = 0xFF
    accesses: list[int] = []

    def read(offset: int, size: int) -> int:
        accesses.append(offset)
        return 0

    machine.ports.root.add(0, Io("ports", 0x40, read, lambda offset, size, value: accesses.append(offset)))
    note(machine, 3, 13)
    machine.write(8 * 3, gate(3, HANDLER, kind=0xEE))
    machine.code(source + "\n int3", bits=32)
    machine.start(with_tss(machine, user(protected_mode(machine)), bytes(bitmap)))
    machine.run()
    assert noted(machine)[0] == (3 if allowed else 13)
    assert bool(accesses) is allowed


@pytest.mark.parametrize(("iopl", "allowed"), [(0, False), (2, False), (3, True)])
def test_port_privilege_level(machine: FakeMachine, iopl: int, allowed: bool) -> None:
    note(machine, 3, 13)
    machine.write(8 * 3, gate(3, HANDLER, kind=0xEE))
    machine.code("in al, 0x21\n int3", bits=32)
    machine.start(with_tss(machine, user(protected_mode(machine, rflags=iopl << 12 | 2))))
    machine.run()
    assert noted(machine)[0] == (3 if allowed else 13)


def test_ports_in_v86_mode_need_the_bitmap(machine: FakeMachine) -> None:
    note(machine, 13)
    machine.code("in al, 0x21")
    state = with_tss(machine, protected_mode(machine, rflags=0x2_3002))
    for name in ("cs", "ss", "ds", "es", "fs", "gs"):
        setattr(state, name, Segment(0, 0, 0xFFFF, 0xF300))
    machine.start(state)
    machine.run()
    assert noted(machine) == (13, 0, 0x1000)


@pytest.mark.parametrize(
    ("instruction", "vector", "length"),
    [("int 0x20", 0x20, 2), ("int3", 3, 1), ("db 0xcd, 3", 3, 2), ("mov al, 0x7f\n inc al\n into", 4, 1)],
)
def test_software_interrupt_forbidden(machine: FakeMachine, instruction: str, vector: int, length: int) -> None:
    """The #GP is the INT's: its address is on the stack, not that of the next instruction."""
    note(machine, 13)
    machine.write(8 * vector, gate(vector, 0))
    code = f"nop\n {instruction}"
    machine.code(code, bits=32)
    machine.start(with_tss(machine, user(protected_mode(machine))))
    machine.run()
    assert noted(machine) == (13, vector * 8 + 2, 0x1000 + len(assemble(code, 0x1000, 32)) - length)


def test_exception_comes_before_an_interrupt(machine: FakeMachine) -> None:
    """SYSCALL, switched off, in the shadow of STI, with an interrupt waiting."""
    note(machine, 6, 32)
    machine.code("sti\n syscall", bits=32)
    machine.start(protected_mode(machine))
    machine.request(32)
    machine.run()
    assert noted(machine) == (6, 0, 0x1001)
    assert machine.interrupt_controller.acknowledged == []


def test_fault_while_an_interrupt_is_delivered(machine: FakeMachine) -> None:
    """The interrupt was acknowledged; it is the handler's business, and doesn't come again."""
    note(machine, 11)
    machine.write(8 * 32, gate(32, HANDLER, kind=0x0E))  # not present
    machine.code("inc dword [0x3000]\n pop dword [0x3004]\n iretd", HANDLER, 32)
    machine.code("sti\n mov ecx, 100000\n again: loop again\n out 0xf4, al\n hlt", bits=32)
    machine.start(protected_mode(machine))
    machine.request(32)
    machine.run()
    assert (machine.word(RESULT), machine.word(RESULT + 4) | 1) == (1, 32 * 8 + 3)  # QEMU leaves EXT out
    assert machine.interrupt_controller.acknowledged == [32]


def test_page_fault_while_an_interrupt_is_delivered(machine: FakeMachine) -> None:
    """INT n to a handler in ring 3, whose stack isn't present: #PF at the INT, which the IRET of the #PF's handler, on
    ring 0's stack, executes again.
    """
    machine.write(0xA000, (0x87).to_bytes(4, "little"))
    machine.code("mov esp, 0x400100\n int 0x50\n mov dword [0x3000], 1\n int 0x51", bits=32)
    machine.code("inc dword [0x3004]\n iretd", HANDLER, 32)
    map_the_page = "mov dword [0xa004], 0x400087\n mov eax, cr3\n mov cr3, eax"
    machine.code(f"add esp, 4\n pop dword [0x3008]\n push dword [0x3008]\n {map_the_page}\n iretd", 0x2100, 32)
    machine.code("out 0xf4, al\n hlt", 0x2200, 32)
    machine.write(8 * 14, gate(14, 0x2100))
    machine.write(8 * 0x50, gate(0x50, HANDLER, selector=USER_CODE32, kind=0xEE) + gate(0x51, 0x2200, kind=0xEE))
    state = protected_mode(machine, cr0=0x8000_0011, cr3=0xA000, cr4=0x10)
    machine.start(with_tss(machine, user(state)))
    machine.run()
    assert (machine.word(0x3000), machine.word(0x3004), machine.word(0x3008)) == (1, 1, 0x1005)


def test_double_fault(machine: FakeMachine) -> None:
    note(machine, 8)
    machine.code("xor ecx, ecx\n div ecx", bits=32)
    machine.write(0, gate(0, HANDLER, kind=0x0E))  # #DE's gate isn't present
    machine.start(protected_mode(machine))
    machine.run()
    assert noted(machine)[:2] == (8, 0)


def test_exceptions_one_after_the_other_are_no_double_fault(machine: FakeMachine) -> None:
    machine.code("mov ecx, 1000\n again: mov ax, 0x1238\n mov fs, ax\n loop again\n out 0xf4, al\n hlt", bits=32)
    machine.code("inc dword [0x3000]\n add esp, 4\n add dword [esp], 2\n iretd", HANDLER, 32)
    machine.write(8 * 13, gate(13, HANDLER))
    machine.start(protected_mode(machine))
    machine.run()
    assert machine.word(RESULT) == 1000


@pytest.mark.parametrize("mode", ["real", "protected", "long"])
def test_triple_fault(machine: FakeMachine, mode: str) -> None:
    state = {"real": real_mode(), "protected": protected_mode(machine), "long": long_mode(machine)}[mode]
    state.idtr = DescriptorTable(0, 0)
    machine.code("int3", bits={"real": 16, "protected": 32, "long": 64}[mode])
    machine.start(state)
    assert machine.vcpu.run() is ExitReason.SHUTDOWN
    assert machine.vcpu.run() is ExitReason.SHUTDOWN
    machine.code("out 0xf4, al\n hlt")
    machine.start(real_mode())
    assert machine.run() is ExitReason.KICKED


@pytest.mark.parametrize("mode", [32, 64])
@pytest.mark.parametrize("how", ["int 0x50", "ud2", "hlt"])
def test_no_task_state_segment(machine: FakeMachine, mode: int, how: str) -> None:
    """Unicorn lets LTR with a null selector pass, and would abort the process when ring 3 is left."""
    state = protected_mode(machine) if mode == 32 else long_mode(machine)
    state.tr = Segment(0, 0, 0, 0)
    state.cs, state.ss = flat(0x23 if mode == 32 else 0x33), flat(USER_DATA)
    state.rflags = 0x202
    machine.code("again: jmp again" if how == "hlt" else how, bits=mode)
    for vector in (6, 0x50):
        entry = gate(vector, HANDLER, selector=8 if mode == 32 else CODE64, kind=0xEE)
        machine.write(vector * mode // 4, entry.ljust(mode // 4, b"\0"))
    machine.start(state)
    if how == "hlt":
        machine.request(0x50)
    assert machine.vcpu.run() is ExitReason.SHUTDOWN  # #TS without a handler


def test_hardware_breakpoint(machine: FakeMachine) -> None:
    """Also where the code segment has a base, which Unicorn doesn't expect."""
    note(machine, 1)
    machine.code("nop\n nop\n nop", bits=32)
    state = protected_mode(machine, debug=[0x1001, 0, 0, 0, 0xFFFF0FF0, 0x402])
    machine.start(state)
    machine.run()
    assert noted(machine)[::2] == (1, 0x1001)
    assert machine.vcpu.save().debug[4] & 0xF == 1
    machine.write(GDT + 8, bytes([0xFF, 0xFF, 0x00, 0x10, 0x00, 0x9B, 0xCF, 0x00]))
    state.cs = Segment(8, 0x1000, 0xFFFF_FFFF, 0xC09B00)
    state.rip = 0
    machine.code((NOTE).format(vector=1), HANDLER, 32)
    machine.write(8, gate(1, HANDLER - 0x1000))
    machine.start(state)
    machine.run()
    assert noted(machine)[::2] == (1, 1)


def test_breakpoints_are_those_loaded_last(machine: FakeMachine) -> None:
    note(machine, 1)
    machine.code("nop\n" * 8, bits=32)
    for address in (0x1001, 0x1004):
        machine.start(protected_mode(machine, debug=[address, 0, 0, 0, 0xFFFF0FF0, 0x402]))
    machine.run()
    assert noted(machine)[::2] == (1, 0x1004)


@pytest.mark.parametrize("vector", [6, 13, 14])
def test_pending_exception(machine: FakeMachine, vector: int) -> None:
    """A state in which an exception waits: it comes before anything else."""
    note(machine, vector)
    machine.code("ud2", bits=32)
    code = 0x1238 if vector in WITH_CODE else None
    state = protected_mode(machine, event=PendingEvent(vector, code))
    machine.start(state)
    assert machine.vcpu.save().event == state.event
    machine.run()
    assert noted(machine) == (vector, code or 0, 0x1000)
    assert machine.vcpu.save().event is None


def test_pending_exception_that_cant_be_delivered(machine: FakeMachine) -> None:
    note(machine, 8, 11)
    machine.write(8 * 13, gate(13, HANDLER, kind=0x0E))  # #GP's gate isn't present: #NP, and so #DF
    machine.start(protected_mode(machine, event=PendingEvent(13, 0)))
    machine.run()
    assert noted(machine)[:2] == (8, 0)


def test_pending_software_interrupt_is_executed_again(machine: FakeMachine) -> None:
    note(machine, 0x50)
    machine.code("int 0x50", bits=32)
    machine.start(protected_mode(machine, event=PendingEvent(0x50, software=True)))
    machine.run()
    assert noted(machine) == (0x50, 0, 0x1002)


def test_strict_device(machine: FakeMachine) -> None:
    """What a device's code raises comes out of `run`; the CPU's state is behind the access."""

    def fail(value: int) -> None:
        raise ZeroDivisionError("device")

    machine.add_port(0x80, write=fail)
    machine.code("out 0x80, al\n jmp $")
    machine.start(real_mode())
    with pytest.raises(ZeroDivisionError, match="device"):
        machine.vcpu.run()
    machine.vcpu.kick()
    assert machine.vcpu.run() is ExitReason.KICKED


def test_execution_failure_names_the_place(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.code("nop")
    machine.start(real_mode())
    monkeypatch.setattr(machine.vcpu._engine, "run", lambda: 10)
    with pytest.raises(AcceleratorFailure, match="0x1000"):
        machine.vcpu.run()
