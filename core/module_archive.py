"""Modules' code in one file, from which a program starts sooner: for hosts where each file that is opened takes long.

A device model's process imports hundreds of modules before its guest can run. In Xen's dom0, where a system call costs
a hundred times what it does elsewhere, finding and reading their files is a fifth of that. Where they are installed:

    python3 -m southbridge.module_archive /opt/southbridge /opt/southbridge/modules southbridge yaml pluggy

and the program, before it imports any of them, calls `import_from("/opt/southbridge/modules")`. The files stay where
they are: data, extension modules, what else there is, and tracebacks' lines come from them. An archive is for the
Python that made it; another one goes on with the files. Whoever changes a file makes the archive anew.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

TYPE_CHECKING = False  # without `typing`, which isn't loaded yet when this is
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Any

_VERSION = sys.implementation.cache_tag or ""


class ModuleArchive:
    """Finds and loads the modules of an archive. Raises OSError, or ValueError for what is none for this Python."""

    def __init__(self, path: str) -> None:
        with open(path, "rb", buffering=0) as file:
            length = int.from_bytes(file.read(8), "little")
            if length > os.fstat(file.fileno()).st_size:
                raise ValueError(f"{path} is no archive of modules")
            try:
                version, self._root, self._modules = marshal.loads(file.read(length))
            except (EOFError, TypeError, ValueError) as error:
                raise ValueError(f"{path} is no archive of modules") from error
            if version != _VERSION:
                raise ValueError(f"{path} is for {version}")
            self._file = os.dup(file.fileno())
        self._codes = 8 + length

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """See importlib.abc.MetaPathFinder."""
        found = self._modules.get(name)
        if found is None:
            return None
        file, is_package, _, _ = found
        origin = f"{self._root}/{file}"
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(origin)]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """See importlib.abc.Loader: the usual one."""

    def exec_module(self, module: ModuleType) -> None:
        """See importlib.abc.Loader."""
        assert module.__spec__ is not None
        _, _, offset, size = self._modules[module.__spec__.name]
        code: CodeType = marshal.loads(os.pread(self._file, size, self._codes + offset))
        exec(code, module.__dict__)


def import_from(path: str) -> None:
    """From now on, modules that the archive has are imported from it. One that isn't there, or for another Python, is
    passed over.
    """
    try:
        sys.meta_path.insert(0, ModuleArchive(path))
    except (OSError, ValueError):
        return


def make_archive(root: Path, target: Path, packages: Iterable[str], at: str | None = None) -> int:
    """Archives the modules of `packages`, folders of `root`; gives their number.

    `at` is where `root` will be when they are imported. Raises OSError, or SyntaxError.
    """
    modules: dict[str, tuple[str, bool, int, int]] = {}
    codes: list[bytes] = []
    size = 0
    root_name = at or str(root)
    for package in packages:
        if not (root / package).is_dir():
            raise FileNotFoundError(f"there is no package {package} in {root}")
        for path in sorted((root / package).rglob("*.py")):
            file = str(path.relative_to(root))
            words = file.removesuffix(".py").split("/")
            is_package = words[-1] == "__init__"
            code = marshal.dumps(compile(path.read_bytes(), f"{root_name}/{file}", "exec", dont_inherit=True))
            modules[".".join(words[:-1] if is_package else words)] = (file, is_package, size, len(code))
            codes.append(code)
            size += len(code)
    index = marshal.dumps((_VERSION, root_name, modules))
    target.write_bytes(b"".join([len(index).to_bytes(8, "little"), index, *codes]))
    return len(modules)


def main() -> int:
    """python -m southbridge.module_archive ROOT TARGET PACKAGE..."""
    from pathlib import Path

    if len(sys.argv) < 4:
        print("python -m southbridge.module_archive ROOT TARGET PACKAGE...", file=sys.stderr)
        return 2
    root, target, *packages = sys.argv[1:]
    try:
        count = make_archive(Path(root), Path(target), packages)
    except (OSError, SyntaxError) as error:
        print(f"{target}: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {count} modules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
