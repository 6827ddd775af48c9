"""What CPUID gives in a real QEMU."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.guests.build import GUESTS, need


def qemu_cpuid(
    folder: Path, model: str, leaves: Sequence[tuple[int, int]], cpus: int = 1
) -> dict[tuple[int, int], tuple[int, ...]]:
    """EAX, EBX, ECX and EDX for each leaf and subleaf, on the first CPU of QEMU's software CPU."""
    table = [*leaves, (0xFFFF_FFFF, 0xFFFF_FFFF)]
    (folder / "table.inc").write_text("".join(f"dd {leaf:#x}, {subleaf:#x}\n" for leaf, subleaf in table))
    image, output = folder / "cpuid.bin", folder / "output"
    source = GUESTS / "cpuid" / "boot.asm"
    subprocess.run([need("nasm", "nasm"), "-f", "bin", f"-I{folder}/", "-o", image, source], check=True)
    command = [
        need("qemu-system-x86_64", "qemu-system-x86"),
        *("-machine", "pc", "-accel", "tcg", "-cpu", model, "-smp", str(cpus)),
        *("-nodefaults", "-display", "none", "-no-reboot", "-m", "16"),
        *("-debugcon", f"file:{output}", "-device", "isa-debug-exit,iobase=0x501,iosize=2"),
        *("-drive", f"file={image},format=raw,if=ide,index=0,snapshot=on"),
    ]
    run = subprocess.run(command, timeout=60, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 3, run.stderr
    data = output.read_bytes()[-16 * len(leaves) :]
    return {key: struct.unpack_from("<4I", data, 16 * number) for number, key in enumerate(leaves)}
