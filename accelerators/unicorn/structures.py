"""Unicorn 2.1.4's private structures, as the C compiler lays them out on a 64-bit Linux host.

Facts of the source (include/uc_priv.h, qemu/include/hw/core/cpu.h, qemu/target/i386/cpu.h): the names are those of its
fields, so that they can be found there. `southbridge.accelerators.unicorn.layout` proves them before anything is used.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    Structure,
    c_bool,
    c_int8,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
)
from functools import cache
from typing import Any

Pointer = c_uint64
"""An address; never followed by ctypes itself."""


class AddressSpace(Structure):
    """What memory looks like to Unicorn's CPU."""

    _fields_ = [("inner", Pointer * 7)]


HOOK_TYPES = 18


class UcStruct(Structure):
    """`uc_struct`, the engine, up to `init_done`."""

    _fields_ = [
        ("arch", c_int32),
        ("mode", c_int32),
        ("errnum", c_int32),
        ("address_space_memory", AddressSpace),
        ("address_space_io", AddressSpace),
        ("query", Pointer),
        ("reg_read", Pointer),
        ("reg_write", Pointer),
        ("reg_reset", Pointer),
        ("write_mem", Pointer),
        ("read_mem", Pointer),
        ("read_mem_virtual", Pointer),
        ("virtual_to_physical", Pointer),
        ("memory_cow", Pointer),
        ("release", Pointer),
        ("set_pc", Pointer),
        ("get_pc", Pointer),
        ("stop_interrupt", Pointer),
        ("memory_map_io", Pointer),
        ("init_arch", Pointer),
        ("cpu_exec_init_all", Pointer),
        ("vm_start", Pointer),
        ("tcg_exec_init", Pointer),
        ("memory_map", Pointer),
        ("memory_map_ptr", Pointer),
        ("memory_mapping", Pointer),
        ("memory_filter_subregions", Pointer),
        ("flatview_copy", Pointer),
        ("memory_unmap", Pointer),
        ("memory_moveout", Pointer),
        ("memory_movein", Pointer),
        ("readonly_mem", Pointer),
        ("cpus_init", Pointer),
        ("target_page", Pointer),
        ("softfloat_initialize", Pointer),
        ("tcg_flush_tlb", Pointer),
        ("uc_invalidate_tb", Pointer),
        ("uc_gen_tb", Pointer),
        ("tb_flush", Pointer),
        ("add_inline_hook", Pointer),
        ("del_inline_hook", Pointer),
        ("context_size", Pointer),
        ("context_save", Pointer),
        ("context_restore", Pointer),
        ("cpu", Pointer),
        ("insn_hook_validate", Pointer),
        ("opcode_hook_invalidate", Pointer),
        ("system_memory", Pointer),
        ("system_io", Pointer),
        ("io_mem_unassigned", c_uint8 * 160),
        ("ram_list", Pointer * 4),
        ("alloc_hint", c_uint32),
        ("init_target_page", Pointer),
        ("target_bits", c_int32),
        ("cpu_model", c_int32),
        ("bounce", c_uint64 * 4),
        ("exit_request", c_int32),
        ("tcg_allowed", c_bool),
        ("l1_map", Pointer),
        ("l1_map_size", c_size_t),
        ("v_l1_size", c_int32),
        ("v_l1_shift", c_int32),
        ("v_l2_levels", c_int32),
        ("tcg_ctx", Pointer),
        ("memory_listeners", Pointer * 2),
        ("address_spaces", Pointer * 2),
        ("flat_views", Pointer),
        ("memory_region_update_pending", c_bool),
        ("set_tlb", Pointer),
        ("hook", Pointer * 3 * HOOK_TYPES),
        ("hooks_to_del", Pointer * 3),
        ("hooks_count", c_int32 * HOOK_TYPES),
        ("count_hook", c_size_t),
        ("emu_counter", c_size_t),
        ("emu_count", c_size_t),
        ("size_recur_mem", c_int32),
        ("init_tcg", c_bool),
        ("stop_request", c_uint8),
        ("quit_request", c_bool),
        ("emulation_done", c_bool),
        ("timed_out", c_bool),
        ("timer", c_uint64),
        ("timeout", c_uint64),
        ("invalid_addr", c_uint64),
        ("invalid_error", c_int32),
        ("use_exits", c_int32),
        ("exits", c_uint64 * 64),
        ("ctl_exits", Pointer),
        ("thumb", c_int32),
        ("mapped_blocks", Pointer),
        ("mapped_block_count", c_uint32),
        ("mapped_block_cache_index", c_uint32),
        ("qemu_thread_data", Pointer),
        ("target_page_size", c_uint32),
        ("target_page_align", c_uint32),
        ("qemu_host_page_size", c_uint64),
        ("qemu_real_host_page_size", c_uint64),
        ("qemu_icache_linesize", c_int32),
        ("context_content", c_int32),
        ("cpu_context_size", c_int32),
        ("next_pc", c_uint64),
        ("hook_insert", c_bool),
        ("first_tb", c_bool),
        ("no_exit_request", c_bool),
        ("init_done", c_bool),
    ]


class CpuClass(Structure):
    """`CPUClass`: the CPU's methods."""

    _fields_ = [
        ("reset", Pointer),
        ("has_work", Pointer),
        ("do_interrupt", Pointer),
        ("do_unaligned_access", Pointer),
        ("get_arch_id", Pointer),
        ("get_paging_enabled", Pointer),
        ("get_memory_mapping", Pointer),
        ("set_pc", Pointer),
        ("synchronize_from_tb", Pointer),
        ("tlb_fill", Pointer),
        ("tlb_fill_cpu", Pointer),
        ("get_phys_page_debug", Pointer),
        ("get_phys_page_attrs_debug", Pointer),
        ("asidx_from_attrs", Pointer),
        ("debug_check_watchpoint", Pointer),
        ("debug_excp_handler", Pointer),
        ("cpu_exec_enter", Pointer),
        ("cpu_exec_exit", Pointer),
        ("cpu_exec_interrupt", Pointer),
    ]


@cache
def cpu_state(jump_buffer: int) -> Any:
    """The type of `CPUState`, where a `sigjmp_buf` of the host's C library has `jump_buffer` bytes."""

    class CpuState(Structure):
        _fields_ = [
            ("nr_cores", c_int32),
            ("nr_threads", c_int32),
            ("thread", Pointer),
            ("created", c_bool),
            ("stop", c_bool),
            ("stopped", c_bool),
            ("unplug", c_bool),
            ("crash_occurred", c_bool),
            ("exit_request", c_uint8),
            ("in_exclusive_context", c_bool),
            ("cflags_next_tb", c_uint32),
            ("interrupt_request", c_uint32),
            ("singlestep_enabled", c_int32),
            ("icount_budget", c_uint64),
            ("icount_extra", c_uint64),
            ("random_seed", c_uint64),
            ("jmp_env", c_uint64 * (jump_buffer // 8)),
            ("cpu_ases", Pointer),
            ("num_ases", c_int32),
            ("address_space", Pointer),
            ("memory", Pointer),
            ("env_ptr", Pointer),
            ("icount_decr_ptr", Pointer),
            ("tb_jmp_cache", Pointer * 4096),
            ("node", Pointer * 2),
            ("breakpoints", Pointer * 2),
            ("watchpoints", Pointer * 2),
            ("watchpoint_hit", Pointer),
            ("opaque", Pointer),
            ("mem_io_pc", c_uint64),
            ("trace_dstate_delayed", c_uint64),
            ("trace_dstate", c_uint64),
            ("cpu_index", c_int32),
            ("cluster_index", c_int32),
            ("halted", c_uint32),
            ("can_do_io", c_uint32),
            ("exception_index", c_int32),
            ("uc", Pointer),
            ("cc", Pointer),
            ("tcg_exit_req", c_int32),
        ]

    return CpuState


class SegmentCache(Structure):
    """A segment register, or a descriptor table register."""

    _fields_ = [("selector", c_uint32), ("base", c_uint64), ("limit", c_uint32), ("flags", c_uint32)]


class FloatX80(Structure):
    """An x87 register, 16-byte aligned."""

    _fields_ = [("mantissa", c_uint64), ("exponent", c_uint16), ("padding", c_uint16 * 3)]


FEATURE_WORDS = 34
FEAT_1_EDX, FEAT_1_ECX = 0, 1
FEAT_7_0_EBX, FEAT_7_0_ECX, FEAT_7_0_EDX = 2, 3, 4
FEAT_8000_0001_EDX, FEAT_8000_0001_ECX = 6, 7
FEAT_8000_0007_EDX, FEAT_8000_0008_EBX = 8, 9
"""Which words of CPUID they are (FeatureWord)."""


class CpuX86State(Structure):
    """`CPUX86State`, the x86 CPU, up to the CPUID features."""

    _fields_ = [
        ("regs", c_uint64 * 16),
        ("eip", c_uint64),
        ("eflags", c_uint64),
        ("cc_dst", c_uint64),
        ("cc_src", c_uint64),
        ("cc_src2", c_uint64),
        ("cc_op", c_uint32),
        ("df", c_int32),
        ("hflags", c_uint32),
        ("hflags2", c_uint32),
        ("segs", SegmentCache * 6),
        ("ldt", SegmentCache),
        ("tr", SegmentCache),
        ("gdt", SegmentCache),
        ("idt", SegmentCache),
        ("cr", c_uint64 * 9),
        ("a20_mask", c_int32),
        ("bnd_regs", c_uint64 * 8),
        ("bndcs_regs", c_uint64 * 2),
        ("msr_bndcfgs", c_uint64),
        ("efer", c_uint64),
        ("start_init_save", c_int32),
        ("fpstt", c_uint32),
        ("fpus", c_uint16),
        ("fpuc", c_uint16),
        ("fptags", c_uint8 * 8),
        ("fpregs_alignment", c_uint32),
        ("fpregs", FloatX80 * 8),
        ("fpop", c_uint16),
        ("fpcs", c_uint16),
        ("fpds", c_uint16),
        ("fpip", c_uint64),
        ("fpdp", c_uint64),
        ("fp_status", c_int8 * 8),
        ("ft0", FloatX80),
        ("mmx_status", c_int8 * 8),
        ("sse_status", c_int8 * 8),
        ("mxcsr", c_uint32),
        ("xmm_regs", c_uint64 * 8 * 32),
        ("xmm_t0", c_uint64 * 8),
        ("mmx_t0", c_uint64),
        ("ymmh_regs", c_uint64 * 2 * 16),
        ("opmask_regs", c_uint64 * 8),
        ("zmmh_regs", c_uint64 * 4 * 16),
        ("hi16_zmm_regs", c_uint64 * 8 * 16),
        ("sysenter_cs", c_uint32),
        ("sysenter_esp", c_uint64),
        ("sysenter_eip", c_uint64),
        ("star", c_uint64),
        ("vm_hsave", c_uint64),
        ("lstar", c_uint64),
        ("cstar", c_uint64),
        ("fmask", c_uint64),
        ("kernelgsbase", c_uint64),
        ("tsc", c_uint64),
        ("tsc_adjust", c_uint64),
        ("tsc_deadline", c_uint64),
        ("tsc_aux", c_uint64),
        ("xcr0", c_uint64),
        ("mcg_status", c_uint64),
        ("msr_ia32_misc_enable", c_uint64),
        ("msr_ia32_feature_control", c_uint64),
        ("performance", c_uint64 * (4 + 3 + 18 + 18)),
        ("pat", c_uint64),
        ("smbase", c_uint32),
        ("msr_smi_count", c_uint64),
        ("pkru", c_uint32),
        ("tsx_ctrl", c_uint32),
        ("spec_ctrl", c_uint64),
        ("virt_ssbd", c_uint64),
        ("end_init_save", c_int32),
        ("paravirtual", c_uint64 * 6),
        ("error_code", c_int32),
        ("exception_is_int", c_int32),
        ("exception_next_eip", c_uint64),
        ("dr", c_uint64 * 8),
        ("cpu_breakpoint", Pointer * 4),
        ("old_exception", c_int32),
        ("vm_vmcb", c_uint64),
        ("tsc_offset", c_uint64),
        ("intercept", c_uint64),
        ("intercept_registers", c_uint16 * 4),
        ("intercept_exceptions", c_uint32),
        ("nested_cr3", c_uint64),
        ("nested_pg_mode", c_uint32),
        ("v_tpr", c_uint8),
        ("retaddr", c_uint64),
        ("end_reset_fields", c_int32),
        ("cpuid_levels", c_uint32 * 11),
        ("cpuid_vendor", c_uint32 * 3),
        ("cpuid_version", c_uint32),
        ("features", c_uint64 * FEATURE_WORDS),
    ]


class PageDescriptor(Structure):
    """`PageDesc`: the translated blocks of one page of RAM."""

    _fields_ = [("first_tb", Pointer), ("code_bitmap", Pointer), ("code_write_count", c_uint32)]


MMU_MODES = 3


class TlbTable(Structure):
    """`CPUTLBDescFast`: the TLB of an MMU mode. The mask is (entries - 1) * 64."""

    _fields_ = [("mask", c_uint64), ("table", Pointer)]


class TlbEntry(Structure):
    """`CPUTLBEntry`: a page in the TLB. What matches no address isn't allowed; low bits make an access slow."""

    _fields_ = [
        ("addr_read", c_uint64),
        ("addr_write", c_uint64),
        ("addr_code", c_uint64),
        ("paddr", c_uint64),
        ("addend", c_uint64),
        ("padding", c_uint64 * 3),
    ]


class X86Msr(Structure):
    """The public `uc_x86_msr`."""

    _fields_ = [("index", c_uint32), ("value", c_uint64)]


class X86Mmr(Structure):
    """The public `uc_x86_mmr`."""

    _fields_ = [("selector", c_uint16), ("base", c_uint64), ("limit", c_uint32), ("flags", c_uint32)]


assert ctypes.sizeof(FloatX80) == 16
