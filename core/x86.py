"""The state of an x86 CPU in the form in which accelerators exchange it.

Names and bit positions are those of Intel's Software Developer's Manual (SDM), volume 3A. Segment attributes are in the
layout of the second descriptor doubleword's bits 8 to 23 (SDM 3.4.5), kept in their places: type 8-11, S 12, DPL 13-14,
P 15, AVL 20, L 21, D/B 22, G 23.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

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
DR6_RESET = 0xFFFF_0FF0
DR7_RESET = 0x400
RFLAGS_RESET = 0x2


@dataclass
class Segment:
    """A segment register with its hidden part. `limit` is in bytes, already scaled by G."""

    selector: int = 0
    base: int = 0
    limit: int = 0xFFFF
    attributes: int = 0x9300


@dataclass
class DescriptorTable:
    """GDTR or IDTR."""

    base: int = 0
    limit: int = 0xFFFF


@dataclass
class PendingEvent:
    """An exception or interrupt that the CPU has begun to deliver, or an exception that waits to be."""

    vector: int
    error_code: int | None = None
    software: bool = False
    """It comes from INT n, INT3 or INTO."""
    external: bool = False
    """It is an external interrupt, already acknowledged at its controller."""


@dataclass
class X86State:
    """Everything that an x86 CPU remembers between two instructions.

    As built, it is the state after power-on (SDM volume 3A, table 10-1).
    """

    registers: list[int] = field(default_factory=lambda: [0, 0, 0x663] + [0] * 13)
    """RAX to R15, in the order of GENERAL_REGISTERS. EDX has the CPU's signature at reset."""
    rip: int = 0xFFF0
    rflags: int = RFLAGS_RESET
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
    cr0: int = CR0_RESET
    cr2: int = 0
    cr3: int = 0
    cr4: int = 0
    cr8: int = 0
    xcr0: int = 1
    debug: list[int] = field(default_factory=lambda: [0, 0, 0, 0, DR6_RESET, DR7_RESET])
    """DR0 to DR3, DR6, DR7."""
    msrs: dict[int, int] = field(default_factory=dict)
    """Model-specific registers by index, EFER and the TSC among them."""
    fpu_control: int = 0x37F
    fpu_status: int = 0
    fpu_tag: int = 0
    """Abridged, as FXSAVE has it (SDM 10.5.1.1): bit n is set if physical register n holds something."""
    fpu_opcode: int = 0
    fpu_ip: int = 0
    fpu_dp: int = 0
    fpu_registers: list[int] = field(default_factory=lambda: [0] * 8)
    """ST0 to ST7, 80 bits each, from the top of the stack."""
    mxcsr: int = 0x1F80
    vector: list[int] = field(default_factory=lambda: [0] * 16)
    """XMM0 to XMM15, or as much of the YMM registers as the CPU has."""
    halted: bool = False
    """In HLT, until an interrupt."""
    interrupt_shadow: bool = False
    """The instruction before was STI or loaded SS: no interrupt before the next one."""
    nmi_masked: bool = False
    """An NMI is being handled, until IRET."""
    nmi_pending: bool = False
    event: PendingEvent | None = None
    a20: bool = True
    """Address bit 20 passes the gate."""
    in_smm: bool = False
    smbase: int = 0x3_0000

    def to_dict(self) -> dict[str, Any]:
        """As plain numbers, strings, lists and dictionaries."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> X86State:
        """What `to_dict` gave, validated. Raises ValueError."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(data)
        except ValidationError as error:
            raise ValueError(f"not a CPU state: {error.errors()[0]['msg']}") from None
