"""-sandbox: system calls that a machine's process has no use for are refused from now on (Linux's seccomp)."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

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
"""x86-64's numbers of what is refused."""


def enter_sandbox() -> None:
    """Refuses REFUSED and new processes, in every thread. Nothing, where it isn't known how. Raises OSError."""
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
