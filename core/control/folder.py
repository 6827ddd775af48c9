"""Where running machines are found: a folder of the user's with a socket and a lock file for each.

The folder is `$XDG_RUNTIME_DIR/southbridge`, or else one in the folder for temporary files, named for the user. A
machine holds a lock on `ID.lock` (flock(2)), which ends with its process however that ends; whoever has the lock of an
ID owns `ID.sock` and may remove one that a dead machine left behind. All names are looked up relative to the folder
that was checked (openat(2) and, for sockets, /proc/self/fd), so that nobody can exchange it in between, and a long path
is no problem for the 108 bytes that a socket's address has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import SouthbridgeError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST_ID = 64
MOST_ALIKE = 1000
"""How many machines of one name are told apart."""
BACKLOG = 16
"""Clients that wait for being accepted."""


def folder_path() -> Path:
    """Where the folder is, whether or not it exists."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime, "southbridge")
    return Path(tempfile.gettempdir(), f"southbridge-{os.getuid()}")


def check_id(id: str) -> str:
    """`id`, if a machine can be called so. Raises SouthbridgeError."""
    if not ID.fullmatch(id) or len(id) > LONGEST_ID:
        raise SouthbridgeError(
            f"{id[:LONGEST_ID]!r} can't be a machine's id: expected a letter or digit, then letters, digits, '.', '_' "
            f"or '-', at most {LONGEST_ID} in all"
        )
    return id


def id_from(name: str) -> str:
    """An id that is like `name`, which may be any text."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[: LONGEST_ID - 5] or "machine"


class Claim:
    """A machine's id while it lives: the lock, and the socket that clients connect to."""

    def __init__(self, folder: int, id: str, lock: int, listener: socket.socket) -> None:
        self.id = id
        self.listener = listener
        self._folder = folder
        self._lock = lock

    def close(self) -> None:
        """Gives the id up, removing its files; may be called twice."""
        if self._folder < 0:
            return
        self.listener.close()
        for name in (f"{self.id}.sock", f"{self.id}.lock"):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder)
        os.close(self._lock)
        os.close(self._folder)
        self._folder = -1


def claim(name: str, *, exactly: bool = False) -> Claim:
    """An id for a machine called `name`, and its listening socket: unique among those that live.

    Unless it must be `exactly` that name, it is made to fit. Raises SouthbridgeError if that name is taken, or if the
    folder can't be used.
    """
    wanted = check_id(name) if exactly else id_from(name)
    folder = open_folder(create=True)
    assert folder is not None
    try:
        for number in range(1, MOST_ALIKE):
            id = wanted if number == 1 else f"{wanted}-{number}"
            lock = _try_lock(folder, id)
            if lock is None and exactly:
                break
            if lock is not None:
                return Claim(folder, id, lock, _listen(folder, id, lock))
        raise SouthbridgeError(f"there is a running machine {wanted!r} already")
    except BaseException:
        os.close(folder)
        raise


def open_folder(*, create: bool = False) -> int | None:
    """A descriptor of the folder; None if it isn't there. Raises SouthbridgeError if it isn't ours alone."""
    path = folder_path()
    try:
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        if not create:
            return None
        raise SouthbridgeError(f"there is no folder for the control socket: {path.parent} doesn't exist") from None
    except OSError as error:
        raise SouthbridgeError(f"{path}: can't be used for control sockets: {error.strerror}") from None
    status = os.fstat(folder)
    if status.st_uid != os.geteuid():
        os.close(folder)
        raise SouthbridgeError(f"{path}: can't be used for control sockets: it belongs to user {status.st_uid}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.close(folder)
        raise SouthbridgeError(f"{path}: can't be used for control sockets: others may enter it (chmod 700 {path})")
    return folder


def live() -> list[str]:
    """The ids of the machines that run, sorted. Raises SouthbridgeError if the folder can't be used."""
    with _folder() as folder:
        if folder is None:
            return []
        names = [name.removesuffix(".sock") for name in os.listdir(folder) if name.endswith(".sock")]
        return sorted(id for id in names if ID.fullmatch(id) and _is_locked(folder, id))


def connect(id: str, timeout: float) -> socket.socket | None:
    """A connection to the machine `id`; None if none runs. Operations on it time out after `timeout` seconds.

    Raises OSError, SouthbridgeError.
    """
    with _folder() as folder:
        if folder is None or not ID.fullmatch(id) or not _is_locked(folder, id):
            return None
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout)
            connection.connect(_address(folder, id))
        except (FileNotFoundError, ConnectionRefusedError):  # it just ended
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _folder() -> Iterator[int | None]:
    folder = open_folder()
    try:
        yield folder
    finally:
        if folder is not None:
            os.close(folder)


def _address(folder: int, id: str) -> str:
    return f"/proc/self/fd/{folder}/{id}.sock"


def _try_lock(folder: int, id: str) -> int | None:
    """A descriptor that holds the lock of `id`; None if another machine does."""
    name = f"{id}.lock"
    while True:
        try:
            lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        except OSError as error:
            raise SouthbridgeError(f"{folder_path() / name}: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last owner may have removed the file between our opening and our locking it.
            if os.path.samestat(os.fstat(lock), os.stat(name, dir_fd=folder, follow_symlinks=False)):
                return lock
            os.close(lock)
        except FileNotFoundError:
            os.close(lock)
        except BlockingIOError:
            os.close(lock)
            return None


def _is_locked(folder: int, id: str) -> bool:
    """Whether a machine has `id`."""
    try:
        lock = os.open(f"{id}.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look don't hinder each other
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _listen(folder: int, id: str, lock: int) -> socket.socket:
    name = f"{id}.sock"
    listener = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)  # a dead machine's: we have its lock
        # Linux makes the file with the mode that the socket has: it is never open to others, and no umask is touched.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(_address(folder, id))
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        os.close(lock)
        raise SouthbridgeError(f"{folder_path() / name}: can't listen there: {error.strerror}") from None
