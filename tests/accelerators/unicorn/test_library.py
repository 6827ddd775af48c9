"""What is refused, and with which words: no library, another version, another layout."""

from __future__ import annotations

import ctypes
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from southbridge.accelerators.unicorn import UnicornAccelerator, layout, library, structures
from southbridge.accelerators.unicorn.engine import Access, Engine
from southbridge.errors import SouthbridgeError

from tests.accelerators.unicorn.guest import FakeMachine

NO_ACCESS = Access(lambda *it: 0, lambda *it: None, lambda *it: None, lambda address: 0)


def test_usable() -> None:
    state = UnicornAccelerator.availability()
    assert state.usable
    assert "2.1.4" in state.reason
    assert "GPL" in state.reason


def refuse(monkeypatch: pytest.MonkeyPatch) -> str:
    """The reason, which attaching gives too."""
    state = UnicornAccelerator.availability()
    assert not state.usable
    with pytest.raises(SouthbridgeError) as refusal:
        FakeMachine()
    assert state.reason in str(refusal.value)
    return state.reason


def test_other_version_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.2.0")
    reason = refuse(monkeypatch)
    assert "2.2.0" in reason
    assert "pip install unicorn==2.1.4" in reason


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_find", lambda: None)
    assert "pip install unicorn==2.1.4" in refuse(monkeypatch)


@pytest.mark.parametrize(("system", "machine"), [("win32", "AMD64"), ("linux", "riscv64"), ("darwin", "arm64")])
def test_other_host(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    reason = refuse(monkeypatch)
    assert system in reason
    assert machine in reason


def test_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.Library, "version", property(lambda self: "2.0.1"))
    with pytest.raises(SouthbridgeError, match=r"Unicorn 2\.0\.1; only 2\.1\.4"):
        FakeMachine()


def test_file_that_is_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "libunicorn.so.2"
    path.write_bytes(b"no library")
    monkeypatch.setattr(library, "_find", lambda: path)
    with pytest.raises(SouthbridgeError, match=r"libunicorn\.so\.2"):
        FakeMachine()


def test_library_without_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.Library, "tb_invalidate_everything", library._function(None), raising=False)
    with pytest.raises(SouthbridgeError, match="tb_invalidate_everything"):
        FakeMachine()


def shifted(structure: Any, before: str, size: int = 8) -> Any:
    """`structure` with something unknown before the field `before`."""
    fields = []
    for name, kind in structure._fields_:
        if name == before:
            fields.append(("unknown", ctypes.c_uint8 * size))
        fields.append((name, kind))
    return type(structure.__name__, (ctypes.Structure,), {"_fields_": fields})


@pytest.mark.parametrize("field", ["query", "vm_start", "tcg_flush_tlb", "cpu", "v_l1_size", "stop_request", "next_pc"])
def test_other_engine_layout(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setattr(structures, "UcStruct", shifted(structures.UcStruct, field))
    refused()


@pytest.mark.parametrize("field", ["created", "jmp_env", "breakpoints", "uc"])
def test_other_cpu_layout(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    kind = shifted(structures.cpu_state(200), field, 16)
    monkeypatch.setattr(structures, "cpu_state", lambda jump_buffer: kind)
    refused()


@pytest.mark.parametrize("field", ["cc_dst", "segs", "cr", "fpregs", "star", "pat", "error_code", "dr", "features"])
def test_other_state_layout(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setattr(structures, "CpuX86State", shifted(structures.CpuX86State, field))
    refused()


def test_other_jump_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "JUMP_BUFFER", dict.fromkeys(layout.JUMP_BUFFER, 312))
    refused()


def test_other_function_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layout._CPU_FUNCTIONS, "cpu_exec_enter", "x86_cpu_exec_exit_x86_64")
    assert "cpu_exec_enter" in refused()


def test_function_missing_from_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(layout._CPU_FUNCTIONS, "do_interrupt", "x86_cpu_do_nothing")
    assert "x86_cpu_do_nothing" in refused()


def refused() -> str:
    with pytest.raises(layout.LayoutError) as refusal:
        Engine(library.open_library(), NO_ACCESS)
    message = str(refusal.value)
    assert "knows the inside of Unicorn 2.1.4" in message
    assert "says that it is 2.1.4" in message
    assert "pip install unicorn==2.1.4" in message
    return message


def test_only_one_cpu(machine: FakeMachine) -> None:
    machine.cpus.plugged[1] = ""
    with pytest.raises(SouthbridgeError, match="unicorn has one CPU, but the machine has 2"):
        UnicornAccelerator().attach(cast(Any, machine))


def test_importing_the_accelerator_loads_nothing() -> None:
    code = (
        "import sys\n"
        "from southbridge.accelerators.unicorn import UnicornAccelerator\n"
        "assert UnicornAccelerator.availability().usable\n"
        "assert 'unicorn' not in sys.modules and 'ctypes' not in vars(UnicornAccelerator)\n"
        "assert 'libunicorn' not in open('/proc/self/maps').read()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
