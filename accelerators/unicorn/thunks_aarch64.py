"""The functions of `thunks` for AArch64 hosts (AAPCS64). Arguments: X0 to X4."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .thunks import Targets


class Load(NamedTuple):
    """LDR of a 64-bit literal."""

    register: int
    value: int


class Branch(NamedTuple):
    """A branch whose distance, in words, goes into `bits` bits of the `word` from `shift` on."""

    word: int
    shift: int
    bits: int
    label: str


_NOP = 0xD503201F
_RET = 0xD65F03C0
_BR_X16, _BLR_X16 = 0xD61F0200, 0xD63F0200


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


def _join(*parts: int | Load | Branch | str) -> bytes:
    """Machine code of instruction words, literal loads, branches and labels; the literals come behind it."""
    places: dict[str, int] = {}
    at = 0
    for part in parts:
        if isinstance(part, str):
            places[part] = at
        else:
            at += 1
    length = at + at % 2
    words: list[int] = []
    literals: list[int] = []
    for part in parts:
        if isinstance(part, Load):
            distance = length + 2 * len(literals) - len(words)
            words.append(0x58000000 | distance << 5 | part.register)
            literals.append(part.value)
        elif isinstance(part, Branch):
            distance = places[part.label] - len(words)
            words.append(part.word | (distance & (1 << part.bits) - 1) << part.shift)
        elif isinstance(part, int):
            words.append(part)
    words += [_NOP] * (length - len(words))
    return struct.pack(f"<{length}I{len(literals)}Q", *words, *literals)


def _b(label: str) -> Branch:
    return Branch(0x14000000, 0, 26, label)


def _b_if(condition: int, label: str) -> Branch:
    return Branch(0x54000000 | condition, 5, 19, label)


_EQ, _NE, _LS = 0, 1, 9


def _guard_task_register(targets: Targets) -> tuple[int | Load | Branch | str, ...]:
    return (
        Load(9, targets.tr_flags),
        0xB940012A,  # ldr w10, [x9]
        Branch(0x3778000A, 5, 14, "present"),  # tbnz w10, #15: P
        0x5291200A,  # mov w10, #0x8900
        0xB900012A,  # str w10, [x9]
        0xB81FC13F,  # stur wzr, [x9, #-4]
        "present",
    )


def _interrupt(targets: Targets) -> bytes:
    return _join(
        0xA9BE7BFD,  # stp x29, x30, [sp, #-32]!
        0xF9000BF3,  # str x19, [sp, #16]
        0xAA0203F3,  # mov x19, x2
        Load(9, targets.mailbox),
        Load(10, targets.exception_is_int_offset),
        0xB86A6A6B,  # ldr w11, [x19, x10]
        Branch(0x3500000B, 5, 19, "software"),  # cbnz w11
        0xB940092C,  # ldr w12, [x9, #8]
        Branch(0x3400000C, 5, 19, "deliver"),  # cbz w12
        Load(16, targets.int_failed),
        _BLR_X16,
        _b("deliver"),
        "software",
        0x1100042C,  # add w12, w1, #1
        0xB900092C,  # str w12, [x9, #8]
        "deliver",
        *_guard_task_register(targets),
        0xAA1303E0,  # mov x0, x19
        Load(16, targets.do_interrupt),
        _BLR_X16,
        Load(9, targets.mailbox),
        0xB900093F,  # str wzr, [x9, #8]
        0xF9400BF3,  # ldr x19, [sp, #16]
        0xA8C27BFD,  # ldp x29, x30, [sp], #32
        _RET,
    )


def _invalid(targets: Targets) -> bytes:
    return _join(
        0xA9BF7BFD,  # stp x29, x30, [sp, #-16]!
        *_guard_task_register(targets),
        0xAA0103E0,  # mov x0, x1
        Load(16, targets.do_interrupt),
        _BLR_X16,
        0x52800020,  # mov w0, #1
        0xA8C17BFD,  # ldp x29, x30, [sp], #16
        _RET,
    )


def _enter(targets: Targets) -> bytes:
    return _join(
        0xD5033BBF,  # dmb ish: Unicorn's clearing of the flags comes before this look at the mailbox
        Load(9, targets.mailbox),
        0xB940012A,  # ldr w10, [x9]
        Branch(0x3400000A, 5, 19, "go on"),  # cbz w10
        0x5280002B,  # mov w11, #1
        Load(12, targets.exit_request_offset),
        0x382C680B,  # strb w11, [x0, x12]
        Load(12, targets.stop_request),
        0x3900018B,  # strb w11, [x12]
        "go on",
        0xB940052A,  # ldr w10, [x9, #4]
        0x3100055F,  # cmn w10, #1
        _b_if(_EQ, "done"),
        Load(12, targets.exception_index_offset),
        0xB82C680A,  # str w10, [x0, x12]
        0x1280000B,  # mov w11, #-1
        0xB900052B,  # str w11, [x9, #4]
        "done",
        Load(16, targets.exec_enter),
        _BR_X16,
    )


def _debug(targets: Targets) -> bytes:
    return _join(
        0xA9BF7BFD,  # stp x29, x30, [sp, #-16]!
        Load(16, targets.debug_handler),
        _BLR_X16,
        0x5280002B,  # mov w11, #1
        Load(9, targets.mailbox),
        0xB9000D2B,  # str w11, [x9, #12]
        Load(9, targets.stop_request),
        0x3900012B,  # strb w11, [x9]
        0xA8C17BFD,  # ldp x29, x30, [sp], #16
        _RET,
    )


def _port(targets: Targets, callback: int) -> bytes:
    return _join(
        Load(9, targets.hflags),
        0xB940012A,  # ldr w10, [x9]
        0x7200054B,  # ands w11, w10, #3: CPL
        _b_if(_NE, "check"),
        "go on",
        Load(16, callback),
        _BR_X16,
        "check",
        Load(9, targets.eflags),
        0xB940012A,  # ldr w10, [x9]
        Branch(0x3788000A, 5, 14, "bitmap"),  # tbnz w10, #17: VM
        0x530C354A,  # ubfx w10, w10, #12, #2: IOPL
        0x6B0A017F,  # cmp w11, w10
        _b_if(_LS, "go on"),
        "bitmap",
        0xA9BC7BFD,  # stp x29, x30, [sp, #-64]!
        0xA90107E0,  # stp x0, x1, [sp, #16]
        0xA9020FE2,  # stp x2, x3, [sp, #32]
        0xF9001BE4,  # str x4, [sp, #48]
        Load(0, targets.env),
        Load(16, targets.check_port_1),
        Load(9, targets.check_port_2),
        Load(10, targets.check_port_4),
        0x7100085F,  # cmp w2, #2
        0x9A900130,  # csel x16, x9, x16, eq
        0x9A908150,  # csel x16, x10, x16, hi
        _BLR_X16,
        0xF9401BE4,  # ldr x4, [sp, #48]
        0xA9420FE2,  # ldp x2, x3, [sp, #32]
        0xA94107E0,  # ldp x0, x1, [sp, #16]
        0xA8C47BFD,  # ldp x29, x30, [sp], #64
        _b("go on"),
    )
