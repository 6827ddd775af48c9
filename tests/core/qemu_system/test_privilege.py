"""-runas and -chroot: afterwards the process is somebody else, somewhere else, and its monitor still works."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.qemu_system.options import read
from southbridge.qemu_system.privilege import give_up_privileges

from tests.core.qemu_system.program import libxl_options, make_files, running
from tests.core.qmp.conversations import CHARDEVS, Said
from tests.core.qmp.test_libxl import connect

NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_the_monitor_works_with_nothing_left(tmp_path: Path) -> None:
    make_files(tmp_path)
    empty = tmp_path / "root"
    empty.mkdir(0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qmp"))
        listener.listen()
        options = libxl_options(
            tmp_path,
            monitor=f"fd={listener.fileno()}",
            restrict=["-chroot", str(empty)],
        )
        options += ["-accel", "unicorn", "-runas", f"{NOBODY}:{NOBODY}", "-sandbox", "on,spawn=deny"]
        with running(options, tmp_path / "log", inherited=[listener.fileno()]) as process:
            listener.close()
            libxl = connect(tmp_path / "qmp")
            assert libxl.say(Said("query-status", {}, {}))["status"] == "prelaunch", (tmp_path / "log").read_text()
            libxl.say(CHARDEVS)
            libxl.say(Said("cont", {}, {}))
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
            assert "Groups:\t65534 \n" in status
            assert "Seccomp:\t2\n" in status
            assert os.readlink(f"/proc/{process.pid}/root") == str(empty)
            with (tmp_path / "cd2.iso").open("rb") as disc:
                added = libxl.say(Said("add-fd", {}, {}, file=True), disc.fileno())
            path = f"/dev/fdset/{added['fdset-id']}"
            libxl.say(Said("blockdev-change-medium", {"id": "ide-5632", "filename": path, "format": "raw"}, {}))
            assert path in libxl.say(Said("human-monitor-command", {"command-line": "info block"}, {}))
            libxl.say(Said("query-pci", {}, {}))
            libxl.say(Said("quit", {}, {}))
            assert process.wait(60) == 0, (tmp_path / "log").read_text()
            libxl.close()


@pytest.mark.parametrize(
    ("user", "message"),
    [("nobody-of-that-name", "there is no such user"), ("a:b", "expected a user's name or UID:GID")],
)
def test_users_that_there_are_not(user: str, message: str) -> None:
    with pytest.raises(SouthbridgeError, match=message):
        give_up_privileges(user=user, folder="", sandbox=False)


def test_a_folder_that_isnt_there() -> None:
    with pytest.raises(SouthbridgeError, match="rights can't be given up"):
        give_up_privileges(user="", folder="/no/such/folder", sandbox=False)


def test_a_sandbox_is_told_what_qemu_is_told() -> None:
    assert read(["-sandbox", "on,obsolete=deny,elevateprivileges=children,spawn=allow"]).process.sandbox
    assert not read(["-sandbox", "off"]).process.sandbox
    with pytest.raises(SouthbridgeError, match="spawn"):
        read(["-sandbox", "on,spawn=maybe"])
