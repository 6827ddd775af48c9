"""The models that come with the package.

`portable` is what every accelerator executes right. So it lacks what KVM without hardware virtualization (kvm_pvm)
doesn't offer: SSE3 and everything later; and what a software CPU lacks: AVX, MONITOR, VME; and x2APIC and the TSC
deadline timer. The others are QEMU's of the same names, without SVM (nested virtualization); the tests compare them.
"""

from __future__ import annotations

from .definition import AMD, INTEL, Definition

_BASE = (
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 hypervisor "
    "syscall nx lm"
)
_CONROE = f"{_BASE} pni ssse3 lahf-lm"
_PENRYN = f"{_CONROE} cx16 sse4.1"
_NEHALEM = f"{_PENRYN} sse4.2 popcnt"
_WESTMERE = f"{_NEHALEM} aes pclmulqdq arat"

DEFINITIONS = (
    Definition("portable", AMD, 15, 107, 1, 7, f"{_BASE} cx16 lahf-lm", "Southbridge portable CPU"),
    Definition("qemu64", AMD, 15, 107, 1, 0xD, f"{_BASE} cx16 pni lahf-lm", "QEMU Virtual CPU version 2.5+"),
    Definition("kvm64", INTEL, 15, 6, 1, 0xD, f"{_BASE} cx16 pni", "Common KVM processor"),
    Definition("Conroe", INTEL, 6, 15, 3, 0xA, _CONROE, "Intel Celeron_4x0 (Conroe/Merom Class Core 2)"),
    Definition("Penryn", INTEL, 6, 23, 3, 0xA, _PENRYN, "Intel Core 2 Duo P9xxx (Penryn Class Core 2)"),
    Definition("Nehalem", INTEL, 6, 26, 3, 0xB, _NEHALEM, "Intel Core i7 9xx (Nehalem Class Core i7)"),
    Definition("Westmere", INTEL, 6, 44, 1, 0xB, _WESTMERE, "Westmere E56xx/L56xx/X56xx (Nehalem-C)"),
)
