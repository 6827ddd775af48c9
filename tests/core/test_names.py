"""What the package itself offers: each name by its module, when it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import southbridge


def named_for_type_checkers() -> dict[str, str]:
    """Each name's module, by the imports that only type checkers read."""
    tree = ast.parse(Path(southbridge.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_all_names_are_there_and_from_where_type_checkers_are_told() -> None:
    expected = named_for_type_checkers()
    assert {*expected, "__version__"} == set(southbridge.__all__) <= set(dir(southbridge))
    for name, module in expected.items():
        there = sys.modules.get(f"southbridge.{module}") or __import__(f"southbridge.{module}", fromlist=[name])
        assert getattr(southbridge, name) is getattr(there, name)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = southbridge.Nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_no_machine() -> None:
    code = "import southbridge, sys; print([name for name in sys.modules if name.startswith('southbridge.')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
