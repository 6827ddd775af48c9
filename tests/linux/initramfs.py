"""Initial RAM file systems: BusyBox, modules, and a test's /init.

The archive's form: Linux's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.linux.packages import busybox, modules

UP = b"init: up"
DONE = b"init: done"
EXIT_PORT = 0x501
EXIT_STATUS = 0x2A * 2 + 1
"""What a guest that came to its end exits with: isa-debug-exit's form of 2Ah."""

_APPLETS = (
    *(
        "awk",
        "cat",
        "cmp",
        "date",
        "dd",
        "devmem",
        "dmesg",
        "echo",
        "false",
        "grep",
        "head",
        "hexdump",
        "hwclock",
        "insmod",
        "ls",
    ),
    *(
        "mkdir",
        "mount",
        "mkswap",
        "mknod",
        "swapon",
        "poweroff",
        "printf",
        "reboot",
        "sed",
        "seq",
        "sh",
        "sha256sum",
        "sleep",
        "sync",
    ),
    *(
        "tail",
        "test",
        "tr",
        "true",
        "uname",
        "usleep",
        "wc",
        "cut",
        "sort",
        "rtcwake",
        "ps",
        "kill",
        "stat",
        "readlink",
        "find",
    ),
)

_BEGIN = f"""\
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
echo {UP.decode()}
for module in $(cat /modules); do insmod /$module || echo "insmod $module failed"; done
until_can_read() {{ until head -c 1 $1 > /dev/null 2>&1; do usleep 20000; done; }}  # a disk's node comes before it
bugs() {{ dmesg | grep -i -E "$1|BUG:|Call Trace" | grep -v -e lockup -e 'MP-BIOS bug: 8254'; }}
dmesg -n 1  # so that no message of the kernel's comes into the middle of a line of the script's
"""
_END = f"""
echo {DONE.decode()}
printf '\\052' | dd of=/dev/port bs=1 seek={EXIT_PORT} count=1 2>/dev/null
while true; do sleep 1; done
"""


class Archive:
    """A newc cpio archive."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inode = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """A file, folder, link or device of that mode."""
        self._inode += 1
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        self._data += b"070701" + "".join(f"{value:08x}" for value in fields).encode() + name.encode() + b"\0"
        self._pad()
        self._data += data
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)

    def end(self) -> bytes:
        """All of it."""
        self.add("TRAILER!!!", 0)
        return bytes(self._data)


def with_dependencies(names: Iterable[str], known: dict[str, Path]) -> list[str]:
    """`names` and the modules that they need, in the order in which they can be inserted; built-in ones left out."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered:
            return
        if name not in known:
            return  # built in
        found = re.search(rb"\0depends=([^\0]*)\0", known[name].read_bytes())
        for needed in found.group(1).decode().split(",") if found else ():
            if needed:
                visit(needed.replace("-", "_"))
        ordered.append(name)

    for name in names:
        visit(name)
    return ordered


def initramfs(
    script: str,
    needed: Iterable[str] = (),
    files: Mapping[str, bytes] | None = None,
    programs: Mapping[str, bytes] | None = None,
) -> bytes:
    """One whose /init inserts the modules `needed`, runs `script`, says DONE, and ends the machine.

    The script has two functions. `until_can_read DISK` waits until there is that disk, and it has been made ready.
    `bugs PATTERN` prints the kernel's messages of bugs, and those that fit PATTERN, but for two that come where the
    host has no time for the guest: a CPU seems to stand still, and the timer not to tick while that is tried.
    `files` and `programs` go to the root.
    """
    archive = Archive()
    for folder in ("bin", "dev", "proc", "sys", "tmp", "mnt"):
        archive.add(folder, 0o40755)
    archive.add("dev/console", 0o20600, device=(5, 1))
    archive.add("bin/busybox", 0o100755, busybox())
    for applet in _APPLETS:
        archive.add(f"bin/{applet}", 0o120777, b"busybox")
    for folder in sorted({str(Path(name).parent) for name in (*(files or {}), *(programs or {})) if "/" in name}):
        archive.add(folder, 0o40755)
    for name, data in (files or {}).items():
        archive.add(name, 0o100644, data)
    for name, data in (programs or {}).items():
        archive.add(name, 0o100755, data)
    known = modules()
    names = with_dependencies(needed, known)
    for name in names:
        archive.add(f"{name}.ko", 0o100644, known[name].read_bytes())
    archive.add("modules", 0o100644, "".join(f"{name}.ko\n" for name in names).encode())
    archive.add("init", 0o100755, (_BEGIN + script + _END).encode())
    return archive.end()
