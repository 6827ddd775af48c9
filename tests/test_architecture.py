"""The house rules of docs/ and design.md that a program can check: imports run one way, folders explain themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"core": "southbridge", "plugins": "southbridge.plugins", "accelerators": "southbridge.accelerators"}
LONGEST_FILE = 600
"""Lines; what is longer is more than one idea."""

SOURCES = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
PLUGINS = sorted(
    path
    for folder in ("plugins", "accelerators")
    for path in (ROOT / folder).iterdir()
    if (path / "__init__.py").exists()
)


def module_of(path: Path) -> str:
    """The dotted name of the module in the file at `path`."""
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[folder], *rest]).removesuffix(".__init__")


def home_of(module: str) -> tuple[str, str]:
    """Which house a module is in, and which of its plugins or accelerators: ("plugins", "piix3"), ("core", "")."""
    parts = module.split(".")
    if parts[1:2] in (["plugins"], ["accelerators"]):
        return parts[1], parts[2] if len(parts) > 2 else ""
    return "core", ""


def imports(source: str, module: str, is_package: bool) -> Iterator[str]:
    """The full names of what a module imports, wherever in it, for type checking too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level + is_package or None] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def forbidden(module: str, imported: str) -> bool:
    """Whether `module` may not import `imported`."""
    if not imported.startswith("southbridge."):
        return False
    here, there = home_of(module), home_of(imported)
    return there[0] != "core" and there != here


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    module = module_of(path)
    found = imports(path.read_text(), module, path.name == "__init__.py")
    assert [name for name in found if forbidden(module, name)] == []


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("southbridge.machine", "from .device import Device", False),
        ("southbridge.machine", "import southbridge.plugins.piix3", True),
        ("southbridge.machine", "from .plugins import piix3", True),
        ("southbridge.pci.bus", "from ..accelerators.unicorn import vcpu", True),
        ("southbridge.pci.bus", "from ..device import Device", False),
        ("southbridge.plugins.piix3.device", "from southbridge.pci import PciDevice", False),
        ("southbridge.plugins.piix3.device", "from southbridge import Device", False),
        ("southbridge.plugins.piix3.device", "from .ide import Piix3Ide", False),
        ("southbridge.plugins.piix3.device", "from ..i8259 import I8259", True),
        ("southbridge.plugins.piix3.device", "from .. import i8259", True),
        ("southbridge.plugins.piix3.device", "from southbridge.plugins.i8259.device import I8259", True),
        ("southbridge.plugins.piix3.device", "from southbridge.accelerators import unicorn", True),
        ("southbridge.accelerators.unicorn.vcpu", "from ..kvm import Kvm", True),
        ("southbridge.accelerators.unicorn.vcpu", "import southbridge.plugins.bios as bios", True),
        ("southbridge.accelerators.unicorn.vcpu", "def f():\n    from .engine import Engine", False),
    ],
)
def test_the_rule_itself(module: str, line: str, wrong: bool) -> None:
    assert [forbidden(module, name) for name in imports(line, module, is_package=False)] == [wrong]


def test_a_packages_own_names_are_below_it() -> None:
    found = list(imports("from .device import Piix3\nfrom . import ide", "southbridge.plugins.piix3", is_package=True))
    assert found == ["southbridge.plugins.piix3.device.Piix3", "southbridge.plugins.piix3.ide"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    assert not text or ast.get_docstring(ast.parse(text)), "a module begins with what it is"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: path.name)
def test_each_plugin_has_a_readme(folder: Path) -> None:
    """What is modelled, what isn't, and which document it was written from."""
    readme = folder / "README.md"
    assert readme.exists()
    assert len(readme.read_text().split()) > 20


def test_every_package_is_installed() -> None:
    """Packages are listed by name in setup.cfg: one that is forgotten is missing from a wheel only."""
    listed = {line.strip() for line in (ROOT / "setup.cfg").read_text().splitlines()}
    packages = {module_of(path) for path in SOURCES if path.name == "__init__.py"}
    assert packages - {"southbridge.plugins", "southbridge.accelerators"} <= listed
