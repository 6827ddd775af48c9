"""Five of QEMU's helper functions, called by translated code, that this accelerator answers instead.

Unicorn has no hook for RDMSR, WRMSR and control registers; registers that it doesn't have read as zeros, and nothing is
refused. Its SYSCALL only calls a hook, which takes microseconds in Python. Translated code gets a helper's address from
a word of the library's global offset table; and QEMU looks up what it knows about a helper by that address, in a table
that each engine makes of one in the library's data. Both words are pointed at machine code of ours (`thunks`), which
calls back here, and goes on as it is told; SYSCALL in 64-bit mode it executes by itself. This holds for the whole
process; engines that aren't ours get the original function. What had been opened before must not be used for
translating such instructions any more, so it is done before the first engine is opened.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from ctypes import CFUNCTYPE, c_int, c_uint64, c_void_p
from typing import Any, Protocol

from . import thunks
from .layout import LayoutError
from .library import Library
from .relocations import Slot, find_slots, point_at

DONE, ORIGINAL, FAULT = thunks.DONE, thunks.ORIGINAL, thunks.FAULT

_NAMES = ("rdmsr", "wrmsr", "read_crN", "write_crN", "syscall")
_CALLED = ("raise_exception_ra", "helper_read_eflags", "helper_write_eflags", "x86_update_hflags")

_Notice = CFUNCTYPE(c_int, c_void_p)
_Read = CFUNCTYPE(c_uint64, c_void_p)
_Write = CFUNCTYPE(c_int, c_void_p, c_int, c_uint64)


class Answers(Protocol):
    """What answers for one CPU. These are called in the middle of the instruction, and raise nothing."""

    def read_msr(self) -> int:
        """RDMSR: DONE, ORIGINAL or FAULT (#GP)."""

    def write_msr(self) -> int:
        """WRMSR; likewise."""

    def read_cr8(self) -> int:
        """The value of CR8."""

    def write_control(self, number: int, value: int) -> int:
        """MOV to CR0, CR4 or CR8; as `write_msr`."""


_answers: dict[int, Answers] = {}
"""By the address of the CPU's state."""
_lock = threading.Lock()
_installed: Any = None
"""What the machine code refers to."""


def answer_for(env_address: int, answers: Answers) -> None:
    """`answers` answers for the CPU whose state is at `env_address`."""
    _answers[env_address] = answers


def forget(env_address: int) -> None:
    """The CPU goes."""
    _answers.pop(env_address, None)


def install(library: Library) -> None:
    """Has the library call here. Once in a process; again is nothing. Raises LayoutError."""
    global _installed
    with _lock:
        if _installed is None:
            _installed = _install(library)


def _install(library: Library) -> Any:
    originals = {name: _symbol(library, f"helper_{name}_x86_64") for name in _NAMES}
    slots = find_slots(library.loaded, originals.values())
    for name, function in originals.items():
        _prove(library, name, [slot for slot in slots if slot.function == function])
    callbacks = _Notice(_read_msr), _Notice(_write_msr), _Read(_read_cr8), _Write(_write_control)
    addresses = [ctypes.cast(callback, c_void_p).value or 0 for callback in callbacks]
    addresses += [*originals.values(), *(_symbol(library, f"{name}_x86_64") for name in _CALLED)]
    targets = thunks.HelperTargets(*addresses)
    functions = thunks.HelperThunks(thunks.assemble_helpers(platform.machine(), targets))
    replacements = dict(zip(originals.values(), functions.addresses, strict=True))
    point_at({slot: replacements[slot.function] for slot in slots})
    return callbacks, functions


def _symbol(library: Library, name: str) -> int:
    address = library.address(name)
    if not address:
        raise LayoutError(library.version, f"it has no {name}")
    return address


def _prove(library: Library, name: str, slots: list[Slot]) -> None:
    """There is one word in the global offset table, and one in the table of helpers, in front of the name."""
    held = [slot.in_data for slot in slots if slot.value == slot.function]
    table = next((slot for slot in slots if slot.in_data), None)
    if sorted(held) != [False, True] or len(slots) != len(held) or table is None:
        raise LayoutError(library.version, f"where {name}'s address is kept")
    text = c_uint64.from_address(table.address + 8).value
    if ctypes.string_at(text, len(name) + 1) != name.encode() + b"\0":
        raise LayoutError(library.version, f"the table of helpers at {name}")


def _read_msr(env: int) -> int:
    answers = _answers.get(env)
    return ORIGINAL if answers is None else answers.read_msr()


def _write_msr(env: int) -> int:
    answers = _answers.get(env)
    return ORIGINAL if answers is None else answers.write_msr()


def _read_cr8(env: int) -> int:
    answers = _answers.get(env)
    return 0 if answers is None else answers.read_cr8()


def _write_control(env: int, number: int, value: int) -> int:
    answers = _answers.get(env)
    return ORIGINAL if answers is None else answers.write_control(number, value)
