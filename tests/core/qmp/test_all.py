"""Which module has which commands is said beforehand, so that it is imported only then."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import MethodType
from typing import cast

import pytest
from southbridge import Machine, MiB
from southbridge.qmp.all import FAMILIES, Family, commands

STARTS = """
import sys
from southbridge import Machine, MiB
from southbridge.control.builtin import MachineCommands
known = MachineCommands(Machine(memory=MiB)).commands
assert known.find("query-uuid").name == "query-uuid"
print(sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("southbridge.qmp.")))
"""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: str(family.module))
def test_a_family_has_what_is_said_of_it(family: Family) -> None:
    machine = Machine(memory=MiB)
    made = getattr(importlib.import_module(f"southbridge.qmp.{family.module}"), family.name)(machine)
    assert tuple(made.commands()) == family.names
    assert all(commands(machine)[name]().__name__ == made.commands()[name].__name__ for name in family.names)


def test_one_family_is_one_object() -> None:
    """What one command of a family changes, the others see."""
    made = commands(Machine(memory=MiB))
    eject, open_tray = (cast(MethodType, made[name]()) for name in ("eject", "blockdev-open-tray"))
    assert eject.__self__ is open_tray.__self__


def test_none_is_imported_at_the_start() -> None:
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True)
    families = {family.module for family in FAMILIES} - {"version"}  # which a greeting needs
    assert not families & set(eval(done.stdout)), done.stderr
