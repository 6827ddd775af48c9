"""The state of an x86 CPU in the form in which accelerators exchange it.

Names and bit positions are those of Intel's Software Developer's Manual (SDM), volume 3A. Segment attributes are in the
layout of the second descriptor doubleword's bits 8 to 23 (SDM 3.4.5), kept in their places: type 8-11, S 12, DPL 13-14,
P 15, AVL 20, L 21, D/B 22, G 23.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any

from .annotations import Length, Strict, Within

GENERAL_REGISTERS = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
"""In the order of their encoding."""

SEGMENT_REGISTERS = ("es", "cs", "ss", "ds", "fs", "gs")
"""In the order of their encoding."""

MSR_TSC = 0x10
MSR_EFER = 0xC000_0080

CR0_RESET = 0x6000_0010
CR0_CACHE = 0x6000_0000
"""CD and NW."""
DR6_RESET = 0xFFFF_0FF0
DR7_RESET = 0x400
RFLAGS_RESET = 0x2


def _unsigned(bits: int) -> Within:
    return Within(0, (1 << bits) - 1)


def _length(number: int) -> Length:
    return Length(number, number)


U8 = Annotated[int, _unsigned(8)]
U16 = Annotated[int, _unsigned(16)]
U32 = Annotated[int, _unsigned(32)]
U64 = Annotated[int, _unsigned(64)]
U80 = Annotated[int, _unsigned(80)]
U256 = Annotated[int, _unsigned(256)]
Flag = Annotated[bool, Strict()]
MsrIndex = Annotated[int, Within(0, (1 << 32) - 1, lenient=True)]
"""Also as text, which is how JSON has a dictionary's keys."""
Component = Annotated[int, Within(3, 62, lenient=True)]

_NOTHING_ELSE: Any = {"extra": "forbid"}
"""What pydantic is told of these classes."""

_KEPT_BY_INIT = (
    *("fpu_control", "fpu_status", "fpu_tag", "fpu_opcode", "fpu_ip", "fpu_dp", "fpu_registers"),
    *("mxcsr", "vector", "extended"),
)


class _State:
    """What compares and shows a part of the state: to have dataclasses make that for each takes time at every start."""

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


@dataclass(eq=False, repr=False)
class Segment(_State):
    """A segment register with its hidden part. `limit` is in bytes, already scaled by G."""

    __pydantic_config__ = _NOTHING_ELSE

    selector: U16 = 0
    base: U64 = 0
    limit: U32 = 0xFFFF
    attributes: U32 = 0x9300


@dataclass(eq=False, repr=False)
class DescriptorTable(_State):
    """GDTR or IDTR."""

    __pydantic_config__ = _NOTHING_ELSE

    base: U64 = 0
    limit: U32 = 0xFFFF


@dataclass(eq=False, repr=False)
class PendingEvent(_State):
    """An exception or interrupt that the CPU has begun to deliver, or an exception that waits to be."""

    __pydantic_config__ = _NOTHING_ELSE

    vector: U8
    error_code: U32 | None = None
    software: Flag = False
    """It comes from INT n, INT3 or INTO."""
    external: Flag = False
    """It is an external interrupt, already acknowledged at its controller."""


@dataclass(eq=False, repr=False)
class X86State(_State):
    """Everything that an x86 CPU remembers between two instructions.

    As built, it is the state after power-on (SDM volume 3A, table 10-1).
    """

    __pydantic_config__ = _NOTHING_ELSE

    registers: Annotated[list[U64], _length(16)] = field(default_factory=lambda: [0, 0, 0x663] + [0] * 13)
    """RAX to R15, in the order of GENERAL_REGISTERS. EDX has the CPU's signature at reset."""
    rip: U64 = 0xFFF0
    rflags: U64 = RFLAGS_RESET
    es: Segment = field(default_factory=Segment)
    cs: Segment = field(default_factory=lambda: Segment(0xF000, 0xFFFF_0000, 0xFFFF, 0x9B00))
    ss: Segment = field(default_factory=Segment)
    ds: Segment = field(default_factory=Segment)
    fs: Segment = field(default_factory=Segment)
    gs: Segment = field(default_factory=Segment)
    ldtr: Segment = field(default_factory=lambda: Segment(attributes=0x8200))
    tr: Segment = field(default_factory=lambda: Segment(attributes=0x8B00))
    gdtr: DescriptorTable = field(default_factory=DescriptorTable)
    idtr: DescriptorTable = field(default_factory=DescriptorTable)
    cr0: U64 = CR0_RESET
    cr2: U64 = 0
    cr3: U64 = 0
    cr4: U64 = 0
    cr8: U64 = 0
    xcr0: U64 = 1
    debug: Annotated[list[U64], _length(6)] = field(default_factory=lambda: [0, 0, 0, 0, DR6_RESET, DR7_RESET])
    """DR0 to DR3, DR6, DR7."""
    msrs: dict[MsrIndex, U64] = field(default_factory=dict)
    """Model-specific registers by index, EFER and the TSC among them."""
    fpu_control: U16 = 0x37F
    fpu_status: U16 = 0
    fpu_tag: U8 = 0
    """Abridged, as FXSAVE has it (SDM 10.5.1.1): bit n is set if physical register n holds something."""
    fpu_opcode: U16 = 0
    fpu_ip: U64 = 0
    fpu_dp: U64 = 0
    fpu_registers: Annotated[list[U80], _length(8)] = field(default_factory=lambda: [0] * 8)
    """ST0 to ST7, 80 bits each, from the top of the stack."""
    mxcsr: U32 = 0x1F80
    vector: Annotated[list[U256], _length(16)] = field(default_factory=lambda: [0] * 16)
    """XMM0 to XMM15, or as much of the YMM registers as the CPU has."""
    halted: Flag = False
    """In HLT, until an interrupt."""
    interrupt_shadow: Flag = False
    """The instruction before was STI or loaded SS: no interrupt before the next one."""
    nmi_masked: Flag = False
    """An NMI is being handled, until IRET."""
    nmi_pending: Flag = False
    event: PendingEvent | None = None
    a20: Flag = True
    """Address bit 20 passes the gate."""
    in_smm: Flag = False
    smbase: U32 = 0x3_0000
    waiting_for_sipi: Flag = False
    """An application processor that nobody started since INIT."""
    extended: dict[Component, bytes] = field(default_factory=dict)
    """State components of XSAVE beyond AVX by number (SDM volume 1, 13.1): 5 opmask, 9 PKRU, ..."""

    def after_init(self) -> X86State:
        """The state that INIT leaves (SDM volume 3A, table 10-1): like after power-on, but for FPU, vectors and MSRs.

        A CPU other than the first then waits for a startup IPI.
        """
        fresh = X86State(a20=self.a20, smbase=self.smbase, xcr0=self.xcr0, msrs=dict(self.msrs))
        fresh.cr0 = CR0_RESET & ~CR0_CACHE | self.cr0 & CR0_CACHE
        fresh.msrs.pop(MSR_EFER, None)
        for name in _KEPT_BY_INIT:
            setattr(fresh, name, getattr(self, name))
        return fresh

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, strings, lists and dictionaries."""
        return dataclasses.asdict(self)

    def start_at(self, vector: int) -> None:
        """A startup IPI with `vector`: execution begins in real mode at that page (SDM volume 3A, 11.4.4)."""
        self.cs.selector, self.cs.base, self.rip = vector << 8, vector << 12, 0
        self.waiting_for_sipi = self.halted = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> X86State:
        """What `to_dict` gave, validated. Raises ValueError."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"not a CPU state: {key}: {first['msg']}") from None
