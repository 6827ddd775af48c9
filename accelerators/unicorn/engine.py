"""One Unicorn engine, opened up: a CPU that executes, with everything that Unicorn leaves to its caller made work.

Exceptions are delivered by QEMU's own code (`thunks`). An external interrupt is made pending as QEMU's SVM code has it
for a virtual one: with CPU_INTERRUPT_VIRQ set, the CPU takes an interrupt as soon as IF and the interrupt shadow allow,
and reads its vector from guest-physical memory. That page is one of ours, so the read is the INTA cycle, at the very
moment when the CPU takes the interrupt.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from southbridge.memory.ram import MAP_NORESERVE, PAGE_SHIFT
from southbridge.x86 import PendingEvent

from . import helpers, structures, thunks
from . import library as lib
from .flags import HIDDEN_CS64
from .layout import Internals
from .library import Library
from .regions import RegionCache

TRANSLATION_BUFFER = 64 << 20
"""Bytes of translated code; when they are full, Unicorn starts anew."""

CODE_PAGES = 1 << 14

PHYSICAL_BITS = 40
"""Width of a guest-physical address, as CPUID gives it. RAM lies below."""

_INTA_PAGES = 1 << 46
"""Guest-physical, where the page is that serves interrupts: beyond what the guest's page tables reach, and at a random
place there, since CR3 may point anywhere.
"""
_INTA_OFFSET = 100
"""Where QEMU reads the vector: `int_vector` in the page of an SVM control block."""

SEGMENT_PRESENT = 1 << 15
TASK_STATE = 0x8900
"""Attributes of a 32- or 64-bit TSS, not busy: so QEMU has TR's."""
TASK_STATE_BUSY = 0x200

INTERRUPT_VIRTUAL = 0x100
INTERRUPT_NMI = 0x200

_DOUBLE_FAULT = 8
_CAN_DOUBLE = (0, _DOUBLE_FAULT, 10, 11, 12, 13, 14)
"""Contributory exceptions, page and double faults: another one during their delivery is a double or triple fault."""
_WITH_ERROR_CODE = (_DOUBLE_FAULT, 10, 11, 12, 13, 14, 17)

_DEBUG = 1
_EXECUTION = 0
"""A breakpoint's kind in DR7."""
_BREAKPOINT, _INT3 = 3, 0xCC
_OVERFLOW, _INTO = 4, 0xCE

_SPARSE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE

_TABLE_BITS = 10
_TABLE_MASK = (1 << _TABLE_BITS) - 1
"""Unicorn's map of translated pages is a tree of tables of 1024 entries."""

_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Access:
    """How the CPU reaches the machine."""

    port_read: Callable[[int, int, int, int], int]
    """(engine, port, size, user data) -> value"""
    port_write: Callable[[int, int, int, int, int], None]
    """(engine, port, size, value, user data)"""
    memory_write: Callable[[int, int, int, int, int], None]
    """(engine, offset, size, value, the offset's base)"""
    memory_byte: Callable[[int], int]
    """The byte at a guest-physical address."""


class Engine:
    """The engine. Belongs to one thread at a time, but for `stop` and the interrupt requests."""

    def __init__(self, library: Library, access: Access) -> None:
        """Opens one. Raises SouthbridgeError, LayoutError among them."""
        self.library = library
        self._access = access
        helpers.install(library)
        handle = ctypes.c_void_p()
        library.check(library.uc_open(lib.ARCH_X86, lib.MODE_16, ctypes.byref(handle)), "be opened")
        assert handle.value is not None
        self.handle = handle.value
        self._keep: list[Any] = []
        self._tables: dict[int, Any] = {}
        self._places: dict[int, ctypes.c_uint64] = {}
        """Where the engine notes each table's address, once there is one."""
        self._closing = threading.Lock()
        self._code_pages, self.logged_pages, self.stored_pages = (
            mmap.mmap(-1, 1 << PHYSICAL_BITS - PAGE_SHIFT - 3, flags=_SPARSE) for _ in range(3)
        )
        try:
            library.control(self.handle, lib.CONTROL_CPU_MODEL, lib.CPU_MODEL_QEMU64)
            library.control(self.handle, lib.CONTROL_TRANSLATION_BUFFER, TRANSLATION_BUFFER)
            self.internals = Internals(library, self.handle)
        except BaseException:
            library.uc_close(self.handle)
            raise
        self.uc = self.internals.uc
        self.cpu = self.internals.cpu
        self.env = self.internals.env
        self.cpu_address = self.uc.cpu
        self.env_address = self.cpu.env_ptr
        self.mailbox = thunks.Mailbox(0, thunks.NO_EXCEPTION)
        self.tails = thunks.tail_table()
        """The doorbells whose writes machine code puts by."""
        # Otherwise a stop may come in the middle of an instruction, between its store and its end.
        self.uc.no_exit_request = True
        library.control(self.handle, lib.CONTROL_USE_EXITS, 1)
        self._install_thunks()

    def _install_thunks(self) -> None:
        library = self.library
        cpu_type, env_type = type(self.cpu), type(self.env)
        callbacks = (
            lib.Notice(self._int_failed),
            lib.PortRead(self._access.port_read),
            lib.PortWrite(self._access.port_write),
            lib.MmioWrite(self._access.memory_write),
        )
        int_failed, port_read, port_write, memory_write = (
            ctypes.cast(it, ctypes.c_void_p).value or 0 for it in callbacks
        )
        targets = thunks.Targets(
            mailbox=ctypes.addressof(self.mailbox),
            stop_request=self.handle + structures.UcStruct.stop_request.offset,
            exit_request_offset=cpu_type.exit_request.offset,
            exception_index_offset=cpu_type.exception_index.offset,
            exception_is_int_offset=self.env_address - self.cpu_address + env_type.exception_is_int.offset,
            do_interrupt=library.address("x86_cpu_do_interrupt_x86_64"),
            int_failed=int_failed,
            exec_enter=library.address("x86_cpu_exec_enter_x86_64"),
            debug_handler=library.address("breakpoint_handler_x86_64"),
            tlb_fill=library.address("x86_cpu_tlb_fill_x86_64"),
            tlb_flush=library.address("tlb_flush_x86_64"),
            tlb_tables=self.internals.tlb_tables,
            code_pages=ctypes.addressof(ctypes.c_char.from_buffer(self._code_pages)),
            logged_pages=ctypes.addressof(ctypes.c_char.from_buffer(self.logged_pages)),
            stored_pages=ctypes.addressof(ctypes.c_char.from_buffer(self.stored_pages)),
            env=self.env_address,
            tr_flags=self.env_address + env_type.tr.offset + structures.SegmentCache.flags.offset,
            hflags=self.env_address + env_type.hflags.offset,
            eflags=self.env_address + env_type.eflags.offset,
            check_port_1=library.address("helper_check_iob_x86_64"),
            check_port_2=library.address("helper_check_iow_x86_64"),
            check_port_4=library.address("helper_check_iol_x86_64"),
            port_read=port_read,
            port_write=port_write,
            tail_table=self.tails.buffer_info()[0],
            tail_limit=thunks.TAIL_LIMIT,
            memory_write=memory_write,
        )
        functions = thunks.Thunks(thunks.assemble(platform.machine(), targets))
        self._keep += [functions, *callbacks]
        library.add_hook(self.handle, lib.HOOK_INTERRUPT, functions.interrupt, user_data=self.cpu_address)
        library.add_hook(self.handle, lib.HOOK_INVALID_INSTRUCTION, functions.invalid, user_data=self.cpu_address)
        self.hook_instruction(lib.INSTRUCTION_IN, functions.port_read)
        self.hook_instruction(lib.INSTRUCTION_OUT, functions.port_write)
        self.memory_write = functions.memory_write
        """For `map_io`: stores are the machine's."""
        methods = structures.CpuClass.from_address(self.cpu.cc)
        methods.cpu_exec_enter, methods.debug_excp_handler = functions.enter, functions.debug
        methods.tlb_fill = functions.fill
        self._regions = RegionCache(self.uc)

    def _int_failed(self) -> None:
        """An exception came up while INT n was being delivered: Unicorn has stepped over the INT, but the exception
        belongs to it.
        """
        vector = self.mailbox.software - 1
        self.mailbox.software = 0
        env = self.env
        last = self.code_byte(env.eip - 1)
        env.eip -= 1 if (vector, last) in ((_BREAKPOINT, _INT3), (_OVERFLOW, _INTO)) else 2

    def code_byte(self, eip: int) -> int | None:
        """The byte of code at `eip`; None where no page is."""
        address = self._linear(eip)
        attributes = ctypes.c_uint64()
        page = self.library.x86_cpu_get_phys_page_attrs_debug_x86_64(
            self.cpu_address, address & ~0xFFF, ctypes.byref(attributes)
        )
        return None if page == _MASK64 else self._access.memory_byte(page | address & 0xFFF)

    def _linear(self, eip: int) -> int:
        env = self.env
        return eip & _MASK64 if env.hflags & HIDDEN_CS64 else env.segs[1].base + eip & 0xFFFF_FFFF

    def close(self) -> None:
        """Frees the engine. Who still asks something of it, asks a copy of what it was."""
        with self._closing:
            if not self.handle:
                return
            helpers.forget(self.env_address)
            handle, self.handle = self.handle, 0
            self.cpu = type(self.cpu).from_buffer_copy(self.cpu)
            self.env = type(self.env).from_buffer_copy(self.env)
            self.internals.icount_high = ctypes.c_uint16()
            self._tables.clear()
            self._places.clear()
            self.library.uc_close(handle)
            self._keep.clear()

    # --- callbacks -----------------------------------------------------------------------------------------------

    def hook_instruction(self, instruction: int, callback: Any) -> None:
        """Has `callback`, a ctypes function or an address, called for each `instruction`."""
        self._keep.append(callback)
        self.library.add_hook(self.handle, lib.HOOK_INSTRUCTION, callback, instruction=instruction)

    def hook_memory(self, kind: int, callback: Any, start: int, end: int) -> int:
        """Has `callback` called for events of `kind` at addresses from `start` to before `end`. Gives a handle.

        Such a hook keeps stores to these addresses slow. The caller keeps `callback` alive.
        """
        return self.library.add_hook(self.handle, kind, callback, first=start, last=end - 1)

    def unhook(self, hook: int) -> None:
        """Takes a hook away."""
        self.library.uc_hook_del(self.handle, hook)

    def on_interrupt_acknowledge(self, take: Callable[[], int]) -> None:
        """The CPU calls `take` for the vector when it takes an interrupt."""

        def read(_engine: int, offset: int, _size: int, _data: int) -> int:
            if offset != _INTA_OFFSET:
                return 0
            if not self.env.tr.flags & SEGMENT_PRESENT:  # as in `thunks`
                self.env.tr.flags, self.env.tr.limit = TASK_STATE, 0
            return take()

        def write(_engine: int, _offset: int, _size: int, _value: int, _data: int) -> None:
            pass

        callbacks = lib.MmioRead(read), lib.MmioWrite(write)
        self._keep += callbacks
        page = _INTA_PAGES + (int.from_bytes(os.urandom(4), "little") << PAGE_SHIFT)
        self.map_io(page, 0x1000, *callbacks)
        self.env.vm_vmcb = page

    def answer_registers(self, answers: helpers.Answers) -> None:
        """`answers` answers RDMSR, WRMSR, and MOV to and from control registers."""
        helpers.answer_for(self.env_address, answers)

    @property
    def time_stamp(self) -> int:
        """The guest's TSC now."""
        host: int = self.library.cpu_get_tsc_x86_64(self.env_address)
        offset: int = self.env.tsc_offset
        return host + offset & _MASK64

    @time_stamp.setter
    def time_stamp(self, value: int) -> None:
        host: int = self.library.cpu_get_tsc_x86_64(self.env_address)
        self.env.tsc_offset = value - host & _MASK64

    # --- memory --------------------------------------------------------------------------------------------------

    def map_ram(self, start: int, size: int, host_address: int) -> int:
        """Makes `size` bytes at `start` the host's memory at `host_address`. Gives their address in the space in which
        Unicorn numbers all its RAM.
        """
        library = self.library
        with self._regions.changing():
            error = library.uc_mem_map_ptr(self.handle, start, size, lib.PROT_ALL, host_address)
        library.check(error, f"map RAM at {start:#x}")
        region = library.find_memory_mapping_x86_64(self.handle, start)
        address: int = library.memory_region_get_ram_addr_x86_64(region)
        return address

    def discard_writes(self, start: int) -> None:
        """What is mapped at `start` is ROM from now on: stores to it are lost."""
        region = self.library.find_memory_mapping_x86_64(self.handle, start)
        self.library.memory_region_set_readonly_x86_64(region, True)

    def protect(self, start: int, size: int) -> None:
        """Stores to this RAM go to a hook from now on."""
        with self._regions.changing():
            error = self.library.uc_mem_protect(self.handle, start, size, lib.PROT_READ | lib.PROT_EXEC)
        self.library.check(error, f"protect {start:#x}")

    def map_io(self, start: int, size: int, read: Any, write: Any) -> None:
        """Has `read` and `write`, ctypes functions that the caller keeps alive or addresses, answer `size` bytes at
        `start`, their user data.
        """
        pointers = ctypes.cast(read, ctypes.c_void_p), ctypes.cast(write, ctypes.c_void_p)
        with self._regions.changing():
            error = self.library.uc_mmio_map(self.handle, start, size, pointers[0], start, pointers[1], start)
            self.library.check(error, f"map {start:#x}")
            # Executing there is for the guest to regret, not an error of Unicorn's.
            self.library.uc_mem_protect(self.handle, start, size, lib.PROT_ALL)

    def unmap(self, start: int, size: int) -> None:
        """Nothing answers at `start` any more."""
        env, cpu = self.env, self.cpu
        # Unicorn looks the address up as if it were linear; a page fault from that isn't the guest's.
        kept = env.cr[2], env.old_exception, env.error_code, env.exception_is_int, env.exception_next_eip
        index = cpu.exception_index
        env.old_exception = -1
        with self._regions.changing():
            error = self.library.uc_mem_unmap(self.handle, start, size)
        env.cr[2], env.old_exception, env.error_code, env.exception_is_int, env.exception_next_eip = kept
        cpu.exception_index = index
        self.library.check(error, f"unmap {start:#x}")

    def flush_tlb(self) -> None:
        """Forgets every address translation."""
        self.library.tlb_flush_x86_64(self.cpu_address)

    def forget_code(self, ram_address: int, size: int) -> None:
        """Drops the code that was translated from `size` bytes of RAM, which changed."""
        self.library.tb_invalidate_phys_range_x86_64(self.handle, ram_address, ram_address + size)

    def forget_all_code(self) -> None:
        """Drops everything that was translated: memory may have changed anywhere. No page is a code page any more."""
        self.mailbox.code_pages = 0
        self.library.tb_flush_x86_64(self.cpu_address)
        self.flush_tlb()
        self._code_pages.madvise(mmap.MADV_DONTNEED)

    @property
    def is_crowded(self) -> bool:
        """Whether so many pages became code pages that it pays to begin anew: most hold something else by now."""
        pages: int = self.mailbox.code_pages
        return pages > CODE_PAGES

    def holding_code(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of these ranges of RAM, addresses and sizes, that `holds_code` is true of."""
        tables, found = self._tables, []
        for address, size in ranges:
            first, last = address >> PAGE_SHIFT, address + size - 1 >> PAGE_SHIFT
            table = tables.get(first >> _TABLE_BITS)
            if table is not None and last - first <= 1 and (first & _TABLE_MASK) <= (last & _TABLE_MASK):
                # What is most frequent, without a call.
                holds = table[3 * (first & _TABLE_MASK)] or table[3 * (last & _TABLE_MASK)]
            else:
                holds = self.holds_code(address, size)
            if holds:
                found.append((address, size))
        return found

    def holds_code(self, ram_address: int, size: int) -> bool:
        """Whether a page of this RAM has translated code. From any thread."""
        first, last = ram_address >> PAGE_SHIFT, ram_address + size - 1 >> PAGE_SHIFT
        while first <= last:
            end = min(last, first | _TABLE_MASK) + 1
            table = self._page_descriptors(first)
            if table is not None:
                start = 3 * (first & _TABLE_MASK)
                if any(table[start : start + 3 * (end - first) : 3]):
                    return True
            first = end
        return False

    def _page_descriptors(self, page: int) -> Any:
        """The page descriptors, three words each, of the 1024 pages around `page`; None if none of them ever had code.
        Once there, such a table stays.
        """
        number = page >> _TABLE_BITS
        table = self._tables.get(number)
        if table is None:
            place = self._places.get(number)
            if place is None:
                if not self.handle:
                    return None  # closed; a device may store yet
                at = self.uc.l1_map
                for shift in (30, 20):
                    at = ctypes.c_uint64.from_address(at + 8 * (page >> shift & _TABLE_MASK)).value
                    if not at:
                        return None
                place = ctypes.c_uint64.from_address(at + 8 * (page >> 10 & _TABLE_MASK))
                self._places[number] = place
            at = place.value
            if not at:
                return None
            table = self._tables[number] = (ctypes.c_uint64 * (3 << _TABLE_BITS)).from_address(at)
        return table

    # --- execution -----------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Executes until something stops it; gives Unicorn's error number."""
        error: int = self.library.uc_emu_start(self.handle, self.env.eip, 0, 0, 0)
        return error

    def debug_stop(self) -> None:
        """Raises #DB for the breakpoint that `run` stopped at with `mailbox.debug` set."""
        self.mailbox.debug = 0
        env = self.env
        linear, control = self._linear(env.eip), env.dr[7]
        for i in range(4):
            enabled, kind = control >> 2 * i & 3, control >> 16 + 4 * i & 3
            if enabled and kind == _EXECUTION and env.dr[i] == linear:
                env.dr[6] |= 1 << i
        self.raise_exception(_DEBUG, 0)

    def stop(self) -> None:
        """Makes `run` return soon, from any thread; if it isn't running, the next one. Holds until `mailbox.stop` is
        cleared.

        Unicorn's own request to stop (`uc_emu_stop`) would also make instructions that call a hook skip it. So the CPU
        only leaves its inner loop here; `enter` requests the stop when the CPU is about to go on.
        """
        with self._closing:
            self.mailbox.stop = 1
            self.cpu.exit_request = 1
            self.internals.icount_high.value = 0xFFFF

    def raise_exception(self, vector: int, error_code: int) -> None:
        """The CPU delivers this exception first, when it runs next."""
        env = self.env
        env.error_code = error_code
        env.exception_is_int = 0
        env.old_exception = vector if vector in _CAN_DOUBLE else -1
        self.mailbox.exception = vector

    def set_a20(self, enabled: bool) -> None:
        """Address bit 20 passes, or not."""
        self.library.x86_cpu_set_a20_x86_64(self.cpu_address, enabled)

    def pending_exception(self) -> PendingEvent | None:
        """What `raise_exception` left to be delivered."""
        vector = self.mailbox.exception
        if vector == thunks.NO_EXCEPTION:
            return None
        return PendingEvent(vector, self.env.error_code if vector in _WITH_ERROR_CODE else None)

    @property
    def is_shut_down(self) -> bool:
        """A triple fault happened: an exception came up while the CPU was about to deliver #DF."""
        delivering: int = self.env.old_exception
        return delivering == _DOUBLE_FAULT and self.mailbox.exception == thunks.NO_EXCEPTION

    @property
    def interrupt_pending(self) -> bool:
        """Whether the CPU is asked to take an external interrupt."""
        return bool(self.cpu.interrupt_request & INTERRUPT_VIRTUAL)

    def request_interrupt(self) -> None:
        """The CPU takes an external interrupt as soon as the guest allows it. From any thread."""
        self.cpu.interrupt_request |= INTERRUPT_VIRTUAL
        self.internals.icount_high.value = 0xFFFF

    def withdraw_interrupt(self) -> None:
        """The interrupt isn't requested any more. From any thread."""
        self.cpu.interrupt_request &= ~INTERRUPT_VIRTUAL
