"""Verbs that plugins bring: typer apps, functions, hooks; and broken ones, which are reported when they are used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Southbridge = Callable[..., Any]

SOURCES = {
    "good_function": 'def greet(name: str = "you"):\n    """Greets."""\n    print("hello", name)\n    return 4\n',
    "good_app": (
        "import typer\napp = typer.Typer(help='Tools.')\n"
        "@app.command()\ndef one() -> None:\n    print('one')\n"
        "@app.command()\ndef two() -> None:\n    print('two')\n"
    ),
    "good_hook": (
        "from southbridge import hookimpl\n@hookimpl\ndef register_commands(commands):\n"
        "    @commands.command()\n    def alpha():\n        print('alpha')\n"
        "    @commands.command()\n    def beta():\n        print('beta')\n"
    ),
    "bad_import": "raise OSError('no')\n",
    "bad_hook": "from southbridge import hookimpl\n@hookimpl\ndef register_commands(verbs):\n    pass\n",
    "bad_object": "app = 3\n",
    "bad_function": "def app(x: list[list[int]]) -> None:\n    pass\n",
}
ENTRY_POINTS = """
[southbridge.commands]
greet = good_function:greet
tools = good_app:app
letters = good_hook
badimport = bad_import:app
badhook = bad_hook
badobject = bad_object:app
badfunction = bad_function:app
run = bad_import:app
"""


@pytest.fixture(autouse=True)
def verbs(distribution: Callable[..., Path]) -> Path:
    """A distribution with all of these."""
    return distribution("verbs", "1.2", ENTRY_POINTS, **SOURCES)


@pytest.mark.parametrize(
    "arguments, out, status",
    [
        (["greet"], "hello you\n", 4),
        (["greet", "--name", "Ada"], "hello Ada\n", 4),
        (["tools", "two"], "two\n", 0),
        (["alpha"], "alpha\n", 0),
        (["beta"], "beta\n", 0),
    ],
)
def test_a_plugins_verb_is_one_of_the_command(
    southbridge: Southbridge, arguments: list[str], out: str, status: int
) -> None:
    result = southbridge(*arguments)
    assert (result.status, result.out, result.err) == (status, out, "")


@pytest.mark.parametrize(
    "verb, message",
    [
        ("badimport", "(bad_import:app, of verbs 1.2) can't be imported: OSError: no"),
        ("badhook", "(bad_hook, of verbs 1.2): plugin 'badhook' has a hook that doesn't fit: "),
        ("badobject", "(bad_object:app, of verbs 1.2): expected a typer app, a function, or "),
        ("badfunction", "(bad_function:app, of verbs 1.2) can't be made a command: "),
    ],
)
def test_a_broken_verb_is_reported_when_it_is_used(southbridge: Southbridge, verb: str, message: str) -> None:
    result = southbridge(verb, "--with", "anything")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"southbridge: command '{verb}' {message}")
    assert result.err.count("\n") == 1


def test_help_lists_all_and_says_which_are_broken(southbridge: Southbridge) -> None:
    result = southbridge("--help")
    assert (result.status, result.err) == (0, "")
    lines = {line.split()[0]: line for line in result.out.splitlines() if line.startswith("  ") and line.strip()}
    assert lines["greet"].endswith("Greets.")
    assert {"tools", "alpha", "beta"} <= lines.keys()
    assert all("Broken: " in lines[verb] for verb in ("badimport", "badhook", "badobject", "badfunction"))


def test_our_own_verbs_do_not_look_at_plugins(southbridge: Southbridge) -> None:
    assert southbridge("validate").status == 0
    assert southbridge("run", "no-such-machine").err.startswith("southbridge: there is no machine")
    assert not {"good_function", "good_app", "bad_import"} & sys.modules.keys()


def test_an_unknown_verb_is_still_unknown(southbridge: Southbridge) -> None:
    result = southbridge("gamma")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("southbridge: No such command 'gamma'.")
