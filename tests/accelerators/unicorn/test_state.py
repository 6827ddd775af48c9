"""The CPU's state: exact in both directions, in every mode, and under a running computation."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable

import pytest
from southbridge.accelerator import ExitReason
from southbridge.x86 import MSR_TSC, DescriptorTable, PendingEvent, Segment, X86State

from tests.accelerators.unicorn.guest import (
    CODE64,
    DATA32,
    TSS,
    USER_CODE32,
    USER_CODE64,
    USER_DATA,
    FakeMachine,
    flat,
    gate,
    long_mode,
    protected_mode,
    real_mode,
)

TSS_BASE = 0xB000


def timeless(state: X86State) -> X86State:
    """Without what goes on by itself."""
    msrs = {index: value for index, value in state.msrs.items() if index != MSR_TSC}
    return dataclasses.replace(state, msrs=msrs)


def user(state: X86State, code: int) -> X86State:
    state.cs, state.ss = flat(code), flat(USER_DATA)
    state.ds = state.es = state.fs = state.gs = flat(USER_DATA)
    return state


def virtual_8086(machine: FakeMachine) -> X86State:
    state = protected_mode(machine, rflags=0x2_3202)
    for name, selector in zip(
        ("cs", "ss", "ds", "es", "fs", "gs"), (0x100, 0x200, 0, 0x300, 0x400, 0x500), strict=True
    ):
        setattr(state, name, Segment(selector, selector << 4, 0xFFFF, 0xF300))
    state.rip = 0
    state.tr = Segment(TSS, TSS_BASE, 0x67, 0x8B00)
    return state


def unreal(machine: FakeMachine) -> X86State:
    """In real mode with a data segment of 4 GiB left over from protected mode."""
    state = real_mode()
    state.ds = Segment(0x10, 0x100, 0xFFFF_FFFF, 0xC09300)
    return state


MODES: dict[str, Callable[[FakeMachine], X86State]] = {
    "real": lambda machine: real_mode(),
    "unreal": unreal,
    "protected": protected_mode,
    "protected-ring3": lambda machine: user(protected_mode(machine), USER_CODE32),
    "v86": virtual_8086,
    "long": long_mode,
    "long-ring3": lambda machine: user(long_mode(machine), USER_CODE64),
    "compatibility": lambda machine: user(long_mode(machine), USER_CODE32),
    "shadow": lambda machine: real_mode(interrupt_shadow=True, rflags=0x202),
    "halted": lambda machine: real_mode(halted=True),
    "a20-off": lambda machine: real_mode(a20=False),
    "nmi": lambda machine: real_mode(nmi_masked=True, nmi_pending=True),
    "exception": lambda machine: protected_mode(machine, event=PendingEvent(13, 0x1234)),
    "exception-without-code": lambda machine: protected_mode(machine, event=PendingEvent(6)),
    "software-interrupt": lambda machine: protected_mode(machine, event=PendingEvent(0x80, software=True)),
    "interrupt": lambda machine: protected_mode(machine, rflags=0x202, event=PendingEvent(0x20, external=True)),
}


def filled(state: X86State, seed: int) -> X86State:
    """With unlikely values everywhere where any value is possible."""
    chance = random.Random(seed)
    wide = bool(state.cr0 & 1 << 31)
    state.registers = [chance.getrandbits(64 if wide else 32) for _ in range(16 if wide else 8)] + [0] * (
        0 if wide else 8
    )
    state.rflags |= 0x8D5 | 0x400
    state.gdtr = DescriptorTable(chance.getrandbits(32), 0x1234)
    state.idtr = DescriptorTable(chance.getrandbits(32), 0x4321)
    state.ldtr = Segment(0x48, chance.getrandbits(32), 0x3FFF, 0x8200)
    state.tr = Segment(TSS, chance.getrandbits(32), 0x67, 0x8B00)
    state.cr2, state.cr8 = chance.getrandbits(64), 5
    state.debug = [chance.getrandbits(32), chance.getrandbits(32), 0x1000, 0x2000, 0xFFFF_4FF1, 0x400]
    state.msrs |= {
        index: chance.getrandbits(63)
        for index in (0x175, 0x176, 0x200, 0x201, 0x250, 0x26F, 0xC000_0081, 0xC000_0082, 0xC000_0084, 0xC000_0102)
    }
    state.msrs |= {0x174: 8, 0x1A0: 1, 0x277: 0x0007_0106_0007_0106, 0x2FF: 0xC06, 0xC000_0103: 7}
    state.fpu_control, state.fpu_status, state.fpu_tag = 0x27F, 0x3801 | 0x4700, 0b1010_0101
    state.fpu_opcode, state.fpu_ip, state.fpu_dp = 0x123, chance.getrandbits(64), chance.getrandbits(64)
    state.fpu_registers = [chance.getrandbits(80) for _ in range(8)]
    state.mxcsr = 0x7F80
    state.vector = [chance.getrandbits(128) for _ in range(16)]
    state.smbase = 0xA0000
    return state


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [1, 2])
def test_save_gives_what_was_loaded(machine: FakeMachine, mode: str, seed: int) -> None:
    state = filled(MODES[mode](machine), seed)
    machine.vcpu.load(state)
    saved = machine.vcpu.save()
    assert {index: saved.msrs[index] for index in state.msrs} == state.msrs
    assert timeless(dataclasses.replace(saved, msrs={})) == timeless(dataclasses.replace(state, msrs={}))
    machine.new_vcpu().load(saved)
    assert timeless(machine.vcpu.save()) == timeless(saved)
    assert X86State.from_dict(saved.to_dict()) == saved


@pytest.mark.parametrize("flag", [1 << 12, 3 << 12], ids=["iopl-1", "iopl-3"])
def test_a_loaded_privilege_level_goes_when_the_guest_clears_it(machine: FakeMachine, flag: int) -> None:
    """IOPL, VM and TF are in the flags alone: a copy that stayed set would let ring 3 reach the ports."""
    machine.write(TSS_BASE, bytes(4) + (0x6000).to_bytes(4, "little") + DATA32.to_bytes(4, "little"))
    machine.write(13 * 8, gate(13, machine.code("mov al, 13\nout 0xe9, al\nout 0xf4, al", 0x3000, 32)))
    program = f"push 2\npopfd\npush {USER_DATA}\npush 0x5000\npush 2\npush {USER_CODE32}\npush 0x2000\niretd"
    machine.code(program, bits=32)
    machine.code("cli\nout 0xf4, al", 0x2000, 32)
    state = protected_mode(machine, rflags=flag | 2)
    state.tr = Segment(TSS, TSS_BASE, 0x67, 0x8B00)
    machine.start(state)
    machine.run()
    assert machine.log == bytes([13])


def test_power_on(machine: FakeMachine) -> None:
    """A new CPU is in the state after power-on; loading that one takes back what a guest did."""
    fresh = machine.vcpu.save()
    assert timeless(dataclasses.replace(fresh, msrs={})) == X86State()
    machine.vcpu.load(filled(long_mode(machine), 3))
    machine.vcpu.load(X86State())
    assert timeless(machine.vcpu.save()) == timeless(fresh)
    assert fresh.msrs[0x277] == 0x0007_0406_0007_0406


def test_time_stamp_counter_goes_on(machine: FakeMachine) -> None:
    machine.code("rdtsc\n mov [0x3000], eax\n mov [0x3004], edx\n out 0xf4, al\n jmp $")
    state = real_mode()
    state.msrs[MSR_TSC] = 1 << 60
    machine.start(state)
    machine.run()
    first = machine.word(0x3000, 8)
    assert 1 << 60 < first < (1 << 60) + (1 << 40)
    saved = machine.vcpu.save()
    assert saved.msrs[MSR_TSC] > first
    machine.new_vcpu()
    saved.rip = 0x1000
    machine.start(saved)
    machine.run()
    assert saved.msrs[MSR_TSC] < machine.word(0x3000, 8) < (1 << 60) + (1 << 41)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_smm": True}, "system management mode"),
        ({"xcr0": 7}, "XCR0"),
        ({"vector": [1 << 128] + [0] * 15}, "YMM"),
        ({"msrs": {0x3A: 5}}, "MSR 0x3a"),
        ({"tr": Segment(0x40, 0, 0x67, 0x9300)}, "TR"),
        ({"event": PendingEvent(32, external=True)}, "IF is clear"),
    ],
)
def test_what_the_cpu_cant_represent(machine: FakeMachine, change: dict[str, object], message: str) -> None:
    machine.vcpu.load(filled(real_mode(), 4))
    before = machine.vcpu.save()
    with pytest.raises(ValueError, match=message):
        machine.vcpu.load(dataclasses.replace(X86State(), **change))  # type: ignore[arg-type]
    assert timeless(machine.vcpu.save()) == timeless(before)


def test_unknown_registers_of_value_zero_are_no_obstacle(machine: FakeMachine) -> None:
    machine.vcpu.load(X86State(msrs={0x3B: 0}))


# --- exchanging the CPU under a running program --------------------------------------------------------------------


SWAPS = 200


def run_swapping(machine: FakeMachine, work: Callable[[], None] = lambda: None) -> None:
    """Runs the program, putting it into a fresh CPU whenever it writes to port 80h, and at other moments besides.
    `work` is called again and again on another thread.
    """
    swaps = [0]

    def swap(reason: ExitReason) -> None:
        if not machine.done:
            saved = machine.vcpu.save()
            machine.new_vcpu().load(saved)
            swaps[0] += 1

    def disturb() -> None:
        if swaps[0] < SWAPS:
            machine.vcpu.kick()
        work()
        time.sleep(0)

    machine.run_with(disturb, swap)
    assert swaps[0] >= SWAPS


MIX = f"""
    mov dword [0x3804], {SWAPS}
part:
    mov ecx, 5000
again:
    inc eax
    xor ebx, eax
    rol ebx, 3
    adc edx, ebx
    xor esi, edx
    mov [0x3800], ebx
    add [0x3800], edx
    push bx
    pop di
    sub esi, edi
    add esi, [0x3800]
    dec ecx
    jnz again
    out 0x80, al
    dec dword [0x3804]
    jnz part
    mov [0x3000], ebx
    mov [0x3004], esi
    out 0xf4, al
    jmp $
"""


@pytest.mark.parametrize("mode", ["real", "protected", "protected-ring3", "v86", "compatibility"])
def test_swaps_under_integer_code(machine: FakeMachine, mode: str) -> None:
    """The result is that of an undisturbed run."""
    state = MODES[mode](machine)
    state.registers[4] = 0x800
    machine.add_port(0x80, write=lambda value: machine.vcpu.kick())
    state.rflags |= 0x3000
    machine.code(MIX, state.cs.base + state.rip, 16 if mode in ("real", "v86") else 32)
    results = []
    for run in (machine.run, lambda: run_swapping(machine)):
        machine.new_vcpu()
        machine.start(state)
        run()
        results.append((machine.word(0x3000), machine.word(0x3004)))
        machine.write(0x3000, bytes(8))
    assert results[0] == results[1] != (0, 0)


def test_swaps_under_floating_point(machine: FakeMachine) -> None:
    """x87 with several registers in use, and SSE, in 64-bit mode."""
    machine.add_port(0x80, write=lambda value: machine.vcpu.kick())
    machine.code(
        f"""
            fldz
            fldpi
            fld1
            mov eax, 1
            cvtsi2sd xmm1, eax
            mov ebx, {SWAPS}
        part:
            mov ecx, 1000
        again:
            fadd st2, st0
            addsd xmm0, xmm1
            movapd xmm15, xmm0
            dec ecx
            jnz again
            out 0x80, al
            dec ebx
            jnz part
            fstp st0
            fstp qword [0x3018]
            fistp qword [0x3000]
            cvtsd2si rax, xmm15
            mov [0x3008], rax
            fnstsw [0x3010]
            fnstenv [0x3020]
            out 0xf4, al
            jmp $
        """,
        bits=64,
    )
    machine.start(long_mode(machine))
    run_swapping(machine)
    assert (machine.word(0x3000, 8), machine.word(0x3008, 8)) == (SWAPS * 1000, SWAPS * 1000)
    assert machine.word(0x3018, 8) == 0x400921FB54442D18  # pi
    assert machine.word(0x3010, 2) & 0x3800 == 0
    assert machine.word(0x3028, 2) == 0xFFFF  # all registers empty


def test_swaps_under_interrupts_and_page_faults(machine: FakeMachine) -> None:
    """Ring 3 in 64-bit mode: system calls, interrupts and page faults, all counted, none lost or doubled."""
    rounds = 20_000
    machine.code(
        f"""
            mov ebx, {rounds}
        again:
            syscall
            mov rax, [0x3fffff8]
            cmp rax, r15
            jne wrong
            dec ebx
            jnz again
        wrong:
            cli                             ; an interrupt taken after the end would be acknowledged, but not counted
            mov [0x3010], rbx
            out 0xf4, al
            jmp $
        """,
        bits=64,
    )
    machine.add_port(0x80, write=lambda value: machine.vcpu.kick())
    machine.code(
        """
            inc dword [0x3000]
            mov qword [0xb0f8], 0
            invlpg [0x3fffff8]
            test bl, 0x3f
            jnz back
            out 0x80, al
        back:
            o64 sysret
        """,
        0x2000,
        64,
    )
    machine.code("inc dword [0x3004]\n add rsp, 8\n mov qword [0xb0f8], 0x600087\n iretq", 0x2100, 64)
    machine.code("inc dword [0x3008]\n iretq", 0x2200, 64)
    machine.write(0x7FFFF8, (0x1122334455667788).to_bytes(8, "little"))
    for vector, handler in ((14, 0x2100), (32, 0x2200)):
        machine.write(16 * vector, gate(vector, handler, selector=CODE64).ljust(16, b"\0"))
    machine.write(0xD004, (0x6000).to_bytes(8, "little"))
    state = user(long_mode(machine, rflags=0x3202), USER_CODE64)
    state.tr = Segment(TSS, 0xD000, 0x67, 0x8B00)
    state.registers[15] = 0x1122334455667788
    state.msrs |= {0xC000_0081: CODE64 << 32 | USER_CODE32 << 48, 0xC000_0082: 0x2000, 0xC000_0084: 0x200}
    machine.start(state)
    requested = [0]

    def request() -> None:
        with machine.lock:
            if not machine.interrupt_controller.requests and not machine.done:
                requested[0] += 1
                machine.request(32)

    run_swapping(machine, request)
    assert machine.word(0x3010, 8) == 0
    assert (machine.word(0x3000), machine.word(0x3004)) == (rounds, rounds)
    assert machine.word(0x3008) == len(machine.interrupt_controller.acknowledged)
    assert (
        requested[0] - len(machine.interrupt_controller.requests) == len(machine.interrupt_controller.acknowledged) > 0
    )


def test_swap_between_sti_and_the_next_instruction(machine: FakeMachine) -> None:
    """The shadow goes with the state: the interrupt comes one instruction later."""
    machine.code("nop\n nop\n out 0xf4, al\n hlt")
    machine.code("pop word [0x3000]\n out 0xf4, al\n hlt", 0x2000)
    machine.write(4 * 32, (0x2000).to_bytes(4, "little"))
    for shadow, taken_at in ((True, 0x1001), (False, 0x1000)):
        machine.new_vcpu()
        machine.interrupt_controller.requests[:] = [32]
        machine.start(real_mode(rflags=0x202, interrupt_shadow=shadow))
        machine.vcpu.kick()
        machine.vcpu.run()
        saved = machine.vcpu.save()
        machine.new_vcpu()
        machine.start(saved)
        machine.run()
        assert machine.word(0x3000, 2) == taken_at


def test_swap_in_halt(machine: FakeMachine) -> None:
    machine.code("sti\n hlt\n out 0xf4, al\n jmp $")
    machine.code("iret", 0x2000)
    machine.write(4 * 32, (0x2000).to_bytes(4, "little"))
    machine.start(real_mode())
    assert machine.vcpu.run() is ExitReason.HALTED
    saved = machine.vcpu.save()
    assert (saved.halted, saved.rip) == (True, 0x1002)
    machine.new_vcpu()
    machine.start(saved)
    assert machine.vcpu.run() is ExitReason.HALTED
    machine.request(32)
    machine.run()
    assert machine.done
    assert not machine.vcpu.save().halted


def test_swap_with_an_exception_pending(machine: FakeMachine) -> None:
    """A kick comes after a breakpoint was hit, before its #DB was delivered."""
    machine.code("pop dword [0x3000]\n out 0xf4, al\n jmp $", 0x2000, 32)
    machine.write(8 * 1, gate(1, 0x2000))
    machine.code("nop\n nop", bits=32)
    state = protected_mode(machine, debug=[0x1001, 0, 0, 0, 0xFFFF0FF0, 0x402])
    state.cs = Segment(8, 0x1000, 0xFFFF_FFFF, 0xC09B00)
    state.rip = 0
    machine.start(state)
    raise_exception = machine.vcpu._engine.raise_exception

    def kicked(vector: int, code: int) -> None:
        raise_exception(vector, code)
        machine.vcpu.kick()

    machine.vcpu._engine.raise_exception = kicked
    assert machine.vcpu.run() is ExitReason.KICKED
    saved = machine.vcpu.save()
    assert saved.event == PendingEvent(1)
    machine.new_vcpu()
    machine.start(saved)
    machine.run()
    assert machine.word(0x3000) == 1
