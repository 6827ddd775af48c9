"""What the lab boots: Xen, Debian's kernel, an initial RAM disk and dom0's root file system.

All of it is made from Debian's packages and kept in the tests' cache folder; nothing is installed on the host. The
files' names say from which recipe they are.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.guests.build import need, run_tool
from tests.linux.initramfs import Archive, with_dependencies
from tests.linux.packages import KERNEL, busybox, cache_folder, locked, modules, unpacked

INSIDE = Path(__file__).parent / "inside"
XEN = "xen-hypervisor-4.17-amd64"
SUITE = "bookworm"

DOM0_PACKAGES = (
    *("xen-utils-4.17", "xenstore-utils", "qemu-system-xen", "python3-minimal", "libpython3-stdlib"),
    *("mount", "kmod", "iproute2", "busybox-static", "procps", "strace"),
)
"""Besides those that Debian calls essential."""

EARLY_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
"""What the initial RAM disk needs to find the root file system."""

KEPT_MODULES = (
    *("drivers/xen", "drivers/virtio", "drivers/block", "drivers/net/tun.ko", "drivers/net/xen-netback"),
    *("fs/ext4", "fs/jbd2", "fs/mbcache.ko", "fs/9p", "fs/netfs", "fs/fscache", "net/9p", "net/bridge", "net/802"),
    *("net/llc", "lib", "crypto", "arch/x86/crypto"),
)
"""Parts of the kernel's modules that dom0 has."""

LEFT_OUT = ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*")
NOT_NEEDED = (
    *("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/perl", "usr/share/sounds", "usr/share/alsa"),
    *("usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/gconv", "boot"),
)
BOOT_SECTORS = {
    "boot.img": ("boot.asm",),
    "requests.img": ("boot.asm", "-DREQUESTS"),
    "graphics.img": ("graphics.asm",),
}
"""Disks of one boot sector each: its source, and nasm's options."""
RECIPE = ("lab-init", "initramfs-init", "boot.asm", "graphics.asm")
TOOLS = {"mmdebstrap": "mmdebstrap", "mkfs.ext4": "e2fsprogs", "nasm": "nasm"}
MiB = 1 << 20


@cache
def lab_image() -> Path:
    """The folder with `xen`, `vmlinux`, `initrd` and `root.ext4`. Skips the test if something is missing."""
    folder = cache_folder() / "lab"
    folder.mkdir(exist_ok=True)
    target = folder / _recipe()
    with locked(folder):
        if not target.is_dir():
            _build(folder, target)
    return target


def _recipe() -> str:
    digest = hashlib.sha256()
    for path in (Path(__file__), *(INSIDE / name for name in RECIPE)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path, target: Path) -> None:
    for tool, package in TOOLS.items():
        need(tool, package)
    if os.geteuid():
        pytest.skip("needs root, once, to make a root file system for dom0")
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        unfinished = Path(work, "lab")
        unfinished.mkdir()
        (archive,) = (unpacked(XEN) / "boot").glob("xen-*.gz")
        (unfinished / "xen").write_bytes(gzip.decompress(archive.read_bytes()))
        (kernel,) = (unpacked(KERNEL) / "boot").glob("vmlinuz-*")
        (unfinished / "vmlinux").write_bytes(_payload(kernel.read_bytes()))
        (unfinished / "initrd").write_bytes(_initrd())
        for name, (source, *options) in BOOT_SECTORS.items():
            run_tool([need("nasm", "nasm"), "-f", "bin", *options, "-o", unfinished / name, INSIDE / source])
            os.truncate(unfinished / name, MiB)
        root = Path(work, "root")
        _root(root)
        file_system(root, unfinished / "root.ext4", spare=128 * MiB)
        unfinished.rename(target)


def _payload(image: bytes) -> bytes:
    """The ELF file in a bzImage (Linux's boot protocol): Xen would take seconds to decompress it, as it runs here."""
    setup = ((image[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    return lzma.decompress(image[setup + offset : setup + offset + length - 4])


def _initrd() -> bytes:
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "newroot"):
        archive.add(name, 0o40755)
    archive.add("dev/console", 0o20600, device=(5, 1))
    archive.add("bin/busybox", 0o100755, busybox())
    archive.add("bin/sh", 0o120777, b"busybox")
    known = modules()
    names = with_dependencies(EARLY_MODULES, known)
    for name in names:
        archive.add(f"{name}.ko", 0o100644, known[name].read_bytes())
    archive.add("modules", 0o100644, "".join(f"{name}.ko\n" for name in names).encode())
    archive.add("init", 0o100755, (INSIDE / "initramfs-init").read_bytes())
    return archive.end()


def _root(root: Path) -> None:
    """dom0's root file system, from Debian's packages by the host's own sources, with the kernel's modules."""
    sources = [Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")]
    source = next((path for path in sources if path.exists()), None)
    if source is None:
        pytest.skip("needs apt's list of Debian's sources in /etc/apt")
    run_tool(
        [
            *(need("mmdebstrap", "mmdebstrap"), "--quiet", "--mode=root", "--variant=essential"),
            *("--include", ",".join(DOM0_PACKAGES), "--aptopt=Apt::Install-Recommends false"),
            *(f"--dpkgopt=path-exclude=/{pattern}" for pattern in LEFT_OUT),
            *(SUITE, root, source),
        ]
    )
    for name in NOT_NEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    _modules(root)
    for name in ("share", "opt/packages", "opt/southbridge", "var/log/xen", "var/lib/xen", "run"):
        (root / name).mkdir(parents=True, exist_ok=True)
    init = root / "lab-init"
    shutil.copy(INSIDE / "lab-init", init)
    init.chmod(0o755)


def _modules(root: Path) -> None:
    (source,) = (unpacked(KERNEL) / "lib" / "modules").iterdir()
    target = root / "lib" / "modules" / source.name
    target.mkdir(parents=True)
    for path in source.glob("modules.*"):
        shutil.copy(path, target)
    for name in KEPT_MODULES:
        kept = source / "kernel" / name
        if kept.is_dir():
            shutil.copytree(kept, target / "kernel" / name)
        elif kept.exists():
            (target / "kernel" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(kept, target / "kernel" / name)
    run_tool([need("chroot", "coreutils"), root, "depmod", source.name])


def file_system(folder: Path, target: Path, *, spare: int = 8 * MiB) -> None:
    """An ext4 image with what is in `folder`, and `spare` bytes left."""
    paths = [path for path in folder.rglob("*") if not path.is_symlink()]
    used = sum(4096 + (path.stat().st_size + 4095 & ~4095 if path.is_file() else 0) for path in paths)
    size = (used + used // 12 + spare + MiB) // MiB * MiB
    with target.open("wb") as file:
        file.truncate(size)
    options = ["-q", "-F", "-O", "^has_journal", "-m", "0", "-N", str(2 * len(paths) + 1024), "-d", str(folder)]
    run_tool([need("mkfs.ext4", "e2fsprogs"), *options, "-E", "root_owner=0:0,lazy_itable_init=1", target])
