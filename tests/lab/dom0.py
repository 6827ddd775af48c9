"""A script run in dom0 of a real Xen, on QEMU's software CPU: its output, its exit status, and the files that it left.

    result = run_in_dom0("exec ./verbs.sh /usr/libexec/xen-qemu-system-i386")

`run_scripts` runs several, one after the other, in one dom0.

It has one CPU: with two on a small host each request to a device model waits for the host to change between them. SMAP
is off: QEMU 7.2 reads IRET's frame as the supervisor even where a PV dom0 returns to user mode, which SMAP forbids.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.guests.build import need
from tests.lab.image import BOOT_SECTORS, INSIDE, lab_image

PATIENCE_S = 900
"""For all scripts, with the start of Xen and dom0, which takes about 10 s."""
STILL_S = 120
"""A dom0 that shows no life for so long has come to an end (`alive`, which lab-init writes every few seconds)."""

CPU = "max,-la57,-smap,-smep"
MEMORY_MB = 4096
DOM0_MB = 1536
XEN_WORDS = (
    f"dom0_mem={DOM0_MB}M,max:{DOM0_MB}M dom0_max_vcpus=1 console=com1 com1=115200,8n1 "
    "loglvl=all guest_loglvl=all spec-ctrl=no xpti=no cpufreq=none"
)
LINUX_WORDS = "console=hvc0 quiet root=/dev/vda init=/lab-init rw net.ifnames=0"


@dataclass(frozen=True)
class Result:
    """What came of a script. `console` is what Xen and dom0 said, `files` what the script left, by name.

    `stood_still`: neither the script nor dom0 came to an end, as it showed no more life.
    """

    status: int | None
    output: str
    console: str
    files: Mapping[str, bytes]
    stood_still: bool = False


def run_in_dom0(
    script: str,
    files: Mapping[str, Path | bytes] | None = None,
    *,
    disks: Sequence[Path] = (),
    patience_s: float = PATIENCE_S,
) -> Result:
    """Starts Xen, runs the shell script `script` as root in dom0 on a folder that has `files`, and switches off.

    The folder also has what is in `inside/`. Skips the test if the lab can't be had here.
    """
    image = lab_image()
    qemu = need("qemu-system-x86_64", "qemu-system-x86")
    with tempfile.TemporaryDirectory() as name:
        share = Path(name)
        for path in (*INSIDE.glob("*.sh"), *INSIDE.glob("*.py"), *(image / name for name in BOOT_SECTORS)):
            shutil.copy(path, share)
        for target, source in (files or {}).items():
            (share / target).write_bytes(source if isinstance(source, bytes) else source.read_bytes())
        (share / "script").write_text(f"#!/bin/bash\n{script}\n")
        for path in share.iterdir():
            path.chmod(0o755)
        before = set(share.iterdir())
        console, stood_still = _boot([qemu, *_machine(image, share, disks)], share / "alive", patience_s)
        left = {path.name: path.read_bytes() for path in share.iterdir() if path not in before and path.is_file()}
    status = left.pop("status", b"").decode().strip()
    output = left.pop("output", b"").decode("utf-8", "replace")
    return Result(int(status) if status else None, output, console, left, stood_still)


def run_scripts(
    scripts: Mapping[str, str],
    files: Mapping[str, Path | bytes] | None = None,
    *,
    disks: Sequence[Path] = (),
    patience_s: float = PATIENCE_S,
) -> dict[str, Result]:
    """As `run_in_dom0`, for commands by names; what came of each, by its name.

    It has happened that Xen on QEMU's software CPU stood still, with either device model. What hadn't ended then is
    run in another dom0, once.
    """
    found = _run_scripts(scripts, files, disks, patience_s)
    left = {name: scripts[name] for name, result in found.items() if result.stood_still and result.status is None}
    if left:
        print(f"dom0 stood still; once more: {', '.join(left)}")
        found |= _run_scripts(left, files, disks, patience_s)
    return found


def _run_scripts(
    scripts: Mapping[str, str], files: Mapping[str, Path | bytes] | None, disks: Sequence[Path], patience_s: float
) -> dict[str, Result]:
    lines = [
        f"({command}) > /share/{name}.output 2>&1; echo $? > /share/{name}.status; rm -f /tmp/*.log"
        for name, command in scripts.items()
    ]
    whole = run_in_dom0("\n".join(lines), files, disks=disks, patience_s=patience_s)
    results: dict[str, Result] = {}
    for name in scripts:
        status = whole.files.get(f"{name}.status", b"").decode().strip()
        output = whole.files.get(f"{name}.output", b"").decode("utf-8", "replace")
        results[name] = Result(int(status) if status else None, output, whole.console, whole.files, whole.stood_still)
    return results


def _machine(image: Path, share: Path, disks: Sequence[Path]) -> list[str]:
    kernel = f"{image}/vmlinux {LINUX_WORDS},{image}/initrd"  # Multiboot modules: dom0's kernel, and its initrd
    arguments = [
        *("-accel", "tcg", "-cpu", CPU, "-smp", "1", "-m", str(MEMORY_MB), "-machine", "q35", "-nodefaults"),
        *("-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", f"{image}/xen", "-append", XEN_WORDS, "-initrd", kernel),
        *("-fsdev", f"local,id=share,path={share},security_model=none,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=share,mount_tag=share"),
    ]
    for number, disk in enumerate((image / "root.ext4", *disks)):
        # What dom0 writes is thrown away, so that several labs may share an image.
        arguments += ["-drive", f"file={disk},format=raw,if=none,id=disk{number},cache=unsafe,snapshot=on"]
        arguments += ["-device", f"virtio-blk-pci,drive=disk{number},addr={8 + number:#x}"]
    return arguments


def _boot(command: Sequence[str], alive: Path, patience_s: float) -> tuple[str, bool]:
    """Runs the machine until it switches itself off; what it said, and whether it was ended as it stood still."""
    began = time.time()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    stands_still = False
    while True:
        try:
            output, _ = process.communicate(timeout=5)
            return output.decode("utf-8", "replace"), stands_still
        except subprocess.TimeoutExpired:
            now = time.time()
            stands_still = now - (alive.stat().st_mtime if alive.exists() else began) > STILL_S
            if stands_still or now - began > patience_s:
                process.kill()


def said(result: Result) -> str:
    """What the script printed, which ended well."""
    assert result.status == 0, f"{result.output[-4000:]}\n--- console:\n{result.console[-2000:]}"
    return result.output


def results(output: str) -> list[str]:
    """The lines of a script's output that are results: no remarks, nothing empty."""
    return [line.rstrip() for line in output.splitlines() if line.strip() and not line.startswith("#")]
