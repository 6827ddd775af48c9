"""Exits that aren't a guest's ordinary access: what is said of them (api.rst, 5., "The kvm_run structure")."""

from __future__ import annotations

from southbridge.accelerator import AcceleratorFailure
from southbridge.x86 import X86State

from . import ioctls as k

_DETAILS = 32
"""Where in the vCPU's page what an exit tells begins."""
LONGEST_INSTRUCTION = 15
_UNDEFINED = (b"\x0f\x0b", b"\x0f\xb9", b"\x0f\xff")
"""UD2, UD1, UD0: instructions whose purpose is #UD."""


class KvmFailure(AcceleratorFailure):
    """KVM can't go on. `state` is the CPU's, if it could be had."""

    def __init__(self, message: str, state: X86State | None = None) -> None:
        super().__init__(message if state is None else f"{message}\n{describe(state)}")
        self.state = state


class InternalError(KvmFailure):
    """KVM_EXIT_INTERNAL_ERROR: most often KVM's emulator lacks an instruction; `instruction` begins with it."""

    def __init__(self, message: str, instruction: bytes, state: X86State | None = None) -> None:
        shown = instruction.hex(" ") or "unreadable"
        super().__init__(f"{message}; the instruction's bytes: {shown}", state)
        self.instruction = instruction


def describe(state: X86State) -> str:
    """What a person wants to know of a CPU that stopped."""
    names = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
    general = " ".join(f"{name}={value:x}" for name, value in zip(names, state.registers, strict=False))
    mode = "long" if state.msrs.get(0xC000_0080, 0) & 1 << 10 else "protected" if state.cr0 & 1 else "real"
    return (
        f"  {mode} mode, cs={state.cs.selector:04x} (base {state.cs.base:x}) rip={state.rip:x} "
        f"rflags={state.rflags:x}\n"
        f"  {general}\n"
        f"  cr0={state.cr0:x} cr2={state.cr2:x} cr3={state.cr3:x} cr4={state.cr4:x}"
    )


def instruction_in(page: memoryview) -> bytes:
    """The instruction's bytes that KVM tells with an internal error, if it does."""
    number = int.from_bytes(page[_DETAILS : _DETAILS + 4], "little")
    data = int.from_bytes(page[_DETAILS + 4 : _DETAILS + 8], "little")
    flags = int.from_bytes(page[_DETAILS + 8 : _DETAILS + 16], "little")
    if number != k.INTERNAL_ERROR_EMULATION or data < 3 or not flags & k.EMULATION_FAILURE_HAS_BYTES:
        return b""
    size = min(page[_DETAILS + 16], LONGEST_INSTRUCTION)
    return bytes(page[_DETAILS + 17 : _DETAILS + 17 + size])


def internal_error_text(page: memoryview) -> str:
    """What an internal error is about."""
    number = int.from_bytes(page[_DETAILS : _DETAILS + 4], "little")
    name = k.INTERNAL_ERROR_NAMES.get(number, f"number {number}")
    if number == k.INTERNAL_ERROR_EMULATION:
        return f"KVM met {name} (KVM_EXIT_INTERNAL_ERROR)"
    count = min(int.from_bytes(page[_DETAILS + 4 : _DETAILS + 8], "little"), 16)
    data = " ".join(f"{value:#x}" for value in page[_DETAILS + 8 : _DETAILS + 8 + 8 * count].cast("Q"))
    return f"KVM met {name} (KVM_EXIT_INTERNAL_ERROR); it says {data or 'nothing more'}"


def is_meant_undefined(instruction: bytes) -> bool:
    """Whether the guest executed an instruction in order to get #UD, which KVM has queued already."""
    return instruction.startswith(_UNDEFINED)


def unexpected_text(reason: int, page: memoryview) -> str:
    """An exit that isn't one of those that a PC's guest brings about."""
    name = f"KVM_EXIT_{k.EXIT_NAMES[reason]}" if reason in k.EXIT_NAMES else f"exit number {reason}"
    first, second = page[_DETAILS : _DETAILS + 16].cast("Q")
    if reason == k.EXIT_FAIL_ENTRY:
        return f"KVM couldn't enter the guest ({name}): hardware reason {first:#x}, CPU {second & 0xFFFF_FFFF}"
    return f"KVM stopped with {name}, which isn't expected here; it says {first:#x} {second:#x}"
