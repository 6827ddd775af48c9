"""Small machine-code functions between Unicorn and QEMU's own functions inside it.

An exception leaves the function that raises it by longjmp. That may not cross frames of the Python interpreter, so
whatever may raise one is called by machine code of ours, never from a Python callback:

`interrupt(engine, number, cpu)`: a hook for exceptions and INT n. Delivers it. Where there is no task state segment
    (LTR with a null selector, which Unicorn lets pass) it makes an empty one: QEMU's code would abort the process.
`invalid(engine, cpu) -> true`: a hook for undefined instructions. Delivers #UD.
`port_read(engine, port, size, ...)`, `port_write(...)`: hooks for IN and OUT. Unicorn leaves out the check of IOPL and
    of the TSS's I/O permission bitmap: it is made up for, then the Python callback is called.
`memory_write(engine, offset, size, value, base)`: what Unicorn calls for a store to where no memory is. A doubleword
    for one of the addresses in the table of tail doorbells is put by there, unless it is `TAIL_LIMIT` or more beyond
    what the device knows; for any other store the Python callback is called.
`debug(cpu)`: takes the place of the CPU's `debug_excp_handler` method. A breakpoint that isn't turned into #DB there
    (in a code segment with a base) would make Unicorn wait for a debugger for ever; here it stops, and the mailbox says
    so.
`fill(cpu, address, size, access, ...)`: takes the place of the CPU's `tlb_fill` method, which enters a page into the
    TLB. By itself, Unicorn checks stores for translated code for ever where a page may be executed, which is slow; and
    where it may not, no longer after the first store, which misses code that is mapped at another address, too. Here a
    page of the guest's memory is either one that code was fetched from, and all stores to it are checked, at whatever
    address; or it isn't, and no code is fetched through its TLB entries. Where stores are recorded, an entry that was
    made for a load takes none, and one that is made for a store says so.
`enter(cpu)`: takes the place of the CPU's `cpu_exec_enter` method, which Unicorn calls when it starts to execute, after
    it has cleared the flags that tell it to stop, and before it looks at them. So a stop that was requested earlier
    isn't lost, and an exception can be made pending.
"""

from __future__ import annotations

import ctypes
import mmap
from array import array
from ctypes import Structure, c_int32, c_uint32
from dataclasses import astuple, dataclass

from . import thunks_aarch64, thunks_x86_64

NO_EXCEPTION = -1


class Mailbox(Structure):
    """What the functions and the rest tell each other."""

    _fields_ = [
        ("stop", c_uint32),  # leave the guest
        ("exception", c_int32),  # deliver this first
        ("software", c_uint32),  # INT n is being delivered: n + 1
        ("debug", c_uint32),  # stopped at a breakpoint
        ("code_pages", c_uint32),  # how many pages became code pages
    ]


TAILS = 8
"""How many doorbells the table has room for."""
TAIL_LIMIT = 128
"""So far a tail may be ahead of what its device knows."""
NO_TAIL = (1 << 64) - 1
TAIL_ADDRESS, TAIL_LAST, TAIL_KNOWN, TAIL_WORDS = range(4)
"""Of each the words, and how many."""


def tail_table() -> array[int]:
    """An empty table of tail doorbells, of three words of 64 bits each.

    Its address, guest-physical; the last value that was put by, in the low half, and how many were, in the high half,
    so that both are stored at once; and the value that the device knows. The table ends at an address `NO_TAIL`.
    """
    return array("Q", (NO_TAIL, 0, 0) * (TAILS + 1))


@dataclass(frozen=True)
class Targets:
    """Addresses in the host's memory, and offsets into the CPU's structure, that the functions need."""

    mailbox: int
    stop_request: int
    exit_request_offset: int
    exception_index_offset: int
    exception_is_int_offset: int
    do_interrupt: int
    int_failed: int
    """Called without arguments before an exception is delivered that came up while INT n was."""
    exec_enter: int
    debug_handler: int
    tlb_fill: int
    tlb_flush: int
    tlb_tables: int
    """By MMU mode: the TLB's mask and its address."""
    code_pages: int
    """A bit for each page of guest-physical memory that code was fetched from."""
    logged_pages: int
    """A bit for each page whose stores are recorded."""
    stored_pages: int
    """A bit for each of those that was stored to."""
    env: int
    tr_flags: int
    """TR's attributes. Behind its limit."""
    hflags: int
    eflags: int
    check_port_1: int
    check_port_2: int
    check_port_4: int
    port_read: int
    port_write: int
    tail_table: int
    tail_limit: int
    memory_write: int


@dataclass(frozen=True)
class Code:
    """The machine code of the functions."""

    interrupt: bytes
    invalid: bytes
    enter: bytes
    debug: bytes
    fill: bytes
    port_read: bytes
    port_write: bytes
    memory_write: bytes


def assemble(machine: str, targets: Targets) -> Code:
    """The functions for a host `machine`: "x86_64" (System V calling convention) or "aarch64"."""
    functions = {"x86_64": thunks_x86_64.assemble, "aarch64": thunks_aarch64.assemble}[machine](targets)
    return Code(*functions)


DONE, ORIGINAL, FAULT = range(3)
"""What a callback tells the machine code of a helper to do next."""


@dataclass(frozen=True)
class HelperTargets:
    """Addresses that the helpers in `helpers` need."""

    read_msr_callback: int
    """(env) -> DONE, ORIGINAL, or FAULT"""
    write_msr_callback: int
    read_cr8_callback: int
    """(env) -> value"""
    write_control_callback: int
    """(env, number, value) -> DONE, ORIGINAL, or FAULT"""
    read_msr: int
    write_msr: int
    read_control: int
    write_control: int
    system_call: int
    raise_exception: int
    """(env, vector, return address of the helper)"""
    read_flags: int
    """(env) -> EFLAGS"""
    write_flags: int
    """(env, EFLAGS, mask of what changes)"""
    update_hidden_flags: int
    """(env)"""


def assemble_helpers(machine: str, targets: HelperTargets) -> tuple[bytes, ...]:
    """What takes the place of QEMU's `helper_rdmsr(env)`, `helper_wrmsr(env)`, `helper_read_crN(env, number) -> value`,
    `helper_write_crN(env, number, value)` and `helper_syscall(env, length)`, on a host `machine`.

    The last executes SYSCALL in 64-bit mode; for any other, and for a CPU that isn't ours, it calls the original. Ours
    have a place that they read interrupt vectors from (`engine`).
    """
    return {"x86_64": thunks_x86_64.assemble_helpers, "aarch64": thunks_aarch64.assemble_helpers}[machine](targets)


class HelperThunks:
    """These in executable memory, for as long as the process lives."""

    def __init__(self, code: tuple[bytes, ...]) -> None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._memory = mmap.mmap(-1, mmap.PAGESIZE, prot=protection)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.addresses = [base + 512 * number for number in range(len(code))]
        for number, function in enumerate(code):
            self._memory[512 * number : 512 * number + len(function)] = function


class Thunks:
    """The functions in executable memory; the attributes are their addresses."""

    def __init__(self, code: Code) -> None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._memory = mmap.mmap(-1, mmap.PAGESIZE, prot=protection)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        addresses = []
        for number, function in enumerate(astuple(code)):
            at = 512 * number
            self._memory[at : at + len(function)] = function
            addresses.append(base + at)
        self.interrupt, self.invalid, self.enter, self.debug, self.fill, *others = addresses
        self.port_read, self.port_write, self.memory_write = others
