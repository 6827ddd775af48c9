"""Stopping the CPU: promptly, never lost, and never in the middle of an instruction."""

from __future__ import annotations

import threading
import time

import pytest
from southbridge.accelerator import ExitReason

from tests.accelerators.unicorn.guest import (
    CODE64,
    USER_CODE32,
    FakeMachine,
    flat,
    long_mode,
    protected_mode,
    real_mode,
)

COUNT = """
again:
    add dword [0x3000], 1
    adc dword [0x3004], 0
    inc ecx
    cmp byte [0x3800], 0
    je again
    mov [0x3008], ecx
    out 0xf4, al
    jmp $
"""
KICKS = 3000


def kicks(machine: FakeMachine) -> None:
    machine.vcpu.kick()
    time.sleep(0)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_read_modify_write_is_exact_under_kicks(machine: FakeMachine, bits: int) -> None:
    """Counts in memory and in a register until thousands of kicks came: both are the same."""
    machine.code(COUNT, bits=bits)
    machine.start({16: real_mode(), 32: protected_mode(machine), 64: long_mode(machine)}[bits])
    exits = [0]

    def count(reason: ExitReason) -> None:
        exits[0] += 1
        if exits[0] == KICKS:
            machine.write(0x3800, b"\1")

    machine.run_with(lambda: kicks(machine), count)
    assert exits[0] >= KICKS
    assert machine.word(0x3000) == machine.word(0x3008) > KICKS


def test_string_instructions_are_exact_under_kicks(machine: FakeMachine) -> None:
    machine.code(
        """
            mov ebx, 200
        again:
            mov esi, 0x100000
            mov edi, 0x180000
            mov ecx, 0x4000
            rep movsd
            mov edi, 0x180000
            mov ecx, 0x4000
        next:
            add eax, [edi]
            add edi, 4
            dec ecx
            jnz next
            dec ebx
            jnz again
            mov [0x3000], eax
            out 0xf4, al
            hlt
        """,
        bits=32,
    )
    data = bytes(i * 7 + (i >> 8) & 0xFF for i in range(0x10000))
    machine.write(0x100000, data)
    machine.start(protected_mode(machine))
    machine.run_with(lambda: kicks(machine))
    total = sum(int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4))
    assert machine.word(0x3000) == total * 200 & 0xFFFF_FFFF
    assert machine.ram.view[0x180000:0x190000] == data


def test_system_calls_are_exact_under_kicks(machine: FakeMachine) -> None:
    """Unicorn's own request to stop makes an instruction with a hook do nothing."""
    machine.code(
        """
            mov ebx, 20000
        again:
            syscall
            dec ebx
            jnz again
            out 0xf4, al
            hlt
        """,
        bits=64,
    )
    machine.code("inc dword [0x3000]\n o64 sysret", 0x2000, 64)
    state = long_mode(machine, rflags=0x3002)
    state.msrs |= {0xC000_0081: CODE64 << 32 | USER_CODE32 << 48, 0xC000_0082: 0x2000}
    state.cs, state.ss = flat(0x33), flat(0x2B)
    machine.start(state)
    machine.run_with(lambda: kicks(machine))
    assert machine.word(0x3000) == 20000


def test_kick_before_run(machine: FakeMachine) -> None:
    machine.code("jmp $")
    machine.start(real_mode())
    machine.vcpu.kick()
    assert machine.vcpu.run() is ExitReason.KICKED
    assert machine.vcpu.save().rip == 0x1000


def test_kicks_before_one_run_are_one(machine: FakeMachine) -> None:
    machine.code("out 0xf4, al\n hlt")
    machine.start(real_mode())
    machine.vcpu.kick()
    machine.vcpu.kick()
    assert machine.vcpu.run() is ExitReason.KICKED
    assert not machine.done
    assert machine.vcpu.run() is ExitReason.KICKED
    assert machine.done


def test_no_kick_is_lost(machine: FakeMachine) -> None:
    """Each kick is answered by a return from an endless loop, at whatever moment of starting or leaving it comes."""
    machine.code("jmp $")
    machine.start(real_mode())
    returned = threading.Semaphore(0)
    rounds = 3000

    def kick() -> None:
        for n in range(rounds):
            for _ in range(n % 50):
                pass
            machine.vcpu.kick()
            assert returned.acquire(timeout=20)

    thread = threading.Thread(target=kick, daemon=True)
    thread.start()
    for _ in range(rounds):
        assert machine.vcpu.run() is ExitReason.KICKED
        returned.release()
    thread.join()


def test_kick_in_a_port_access(machine: FakeMachine) -> None:
    machine.add_port(0x80, write=lambda value: machine.vcpu.kick())
    machine.code("out 0x80, al\n jmp $")
    machine.start(real_mode())
    assert machine.vcpu.run() is ExitReason.KICKED
    assert machine.vcpu.save().rip == 0x1002


def test_kick_while_halted(machine: FakeMachine) -> None:
    machine.code("cli\n hlt\n jmp $")
    machine.start(real_mode())
    assert machine.vcpu.run() is ExitReason.HALTED
    machine.vcpu.kick()
    assert machine.vcpu.run() is ExitReason.KICKED
    assert machine.vcpu.run() is ExitReason.HALTED


def test_kick_after_close_is_harmless() -> None:
    machine = FakeMachine()
    machine.close()
    machine.vcpu.kick()
