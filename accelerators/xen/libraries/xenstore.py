"""libxenstore (xenstore.h).

Once somebody watches, the library reads from its connection on a thread of its own, which ends without a word if the
daemon does. So there is a second connection, on which nothing is said, and whose end is seen.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_uint, c_uint32, c_ulong, c_void_p

from .binding import failure, function, load

_free = ctypes.CDLL(None).free
_free.argtypes = [c_void_p]
_free.restype = None


RUN = "/var/run/xenstored"
"""Where the daemon's socket is, unless the environment's XENSTORED_RUNDIR or XENSTORED_PATH says otherwise."""


class XenStore:
    """See hypervisor.XenStore."""

    def __init__(self) -> None:
        library = load(("libxenstore.so.4", "libxenstore.so.3.0"), "libxenstore4")
        self._read = library.xs_read
        self._read.restype = c_void_p
        self._read.argtypes = [c_void_p, c_uint32, c_char_p, POINTER(c_uint)]
        self._directory = library.xs_directory
        self._directory.restype = c_void_p
        self._directory.argtypes = self._read.argtypes
        self._check_watch = library.xs_check_watch
        self._check_watch.restype = POINTER(c_char_p)
        self._check_watch.argtypes = [c_void_p]
        self._write = function(library, "xs_write", c_bool, (c_void_p, c_uint32, c_char_p, c_char_p, c_uint))
        self._rm = library.xs_rm
        self._rm.restype = c_bool
        self._rm.argtypes = [c_void_p, c_uint32, c_char_p]
        self._watch = function(library, "xs_watch", c_bool, (c_void_p, c_char_p, c_char_p))
        self._fileno = function(library, "xs_fileno", c_int, (c_void_p,))
        self._introduced = library.xs_is_domain_introduced
        self._introduced.restype = c_bool
        self._introduced.argtypes = [c_void_p, c_uint]
        self._close = library.xs_close
        self._close.restype = None
        self._close.argtypes = [c_void_p]
        self._handle = function(library, "xs_open", c_void_p, (c_ulong,))(0)
        self._lifeline = _connected()
        self._events = select.epoll()
        self._events.register(self._fileno(self._handle), select.EPOLLIN)
        if self._lifeline is not None:
            self._events.register(self._lifeline, select.EPOLLIN)

    def read(self, path: str) -> str | None:
        """See hypervisor.XenStore."""
        length = c_uint()
        found = self._read(self._handle, 0, path.encode(), byref(length))
        if not found:
            _raise_unless_missing("xs_read")
            return None
        try:
            return ctypes.string_at(found, length.value).decode(errors="replace")
        finally:
            _free(found)

    def write(self, path: str, value: str) -> None:
        """See hypervisor.XenStore."""
        data = value.encode()
        self._write(self._handle, 0, path.encode(), data, len(data))

    def remove(self, path: str) -> None:
        """See hypervisor.XenStore."""
        if not self._rm(self._handle, 0, path.encode()):
            _raise_unless_missing("xs_rm")

    def directory(self, path: str) -> list[str]:
        """See hypervisor.XenStore."""
        number = c_uint()
        found = self._directory(self._handle, 0, path.encode(), byref(number))
        if not found:
            _raise_unless_missing("xs_directory")
            return []
        try:
            names = (c_char_p * number.value).from_address(found)
            return [name.decode(errors="replace") for name in names if name]
        finally:
            _free(found)

    def watch(self, path: str, token: str) -> None:
        """See hypervisor.XenStore."""
        self._watch(self._handle, path.encode(), token.encode())

    def fileno(self) -> int:
        """See hypervisor.XenStore."""
        return self._events.fileno()

    def fired(self) -> list[tuple[str, str]]:
        """See hypervisor.XenStore."""
        ready = [descriptor for descriptor, _ in self._events.poll(0)]
        if self._lifeline is not None and self._lifeline.fileno() in ready:
            raise OSError(errno.EPIPE, "its daemon has ended")
        events: list[tuple[str, str]] = []
        while True:
            ctypes.set_errno(0)
            found = self._check_watch(self._handle)
            if not found:
                if ctypes.get_errno() not in (0, errno.EAGAIN):
                    raise failure("xs_check_watch")
                return events
            path, token = found[0] or b"", found[1] or b""
            events.append((path.decode(errors="replace"), token.decode(errors="replace")))
            _free(ctypes.cast(found, c_void_p))

    def is_domain_alive(self, domid: int) -> bool:
        """See hypervisor.XenStore."""
        return bool(self._introduced(self._handle, domid))

    def close(self) -> None:
        """Gives the connection back."""
        self._events.close()
        if self._lifeline is not None:
            self._lifeline.close()
        self._close(self._handle)


def _connected() -> socket.socket | None:
    """A connection to the daemon; None where the store is another domain, which the kernel speaks to."""
    folder = os.environ.get("XENSTORED_RUNDIR", RUN)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(os.environ.get("XENSTORED_PATH", f"{folder}/socket"))
    except OSError:
        made.close()
        return None
    return made


def _raise_unless_missing(name: str) -> None:
    if ctypes.get_errno() != errno.ENOENT:
        raise failure(name)
