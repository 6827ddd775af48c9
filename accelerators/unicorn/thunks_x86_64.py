"""The functions of `thunks` for x86-64 hosts (System V ABI). Arguments: RDI, RSI, RDX, RCX, R8, R9, stack."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

from .flags import CODE_64, DATA, FLAG_RF, HIDDEN_CS64, HIDDEN_FLAGS, HIDDEN_LMA
from .structures import CpuX86State as Env
from .structures import SegmentCache

if TYPE_CHECKING:
    from .thunks import HelperTargets, Targets

Jump = tuple[bytes, str]
"""A near jump's opcode, and the label that it goes to."""

_JMP, _JB, _JAE, _JE, _JNE, _JBE = b"\xe9", b"\x0f\x82", b"\x0f\x83", b"\x0f\x84", b"\x0f\x85", b"\x0f\x86"
_JC, _JNC = _JB, _JAE


def assemble(targets: Targets) -> tuple[bytes, ...]:
    """The functions, in the order of `thunks.Code`."""
    return (
        _interrupt(targets),
        _invalid(targets),
        _enter(targets),
        _debug(targets),
        _fill(targets),
        _port(targets, targets.port_read),
        _port(targets, targets.port_write),
        _memory_write(targets),
    )


def assemble_helpers(targets: HelperTargets) -> tuple[bytes, ...]:
    """See `thunks.assemble_helpers`."""
    raising = targets.raise_exception
    return (
        _helper(targets.read_msr_callback, targets.read_msr, raising),
        _helper(targets.write_msr_callback, targets.write_msr, raising),
        _join(
            b"\x83\xfe\x08" + _mov_rax(targets.read_cr8_callback),  # cmp esi, 8
            (_JE, "go on"),
            _mov_rax(targets.read_control),
            "go on",
            b"\xff\xe0",  # jmp rax
        ),
        _join(
            b"\x8d\x46\xfe\x83\xf8\x01",  # lea eax, [rsi - 2]; cmp eax, 1: CR2 or CR3
            (_JBE, "original"),
            _helper(targets.write_control_callback, targets.write_control, raising),
            "original",
            _mov_rax(targets.write_control) + b"\xff\xe0",  # jmp rax
        ),
        _system_call(targets),
    )


def _helper(callback: int, original: int, raise_exception: int) -> bytes:
    """A function of up to three arguments that does as `callback` says."""
    return _join(
        b"\x57\x56\x52",  # push rdi, rsi, rdx
        _mov_rax(callback) + b"\xff\xd0\x5a\x5e\x5f",  # call rax; pop rdx, rsi, rdi
        b"\x83\xf8\x01",  # cmp eax, 1
        (_JB, "done"),
        (_JNE, "fault"),
        _mov_rax(original) + b"\xff\xe0",  # jmp rax
        "fault",
        b"\xbe\x0d\x00\x00\x00\x48\x8b\x14\x24",  # mov esi, 13; mov rdx, [rsp]
        _mov_rax(raise_exception) + b"\xff\xe0",  # jmp rax
        "done",
        b"\xc3",  # ret
    )


def _system_call(targets: HelperTargets) -> bytes:
    rcx, r11 = (struct.pack("<i", Env.regs.offset + 8 * number) for number in (1, 11))
    eip, fmask, star, lstar, hflags = (
        struct.pack("<i", field.offset) for field in (Env.eip, Env.fmask, Env.star, Env.lstar, Env.hflags)
    )
    long_mode = struct.pack("<I", HIDDEN_LMA | HIDDEN_CS64)
    return _join(
        b"\x48\x83\xbf" + struct.pack("<i", Env.vm_vmcb.offset) + b"\x00",  # cmp qword [rdi + vm_vmcb], 0
        (_JE, "original"),
        b"\xf6\x87" + struct.pack("<i", Env.efer.offset) + b"\x01",  # test byte [rdi + efer], 1: SCE
        (_JE, "original"),
        b"\x8b\x87" + hflags + b"\x25" + long_mode + b"\x3d" + long_mode,  # mov eax, [rdi + hflags]; and eax; cmp eax
        (_JNE, "original"),
        b"\x53\x48\x89\xfb",  # push rbx; mov rbx, rdi
        b"\x48\x63\xf6\x48\x03\xb3" + eip,  # movsxd rsi, esi; add rsi, [rbx + eip]
        b"\x48\x89\xb3" + rcx,  # mov [rbx + rcx], rsi
        _mov_rax(targets.read_flags) + b"\xff\xd0",  # call rax
        b"\x25" + struct.pack("<I", ~FLAG_RF & 0xFFFF_FFFF),  # and eax, ~RF
        b"\x48\x89\x83" + r11,  # mov [rbx + r11], rax
        b"\x48\x8b\xb3" + fmask + b"\x48\xf7\xd6\x48\x21\xc6",  # mov rsi, [rbx + fmask]; not rsi; and rsi, rax
        b"\x48\x89\xdf\xba\xff\xff\xff\xff",  # mov rdi, rbx; mov edx, -1
        _mov_rax(targets.write_flags) + b"\xff\xd0",  # call rax
        b"\x48\x8b\x83" + star,  # mov rax, [rbx + star]
        b"\x48\xc1\xe8\x20\x25\xfc\xff\x00\x00",  # shr rax, 32; and eax, 0fffch
        _segment(1, CODE_64),
        b"\x83\xc0\x08",  # add eax, 8
        _segment(2, DATA),
        b"\x48\x89\xdf" + _mov_rax(targets.update_hidden_flags) + b"\xff\xd0",  # mov rdi, rbx; call rax
        b"\x81\xa3" + hflags + struct.pack("<I", ~HIDDEN_FLAGS & 0xFFFF_FFFF),  # and dword [rbx + hflags], ...
        b"\x48\x8b\x83" + lstar + b"\x48\x89\x83" + eip,  # mov rax, [rbx + lstar]; mov [rbx + eip], rax
        b"\x5b\xc3",  # pop rbx; ret
        "original",
        _mov_rax(targets.system_call) + b"\xff\xe0",  # jmp rax
    )


def _segment(number: int, flags: int) -> bytes:
    """Fills a segment register of the CPU at RBX with selector EAX, base 0 and no limit."""
    at = Env.segs.offset + ctypes.sizeof(SegmentCache) * number
    fields = (SegmentCache.selector, SegmentCache.base, SegmentCache.limit, SegmentCache.flags)
    selector, base, limit, attributes = (struct.pack("<i", at + field.offset) for field in fields)
    return b"".join(
        (
            b"\x89\x83" + selector,  # mov [rbx + selector], eax
            b"\x48\xc7\x83" + base + struct.pack("<i", 0),  # mov qword [rbx + base], 0
            b"\xc7\x83" + limit + struct.pack("<i", -1),  # mov dword [rbx + limit], -1
            b"\xc7\x83" + attributes + struct.pack("<i", flags),  # mov dword [rbx + flags], ...
        )
    )


def _join(*parts: bytes | Jump | str) -> bytes:
    """Machine code of pieces, jumps and labels."""
    places: dict[str, int] = {}
    at = 0
    for part in parts:
        if isinstance(part, str):
            places[part] = at
        else:
            at += len(part) if isinstance(part, bytes) else len(part[0]) + 4
    code = b""
    for part in parts:
        if isinstance(part, bytes):
            code += part
        elif isinstance(part, tuple):
            opcode, label = part
            code += opcode + struct.pack("<i", places[label] - len(code) - len(opcode) - 4)
    return code


def _mov_rax(value: int) -> bytes:
    return b"\x48\xb8" + struct.pack("<Q", value)


def _guard_task_register(targets: Targets) -> tuple[bytes | Jump | str, ...]:
    return (
        _mov_rax(targets.tr_flags),
        b"\xf6\x40\x01\x80",  # test byte [rax + 1], 80h: P
        (_JNE, "present"),
        b"\xc7\x00\x00\x89\x00\x00\xc7\x40\xfc\x00\x00\x00\x00",  # mov dword [rax], 8900h; mov dword [rax - 4], 0
        "present",
    )


def _interrupt(targets: Targets) -> bytes:
    is_int = struct.pack("<i", targets.exception_is_int_offset)
    return _join(
        b"\x53\x48\x89\xd3",  # push rbx; mov rbx, rdx
        _mov_rax(targets.mailbox),
        b"\x83\xbb" + is_int + b"\x00",  # cmp dword [rbx + exception_is_int], 0
        (_JNE, "software"),
        b"\x83\x78\x08\x00",  # cmp dword [rax + 8], 0
        (_JE, "deliver"),
        _mov_rax(targets.int_failed) + b"\xff\xd0",  # call rax
        (_JMP, "deliver"),
        "software",
        b"\x8d\x4e\x01\x89\x48\x08",  # lea ecx, [rsi + 1]; mov [rax + 8], ecx
        "deliver",
        *_guard_task_register(targets),
        b"\x48\x89\xdf" + _mov_rax(targets.do_interrupt) + b"\xff\xd0",  # mov rdi, rbx; call rax
        _mov_rax(targets.mailbox) + b"\xc7\x40\x08\x00\x00\x00\x00",  # mov dword [rax + 8], 0
        b"\x5b\xc3",  # pop rbx; ret
    )


def _invalid(targets: Targets) -> bytes:
    return _join(
        b"\x48\x83\xec\x08\x48\x89\xf7",  # sub rsp, 8; mov rdi, rsi
        *_guard_task_register(targets),
        _mov_rax(targets.do_interrupt) + b"\xff\xd0",  # call rax
        b"\xb8\x01\x00\x00\x00\x48\x83\xc4\x08\xc3",  # mov eax, 1; add rsp, 8; ret
    )


def _enter(targets: Targets) -> bytes:
    return _join(
        b"\x0f\xae\xf0",  # mfence: Unicorn's clearing of the flags comes before this look at the mailbox
        _mov_rax(targets.mailbox),
        b"\x83\x38\x00",  # cmp dword [rax], 0
        (_JE, "go on"),
        b"\xc6\x87" + struct.pack("<i", targets.exit_request_offset) + b"\x01",  # mov byte [rdi + exit_request], 1
        b"\x48\xba" + struct.pack("<Q", targets.stop_request) + b"\xc6\x02\x01",  # mov rdx, ...; mov byte [rdx], 1
        "go on",
        b"\x8b\x48\x04\x83\xf9\xff",  # mov ecx, [rax + 4]; cmp ecx, -1
        (_JE, "done"),
        b"\x89\x8f" + struct.pack("<i", targets.exception_index_offset),  # mov [rdi + exception_index], ecx
        b"\xc7\x40\x04\xff\xff\xff\xff",  # mov dword [rax + 4], -1
        "done",
        _mov_rax(targets.exec_enter) + b"\xff\xe0",  # jmp rax
    )


def _debug(targets: Targets) -> bytes:
    return _join(
        b"\x48\x83\xec\x08",  # sub rsp, 8
        _mov_rax(targets.debug_handler) + b"\xff\xd0",  # call rax
        _mov_rax(targets.mailbox) + b"\xc7\x40\x0c\x01\x00\x00\x00",  # mov dword [rax + 12], 1
        _mov_rax(targets.stop_request) + b"\xc6\x00\x01",  # mov byte [rax], 1
        b"\x48\x83\xc4\x08\xc3",  # add rsp, 8; ret
    )


def _fill(targets: Targets) -> bytes:
    return _join(
        b"\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57",  # push rbx, rbp, r12, r13, r14, r15
        b"\x48\x89\xfb\x49\x89\xf4\x41\x89\xcd",  # mov rbx, rdi; mov r12, rsi; mov r13d, ecx
        b"\x45\x89\xc6\x41\x89\xd7\x44\x89\xcd",  # mov r14d, r8d; mov r15d, edx; mov ebp, r9d
        "again",
        b"\xff\x74\x24\x38",  # push qword [rsp + 38h]: the seventh argument
        b"\x48\x89\xdf\x4c\x89\xe6\x44\x89\xfa",  # mov rdi, rbx; mov rsi, r12; mov edx, r15d
        b"\x44\x89\xe9\x45\x89\xf0\x41\x89\xe9",  # mov ecx, r13d; mov r8d, r14d; mov r9d, ebp
        _mov_rax(targets.tlb_fill) + b"\xff\xd0\x48\x83\xc4\x08",  # call rax; add rsp, 8
        b"\x84\xc0",  # test al, al
        (_JE, "done"),
        b"\x48\xba" + struct.pack("<Q", targets.tlb_tables),  # mov rdx, ...
        b"\x44\x89\xf1\x48\xc1\xe1\x04\x48\x01\xca",  # mov ecx, r14d; shl rcx, 4; add rdx, rcx
        b"\x4c\x89\xe1\x48\xc1\xe9\x06\x48\x23\x0a",  # mov rcx, r12; shr rcx, 6; and rcx, [rdx]
        b"\x48\x03\x4a\x08",  # add rcx, [rdx + 8]: the entry
        b"\x48\x8b\x51\x18\x48\xc1\xea\x0c",  # mov rdx, [rcx + 24]; shr rdx, 12: the page
        b"\x48\xbe" + struct.pack("<Q", targets.logged_pages),  # mov rsi, ...
        b"\x48\x0f\xa3\x16",  # bt [rsi], rdx
        (_JNC, "not logged"),
        b"\x41\x83\xfd\x01",  # cmp r13d, 1: a store
        (_JE, "stored"),
        b"\x48\xc7\x41\x08\xff\xff\xff\xff",  # mov qword [rcx + 8], -1: no stores
        (_JMP, "not logged"),
        "stored",
        b"\x48\xbe" + struct.pack("<Q", targets.stored_pages),  # mov rsi, ...
        b"\x48\x0f\xab\x16",  # bts [rsi], rdx
        "not logged",
        b"\x48\xbe" + struct.pack("<Q", targets.code_pages),  # mov rsi, ...
        b"\x41\x83\xfd\x02",  # cmp r13d, 2: a fetch
        (_JE, "fetch"),
        b"\x48\x0f\xa3\x16",  # bt [rsi], rdx
        (_JC, "code"),
        b"\x48\xc7\x41\x10\xff\xff\xff\xff",  # mov qword [rcx + 16], -1: no fetches
        (_JMP, "done"),
        "code",
        b"\x48\x83\x79\x10\xff",  # cmp qword [rcx + 16], -1
        (_JNE, "done"),
        b"\x4c\x89\xe2\x48\x81\xe2\x00\xf0\xff\xff",  # mov rdx, r12; and rdx, ~0fffh
        b"\x48\x81\xca\x00\x08\x00\x00",  # or rdx, 800h: something that no fetch matches
        b"\x48\x89\x51\x10",  # mov [rcx + 16], rdx
        (_JMP, "done"),
        "fetch",
        b"\x48\x0f\xab\x16",  # bts [rsi], rdx
        (_JC, "done"),
        _mov_rax(targets.mailbox) + b"\xff\x40\x10",  # inc dword [rax + 16]
        b"\x48\x83\xec\x08\x48\x89\xdf",  # sub rsp, 8; mov rdi, rbx
        _mov_rax(targets.tlb_flush) + b"\xff\xd0\x48\x83\xc4\x08",  # call rax; add rsp, 8
        (_JMP, "again"),
        "done",
        b"\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3",  # pop r15, r14, r13, r12, rbp, rbx; ret
    )


def _port(targets: Targets, callback: int) -> bytes:
    return _join(
        _mov_rax(targets.hflags),
        b"\xf6\x00\x03",  # test byte [rax], 3: CPL
        (_JNE, "check"),
        "go on",
        _mov_rax(callback) + b"\xff\xe0",  # jmp rax
        "check",
        b"\x49\xba" + struct.pack("<Q", targets.eflags) + b"\x45\x8b\x1a",  # mov r10, ...; mov r11d, [r10]
        b"\x41\xf7\xc3\x00\x00\x02\x00",  # test r11d, 20000h: VM
        (_JNE, "bitmap"),
        b"\x8b\x00\x83\xe0\x03",  # mov eax, [rax]; and eax, 3
        b"\x41\xc1\xeb\x0c\x41\x83\xe3\x03\x44\x39\xd8",  # shr r11d, 12; and r11d, 3: IOPL; cmp eax, r11d
        (_JBE, "go on"),
        "bitmap",
        b"\x57\x56\x52\x51\x41\x50",  # push rdi, rsi, rdx, rcx, r8
        b"\x48\xbf" + struct.pack("<Q", targets.env),  # mov rdi, ...
        b"\x83\xfa\x02",  # cmp edx, 2
        _mov_rax(targets.check_port_1),
        (_JB, "call"),
        _mov_rax(targets.check_port_2),
        (_JE, "call"),
        _mov_rax(targets.check_port_4),
        "call",
        b"\xff\xd0\x41\x58\x59\x5a\x5e\x5f",  # call rax; pop r8, rcx, rdx, rsi, rdi
        (_JMP, "go on"),
    )


def _memory_write(targets: Targets) -> bytes:
    return _join(
        b"\x83\xfa\x04",  # cmp edx, 4
        (_JNE, "python"),
        b"\x4e\x8d\x0c\x06",  # lea r9, [rsi + r8]: the address
        b"\x49\xba" + struct.pack("<Q", targets.tail_table),  # mov r10, ...
        "next",
        b"\x49\x8b\x02",  # mov rax, [r10]
        b"\x4c\x39\xc8",  # cmp rax, r9
        (_JE, "found"),
        b"\x49\x83\xc2\x18",  # add r10, 24
        b"\x48\x83\xf8\xff",  # cmp rax, -1: the table's end
        (_JNE, "next"),
        "python",
        _mov_rax(targets.memory_write) + b"\xff\xe0",  # jmp rax
        "found",
        b"\x89\xc8\x41\x2b\x42\x10",  # mov eax, ecx; sub eax, [r10 + 16]: so many more
        b"\x3d" + struct.pack("<I", targets.tail_limit),  # cmp eax, ...
        (_JAE, "python"),
        b"\x49\x8b\x42\x08\x48\xc1\xe8\x20",  # mov rax, [r10 + 8]; shr rax, 32: how many writes
        b"\xff\xc0\x48\xc1\xe0\x20",  # inc eax; shl rax, 32
        b"\x89\xc9\x48\x09\xc8",  # mov ecx, ecx; or rax, rcx
        b"\x49\x89\x42\x08\xc3",  # mov [r10 + 8], rax; ret
    )
