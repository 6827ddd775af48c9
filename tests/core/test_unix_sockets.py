"""Files of Unix sockets: what is stale goes, what is another's stays."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from southbridge.unix_sockets import SocketFile, remove_stale_socket


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path that is short enough for a socket's address."""
    monkeypatch.chdir(tmp_path)
    return Path("s")


def bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    return listener


def test_a_stale_socket_is_removed(path: Path) -> None:
    bound(path).close()
    assert not remove_stale_socket(path)
    assert not path.exists()


def test_one_at_which_somebody_listens_is_left(path: Path) -> None:
    with bound(path) as listener:
        listener.listen()
        assert remove_stale_socket(path, 1)
        assert path.is_socket()


def test_what_is_no_socket_is_left(path: Path) -> None:
    assert not remove_stale_socket(path)
    path.touch()
    assert not remove_stale_socket(path)
    assert path.exists()


def test_ones_own_file_is_removed(path: Path) -> None:
    with bound(path):
        SocketFile(path).remove()
    assert not path.exists()


def test_anothers_file_is_left(path: Path) -> None:
    with bound(path):
        file = SocketFile(path)
        path.rename("other")  # so that its inode isn't used again
        with bound(path):
            file.remove()
            assert path.is_socket()
