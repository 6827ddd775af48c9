"""-chroot, -runas, -sandbox: what the process gives up once everything that it needs is open.

QEMU is the reference: UID:GID has that one group, a user by name also those that it is a member of. Modules that would
be imported later are imported before: there are no files to import from afterwards.
"""

from __future__ import annotations

import grp
import importlib
import os
import pkgutil
import pwd

from ..discovery import load, names
from ..errors import SouthbridgeError
from ..imported_late import LATE, load_now
from .sandbox import enter_sandbox

NEEDED_LATER = (
    *(
        "southbridge.control",
        "southbridge.qmp",
        "southbridge.qom",
        "southbridge.hmp",
        "southbridge.description",
        "southbridge.memory",
        "southbridge.migration",
        "southbridge.usb",
    ),
    *("southbridge.acpi", "asyncio"),
)
"""Packages, all of whose modules a running machine may import late."""
ALSO_NEEDED = (
    *(
        "southbridge.backends",
        "southbridge.machine_state",
        "southbridge.paging",
        "southbridge.device_state",
        "southbridge.register_view",
        "pydantic.main",
        "pydantic.type_adapter",
        "uuid",
    ),
    *("concurrent.futures.thread", "difflib", "tempfile", "traceback"),
    *("encodings.idna", "encodings.latin_1", "encodings.ascii"),
)
NOT_NEEDED = ("windows", "__main__")
"""Parts of names of modules that are for other systems, or for running a package."""


def give_up_privileges(*, user: str, folder: str, sandbox: bool) -> None:
    """Makes `folder` the root, becomes `user`, then refuses system calls. Raises SouthbridgeError.

    Call it while no other thread runs Python code that this one's rights matter to.
    """
    identity = _identity(user) if user else None
    try:
        if folder:
            os.chroot(folder)
            os.chdir("/")
        if identity is not None:
            uid, gid, groups = identity
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        if sandbox:
            enter_sandbox()
    except OSError as error:
        raise SouthbridgeError(f"rights can't be given up: {error}") from None


def _identity(user: str) -> tuple[int, int, list[int]]:
    """User, group and further groups: of "uid:gid", or of a user by name."""
    uid, colon, gid = user.partition(":")
    if colon:
        if not uid.isdigit() or not gid.isdigit():
            raise SouthbridgeError(f"-runas {user}: expected a user's name or UID:GID")
        return int(uid), int(gid), [int(gid)]
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise SouthbridgeError(f"-runas {user}: there is no such user") from None
    groups = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    return entry.pw_uid, entry.pw_gid, [entry.pw_gid, *groups]


def import_what_is_needed_later() -> None:
    """Imports NEEDED_LATER, ALSO_NEEDED and what images are read by; reads shipped descriptions."""
    for name in NEEDED_LATER:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not any(part in found.name for part in NOT_NEEDED):
                importlib.import_module(found.name)
    for name in (*ALSO_NEEDED, *LATE):
        load_now(importlib.import_module(name))
    for name in names("blockdevs"):
        load("blockdevs", name)
    from ..qom.paths import boards_ids

    boards_ids()
