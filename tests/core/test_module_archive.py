"""A program imports its modules from an archive, as it would from their files."""

from __future__ import annotations

import marshal
import subprocess
import sys
from pathlib import Path

import pytest
from southbridge.module_archive import ModuleArchive, main, make_archive

PROGRAM = """
import sys
from southbridge.module_archive import import_from
import_from(sys.argv[1])
sys.path.insert(0, sys.argv[2])
import thing.inner.leaf
print(thing.inner.leaf.DATA, thing.inner.__path__, thing.inner.leaf.__file__, type(thing.__loader__).__name__)
thing.inner.leaf.fail()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A package with another in it, and a file that it reads."""
    inner = tmp_path / "root/thing/inner"
    inner.mkdir(parents=True)
    (inner.parent / "__init__.py").write_text("")
    (inner / "__init__.py").write_text("")
    (inner / "data").write_text("whole")
    source = "from pathlib import Path\nDATA = Path(__file__).with_name('data').read_text()\ndef fail(): 1 / 0\n"
    (inner / "leaf.py").write_text(source)
    return tmp_path / "root"


def run(archive: Path, root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROGRAM, archive, root], capture_output=True, text=True)


def test_modules_come_from_it(root: Path) -> None:
    archive = root / "modules"
    assert make_archive(root, archive, ["thing"]) == 3
    leaf = root / "thing/inner/leaf.py"
    done = run(archive, root)
    assert done.stdout.split() == ["whole", f"['{leaf.parent}']", str(leaf), "ModuleArchive"]
    assert f'File "{leaf}", line 3, in fail' in done.stderr, "tracebacks name the file"


def test_it_may_be_for_another_place(root: Path) -> None:
    make_archive(root, root / "modules", ["thing"], at="/elsewhere")
    spec = ModuleArchive(str(root / "modules")).find_spec("thing.inner")
    assert spec.origin == "/elsewhere/thing/inner/__init__.py"
    assert spec.submodule_search_locations == ["/elsewhere/thing/inner"]


@pytest.mark.parametrize(
    "contents",
    [None, b"", b"\xff" * 9, b"\x04" + bytes(11), b"x" * 99, b"\0" * 99],
    ids=["none", "empty", "too long", "no index", "text", "zeros"],
)
def test_one_that_is_of_no_use_is_passed_over(root: Path, contents: bytes | None) -> None:
    archive = root / "modules"
    if contents is not None:
        archive.write_bytes(contents)
    assert run(archive, root).stdout.endswith("SourceFileLoader\n")


def test_another_pythons_is_passed_over(root: Path) -> None:
    index = marshal.dumps(("cpython-0", str(root), {"thing": ("thing/__init__.py", True, 0, 0)}))
    (root / "modules").write_bytes(len(index).to_bytes(8, "little") + index)
    assert run(root / "modules", root).stdout.endswith("SourceFileLoader\n")


def test_the_command(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["x", str(root), str(root / "modules"), "thing"])
    assert main() == 0
    assert capsys.readouterr().out == f"{root / 'modules'}: 3 modules\n"


@pytest.mark.parametrize("wrong", ["usage", "folder", "package", "syntax"])
def test_the_commands_errors(
    wrong: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "thing/bad.py").write_text("=" if wrong == "syntax" else "")
    target = root / "none/modules" if wrong == "folder" else root / "modules"
    arguments = [str(root), str(target), "nothing" if wrong == "package" else "thing"]
    monkeypatch.setattr(sys, "argv", ["x", *arguments[: 2 if wrong == "usage" else 3]])
    assert main() == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
