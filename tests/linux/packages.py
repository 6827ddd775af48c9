"""Debian's packages that the tests boot: downloaded by apt, unpacked, never installed.

They are kept in `$SOUTHBRIDGE_TEST_CACHE`, or a folder of the user's cache, for later runs; test processes that run at
the same time share it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

KERNEL = "linux-image-amd64"
BUSYBOX = "busybox-static"


def cache_folder() -> Path:
    """Where everything is kept; made if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("SOUTHBRIDGE_TEST_CACHE") or Path(base, "southbridge-tests"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time inside."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def unpacked(package: str) -> Path:
    """The files of Debian's `package`. Skips the test, naming it, if it can't be had."""
    for tool, of in (("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg")):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {package}, by {tool} of Debian's {of}")
    folder = cache_folder()
    with locked(folder):
        options = _options(package, folder)
        name = _behind(package, options)
        version = _field("Version", _ask(["apt-cache", *options, "show", "--no-all-versions", name]))
        if version is None:
            pytest.skip(f"needs {package}: apt knows of no such package")
        target = folder / f"{name}_{version.replace(':', '%')}"
        if not target.is_dir():
            _download(package, name, options, target)
        return target


def _options(package: str, folder: Path) -> list[str]:
    """Options for apt: with lists of our own where the system has none, as in a fresh container."""
    if _field("Package", _ask(["apt-cache", "show", package])):
        return []
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / "apt" / name).mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::Lists={folder}/apt/lists", "-o", f"Dir::Cache={folder}/apt/cache"]
    if not _field("Package", _ask(["apt-cache", *options, "show", package])):
        _ask(["apt-get", *options, "-qq", "update"])
    return options


def _behind(package: str, options: list[str]) -> str:
    """The package that the metapackage `package` stands for; else itself."""
    depends = _field("Depends", _ask(["apt-cache", *options, "show", "--no-all-versions", package])) or ""
    found = re.match(r"linux-image-[0-9]\S*", depends)
    return found.group() if found else package


def _download(package: str, name: str, options: list[str], target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        run = subprocess.run(["apt-get", *options, "-qq", "download", name], cwd=work, capture_output=True, text=True)
        archives = list(Path(work).glob("*.deb"))
        if run.returncode or not archives:
            pytest.skip(f"needs {package}, which apt-get could not download: {run.stderr.strip()[-300:]}")
        subprocess.run(["dpkg-deb", "--extract", archives[0], Path(work, "files")], check=True)
        Path(work, "files").rename(target)


def _ask(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def _field(name: str, text: str) -> str | None:
    found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    return found.group(1) if found else None


def kernel() -> Path:
    """Debian's kernel image."""
    (image,) = (unpacked(KERNEL) / "boot").glob("vmlinuz-*")
    return image


def modules() -> dict[str, Path]:
    """The kernel's modules by name."""
    return {path.stem.replace("-", "_"): path for path in (unpacked(KERNEL) / "lib" / "modules").rglob("*.ko")}


def busybox() -> bytes:
    """Debian's static BusyBox."""
    return (unpacked(BUSYBOX) / "bin" / "busybox").read_bytes()


def programs(paths: Mapping[str, str], libraries: Mapping[str, str]) -> dict[str, bytes]:
    """Debian's dynamically linked programs with what they need, by their places in an initramfs.

    `paths` are the programs' paths in their packages, `libraries` the packages of the libraries, by their names.
    """
    found = {Path(path).name: _file(package, path) for path, package in paths.items()}
    for name, package in {"libc.so.6": "libc6", "libm.so.6": "libc6", **libraries}.items():
        found[f"lib/{name}"] = _file(package, name)
    found["lib64/ld-linux-x86-64.so.2"] = _file("libc6", "ld-linux-x86-64.so.2")
    return found


def _file(package: str, name: str) -> bytes:
    """A file of a package, by its path or its last part; links are followed within the package."""
    root = unpacked(package)
    path = root / name
    if not path.is_file():
        path = next(path for path in root.rglob(Path(name).name) if (root / _inside(path)).is_file())
    return (root / _inside(path)).read_bytes()


def _inside(path: Path) -> Path:
    return path.parent / os.readlink(path) if path.is_symlink() else path
