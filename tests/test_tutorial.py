"""docs/writing-a-device.md: what it shows is what is there, and its card works as somebody else's package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "writing-a-device.md"
LANGUAGES = ("python", "toml", "yaml")
LONGEST = 150
"""Lines of the device that the tutorial goes through."""


def blocks() -> list[str]:
    """The code that it shows, in languages that the project has files of."""
    return [code for language, code in fenced() if language in LANGUAGES]


def fenced() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    return found


def linked() -> list[Path]:
    """The files that it links to."""
    targets = re.findall(r"\]\(([^)#]+)\)", TUTORIAL.read_text())
    return [(TUTORIAL.parent / target).resolve() for target in targets if "://" not in target]


def without_blank_lines(text: str) -> str:
    """Methods that are shown on their own are spaced as functions are."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def shapes(code: str) -> list[str]:
    """How `code` may stand in a file: as it is, or as part of a class."""
    return [without_blank_lines(textwrap.indent(code, indent)) for indent in ("", "    ")]


def test_links_lead_somewhere() -> None:
    missing = [str(path.relative_to(ROOT)) for path in linked() if not path.exists()]
    assert missing == []


@pytest.mark.parametrize("code", blocks(), ids=lambda code: code.split("\n")[0][:30])
def test_code_is_what_the_files_say(code: str) -> None:
    sources = [without_blank_lines(path.read_text()) for path in linked() if path.suffix in (".py", ".toml", ".yaml")]
    assert any(shape in source for shape in shapes(code) for source in sources), code


def test_the_device_is_gone_through_in_order() -> None:
    source = without_blank_lines((ROOT / "plugins" / "edu" / "device.py").read_text())
    places = [max(map(source.find, shapes(code))) for code in blocks()]
    found = [place for place in places if place >= 0]
    assert found == sorted(found)
    assert len(found) == 8


def test_the_device_is_short() -> None:
    assert len((ROOT / "plugins" / "edu" / "device.py").read_text().splitlines()) <= LONGEST


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the card in, as the tutorial's last words say."""
    project = tmp_path_factory.mktemp("projects") / "card"
    (project / "acme_card").mkdir(parents=True)
    shutil.copy(ROOT / "plugins" / "edu" / "device.py", project / "acme_card" / "__init__.py")
    (settings,) = (code for language, code in fenced() if language == "toml")
    settings = settings.replace("acme-abacus", "acme-card").replace("acme_abacus", "acme_card")
    (project / "pyproject.toml").write_text(settings.replace("abacus", "acme-edu").replace("Abacus", "Edu"))
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, project], check=True)
    return target


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run([sys.executable, *command], env=environment, cwd=site, capture_output=True, text=True)


def test_the_card_is_installed_by_pip(site: Path) -> None:
    result = run(site, "-c", "from southbridge.cli import main; main()", "devices", "acme-edu", "--json")
    facts = json.loads(result.stdout)
    assert (facts["distribution"], facts["pci"]["device"]) == ("acme-card", 0x11E8)


def test_the_card_conforms(site: Path) -> None:
    result = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--southbridge-device", "acme-edu")
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout
