"""Bits of the CPU's state as QEMU keeps it: hidden flags, and what a system call makes of segment registers."""

from __future__ import annotations

HIDDEN_SHADOW = 1 << 3
"""In hflags: the interrupt shadow."""
HIDDEN_FLAGS = 1 << 8 | 3 << 12 | 1 << 17
"""TF, IOPL and VM: a software CPU has them in eflags alone; here they would stay when the guest clears them."""
HIDDEN_LMA_BIT, HIDDEN_CS64_BIT = 14, 15
HIDDEN_LMA, HIDDEN_CS64 = 1 << HIDDEN_LMA_BIT, 1 << HIDDEN_CS64_BIT
HIDDEN_GLOBAL_INTERRUPTS = 1 << 0
HIDDEN_NMI_MASKED = 1 << 2
"""In hflags2."""

CODE_64, CODE_32, DATA = 0x00A0_9B00, 0x00C0_9B00, 0x00C0_9300
"""Attributes of the kernel's segments."""

EFER_SCE = 1 << 0
FLAG_RF = 1 << 16
