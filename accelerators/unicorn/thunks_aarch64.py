"""The functions of `thunks` for AArch64 hosts (AAPCS64). Arguments: X0 to X6."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, NamedTuple

from .flags import CODE_64, DATA, HIDDEN_CS64_BIT, HIDDEN_FLAGS, HIDDEN_LMA_BIT
from .structures import CpuX86State as Env
from .structures import SegmentCache

if TYPE_CHECKING:
    from .thunks import HelperTargets, Targets


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
        _fill(targets),
        _port(targets, targets.port_read),
        _port(targets, targets.port_write),
        _memory_write(targets),
    )


def assemble_helpers(targets: HelperTargets) -> tuple[bytes, ...]:
    """See `thunks.assemble_helpers`."""
    raising = targets.raise_exception
    return (
        _join(*_helper(targets.read_msr_callback, targets.read_msr, raising)),
        _join(*_helper(targets.write_msr_callback, targets.write_msr, raising)),
        _join(
            Load(16, targets.read_control),
            Load(9, targets.read_cr8_callback),
            0x7100203F,  # cmp w1, #8
            0x9A900130,  # csel x16, x9, x16, eq
            _BR_X16,
        ),
        _join(
            0x51000829,  # sub w9, w1, #2
            0x7100053F,  # cmp w9, #1: CR2 or CR3
            _b_if(_LS, "original"),
            *_helper(targets.write_control_callback, targets.write_control, raising),
        ),
        _system_call(targets),
    )


def _helper(callback: int, original: int, raise_exception: int) -> tuple[int | Load | Branch | str, ...]:
    """A function of up to three arguments that does as `callback` says."""
    return (
        0xA9BD7BFD,  # stp x29, x30, [sp, #-48]!
        0xA90107E0,  # stp x0, x1, [sp, #16]
        0xF90013E2,  # str x2, [sp, #32]
        Load(16, callback),
        _BLR_X16,
        0x2A0003E9,  # mov w9, w0
        0xF94013E2,  # ldr x2, [sp, #32]
        0xA94107E0,  # ldp x0, x1, [sp, #16]
        0xA8C37BFD,  # ldp x29, x30, [sp], #48
        0x7100053F,  # cmp w9, #1
        _b_if(_EQ, "original"),
        _b_if(_HI, "fault"),
        _RET,
        "fault",
        0x528001A1,  # mov w1, #13
        0xAA1E03E2,  # mov x2, x30
        Load(16, raise_exception),
        _BR_X16,
        "original",
        Load(16, original),
        _BR_X16,
    )


def _system_call(targets: HelperTargets) -> bytes:
    rcx, r11 = (Env.regs.offset + 8 * number for number in (1, 11))
    return _join(
        _ldr(9, 0, Env.vm_vmcb.offset),
        Branch(0xB4000009, 5, 19, "original"),  # cbz x9
        _ldr_w(9, 0, Env.efer.offset),
        Branch(0x36000009, 5, 14, "original"),  # tbz w9, #0: SCE
        _ldr_w(9, 0, Env.hflags.offset),
        Branch(0x36000009 | HIDDEN_LMA_BIT << 19, 5, 14, "original"),  # tbz w9
        Branch(0x36000009 | HIDDEN_CS64_BIT << 19, 5, 14, "original"),  # tbz w9
        0xA9BE7BFD,  # stp x29, x30, [sp, #-32]!
        0xF9000BF3,  # str x19, [sp, #16]
        0xAA0003F3,  # mov x19, x0
        _ldr(9, 19, Env.eip.offset),
        0x8B21C129,  # add x9, x9, w1, sxtw
        _str(9, 19, rcx),
        Load(16, targets.read_flags),
        _BLR_X16,
        0x52A0002A,  # mov w10, #0x10000: RF
        0x0A2A0009,  # bic w9, w0, w10
        _str(9, 19, r11),
        _ldr(10, 19, Env.fmask.offset),
        0x8A2A0121,  # bic x1, x9, x10
        0x12800002,  # mov w2, #-1
        0xAA1303E0,  # mov x0, x19
        Load(16, targets.write_flags),
        _BLR_X16,
        _ldr(9, 19, Env.star.offset),
        0xD360FD29,  # lsr x9, x9, #32
        0x121E3529,  # and w9, w9, #0xfffc
        *_segment(1, CODE_64),
        0x11002129,  # add w9, w9, #8
        *_segment(2, DATA),
        0xAA1303E0,  # mov x0, x19
        Load(16, targets.update_hidden_flags),
        _BLR_X16,
        _ldr_w(9, 19, Env.hflags.offset),
        Load(10, HIDDEN_FLAGS),
        0x0A2A0129,  # bic w9, w9, w10
        _str_w(9, 19, Env.hflags.offset),
        _ldr(9, 19, Env.lstar.offset),
        _str(9, 19, Env.eip.offset),
        0xF9400BF3,  # ldr x19, [sp, #16]
        0xA8C27BFD,  # ldp x29, x30, [sp], #32
        _RET,
        "original",
        Load(16, targets.system_call),
        _BR_X16,
    )


def _segment(number: int, flags: int) -> tuple[int | Load, ...]:
    """Fills a segment register of the CPU at X19 with selector W9, base 0 and no limit."""
    at = Env.segs.offset + ctypes.sizeof(SegmentCache) * number
    return (
        _str_w(9, 19, at + SegmentCache.selector.offset),
        _str(31, 19, at + SegmentCache.base.offset),
        0x1280000A,  # mov w10, #-1
        _str_w(10, 19, at + SegmentCache.limit.offset),
        Load(10, flags),
        _str_w(10, 19, at + SegmentCache.flags.offset),
    )


def _ldr(register: int, base: int, offset: int) -> int:
    return 0xF9400000 | offset // 8 << 10 | base << 5 | register


def _str(register: int, base: int, offset: int) -> int:
    return 0xF9000000 | offset // 8 << 10 | base << 5 | register


def _ldr_w(register: int, base: int, offset: int) -> int:
    return 0xB9400000 | offset // 4 << 10 | base << 5 | register


def _str_w(register: int, base: int, offset: int) -> int:
    return 0xB9000000 | offset // 4 << 10 | base << 5 | register


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


_EQ, _NE, _HS, _HI, _LS = 0, 1, 2, 8, 9


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


def _fill(targets: Targets) -> bytes:
    return _join(
        0xA9BB7BFD,  # stp x29, x30, [sp, #-80]!
        0xA90153F3,  # stp x19, x20, [sp, #16]
        0xA9025BF5,  # stp x21, x22, [sp, #32]
        0xA90363F7,  # stp x23, x24, [sp, #48]
        0xF90023F9,  # str x25, [sp, #64]
        *(0xAA0003E0 | register << 16 | 19 + register for register in range(7)),  # mov x19, x0 ... x25, x6
        "again",
        *(0xAA0003E0 | 19 + register << 16 | register for register in range(7)),  # mov x0, x19 ... x6, x25
        Load(16, targets.tlb_fill),
        _BLR_X16,
        0x72001C1F,  # tst w0, #0xff
        _b_if(_EQ, "done"),
        Load(9, targets.tlb_tables),
        0x8B375129,  # add x9, x9, w23, uxtw #4
        0xD346FE8A,  # lsr x10, x20, #6
        0xA940312B,  # ldp x11, x12, [x9]
        0x8A0B014A,  # and x10, x10, x11
        0x8B0C014A,  # add x10, x10, x12: the entry
        0xF9400D4B,  # ldr x11, [x10, #24]
        0xD34CFD6B,  # lsr x11, x11, #12: the page
        Load(12, targets.logged_pages),
        0xD346FD6D,  # lsr x13, x11, #6
        0x8B0D0D8C,  # add x12, x12, x13, lsl #3
        0xF940018E,  # ldr x14, [x12]
        0x9ACB25CE,  # lsr x14, x14, x11
        Branch(0x3600000E, 5, 14, "not logged"),  # tbz w14, #0
        0x710006DF,  # cmp w22, #1: a store
        _b_if(_EQ, "stored"),
        0x9280000E,  # mov x14, #-1: no stores
        0xF900054E,  # str x14, [x10, #8]
        _b("not logged"),
        "stored",
        Load(12, targets.stored_pages),
        0x8B0D0D8C,  # add x12, x12, x13, lsl #3
        0xD280002E,  # mov x14, #1
        0x9ACB21CE,  # lsl x14, x14, x11
        0xF940018F,  # ldr x15, [x12]
        0xAA0E01EF,  # orr x15, x15, x14
        0xF900018F,  # str x15, [x12]
        "not logged",
        Load(12, targets.code_pages),
        0xD346FD6D,  # lsr x13, x11, #6
        0x8B0D0D8C,  # add x12, x12, x13, lsl #3
        0xF940018D,  # ldr x13, [x12]
        0x9ACB25AE,  # lsr x14, x13, x11
        0x71000ADF,  # cmp w22, #2: a fetch
        _b_if(_EQ, "fetch"),
        Branch(0x3700000E, 5, 14, "code"),  # tbnz w14, #0
        0x9280000D,  # mov x13, #-1: no fetches
        0xF900094D,  # str x13, [x10, #16]
        _b("done"),
        "code",
        0xF940094D,  # ldr x13, [x10, #16]
        0xB10005BF,  # cmn x13, #1
        _b_if(_NE, "done"),
        0x9274CE8D,  # and x13, x20, #~0xfff
        0xB27501AD,  # orr x13, x13, #0x800: something that no fetch matches
        0xF900094D,  # str x13, [x10, #16]
        _b("done"),
        "fetch",
        Branch(0x3700000E, 5, 14, "done"),  # tbnz w14, #0
        0xD280002E,  # mov x14, #1
        0x9ACB21CE,  # lsl x14, x14, x11
        0xAA0E01AD,  # orr x13, x13, x14
        0xF900018D,  # str x13, [x12]
        Load(9, targets.mailbox),
        0xB940112A,  # ldr w10, [x9, #16]
        0x1100054A,  # add w10, w10, #1
        0xB900112A,  # str w10, [x9, #16]
        0xAA1303E0,  # mov x0, x19
        Load(16, targets.tlb_flush),
        _BLR_X16,
        _b("again"),
        "done",
        0xF94023F9,  # ldr x25, [sp, #64]
        0xA94363F7,  # ldp x23, x24, [sp, #48]
        0xA9425BF5,  # ldp x21, x22, [sp, #32]
        0xA94153F3,  # ldp x19, x20, [sp, #16]
        0xA8C57BFD,  # ldp x29, x30, [sp], #80
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


def _memory_write(targets: Targets) -> bytes:
    return _join(
        0x7100105F,  # cmp w2, #4
        _b_if(_NE, "python"),
        0x8B040029,  # add x9, x1, x4: the address
        Load(10, targets.tail_table),
        "next",
        0xF940014B,  # ldr x11, [x10]
        0xEB09017F,  # cmp x11, x9
        _b_if(_EQ, "found"),
        0x9100614A,  # add x10, x10, #24
        0xB100057F,  # cmn x11, #1: the table's end
        _b_if(_NE, "next"),
        "python",
        Load(16, targets.memory_write),
        _BR_X16,
        "found",
        0xB940114D,  # ldr w13, [x10, #16]
        0x4B0D006D,  # sub w13, w3, w13: so many more
        0x710001BF | targets.tail_limit << 10,  # cmp w13, #...
        _b_if(_HS, "python"),
        0xF940054B,  # ldr x11, [x10, #8]
        0xD360FD6C,  # lsr x12, x11, #32: how many writes
        0x1100058C,  # add w12, w12, #1
        0x2A0303EB,  # mov w11, w3
        0xAA0C816B,  # orr x11, x11, x12, lsl #32
        0x9100214A,  # add x10, x10, #8
        0xC89FFD4B,  # stlr x11, [x10]: after all that the guest stored before
        _RET,
    )
