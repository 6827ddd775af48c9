"""Privileges that a device model gives up once everything is open: a guest that took it over would find little.

First Xen's handles are good for one domain alone, then the root folder is another one, then the user, and then system
calls that a device model has no use for are refused (Linux's seccomp).
"""

from __future__ import annotations

import ctypes
import errno
import grp
import os
import platform
import pwd
import struct
from pathlib import Path

from southbridge.errors import SouthbridgeError

_SET_NO_NEW_PRIVS = 38
_SECCOMP, _SET_MODE_FILTER, _ALL_THREADS = 317, 1, 1
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
"""Of classic BPF: a word of seccomp_data, a comparison, the result."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_CLONE, _CLONE3, _CLONE_THREAD = 56, 435, 0x1_0000
_X86_64 = 0xC000_003E

REFUSED = {
    "fork": 57,
    "vfork": 58,
    "execve": 59,
    "execveat": 322,
    "ptrace": 101,
    "setuid": 105,
    "setgid": 106,
    "setreuid": 113,
    "setregid": 114,
    "setgroups": 116,
    "setresuid": 117,
    "setresgid": 119,
    "chroot": 161,
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "reboot": 169,
    "init_module": 175,
    "finit_module": 313,
    "delete_module": 176,
    "kexec_load": 246,
    "setns": 308,
    "unshare": 272,
    "bpf": 321,
    "userfaultfd": 323,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
}
"""x86-64's numbers of what a sandbox refuses."""


def user(text: str) -> tuple[int, int]:
    """User and group of "UID:GID" or of a user's name. Raises SouthbridgeError."""
    uid, separator, gid = text.partition(":")
    if separator and uid.isdecimal() and gid.isdecimal():
        return int(uid), int(gid)
    try:
        found = pwd.getpwnam(text)
    except KeyError:
        raise SouthbridgeError(f"there is no user {text!r}; a user is a name, or UID:GID") from None
    return found.pw_uid, found.pw_gid


def confine(root: Path | None, run_as: str | None, sandbox: bool) -> None:
    """Gives up what the arguments say. Raises SouthbridgeError."""
    who = user(run_as) if run_as is not None else None
    try:
        if root is not None:
            os.chroot(root)
            os.chdir("/")
        if who is not None:
            become(*who)
        if sandbox:
            enter_sandbox()
    except OSError as error:
        raise SouthbridgeError(f"privileges can't be given up: {error}") from error


def become(uid: int, gid: int) -> None:
    """Another user, for good."""
    os.setgroups(_groups(uid, gid))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _groups(uid: int, gid: int) -> list[int]:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return [gid]
    return [gid, *(group.gr_gid for group in grp.getgrall() if name in group.gr_mem)]


def enter_sandbox() -> None:
    """Refuses REFUSED and new processes from now on, in every thread. Nothing, where it isn't known how."""
    if platform.machine() != "x86_64":
        return
    program = _program(list(REFUSED.values()))
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    whole = Program(len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        _SECCOMP, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(whole)
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _program(numbers: list[int]) -> bytes:
    """Classic BPF: the calls in `numbers` fail with EPERM, and so does clone, unless it makes a thread.

    Its newer form, whose arguments a filter can't see, isn't there (ENOSYS): the C library takes the older one then.
    """
    tail = [
        (_JUMP_EQUAL, 0, 2, _CLONE),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_SET, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    refuse, missing, allow = len(numbers) + 4, len(numbers) + 5, len(numbers) + 3
    steps = [(_JUMP_EQUAL, refuse - at, 0, number) for at, number in enumerate(numbers)]
    steps.append((_JUMP_EQUAL, missing - len(numbers), 0, _CLONE3))
    head = [(_LOAD, 0, 0, _ARCHITECTURE), (_JUMP_EQUAL, 0, allow + 2, _X86_64), (_LOAD, 0, 0, _NUMBER)]
    return b"".join(struct.pack("=HBBI", *step) for step in [*head, *steps, *tail])
