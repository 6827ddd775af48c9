"""A device in a project of its own, which pip builds and installs: listed, validated, and described like ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guests.build import GUESTS, assemble
from tests.guests.southbridge import describe

EXAMPLE = Path(__file__).parents[3] / "examples" / "abacus"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the project was installed in."""
    project = tmp_path_factory.mktemp("projects") / "abacus"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (project / "pyproject.toml").read_text()
    entry = 'abacus = "acme_abacus:Abacus"'
    assert entry in settings
    (project / "pyproject.toml").write_text(
        settings.replace(entry, f'{entry}\nunsound = "acme_abacus.unsound:Unsound"')
    )
    (project / "acme_abacus" / "unsound.py").write_text("raise RuntimeError('unsound')\n")
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(project)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def southbridge(site: Path) -> Run:
    """Runs the command in a process that has the project on its path."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "import sys; from southbridge.cli import main; sys.exit(main())", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(site)}
        return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def description(tmp_path: Path) -> Callable[[str], str]:
    """Writes a board with this device; gives the path."""

    def write(device: str) -> str:
        path = tmp_path / "m.yaml"
        path.write_text(f"extends: pc\ndevices:\n  counter: {device}\n")
        return str(path)

    return write


def test_it_is_listed(southbridge: Run) -> None:
    result = southbridge("plugins", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    rows = [row for row in json.loads(result.stdout) if row["distribution"] == "acme-abacus"]
    assert [(row["kind"], row["name"], row["version"]) for row in rows] == [
        ("devices", "abacus", "3.1"),
        ("devices", "unsound", "3.1"),
    ]


def test_it_is_named_in_a_description_and_validated(southbridge: Run, description: Callable[[str], str]) -> None:
    result = southbridge("validate", description("{type: abacus, beads: 7, addr: 04.0}"))
    assert (result.returncode, result.stderr) == (0, "")
    assert "m.yaml: valid" in result.stdout


@pytest.mark.parametrize(
    "device, complaint",
    [
        ("{type: abacis}", "3:19: devices.counter.type: there is no device 'abacis'; did you mean 'abacus'?"),
        ("{type: abacus, bead: 7}", "3:27: devices.counter.bead: abacus has no such property; did you mean 'beads'?"),
        (
            "{type: abacus, beads: 700}",
            "3:34: devices.counter.beads: expected a number less than or equal to 100, not 700",
        ),
        (
            "{type: unsound}",
            "3:19: devices.counter.type: device 'unsound' (acme_abacus.unsound:Unsound, of acme-abacus 3.1) "
            "can't be imported: RuntimeError: unsound",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said(
    southbridge: Run, description: Callable[[str], str], device: str, complaint: str
) -> None:
    path = description(device)
    result = southbridge("run", path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"southbridge: {path}:{complaint}\n"


def test_its_declarations_are_shown(southbridge: Run) -> None:
    facts = json.loads(southbridge("devices", "abacus", "--json").stdout)
    assert (facts["summary"], facts["distribution"], facts["version"]) == ("Counts beads.", "acme-abacus", "3.1")
    assert (facts["pci"]["vendor"], facts["pci"]["device"]) == (0x1AC3, 0xABAC)
    assert [item["doc"] for item in facts["interrupts"]] == ["PCI INTA#"]
    bar = next(bank for bank in facts["banks"] if bank["name"] == "bar0")
    assert [(register["name"], register["offset"], register["width"]) for register in bar["registers"]] == [
        ("MAGIC", 0x00, 4),
        ("PUSH", 0x04, 4),
        ("COUNT", 0x08, 4),
        ("STATUS", 0x0C, 4),
    ]


def test_it_is_in_the_schema_and_the_broken_one_is_not(southbridge: Run) -> None:
    result = southbridge("schema")
    definitions = json.loads(result.stdout)["$defs"]
    assert definitions["devices.abacus"]["properties"]["beads"]["default"] == 10
    assert "devices.unsound" not in definitions
    assert "southbridge: warning: left out: device 'unsound'" in result.stderr


def test_the_guest_finds_it_and_reads_its_register(southbridge: Run, tmp_path: Path) -> None:
    image = assemble(GUESTS / "card" / "boot.asm", tmp_path)
    path = describe(tmp_path, image=image, more="counter: {type: abacus, addr: 04.0}")
    result = southbridge("run", str(path))
    assert "card at 00:04.0 reads 000abac0" in result.stdout
    assert result.returncode == 85


def test_its_own_tests_pass(site: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE)]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


def check_device(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in `folder`."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_it_conforms_as_pytest_says_without_a_file_of_tests(site: Path, tmp_path: Path) -> None:
    result = check_device(site, tmp_path, "-v", "--southbridge-device", "abacus")
    assert result.returncode == 0, result.stdout
    ids = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("southbridge::")]
    assert "southbridge::abacus::random_accesses_do_no_harm[windowed]" in ids
    assert "southbridge::abacus::no_dma_without_mastering[flat]" in ids
    assert f"{len(ids)} passed" in result.stdout


def test_a_device_that_is_not_installed_is_named_with_the_nearest_one(site: Path, tmp_path: Path) -> None:
    result = check_device(site, tmp_path, "--southbridge-device", "abacis")
    assert (result.returncode, result.stdout) == (4, "")
    assert result.stderr.strip() == "ERROR: there is no device 'abacis'; did you mean 'abacus'?"


def test_a_device_that_cannot_be_imported_is_named_with_the_cause(site: Path, tmp_path: Path) -> None:
    result = check_device(site, tmp_path, "--southbridge-device", "unsound")
    assert result.returncode == 4
    assert "device 'unsound' (acme_abacus.unsound:Unsound, of acme-abacus 3.1) can't be imported" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    result = check_device(site, tmp_path, "--southbridge-device", "all", "-k", "abacus or unsound")
    assert result.returncode == 1
    assert "FAILED southbridge::unsound::loads - device 'unsound'" in result.stdout
    assert "1 failed" in result.stdout
