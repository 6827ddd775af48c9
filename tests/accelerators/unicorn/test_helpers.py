"""QEMU's helpers, and where the library keeps their addresses."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
from southbridge.accelerators.unicorn import helpers, layout, library, relocations


def originals() -> dict[str, int]:
    loaded = library.open_library()
    return {name: loaded.address(f"helper_{name}_x86_64") for name in helpers._NAMES}


def test_each_address_is_kept_twice() -> None:
    loaded = library.open_library()
    helpers.install(loaded)
    functions = originals()
    slots = relocations.find_slots(loaded.loaded, functions.values())
    assert len(slots) == 2 * len(functions)
    for function in functions.values():
        assert sorted(slot.in_data for slot in slots if slot.function == function) == [False, True]
    assert {slot.value for slot in slots}.isdisjoint(functions.values())
    assert len({slot.value for slot in slots}) == len(functions)


def test_words_are_read_only_again() -> None:
    loaded = library.open_library()
    helpers.install(loaded)
    pages = {slot.address & -4096 for slot in relocations.find_slots(loaded.loaded, originals().values())}
    assert relocations._protections(pages) == dict.fromkeys(pages, 1)


def test_again_is_nothing() -> None:
    loaded = library.open_library()
    helpers.install(loaded)
    before = [slot.value for slot in relocations.find_slots(loaded.loaded, originals().values())]
    helpers.install(library.open_library())
    assert [slot.value for slot in relocations.find_slots(loaded.loaded, originals().values())] == before


def test_a_function_that_the_library_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "_NAMES", ("rdmsr", "nonsense"))
    with pytest.raises(layout.LayoutError, match="it has no helper_nonsense_x86_64"):
        helpers._install(library.open_library())


def refused_elsewhere(change: str) -> str:
    """The message in a process where `change` was made before the first engine."""
    code = (
        "from southbridge.accelerators.unicorn import helpers, layout, library, relocations\n"
        f"{change}\n"
        "try:\n    helpers.install(library.open_library())\n"
        "except layout.LayoutError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("helpers.find_slots = lambda *it: []", "where rdmsr's address is kept"),
        ("find = helpers.find_slots\nhelpers.find_slots = lambda *it: find(*it)[1:]", "address is kept"),
        ("find = helpers.find_slots\nhelpers.find_slots = lambda *it: [s for s in find(*it) if not s.in_data]", "kept"),
        ("relocations._LinkMap._fields_", ""),
    ],
)
def test_another_layout_is_refused(change: str, message: str) -> None:
    output = refused_elsewhere(change)
    assert message in output
    assert bool(output) is bool(message)


def test_a_library_without_relocations(tmp_path: Path) -> None:
    assert relocations.find_slots(ctypes.CDLL(None), [1]) == []
