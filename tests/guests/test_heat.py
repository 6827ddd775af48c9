"""The web page's heat map, of a guest that stores to two pages and reads a port: just those show."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from southbridge.builder import build
from southbridge.description import load
from southbridge.life import ShutdownReason
from southbridge.plugins.web.heat import Heat
from southbridge.units import KiB

PATIENCE_S = 120.0
FIRST, SECOND, SCRATCH = 0x3_0000, 0x3_8000, 0x3FF
SOURCE = f"""
bits 16
org 0x7c00
    cli
    mov ax, {FIRST >> 4:#x}
    mov es, ax
    mov dx, {SCRATCH:#x}
next:
    inc byte [es:0]
    inc byte [es:{SECOND - FIRST:#x}]
    in al, dx
    jmp next
times 510 - ($ - $$) db 0
dw 0xaa55
"""


def test_what_is_stored_to_and_accessed(tmp_path: Path) -> None:
    (tmp_path / "boot.asm").write_text(SOURCE)
    subprocess.run(["nasm", "-f", "bin", "-o", tmp_path / "boot.img", tmp_path / "boot.asm"], check=True)
    description = tmp_path / "machine.yaml"
    description.write_text(
        "extends: pc\naccelerator: unicorn\nmemory: 16M\nchardevs: {serial0: {type: 'null'}}\n"
        "blockdevs: {boot: {type: raw, path: boot.img, read_only: true}}\n"
        "devices: {disk: {type: ide-hd, drive: boot, bus: ide.0, unit: 0}}\n"
    )
    machine = build(load(str(description)))
    thread = threading.Thread(target=machine.run)
    thread.start()
    try:
        with machine.lock:
            heat = Heat(machine)
        found = until_it_loops(machine, heat)
        with machine.lock:
            heat.close()
        cell = found["pages_a_cell"] * 4 * KiB
        assert found["recorded"]
        assert [number for number, pages in enumerate(found["cells"]) if pages] == [FIRST // cell, SECOND // cell]
        assert list(found["accesses"]) == ["com1"]
        assert machine.ram.dirty == []
    finally:
        machine.request_shutdown(ShutdownReason.HOST_QUIT)
        thread.join()
        machine.close()


def until_it_loops(machine: Any, heat: Heat) -> dict[str, Any]:
    """What is seen once the guest does nothing but that, or in the end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        time.sleep(0.05)
        with machine.lock:
            found = heat.take()
        if list(found["accesses"]) == ["com1"] or time.monotonic() > deadline:
            return found
