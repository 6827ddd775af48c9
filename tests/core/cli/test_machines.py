"""`southbridge machines` and `swap`: machines that run in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60
Southbridge = Callable[..., Any]
Running = subprocess.Popen[Any]

OTHER = "from kit import Still\n\n\nclass Calm(Still):\n    preference = 0\n\n\nclass Shy(Calm):\n    @classmethod\n"
OTHER += "    def availability(cls):\n        from southbridge import Availability\n"
OTHER += "        return Availability(False, 'it hides')\n"
ENTRY_POINTS = "[southbridge.accelerators]\ncalm = other:Calm\nshy = other:Shy\n"


@pytest.fixture
def run(
    start: Southbridge, kit: Path, distribution: Callable[..., Path], tmp_path: Path
) -> Callable[..., tuple[Running, str]]:
    """Starts a machine that does nothing; gives its process and its id, once it can be spoken to."""
    plugins = (kit, distribution("other", "1.0", ENTRY_POINTS, other=OTHER))

    def run(*options: str) -> tuple[Running, str]:
        path = tmp_path / "still.yaml"
        path.write_text("accelerator: still\nmemory: 1M\n")
        process = start("run", str(path), "--log", "info", *options, path=plugins, text=True)
        lines = []
        for line in process.stderr:
            lines.append(line)
            found = re.fullmatch(r"southbridge: machine id (\S+)\n", line)
            if found:
                return process, found[1]
        raise AssertionError("".join(lines))

    return run


def test_none(southbridge: Southbridge) -> None:
    result = southbridge("machines")
    assert (result.status, result.out, result.err) == (0, "", "")
    assert southbridge("machines", "--json").out == "[]\n"


def test_a_machine_is_listed_while_it_lives(run: Any, southbridge: Southbridge, runtime: Path) -> None:
    (first, id), (second, other) = run(), run()
    assert (id, other) == ("still", "still-2")
    wanted = [
        {"id": id, "name": "still", "process": process.pid, "status": "running", "accelerator": "still", "error": None}
        for process, id in ((first, "still"), (second, "still-2"))
    ]
    assert json.loads(southbridge("machines", "--json").out) == wanted
    lines = southbridge("machines").out.splitlines()
    assert lines[1].split() == ["still-2", "running", "still", "process", str(second.pid), "still"]
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=PATIENCE)
    assert json.loads(southbridge("machines", "--json").out) == wanted[1:]
    second.terminate()
    second.communicate(timeout=PATIENCE)
    assert second.returncode == 0
    left = sorted(os.listdir(runtime))
    assert left == ["still.lock", "still.sock"], "the killed can't tidy up; the next of its name does"
    third, id = run()
    third.terminate()
    third.communicate(timeout=PATIENCE)
    assert id == "still" and os.listdir(runtime) == []


def test_displays(run: Any, southbridge: Southbridge, tmp_path: Path) -> None:
    path = tmp_path / "vnc"
    screen = ("--set", "displays.screen.type=vnc", "--set", f"displays.screen.path={path}")
    _, id = run(*screen)
    wanted = [{"id": "screen", "link": f"vnc+unix://{path}"}]
    assert json.loads(southbridge("displays", id, "--json").out) == wanted
    assert southbridge("displays", id).out.split() == list(wanted[0].values())
    _, id = run()
    assert southbridge("displays", id).out == ""


def test_swap(run: Any, southbridge: Southbridge) -> None:
    _, id = run()
    result = southbridge("swap", id, "calm")
    assert (result.status, result.out, result.err) == (0, "", "")
    assert json.loads(southbridge("machines", "--json").out)[0]["accelerator"] == "calm"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clam", "there is no accelerator 'clam'; did you mean 'calm'?"),
        ("shy", "accelerator shy: it hides"),
    ],
)
def test_a_swap_that_cant_be(run: Any, southbridge: Southbridge, name: str, message: str) -> None:
    _, id = run()
    result = southbridge("swap", id, name)
    assert (result.status, result.out, result.err) == (2, "", f"southbridge: machine 'still': {message}\n")
    assert json.loads(southbridge("machines", "--json").out)[0]["accelerator"] == "still"


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (["powerdown", "still"], "machine 'still': still has no power button"),
        (["wakeup", "still"], "machine 'still': still isn't suspended"),
        (
            ["plug", "still", "edou", "card"],
            "machine 'still': 'edou' is not a valid device model name; did you mean 'edu'?",
        ),
        (
            ["plug", "still", "edu", "card"],
            "machine 'still': card: bus: there is no 'pci.0' among the buses (here: none)",
        ),
        (["plug", "still", "edu", "card", "--set", "addr"], "--set addr: expected a property's name and its value"),
        (["plug", "still", "edu", "card", "--set", "id=x"], "--set id: expected a property's name and its value"),
        (["unplug", "still", "card"], "machine 'still': Device 'card' not found"),
    ],
)
def test_what_cant_be_done_to_it(run: Any, southbridge: Southbridge, verb: list[str], message: str) -> None:
    run()
    result = southbridge(*verb)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"southbridge: {message}") and result.err.count("\n") == 1


@pytest.mark.parametrize(
    "verb", [["swap", "stil", "calm"], ["snapshot", "save", "stil", "file"], ["powerdown", "stil"]]
)
def test_no_such_machine(run: Any, southbridge: Southbridge, verb: list[str]) -> None:
    run()
    result = southbridge(*verb)
    message = "southbridge: there is no running machine 'stil'; did you mean 'still'?\n"
    assert (result.status, result.out, result.err) == (2, "", message)


def test_an_id_of_ones_choice(run: Any, southbridge: Southbridge, tmp_path: Path) -> None:
    assert run("--id", "mine")[1] == "mine"
    result = southbridge("run", str(tmp_path / "still.yaml"), "--id", "mine")
    assert (result.status, result.out) == (2, "")
    assert result.err.endswith("southbridge: there is a running machine 'mine' already\n")
    result = southbridge("run", str(tmp_path / "still.yaml"), "--id", "no/slash")
    assert (result.status, result.err.count("\n")) == (2, 1)


def test_a_folder_that_isnt_ours_costs_the_socket_only(
    southbridge: Southbridge, kit: Path, tmp_path: Path, runtime: Path
) -> None:
    runtime.mkdir(mode=0o777)
    runtime.chmod(0o777)
    path = tmp_path / "m.yaml"
    path.write_text("accelerator: still\nmemory: 1M\ndevices: {s: {type: stopper, status: 3}}\n")
    result = southbridge("run", str(path))
    assert result.status == 3
    assert f"southbridge: warning: no control socket: {runtime}: can't be used" in result.err
    result = southbridge("run", str(path), "--id", "m")
    assert result.status == 2
    assert result.err.endswith(f": others may enter it (chmod 700 {runtime})\n")
