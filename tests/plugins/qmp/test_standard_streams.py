"""QMP at standard input and output, as `-qmp stdio` has it."""

from __future__ import annotations

import json
import socket
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(sysconfig.get_path("scripts"), "southbridge-system-x86_64")
OPTIONS = ("-machine", "pc", "-accel", "qtest", "-nodefaults", "-display", "none", "-S")
PATIENCE_S = 60.0


def said(options: list[str], requests: str) -> tuple[int, list[Any]]:
    """The program's exit status and messages."""
    done = subprocess.run(
        [PROGRAM, *OPTIONS, *options], input=requests.encode(), stdout=subprocess.PIPE, timeout=PATIENCE_S, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "options",
    [["-qmp", "stdio"], ["-chardev", "stdio,id=tools", "-mon", "chardev=tools,mode=control"]],
    ids=["qmp", "mon"],
)
def test_a_whole_conversation(options: list[str]) -> None:
    """The last words come too, though the machine ends."""
    requests = '{"execute": "qmp_capabilities"}\n{"execute": "query-commands", "id": 1}{"execute": "quit"}'
    status, (greeting, negotiated, commands, ended, shutdown) = said(options, requests)
    assert status == 0
    assert "QMP" in greeting
    assert negotiated == ended == {"return": {}}
    assert {"name": "query-block"} in commands["return"]
    assert commands["id"] == 1
    assert shutdown["event"] == "SHUTDOWN"


def test_who_hangs_up_leaves_the_machine_running(tmp_path: Path) -> None:
    other = tmp_path / "other"
    command = [str(PROGRAM), *OPTIONS, "-qmp", "stdio", "-qmp", f"unix:{other},server=on,wait=off"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert b"QMP" in process.stdout.readline()
        process.stdin.close()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(other))
            assert b"QMP" in client.recv(1000)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
