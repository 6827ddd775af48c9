"""Makes what the tests boot: assembled programs, a GRUB CD-ROM and a GRUB hard disk. No root, no loop device.

Each function writes into a folder that the caller owns, and returns at once if the file is there already. Files appear
whole, by renaming, so test processes that run at the same time may share the folder.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.guests.expect import DISK_DATA_LBA, GRUB_CHOSEN, GRUB_ENTRY, GRUB_LAST_ENTRY, HELLO, HELLO_TEXT

GUESTS = Path(__file__).parent
GRUB_PLATFORM = Path("/usr/lib/grub/i386-pc")

SECTOR = 512
SMALL_DISK = 64 * SECTOR
PARTITION_START = 2048
"""Sector of the hard disk's partition; GRUB's core lies in the gap before it."""
PARTITION_SECTORS = 16384
"""At least."""

GRUB_MODULES = [
    *("biosdisk", "part_msdos", "ext2", "iso9660", "normal", "configfile", "serial", "terminal", "terminfo"),
    *("lspci", "ls", "cat", "echo", "halt", "reboot", "test", "linux", "linux16", "multiboot"),
]
GRUB_FLOPPY_MODULES = ["biosdisk", "serial", "terminal", "terminfo", "hashsum", "gcry_crc", "cat", "halt"]
FLOPPY_SECTORS = 2880

GRUB_TERMINAL = """\
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=-1
"""

GRUB_CONFIGURATION = f"""\
{GRUB_TERMINAL}
menuentry '{GRUB_ENTRY}' {{
    echo '{GRUB_CHOSEN}'
}}
menuentry 'List the PCI devices' {{
    lspci
}}
menuentry 'Restart' {{
    reboot
}}
menuentry '{GRUB_LAST_ENTRY}' {{
    halt
}}
"""


def need(tool: str, package: str) -> str:
    """The path of a program, or a skip that names the Debian package (which CI does not accept)."""
    path = shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"needs {tool}: apt-get install {package}")
    return path


def need_file(path: Path, package: str) -> Path:
    """As `need`, for a file."""
    if not path.exists():
        pytest.skip(f"needs {path}: apt-get install {package}")
    return path


def run_tool(command: Sequence[str | Path]) -> None:
    """Runs a tool; its own messages are in the assertion if it fails."""
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, f"{command[0]} failed with status {run.returncode}:\n{run.stdout}{run.stderr}"


def assemble(source: Path, out_dir: Path, defines: Mapping[str, str | int] | None = None) -> Path:
    """NASM, flat binary; `defines` become -D options, and part of the result's name."""
    defines = defines or {}
    name = "-".join([source.parent.name, source.stem, *(f"{key}={value}" for key, value in sorted(defines.items()))])
    target = out_dir / f"{name}.img"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=out_dir) as folder:
        unfinished = Path(folder, target.name)
        options = [f"-D{key}={value}" for key, value in defines.items()]
        include = f"-I{source.parent}/"
        run_tool([need("nasm", "nasm"), "-f", "bin", "-w+all", include, *options, "-o", unfinished, source])
        return unfinished.rename(target)


def disk_guest(out_dir: Path, *, sectors: int, passes: int) -> tuple[Path, int]:
    """The guest that reads its disk by DMA, on a disk with `sectors` of seeded data; and the CRC that it must find."""
    program = assemble(GUESTS / "disk" / "boot.asm", out_dir, {"SECTORS": sectors, "PASSES": passes})
    data = Random(sectors).randbytes(sectors * SECTOR)
    target = program.with_suffix(".disk.img")
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=out_dir) as folder:
            unfinished = Path(folder, target.name)
            unfinished.write_bytes(program.read_bytes().ljust(DISK_DATA_LBA * SECTOR, b"\0") + data)
            unfinished.rename(target)
    return target, zlib.crc32(data * passes)


def ticks_guest(out_dir: Path, modes: int = 7) -> Path:
    """The guest that counts timer ticks, in those modes: 1 real, 2 protected, 4 long mode."""
    return _small_disk(assemble(GUESTS / "ticks" / "boot.asm", out_dir, {"MODES": modes}))


def edu_guest(out_dir: Path) -> Path:
    """The guest that drives the edu card."""
    return _small_disk(assemble(GUESTS / "edu" / "boot.asm", out_dir))


def cpuhp_guest(out_dir: Path) -> Path:
    """The guest that waits for a second CPU."""
    return _small_disk(assemble(GUESTS / "cpuhp" / "boot.asm", out_dir))


def _small_disk(program: Path) -> Path:
    """A disk that begins with `program`."""
    target = program.with_suffix(".disk.img")
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            unfinished = Path(folder, target.name)
            unfinished.write_bytes(program.read_bytes().ljust(SMALL_DISK, b"\0"))
            unfinished.rename(target)
    return target


def _grub_tree(folder: Path, configuration: str = GRUB_CONFIGURATION, files: Mapping[str, Path] | None = None) -> Path:
    """The files of a GRUB image."""
    (folder / "boot" / "grub").mkdir(parents=True)
    (folder / "boot" / "grub" / "grub.cfg").write_text(configuration)
    (folder / HELLO).write_text(HELLO_TEXT + "\n")
    for name, source in (files or {}).items():
        shutil.copy(source, folder / name)
    return folder


def grub_rescue_iso(out_dir: Path) -> Path:
    """A CD-ROM image that boots by El Torito into GRUB's menu, on COM1 too."""
    target = out_dir / "grub-rescue.iso"
    if target.exists():
        return target
    make_rescue = need("grub-mkrescue", "grub-common")
    need("xorriso", "xorriso")
    need_file(GRUB_PLATFORM / "kernel.img", "grub-pc-bin")
    with tempfile.TemporaryDirectory(dir=out_dir) as folder:
        tree = _grub_tree(Path(folder, "tree"))
        unfinished = Path(folder, target.name)
        small = [f"--install-modules={' '.join(GRUB_MODULES)}", "--locales=", "--fonts=", "--themes="]
        run_tool([make_rescue, "-d", GRUB_PLATFORM, *small, "-o", unfinished, tree])
        return unfinished.rename(target)


def grub_disk_image(
    out_dir: Path,
    name: str = "grub-disk",
    configuration: str = GRUB_CONFIGURATION,
    files: Mapping[str, Path] | None = None,
) -> Path:
    """A hard disk image with GRUB: master boot record, core in the gap after it, one ext2 partition with the menu, and
    copies of `files` at its root. The `name` stands for what is in it.
    """
    target = out_dir / f"{name}.img"
    if target.exists():
        return target
    make_core = need("grub-mkimage", "grub-common")
    make_file_system = need("mkfs.ext2", "e2fsprogs")
    boot_sector = need_file(GRUB_PLATFORM / "boot.img", "grub-pc-bin").read_bytes()
    sectors = PARTITION_SECTORS + sum(-(-file.stat().st_size // SECTOR) for file in (files or {}).values())
    with tempfile.TemporaryDirectory(dir=out_dir) as folder:
        core = Path(folder, "core.img")
        prefix = ["-p", "(hd0,msdos1)/boot/grub"]
        run_tool([make_core, "-d", GRUB_PLATFORM, "-O", "i386-pc", *prefix, "-o", core, *GRUB_MODULES])
        file_system = Path(folder, "partition.img")
        with file_system.open("wb") as file:
            file.truncate(sectors * SECTOR)
        tree = _grub_tree(Path(folder, "tree"), configuration, files)
        run_tool([make_file_system, "-q", "-F", "-b", "1024", "-d", tree, file_system])
        unfinished = Path(folder, target.name)
        unfinished.write_bytes(_with_grub(boot_sector, core.read_bytes(), file_system.read_bytes()))
        return unfinished.rename(target)


def grub_floppy_image(out_dir: Path) -> Path:
    """A 1.44 MB floppy disk with GRUB, which says on COM1 what the disk's CRC-32 is and what its last sector says, and
    switches off.
    """
    target = out_dir / "grub-floppy.img"
    if target.exists():
        return target
    make_core = need("grub-mkimage", "grub-common")
    boot_sector = need_file(GRUB_PLATFORM / "boot.img", "grub-pc-bin").read_bytes()
    with tempfile.TemporaryDirectory(dir=out_dir) as folder:
        core, configuration = Path(folder, "core.img"), Path(folder, "grub.cfg")
        last = FLOPPY_SECTORS - 1
        configuration.write_text(f"{GRUB_TERMINAL}crc (fd0)0+{FLOPPY_SECTORS}\ncat (fd0){last}+1\nhalt\n")
        platform: list[str | Path] = ["-d", GRUB_PLATFORM, "-O", "i386-pc"]
        run_tool([make_core, *platform, "-p", "(fd0)/", "-c", configuration, "-o", core, *GRUB_FLOPPY_MODULES])
        unfinished = Path(folder, target.name)
        boot, whole = _loading(boot_sector, core.read_bytes())
        unfinished.write_bytes((boot + whole).ljust(last * SECTOR, b"\0") + HELLO_TEXT.encode().ljust(SECTOR, b"\n"))
        return unfinished.rename(target)


def _with_grub(boot_sector: bytes, core: bytes, partition: bytes) -> bytes:
    """The whole disk."""
    boot, core = _loading(boot_sector, core)
    assert len(boot) + len(core) <= PARTITION_START * SECTOR, "GRUB's core is too large for the gap"
    # One entry: active, Linux, LBA only (the CHS fields hold the largest values, as for any partition beyond them).
    # The other three must be cleared: boot.img has code for floppy disks there.
    no_chs = b"\xfe\xff\xff"
    entry = struct.pack("<B3sB3sII", 0x80, no_chs, 0x83, no_chs, PARTITION_START, len(partition) // SECTOR)
    boot[0x1BE:0x1FE] = entry.ljust(64, b"\0")
    return bytes(boot + core).ljust(PARTITION_START * SECTOR, b"\0") + partition


def _loading(boot_sector: bytes, core: bytes) -> tuple[bytearray, bytes]:
    """A boot sector that loads `core` from behind it, and the core. What grub-bios-setup does, for one in one piece.

    The boot sector loads one sector, the core's first, from the address at 5Ch; that one loads the rest as the list at
    its end says: first sector, number of sectors, segment to load it at (left as grub-mkimage wrote it).
    """
    core_sector = 1
    core = core.ljust(-(-len(core) // SECTOR) * SECTOR, b"\0")
    boot = bytearray(boot_sector)
    struct.pack_into("<Q", boot, 0x5C, core_sector)
    loader = bytearray(core[:SECTOR])
    struct.pack_into("<QH", loader, SECTOR - 12, core_sector + 1, len(core) // SECTOR - 1)
    return boot, bytes(loader) + core[SECTOR:]
