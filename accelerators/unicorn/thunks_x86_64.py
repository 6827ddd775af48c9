"""The functions of `thunks` for x86-64 hosts (System V ABI). Arguments: RDI, RSI, RDX, RCX, R8."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .thunks import Targets

Jump = tuple[int, str]
"""A short jump's opcode, and the label that it goes to."""

_JMP, _JB, _JE, _JNE, _JBE = 0xEB, 0x72, 0x74, 0x75, 0x76


def assemble(targets: Targets) -> tuple[bytes, ...]:
    """The functions, in the order of `thunks.Code`."""
    return (
        _interrupt(targets),
        _invalid(targets),
        _enter(targets),
        _debug(targets),
        _port(targets, targets.port_read),
        _port(targets, targets.port_write),
    )


def _join(*parts: bytes | Jump | str) -> bytes:
    """Machine code of pieces, jumps and labels."""
    places: dict[str, int] = {}
    at = 0
    for part in parts:
        if isinstance(part, str):
            places[part] = at
        else:
            at += len(part)  # a jump is two bytes, and a pair
    code = b""
    for part in parts:
        if isinstance(part, bytes):
            code += part
        elif isinstance(part, tuple):
            opcode, label = part
            code += struct.pack("<Bb", opcode, places[label] - len(code) - 2)
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
