"""Ids, locks and sockets of machines; folders that aren't to be trusted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from southbridge.control.folder import LONGEST_ID, claim, connect, folder_path, id_from, live
from southbridge.errors import SouthbridgeError

HOLDER = """
import os, sys
from southbridge.control.folder import claim
held = claim("pc")
print(held.id, flush=True)
sys.stdin.read()
"""


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_folder_and_socket_are_the_users_alone(runtime: Path) -> None:
    umask = os.umask(0)
    try:
        held = claim("pc")
    finally:
        os.umask(umask)
    assert mode(runtime) == 0o700
    assert mode(runtime / "pc.sock") == mode(runtime / "pc.lock") == 0o600
    held.close()


def test_the_socket_is_born_with_its_mode(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no moment in which others could connect: as soon as the name is there, the mode is."""
    born: list[int] = []
    bind = socket.socket.bind

    def watched(self: socket.socket, address: str) -> None:
        bind(self, address)
        born.append(mode(runtime / "pc.sock"))

    monkeypatch.setattr(socket.socket, "bind", watched)
    umask = os.umask(0)
    try:
        claim("pc").close()
    finally:
        os.umask(umask)
    assert born == [0o600]


def test_nothing_is_left_at_the_end(runtime: Path) -> None:
    held = claim("pc")
    assert live() == ["pc"]
    held.close()
    held.close()
    assert os.listdir(runtime) == []
    assert live() == []


def test_ids_are_unique_among_the_living(runtime: Path) -> None:
    held = [claim("pc") for _ in range(3)]
    assert [one.id for one in held] == ["pc", "pc-2", "pc-3"] == live()
    held[1].close()
    again = claim("pc")
    assert again.id == "pc-2"
    for one in (held[0], held[2], again):
        one.close()


def test_an_id_that_is_asked_for_is_had_or_refused() -> None:
    held = claim("mine", exactly=True)
    with pytest.raises(SouthbridgeError, match="there is a running machine 'mine' already"):
        claim("mine", exactly=True)
    held.close()


@pytest.mark.parametrize("id", ["", "-x", ".x", "a/b", "a b", "..", "é", "x" * (LONGEST_ID + 1)])
def test_impossible_ids(id: str, runtime: Path) -> None:
    with pytest.raises(SouthbridgeError, match="can't be a machine's id"):
        claim(id, exactly=True)
    assert not runtime.exists()


@pytest.mark.parametrize(
    ("name", "id"), [("pc", "pc"), ("my pc/2", "my-pc-2"), ("../x", "x"), ("...", "machine"), ("\n", "machine")]
)
def test_any_name_gives_an_id(name: str, id: str) -> None:
    assert id_from(name) == id
    claim(name).close()


def test_long_names_and_long_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's address has 108 bytes; our paths may be longer."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    held, second = claim("n" * 64), claim("n" * 64)
    assert second.id == held.id + "-2" and len(second.id) <= LONGEST_ID
    connection = connect(second.id, 10)
    assert connection is not None
    connection.close()
    held.close()
    second.close()


def test_a_dead_machines_files_are_replaced(runtime: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"pc\n"
    assert live() == ["pc"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (runtime / "pc.sock").exists()
    assert live() == []
    assert connect("pc", 10) is None
    held = claim("pc")
    assert held.id == "pc"
    connection = connect("pc", 10)
    assert connection is not None
    connection.close()
    held.close()


def test_many_at_once_get_ids_of_their_own() -> None:
    claims = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(20):
            claims.append(claim("pc"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({held.id for held in claims}) == 160
    for held in claims:
        held.close()


def test_without_a_runtime_folder_there_is_one_for_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert folder_path() == tmp_path / f"southbridge-{os.getuid()}"
    held = claim("pc")
    assert mode(folder_path()) == 0o700
    held.close()


def symlink(path: Path) -> None:
    path.with_name("elsewhere").mkdir(mode=0o700)
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(mode=0o755), r"others may enter it \(chmod 700 "),
        (lambda path: path.write_text(""), "Not a directory"),
        (symlink, "Not a directory"),
    ],
    ids=["open to others", "a file", "a symbolic link"],
)
def test_a_wrong_folder_is_refused(runtime: Path, make: Callable[[Path], None], message: str) -> None:
    make(runtime)
    with pytest.raises(SouthbridgeError, match=f"{runtime}: can't be used for control sockets: .*{message}"):
        claim("pc")
    with pytest.raises(SouthbridgeError, match="can't be used"):
        live()


def test_somebody_elses_folder_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SouthbridgeError, match=f"it belongs to user {os.getuid()}"):
        claim("pc")


def test_a_missing_runtime_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(SouthbridgeError, match=f"{tmp_path}/nowhere doesn't exist"):
        claim("pc")
    assert live() == []


def test_what_lies_under_our_names_is_not_followed(runtime: Path, tmp_path: Path) -> None:
    runtime.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (runtime / "pc.lock").symlink_to(victim)
    with pytest.raises(SouthbridgeError, match=r"pc\.lock"):
        claim("pc")
    (runtime / "other.sock").symlink_to(victim)
    held = claim("other")
    held.close()
    assert victim.read_text() == "precious"
