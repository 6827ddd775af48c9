"""Proves that Unicorn's private structures are where `structures` says, before anybody relies on that.

Known functions stand in its tables of function pointers; what the public API writes shows up in the fields; structures
point at each other; sizes that the library knows agree. Anything else is refused: nothing is guessed.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
from ctypes import c_uint16, c_uint64
from typing import Any

from southbridge.errors import SouthbridgeError

from . import library as lib
from . import structures
from .library import Library

JUMP_BUFFER = {"x86_64": 200, "aarch64": 312}
"""Bytes in a `sigjmp_buf` of glibc and musl."""

_ENGINE_FUNCTIONS = {
    "vm_start": "vm_start_x86_64",
    "tcg_exec_init": "tcg_exec_init_x86_64",
    "memory_map": "memory_map_x86_64",
    "memory_map_ptr": "memory_map_ptr_x86_64",
    "memory_mapping": "find_memory_mapping_x86_64",
    "memory_unmap": "memory_unmap_x86_64",
    "readonly_mem": "memory_region_set_readonly_x86_64",
    "tcg_flush_tlb": "tcg_flush_softmmu_tlb_x86_64",
}
_CPU_FUNCTIONS = {
    "do_interrupt": "x86_cpu_do_interrupt_x86_64",
    "tlb_fill": "x86_cpu_tlb_fill_x86_64",
    "tlb_fill_cpu": "x86_cpu_tlb_fill_x86_64",
    "debug_excp_handler": "breakpoint_handler_x86_64",
    "cpu_exec_enter": "x86_cpu_exec_enter_x86_64",
    "cpu_exec_exit": "x86_cpu_exec_exit_x86_64",
    "cpu_exec_interrupt": "x86_cpu_exec_interrupt_x86_64",
}
_CPUID_LEVEL_1_EDX_PSE_TSC_MSR = 0x38
_PAT_RESET = 0x0007_0406_0007_0406
_MSR_LSTAR = 0xC000_0082
_PAGE = 0x7000
_MARK = 0x5B41_C7E5_9D30_2F16
"""An unlikely number."""


class LayoutError(SouthbridgeError):
    """The library isn't what it says, inside."""

    def __init__(self, version: str, what: str) -> None:
        super().__init__(
            f"accelerator unicorn knows the inside of Unicorn {lib.VERSION}; the installed library, which says that it "
            f"is {version}, differs: {what}. Reinstall it: {lib.INSTALL}"
        )


class Internals:
    """The private parts of one engine, proven: `uc` (uc_struct), `cpu` (CPUState), `env` (CPUX86State)."""

    def __init__(self, library: Library, handle: int) -> None:
        """Looks into the engine `handle`, which was opened in 16-bit mode and has no memory yet.

        Raises LayoutError. The engine's state is afterwards what it was.
        """
        self._library = library
        self._handle = handle
        uc = self.uc = structures.UcStruct.from_address(handle)
        self._touch()
        self._expect((uc.arch, uc.mode) == (lib.ARCH_X86, lib.MODE_16), "the engine's architecture and mode")
        for field, symbol in _ENGINE_FUNCTIONS.items():
            self._expect(getattr(uc, field) == self._symbol(symbol), f"the engine's {field}")
        self._prove_engine()
        self.cpu = self._prove_cpu()
        self.env = structures.CpuX86State.from_address(self.cpu.env_ptr)
        self._prove_state()
        self.icount_high = c_uint16.from_address(self.cpu.icount_decr_ptr + 2)
        self._prove_stop()
        self._prove_api()
        self.tlb_tables = self._prove_tlb()

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise LayoutError(self._library.version, what)

    def _symbol(self, name: str) -> int:
        address = self._library.address(name)
        self._expect(address != 0, f"it has no {name}")
        return address

    def _touch(self) -> None:
        """Any access completes the engine's initialization."""
        self._library.uc_reg_read(self._handle, lib.REG_CR2, ctypes.byref(c_uint64()))

    def _prove_engine(self) -> None:
        uc = self.uc
        size = structures.CpuX86State.end_reset_fields.offset
        self._expect(uc.init_done and not uc.no_exit_request and not uc.stop_request, "the engine's flags")
        self._expect((uc.target_page_size, uc.target_page_align) == (4096, 4095), "the engine's page size")
        self._expect((uc.context_content, uc.cpu_context_size) == (1, size), "the size of the CPU's state")
        self._expect((uc.v_l1_size, uc.v_l1_shift, uc.v_l2_levels) == (1024, 30, 2), "the map of translated pages")

    def _prove_cpu(self) -> Any:
        at = self.uc.cpu
        cpu = structures.cpu_state(JUMP_BUFFER[platform.machine()]).from_address(at)
        self._expect(at % 16 == 0 and cpu.uc == self._handle, "the CPU's engine")
        self._expect(at < cpu.icount_decr_ptr < cpu.env_ptr < cpu.cc < at + 0x20000, "the parts of the CPU")
        methods = structures.CpuClass.from_address(cpu.cc)
        for field, symbol in _CPU_FUNCTIONS.items():
            self._expect(getattr(methods, field) == self._symbol(symbol), f"the CPU's {field}")
        self._expect((cpu.interrupt_request, cpu.exit_request, cpu.halted) == (0, 0, 0), "the CPU's requests")
        return cpu

    def _prove_state(self) -> None:
        env = self.env
        features = env.features[structures.FEAT_1_EDX]
        self._expect(features & _CPUID_LEVEL_1_EDX_PSE_TSC_MSR == _CPUID_LEVEL_1_EDX_PSE_TSC_MSR, "the CPU's features")
        self._expect((env.old_exception, env.vm_vmcb, env.tsc_offset) == (-1, 0, 0), "the CPU's exceptions")
        self._expect(env.pat == _PAT_RESET and env.xcr0 == 3, "the CPU's model-specific registers")
        self._expect(env.a20_mask == -1 and env.hflags2 & 1 == 1, "the CPU's modes")

    def _prove_stop(self) -> None:
        uc, cpu = self.uc, self.cpu
        self._library.uc_emu_stop(self._handle)
        raised = (uc.stop_request, cpu.exit_request, cpu.tcg_exit_req, self.icount_high.value)
        self._expect(raised == (1, 1, 1, 0xFFFF), "the flags that stop the CPU")
        uc.stop_request = cpu.exit_request = cpu.tcg_exit_req = self.icount_high.value = 0

    def _prove_tlb(self) -> int:
        """The address of the TLB's tables, in front of the instruction counter: a pair of mask and address for each MMU
        mode. Proven by what looking up a page enters there.
        """
        at: int = self.cpu.icount_decr_ptr - ctypes.sizeof(structures.TlbTable) * structures.MMU_MODES
        tables = (structures.TlbTable * structures.MMU_MODES).from_address(at)
        for table in tables:
            entries = (table.mask >> 6) + 1
            self._expect(
                entries & (entries - 1) == 0 and table.mask == (entries - 1) << 6 and table.table % 8 == 0, "the TLB"
            )
        page = mmap.mmap(-1, mmap.PAGESIZE)
        host = ctypes.addressof(ctypes.c_char.from_buffer(page))
        library = self._library
        library.uc_mem_map_ptr(self._handle, _PAGE, 0x1000, lib.PROT_ALL, host)
        library.uc_vmem_translate(self._handle, _PAGE, lib.PROT_READ, ctypes.byref(c_uint64()))
        found = []
        for table in tables:
            entry = structures.TlbEntry.from_address(table.table + (_PAGE >> 6 & table.mask))
            found.append((entry.addr_read, entry.addr_code, entry.paddr, entry.addend + _PAGE & (1 << 64) - 1))
        self._expect(found.count((_PAGE, _PAGE, _PAGE, host)) == 1, "the TLB's entries")
        library.uc_mem_unmap(self._handle, _PAGE, 0x1000)
        return at

    def _prove_api(self) -> None:
        """What the public API writes is what the fields have."""
        env = self.env
        uc = self.uc
        uc.mode = lib.MODE_64
        for register, (file, index) in {
            lib.REG_RBX: (env.regs, 3),
            lib.REG_CR2: (env.cr, 2),
            lib.REG_DR3: (env.dr, 3),
        }.items():
            self._write(register, c_uint64(_MARK))
            self._expect(file[index] == _MARK, f"register {register}")
            self._write(register, c_uint64(0))
        self._write(lib.REG_GDTR, structures.X86Mmr(base=_MARK, limit=0x77))
        self._expect((env.gdt.base, env.gdt.limit) == (_MARK, 0x77), "GDTR")
        self._write(lib.REG_GDTR, structures.X86Mmr(limit=0xFFFF))
        self._write(lib.REG_MSR, structures.X86Msr(_MSR_LSTAR, _MARK))
        self._expect(env.lstar == _MARK, "LSTAR")
        self._write(lib.REG_MSR, structures.X86Msr(_MSR_LSTAR, 0))
        self._write(lib.REG_MXCSR, c_uint64(0x1F80))
        self._expect(env.mxcsr == 0x1F80, "MXCSR")

    def _write(self, register: int, value: Any) -> None:
        self._library.uc_reg_write(self._handle, register, ctypes.byref(value))
