"""The CPU's registers: for expressions by name, and all of them as `info registers` shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from ..paging import EFER_LMA
from ..x86 import GENERAL_REGISTERS, MSR_EFER, SEGMENT_REGISTERS

if TYPE_CHECKING:
    from ..machine import Machine
    from ..x86 import Segment, X86State

_OTHER_NAMES = {"sp": "rsp", "fp": "rbp", "eip": "rip", "eflags": "rflags"}
_FLAGS = ((10, "D"), (11, "O"), (7, "S"), (6, "Z"), (4, "A"), (2, "P"), (0, "C"))


def cpu_state(machine: Machine, cpu: int) -> X86State:
    """The state of a CPU, between two instructions. On the main loop's thread. Raises SouthbridgeError."""
    thread = machine.cpus.thread_of(cpu)
    if thread is None:
        raise SouthbridgeError(f"there is no CPU {cpu}")
    with machine.standing_still():
        return thread.save()


class Registers:
    """Of one CPU, looked at when one is asked for first."""

    def __init__(self, machine: Machine, cpu: int) -> None:
        self._machine = machine
        self._cpu = cpu
        self._state: X86State | None = None

    def value(self, name: str) -> int:
        """The register `name`: eax, cs, cs.base; pc is the linear address. Raises KeyError for one that there isn't."""
        if self._state is None:
            self._state = cpu_state(self._machine, self._cpu)
        state = self._state
        if name == "pc":
            return state.cs.base + state.rip
        name = _OTHER_NAMES.get(name, name)
        wide = f"r{name[1:]}" if name.startswith("e") else name
        if wide in GENERAL_REGISTERS:
            value = state.registers[GENERAL_REGISTERS.index(wide)]
            return value & 0xFFFF_FFFF if name.startswith("e") and not long_mode(state) else value
        if name in ("rip", "rflags", "cr0", "cr2", "cr3", "cr4", "cr8"):
            return int(getattr(state, name))
        segment, _, part = name.partition(".")
        if segment in SEGMENT_REGISTERS and part in ("", "base"):
            found: Segment = getattr(state, segment)
            return found.base if part else found.selector
        raise KeyError(name)


def long_mode(state: X86State) -> bool:
    """Whether it is in one of the 64-bit modes."""
    return bool(state.msrs.get(MSR_EFER, 0) & EFER_LMA)


def shown_registers(state: X86State, cpu: int, *, wide: bool) -> str:
    """All of them. `wide`: the CPU has registers of 64 bits, whatever mode it is in."""
    digits = 16 if wide and long_mode(state) else 8
    mask = (1 << 4 * digits) - 1
    lines = [f"\nCPU#{cpu}"]
    names = GENERAL_REGISTERS if digits == 16 else GENERAL_REGISTERS[:8]
    order = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *GENERAL_REGISTERS[8:])
    shown = [
        f"{_short(name, digits):3}={state.registers[GENERAL_REGISTERS.index(name)] & mask:0{digits}x}"
        for name in order
        if name in names
    ]
    lines += [" ".join(shown[at : at + 4]) for at in range(0, len(shown), 4)]
    flags = "".join(letter if state.rflags >> number & 1 else "-" for number, letter in _FLAGS)
    ip, flags_name = ("RIP", "RFL") if digits == 16 else ("EIP", "EFL")
    lines.append(
        f"{ip}={state.rip & mask:0{digits}x} {flags_name}={state.rflags & 0xFFFF_FFFF:08x} [{flags}] "
        f"CPL={state.ss.attributes >> 13 & 3} II={state.interrupt_shadow:d} A20={state.a20:d} SMM={state.in_smm:d} "
        f"HLT={state.halted:d}"
    )
    for name in (*SEGMENT_REGISTERS, "ldtr", "tr"):
        segment: Segment = getattr(state, name)
        shown_name = "LDT" if name == "ldtr" else name.upper()
        lines.append(
            f"{shown_name:3}={segment.selector:04x} {segment.base & mask:0{digits}x} {segment.limit:08x} "
            f"{segment.attributes:08x}"
        )
    for shown_name, table in (("GDT", state.gdtr), ("IDT", state.idtr)):
        lines.append(f"{shown_name}=     {table.base & mask:0{digits}x} {table.limit:08x}")
    lines.append(
        f"CR0={state.cr0:08x} CR2={state.cr2 & mask:0{digits}x} CR3={state.cr3 & mask:0{digits}x} CR4={state.cr4:08x}"
    )
    lines.append(" ".join(f"DR{number}={state.debug[number] & mask:0{digits}x}" for number in range(4)) + " ")
    lines.append(f"DR6={state.debug[4] & mask:0{digits}x} DR7={state.debug[5] & mask:0{digits}x}")
    lines.append(f"EFER={state.msrs.get(MSR_EFER, 0):016x}")
    lines += _floating_point(state, 16 if digits == 16 else 8)
    return "\n".join(lines)


def _short(name: str, digits: int) -> str:
    return name.upper() if digits == 16 or name[1:].isdecimal() else f"E{name[1:].upper()}"


def _floating_point(state: X86State, vectors: int) -> list[str]:
    top = state.fpu_status >> 11 & 7
    lines = [
        f"FCW={state.fpu_control:04x} FSW={state.fpu_status:04x} [ST={top}] FTW={state.fpu_tag:02x} "
        f"MXCSR={state.mxcsr:08x}"
    ]
    physical = [state.fpu_registers[(number - top) & 7] for number in range(8)]
    shown = [f"FPR{number}={value & (1 << 64) - 1:016x} {value >> 64:04x}" for number, value in enumerate(physical)]
    shown += [
        f"XMM{number:02}={value >> 64 & (1 << 64) - 1:016x} {value & (1 << 64) - 1:016x}"
        for number, value in enumerate(state.vector[:vectors])
    ]
    return lines + [" ".join(shown[at : at + 2]) for at in range(0, len(shown), 2)]
