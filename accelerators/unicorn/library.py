"""The Unicorn library itself (libunicorn.so.2), called with ctypes.

The package's Python binding isn't used: importing it takes as long as starting a machine, and its callbacks are several
times slower. What is called here is the public API (unicorn.h), and functions of QEMU that the library exports besides.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import platform
import sys
from ctypes import CFUNCTYPE, c_bool, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from southbridge.accelerator import Availability
from southbridge.errors import SouthbridgeError

VERSION = "2.1.4"
"""The only version whose private parts this accelerator knows."""

INSTALL = f"pip install unicorn=={VERSION}"
MACHINES = ("x86_64", "aarch64")

ARCH_X86 = 4
MODE_16, MODE_64 = 1 << 1, 1 << 3
PROT_READ, PROT_EXEC, PROT_ALL = 1, 4, 7

REG_RBX, REG_CR2, REG_DR3, REG_GDTR, REG_MSR, REG_MXCSR, REG_RFLAGS = 37, 52, 69, 243, 248, 249, 253

HOOK_INTERRUPT = 1 << 0
HOOK_INSTRUCTION = 1 << 1
HOOK_UNMAPPED = 0x70
HOOK_WRITE_PROTECTED = 1 << 8
HOOK_INVALID_INSTRUCTION = 1 << 14

INSTRUCTION_CPUID, INSTRUCTION_IN, INSTRUCTION_OUT = 113, 218, 500
INSTRUCTION_SYSCALL, INSTRUCTION_SYSENTER = 699, 700

CONTROL_USE_EXITS, CONTROL_CPU_MODEL, CONTROL_TRANSLATION_BUFFER = 4, 7, 13
CPU_MODEL_QEMU64 = 0

PortRead = CFUNCTYPE(c_uint32, c_void_p, c_uint32, c_int, c_void_p)
"""(engine, port, size, user data) -> value"""
PortWrite = CFUNCTYPE(None, c_void_p, c_uint32, c_int, c_uint32, c_void_p)
"""(engine, port, size, value, user data)"""
MmioRead = CFUNCTYPE(c_uint64, c_void_p, c_uint64, c_uint, c_uint64)
"""(engine, offset, size, user data) -> value"""
MmioWrite = CFUNCTYPE(None, c_void_p, c_uint64, c_uint, c_uint64, c_uint64)
"""(engine, offset, size, value, user data)"""
InstructionHook = CFUNCTYPE(None, c_void_p, c_void_p)
"""(engine, user data)"""
InstructionDecision = CFUNCTYPE(c_int, c_void_p, c_void_p)
"""(engine, user data) -> whether the instruction is dealt with"""
Notice = CFUNCTYPE(None)
MemoryEvent = CFUNCTYPE(c_bool, c_void_p, c_int, c_uint64, c_int, c_int64, c_void_p)
"""(engine, type, address, size, value, user data) -> whether it is dealt with"""

_Handle = c_void_p


def _function(result: Any, *arguments: Any) -> Any:
    """Declares a function of the library. These neither wait nor call Python, and don't let go of the interpreter."""
    return _Declaration(result, arguments)


@dataclass(frozen=True)
class _Declaration:
    result: Any
    arguments: tuple[Any, ...]


class Library:
    """The loaded library. Its functions are attributes, under their C names."""

    uc_version = _function(c_uint, c_void_p, c_void_p)
    uc_strerror = _function(ctypes.c_char_p, c_int)
    uc_open = _function(c_int, c_int, c_int, c_void_p)
    uc_close = _function(c_int, _Handle)
    uc_reg_read = _function(c_int, _Handle, c_int, c_void_p)
    uc_reg_write = _function(c_int, _Handle, c_int, c_void_p)
    uc_mem_map_ptr = _function(c_int, _Handle, c_uint64, c_uint64, c_uint32, c_void_p)
    uc_mem_unmap = _function(c_int, _Handle, c_uint64, c_uint64)
    uc_mem_protect = _function(c_int, _Handle, c_uint64, c_uint64, c_uint32)
    uc_mmio_map = _function(c_int, _Handle, c_uint64, c_uint64, c_void_p, c_uint64, c_void_p, c_uint64)
    uc_vmem_translate = _function(c_int, _Handle, c_uint64, c_int, c_void_p)
    uc_hook_del = _function(c_int, _Handle, c_size_t)
    uc_emu_stop = _function(c_int, _Handle)

    # QEMU's. They take a CPUState (cpu), a CPUX86State (env), or a MemoryRegion.
    cpu_get_tsc_x86_64 = _function(c_uint64, c_void_p)
    cpu_x86_update_cr0_x86_64 = _function(None, c_void_p, c_uint32)
    cpu_x86_update_dr7_x86_64 = _function(None, c_void_p, c_uint32)
    find_memory_mapping_x86_64 = _function(c_void_p, _Handle, c_uint64)
    memory_region_get_ram_addr_x86_64 = _function(c_uint64, c_void_p)
    memory_region_set_readonly_x86_64 = _function(None, c_void_p, c_bool)
    tb_flush_x86_64 = _function(None, c_void_p)
    tb_invalidate_phys_range_x86_64 = _function(None, _Handle, c_uint64, c_uint64)
    tlb_flush_x86_64 = _function(None, c_void_p)
    update_fp_status_x86_64 = _function(None, c_void_p)
    x86_cpu_get_phys_page_attrs_debug_x86_64 = _function(c_uint64, c_void_p, c_uint64, c_void_p)
    x86_cpu_set_a20_x86_64 = _function(None, c_void_p, c_int)
    x86_update_hflags_x86_64 = _function(None, c_void_p)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loaded = ctypes.CDLL(str(path))
        quick = ctypes.PyDLL(str(path))
        for name, declaration in vars(type(self)).items():
            if isinstance(declaration, _Declaration):
                function = getattr(quick, name, None)
                if function is None:
                    raise SouthbridgeError(f"{path} doesn't export {name}, as Unicorn {VERSION} does: {INSTALL}")
                function.restype, function.argtypes = declaration.result, declaration.arguments
                setattr(self, name, function)
        self.uc_emu_start = self.loaded.uc_emu_start
        self.uc_emu_start.argtypes = (c_void_p, c_uint64, c_uint64, c_uint64, c_size_t)
        self._hook_add = quick.uc_hook_add
        self._control = quick.uc_ctl

    @property
    def version(self) -> str:
        """The version that the library itself gives."""
        number: int = self.uc_version(None, None)
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}"

    def address(self, name: str) -> int:
        """Where the exported function `name` is; 0 if the library has none."""
        function = getattr(self.loaded, name, None)
        return 0 if function is None else ctypes.cast(function, c_void_p).value or 0

    def check(self, error: int, what: str) -> None:
        """Raises SouthbridgeError if `error`, which a call of the API returned, is one."""
        if error:
            raise SouthbridgeError(f"Unicorn can't {what}: {self.uc_strerror(error).decode()}")

    def control(self, handle: int, request: int, value: int) -> None:
        """Sets one of the engine's options."""
        self.check(self._control(c_void_p(handle), c_int(1 << 26 | 1 << 30 | request), c_int(value)), "be configured")

    def add_hook(
        self,
        handle: int,
        kind: int,
        callback: Any,
        *,
        instruction: int = 0,
        user_data: int = 0,
        first: int = 1,
        last: int = 0,
    ) -> int:
        """Has `callback`, a ctypes function or an address, called for events of `kind` at `first` to `last`, or at any
        address. Gives the hook's handle. The caller keeps `callback` alive.
        """
        hook = c_size_t()
        function = c_void_p(callback) if isinstance(callback, int) else ctypes.cast(callback, c_void_p)
        error = self._hook_add(
            c_void_p(handle),
            ctypes.byref(hook),
            c_int(kind),
            function,
            c_void_p(user_data),
            c_uint64(first),
            c_uint64(last),
            c_int(instruction),
        )
        self.check(error, "add a hook")
        return hook.value


def availability() -> Availability:
    """Whether the library is here, in the right version, on a host that the accelerator knows. Loads nothing."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return Availability(
            False, f"works on Linux on {' and '.join(MACHINES)}, not on {sys.platform} on {platform.machine()}"
        )
    installed = _installed_version()
    if installed is None or _find() is None:
        return Availability(False, f"the Python package unicorn isn't installed: {INSTALL}")
    if installed != VERSION:
        reason = f"unicorn {installed} is installed, but only {VERSION}'s inner parts are known here: {INSTALL}"
        return Availability(False, reason)
    return Availability(True, f"software CPU, Unicorn {VERSION} (a library under the GPL, version 2)")


def open_library() -> Library:
    """Loads it. Raises SouthbridgeError where it can't be used (see `availability`), or is of another version."""
    state = availability()
    path = _find()
    if not state.usable or path is None:
        raise SouthbridgeError(f"accelerator unicorn: {state.reason}")
    try:
        library = Library(path)
    except OSError as error:
        raise SouthbridgeError(f"accelerator unicorn: {error}; {INSTALL}") from None
    if library.version != VERSION:
        raise SouthbridgeError(
            f"{path} is Unicorn {library.version}; only {VERSION}'s inner parts are known: {INSTALL}"
        )
    return library


def _installed_version() -> str | None:
    try:
        return importlib.metadata.version("unicorn")
    except importlib.metadata.PackageNotFoundError:
        return None


def _find() -> Path | None:
    spec = importlib.util.find_spec("unicorn")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "lib" / "libunicorn.so.2"
        if path.is_file():
            return path
    return None
