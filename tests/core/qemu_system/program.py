"""The program `southbridge-system-i386` as libxl calls it, and a guest for it."""

from __future__ import annotations

import contextlib
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

PROGRAM = Path(sysconfig.get_path("scripts"), "southbridge-system-i386")


def libxl_options(
    folder: Path,
    *,
    domain: int = 1,
    monitor: str = "",
    restrict: Sequence[str] = (),
    cpus: str = "1,maxcpus=2",
    incoming: Sequence[str] = (),
    medium: bool = True,
) -> list[str]:
    """What libxl 4.17 passes for a guest with a disk and a CD-ROM drive, word for word; its files are in `folder`."""
    monitor = monitor or f"path={folder}/qmp-libxl-{domain}"
    cd = f",file={folder}/cd1.iso,format=raw" if medium else ""
    return [
        *("-xen-domid", f"{domain}", "-no-shutdown"),
        *("-chardev", f"socket,id=libxl-cmd,{monitor},server=on,wait=off"),
        *(["-S"] if restrict else []),
        *("-mon", "chardev=libxl-cmd,mode=control"),
        *("-chardev", f"socket,id=libxenstat-cmd,path={folder}/qmp-libxenstat-{domain},server=on,wait=off"),
        *("-mon", "chardev=libxenstat-cmd,mode=control"),
        *("-nodefaults", "-no-user-config", "-name", "g", "-vnc", "none", "-display", "none"),
        *("-serial", f"file:{folder}/serial.log", "-boot", "order=c", "-smp", cpus, "-net", "none"),
        *restrict,
        *incoming,
        *("-machine", "xenfv,suppress-vmdesc=on", "-m", "64"),
        *("-drive", f"file={folder}/boot.img,if=ide,index=0,media=disk,format=raw,cache=writeback"),
        *("-drive", f"if=none,readonly=on,id=ide-5632{cd}"),
        *("-device", "ide-cd,id=ide-5632,drive=ide-5632,bus=ide.1,unit=0"),
    ]


def make_files(folder: Path) -> None:
    """The images that `libxl_options` name: a disk that doesn't boot, and two discs."""
    for name in ("boot.img", "cd1.iso", "cd2.iso"):
        (folder / name).write_bytes(bytes(1 << 20))


@contextlib.contextmanager
def running(options: Sequence[str], log: Path, *, inherited: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """The program with these options, and its messages in `log`. It is ended with the block, if it still runs."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [PROGRAM, *options], stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=inherited
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
