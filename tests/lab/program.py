"""This project for dom0: two disks, one with the Python packages that it needs, one with the project itself.

Debian's Python in dom0 has the version that is named here; packages are fetched for it, whichever Python the tests run
on. Modules are compiled beforehand, where this Python's byte code is that one's too.
"""

from __future__ import annotations

import atexit
import compileall
import hashlib
import importlib.metadata
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from southbridge.description.loader import keep_trees
from southbridge.module_archive import make_archive

from tests.lab.image import file_system
from tests.linux.packages import cache_folder, locked

PYTHON = (3, 11)
"""Debian bookworm's."""
NOT_NEEDED = ("unicorn",)
"""Requirements that are for other accelerators."""
IMPORTED_AT_START = ("yaml", "pluggy")
PROGRAM = "/opt/southbridge/southbridge-system-i386"
"""Where it is in dom0."""
QEMU = "/usr/libexec/xen-qemu-system-i386"
"""Where Debian's is."""

_START = """\
#!/usr/bin/python3 -IS
import sys
sys.path += ["/opt/southbridge/packages", "/opt/packages"]
from southbridge.module_archive import import_from
import_from("/opt/packages/modules")
import_from("/opt/southbridge/modules")
from southbridge.qemu_system.main import main
sys.exit(main())
"""


def program_disks() -> tuple[Path, Path]:
    """The disks, for `run_in_dom0`. Skips the test if the packages can't be had."""
    return _packages(), _project()


def _requirements() -> list[str]:
    """The project's own requirements, at the versions that are installed here."""
    found: dict[str, str] = {}
    waiting = ["southbridge"]
    while waiting:
        for text in importlib.metadata.requires(waiting.pop()) or []:
            specification, _, condition = text.partition(";")
            name = specification.split("[")[0]
            for character in "<>=!~ (":
                name = name.split(character)[0]
            if "extra" in condition or name in found or name in NOT_NEEDED:
                continue
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue  # for another system
            waiting.append(name)
    return sorted(f"{name}=={version}" for name, version in found.items())


@cache
def _packages() -> Path:
    wanted = _requirements()
    digest = hashlib.sha256("\n".join([*wanted, Path(__file__).read_text()]).encode()).hexdigest()[:16]
    folder = cache_folder() / "lab-python"
    folder.mkdir(exist_ok=True)
    target = folder / f"{digest}.ext4"
    with locked(folder):
        if not target.exists():
            for old in folder.glob("*.ext4"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=folder) as work:
                _fetch(wanted, Path(work, "root"))
                _compile(Path(work, "root"))
                _archive(Path(work, "root"), Path(work, "root", "modules"), IMPORTED_AT_START, at="/opt/packages")
                file_system(Path(work, "root"), Path(work, "disk"))
                Path(work, "disk").rename(target)
    return target


def _fetch(wanted: list[str], target: Path) -> None:
    version = ".".join(map(str, PYTHON))
    platforms = [f"--platform=manylinux{name}_x86_64" for name in ("2014", "_2_17", "_2_27", "_2_28")]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(target)),
        *("--no-deps", "--no-compile", "--only-binary=:all:", f"--python-version={version}", "--implementation=cp"),
        *platforms,
        *wanted,
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"needs Python packages for dom0, which pip could not fetch: {run.stderr.strip()[-300:]}")
    for tests in target.rglob("tests"):
        if tests.is_dir():
            shutil.rmtree(tests)


@cache
def _project() -> Path:
    """The project as it is installed here, links followed."""
    folder = Path(tempfile.mkdtemp(prefix="southbridge-lab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    site = Path(sysconfig.get_path("purelib"))
    (metadata,) = site.glob("southbridge-*.dist-info")
    root = folder / "root"
    packages = root / "packages"
    shutil.copytree(_source(site), packages / "southbridge", symlinks=False, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copytree(metadata, packages / metadata.name)
    keep_trees(packages / "southbridge/machines")
    _compile(packages)
    _archive(packages, root / "modules", ("southbridge",), at="/opt/southbridge/packages")
    (root / "southbridge-system-i386").write_text(_START)
    (root / "southbridge-system-i386").chmod(0o755)
    file_system(root, folder / "disk")
    shutil.rmtree(root)
    return folder / "disk"


def _source(site: Path) -> Path:
    """The package's folder: an installed one, or what an editable installation links."""
    if (site / "southbridge").is_dir():
        return site / "southbridge"
    (link,) = site.glob("__editable__.southbridge-*.pth")
    return Path(link.read_text().strip()) / "southbridge"


def _archive(root: Path, target: Path, packages: Sequence[str], at: str) -> None:
    if sys.version_info[:2] == PYTHON:
        make_archive(root, target, packages, at)


def _compile(folder: Path) -> None:
    if sys.version_info[:2] == PYTHON:
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=2, invalidation_mode=mode, stripdir=str(folder))
