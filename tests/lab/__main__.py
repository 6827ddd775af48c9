"""Runs a shell script in dom0 and prints all that it said: python -m tests.lab 'xl list'.

There are also disks for guests, and our program and QEMU, whose paths are put for PROGRAM and QEMU in the script:

    python -m tests.lab './linux.sh PROGRAM'
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.guests.build import cpuhp_guest
from tests.lab.dom0 import run_in_dom0
from tests.lab.linux import cpus_disk, grub_linux_disk, linux_disk
from tests.lab.program import PROGRAM, QEMU, program_disks

began = time.monotonic()
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    disks = [linux_disk(folder), grub_linux_disk(folder), cpus_disk(folder)]  # vdd, vde, vdf
    script = sys.argv[1].replace("PROGRAM", PROGRAM).replace("QEMU", QEMU)
    files = {"cpuhp.img": cpuhp_guest(folder)}
    result = run_in_dom0(script, files, disks=[*program_disks(), *disks], patience_s=1800)
print(result.console if result.status is None else result.output)
print(f"status {result.status}, {time.monotonic() - began:.1f} s; files: {', '.join(result.files)}")
