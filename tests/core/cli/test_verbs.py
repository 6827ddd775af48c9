"""The other verbs: what they print for people and for programs, and how they refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from southbridge import __version__
from southbridge.cli import doctor

Southbridge = Callable[..., Any]

BROKEN = "[southbridge.devices]\nbroken = broken_plugin:Broken\n"


@pytest.fixture
def broken(distribution: Callable[..., Path]) -> Path:
    """A distribution whose only plugin fails at import."""
    return distribution("rubble", "0.9", BROKEN, broken_plugin="raise OSError('no')")


# --- the command itself ------------------------------------------------------------------------------------------


def test_version(southbridge: Southbridge) -> None:
    result = southbridge("--version")
    assert (result.status, result.out, result.err) == (0, f"southbridge {__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_the_verbs(southbridge: Southbridge, arguments: list[str]) -> None:
    result = southbridge(*arguments)
    assert (result.status, result.err) == (0, "")
    for verb in ("run", "machines", "swap", "snapshot", "validate", "schema", "plugins", "devices", "doctor"):
        assert f"\n  {verb} " in result.out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["run", "--fast"], "No such option: --fast"),
        (["run", "a", "b"], "unexpected extra argument"),
        (["run", "--set"], "'--set' requires an argument"),
    ],
)
def test_a_wrong_command_line(southbridge: Southbridge, arguments: list[str], message: str) -> None:
    result = southbridge(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("southbridge: ") and message in result.err
    assert result.err.endswith(" (southbridge --help says what there is)\n") and result.err.count("\n") == 1


def test_a_reader_that_leaves_is_no_traceback(start: Southbridge) -> None:
    process = start("schema")
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == b""


@pytest.mark.parametrize("verb", [["validate", "pc"], ["plugins"]])
def test_a_verb_imports_only_what_it_needs(start: Southbridge, verb: list[str]) -> None:
    program = (
        "import sys\nfrom southbridge.cli import main\nstatus = main(sys.argv[1:])\n"
        "heavy = {'rich', 'unicorn', 'numpy'} & sys.modules.keys()\nsys.exit(f'imported: {heavy}' if heavy else status)"
    )
    from subprocess import run

    result = run([sys.executable, "-c", program, *verb], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


# --- validate ----------------------------------------------------------------------------------------------------


def test_validate_says_what_is_valid(southbridge: Southbridge, kit: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("devices: {b: {type: box}}\n")
    result = southbridge("validate", str(path))
    assert (result.status, result.out, result.err) == (0, f"{path}: valid (1 devices and back ends)\n", "")


def test_validate_takes_the_shipped_machine_by_default(southbridge: Southbridge) -> None:
    assert "pc.yaml: valid" in southbridge("validate").out


def test_validate_refuses(southbridge: Southbridge, kit: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("devices: {b: {type: box}}\n")
    result = southbridge("validate", str(path), "--set", "devices.b.irk=3")
    message = "southbridge: --set devices.b.irk: devices.b.irk: box has no such property; did you mean 'irq'?\n"
    assert (result.status, result.out, result.err) == (2, "", message)


# --- schema ------------------------------------------------------------------------------------------------------


def test_the_schema_has_what_is_installed(southbridge: Southbridge, kit: Path, broken: Path) -> None:
    result = southbridge("schema")
    assert result.status == 0
    assert result.err == (
        "southbridge: warning: left out: device 'broken' (broken_plugin:Broken, of rubble 0.9) "
        "can't be imported: OSError: no\n"
    )
    schema = json.loads(result.out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"serial", "uuid"} <= set(schema["properties"]["smbios"]["properties"])
    device = schema["properties"]["devices"]["additionalProperties"]
    assert {"box", "uart16550"} <= set(device["properties"]["type"]["enum"])
    assert "broken" not in device["properties"]["type"]["enum"]
    box = schema["$defs"]["devices.box"]
    assert (box["description"], box["additionalProperties"]) == ("Takes ports and a line.", False)
    assert box["properties"]["type"]["const"] == "box"
    assert box["properties"]["iobase"] == {
        "description": "First of eight ports.",
        "default": 0x100,
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": 0xFFF8}, {"type": "null"}],
    }
    assert box["properties"]["chardev"] == {
        "description": "Where it talks. The id of one of the chardevs.",
        "default": None,
        "anyOf": [{"type": "string"}, {"type": "null"}],
    }


def test_the_schema_chooses_by_type(southbridge: Southbridge, kit: Path) -> None:
    schema = json.loads(southbridge("schema").out)
    choices = schema["properties"]["blockdevs"]["additionalProperties"]["allOf"]
    assert {
        "if": {"type": "object", "properties": {"type": {"const": "blank"}}, "required": ["type"]},
        "then": {"$ref": "#/$defs/blockdevs.blank"},
    } in choices
    # Without `extends` nothing else can give what is required.
    complete = schema["then"]["properties"]["blockdevs"]["additionalProperties"]
    assert complete["required"] == ["type"]
    assert {"required": ["path"]} in [choice["then"] for choice in complete["allOf"]]


def test_every_reference_in_the_schema_leads_somewhere(southbridge: Southbridge, kit: Path) -> None:
    text = southbridge("schema").out
    definitions = json.loads(text)["$defs"]
    references = {line.partition("#/$defs/")[2].rstrip('",') for line in text.splitlines() if '"$ref"' in line}
    assert references and references <= definitions.keys()


# --- plugins -----------------------------------------------------------------------------------------------------


def test_plugins_are_listed_without_importing_them(southbridge: Southbridge, broken: Path) -> None:
    result = southbridge("plugins", "--json")
    assert (result.status, result.err) == (0, "")
    (row,) = [row for row in json.loads(result.out) if row["distribution"] == "rubble"]
    assert row == {
        "kind": "devices",
        "name": "broken",
        "distribution": "rubble",
        "version": "0.9",
        "entry_point": "broken_plugin:Broken",
        "switched_off_by": None,
        "conflict": False,
    }
    assert "broken_plugin" not in sys.modules
    assert ["devices", "broken", "rubble", "0.9"] in [line.split() for line in southbridge("plugins").out.splitlines()]


def test_plugins_shows_conflicts_and_what_is_off(
    southbridge: Southbridge, distribution: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution("acme", "1", "[southbridge.chardevs]\nstdio = acme:Widget\n")
    notes = [line for line in southbridge("plugins").out.splitlines() if " stdio " in line]
    assert [note.endswith("conflict: offered more than once") for note in notes] == [True, True]
    monkeypatch.setenv("SOUTHBRIDGE_DISABLE_PLUGINS", "acme")
    acme, own = [line for line in southbridge("plugins").out.splitlines() if " stdio " in line]
    assert acme.endswith("acme 1             switched off by SOUTHBRIDGE_DISABLE_PLUGINS") and own.endswith("0.1.0")


# --- devices -----------------------------------------------------------------------------------------------------


def test_devices_lists_those_that_are_broken_as_such(southbridge: Southbridge, kit: Path, broken: Path) -> None:
    result = southbridge("devices", "--json")
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert rows["box"] == {"name": "box", "summary": "Takes ports and a line.", "error": None}
    assert rows["broken"]["error"].endswith("can't be imported: OSError: no")
    text = southbridge("devices").out
    assert "Takes ports and a line." in text and "broken: device 'broken'" in text


def test_a_devices_declarations(southbridge: Southbridge) -> None:
    facts = json.loads(southbridge("devices", "uart16550", "--json").out)
    assert (facts["name"], facts["distribution"], facts["pci"]) == ("uart16550", "southbridge", None)
    properties = {item["name"]: item for item in facts["properties"]}
    assert properties["iobase"] == {
        "name": "iobase",
        "type": "integer 0 to 65528 (0xfff8)",
        "required": False,
        "default": 0x3F8,
        "doc": "First of eight ports.",
        "link": None,
    }
    assert properties["chardev"]["link"] == "chardevs"
    assert [item["property"] for item in facts["interrupts"]] == ["irq"]
    (bank,) = facts["banks"]
    assert (bank["name"], bank["kind"], bank["size"]) == ("ports", "ports", 8)
    registers = {register["name"]: register for register in bank["registers"]}
    assert (registers["LCR"]["offset"], registers["LCR"]["width"], registers["LCR"]["access"]) == (3, 1, "read/write")
    assert (registers["RBR"]["access"], registers["THR"]["access"]) == ("read only", "write only")
    dlab = next(field for field in registers["LCR"]["fields"] if field["name"] == "DLAB")
    assert (dlab["low"], dlab["high"], dlab["access"]) == (7, 7, "read/write")


def test_a_pci_devices_declarations(southbridge: Southbridge, kit: Path) -> None:
    facts = json.loads(southbridge("devices", "pci-card", "--json").out)
    assert (facts["pci"]["vendor"], facts["pci"]["device"], facts["pci"]["class_code"]) == (0x1234, 0x0001, 0xFF0000)
    (config,) = facts["banks"]
    assert config["kind"] == "bytes of configuration space"
    status = next(register for register in config["registers"] if register["name"] == "PCI_STATUS")
    assert {field["name"]: field["access"] for field in status["fields"]}["PARITY"] == "write 1 to clear"


def test_a_devices_parts(southbridge: Southbridge) -> None:
    facts = json.loads(southbridge("devices", "i8254", "--json").out)
    assert [(part["name"], part["count"]) for part in facts["parts"]] == [("counters", 3)]
    assert facts["parts"][0]["banks"][0]["registers"]


@pytest.mark.parametrize("name", ["uart16550", "piix3-ide", "i8254", "bios"])
def test_a_device_for_people(southbridge: Southbridge, name: str) -> None:
    result = southbridge("devices", name)
    facts = json.loads(southbridge("devices", name, "--json").out)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"{name}: {facts['summary']}")
    words = result.out.split()
    for bank in facts["banks"]:
        assert all(register["name"] in words for register in bank["registers"])


def test_an_unknown_device(southbridge: Southbridge) -> None:
    result = southbridge("devices", "uart1655")
    message = "southbridge: there is no device 'uart1655'; did you mean 'uart16550'?\n"
    assert (result.status, result.out, result.err) == (2, "", message)


# --- doctor ------------------------------------------------------------------------------------------------------


def test_doctor_says_what_can_be_used_and_how_to_get_the_rest(southbridge: Southbridge, kit: Path) -> None:
    result = southbridge("doctor", "--json")
    assert (result.status, result.err) == (0, "")
    found = {finding["name"]: finding for finding in json.loads(result.out)}
    assert {"KVM", "Xen", "Unicorn", "terminal", "firmware bios-256k.bin"} <= found.keys()
    assert found["accelerator still"]["usable"] is True
    assert found["accelerator absent"]["detail"] == "the machine room is locked"
    assert "GPL" in found["Unicorn"]["detail"]
    text = southbridge("doctor").out
    assert all(finding["detail"] in text and finding["remedy"] in text for finding in found.values())


@pytest.mark.parametrize(
    "contents, detail", [(None, "No such file or directory"), (b"", "isn't KVM: Inappropriate ioctl for device")]
)
def test_doctor_looks_whether_kvm_is_there(tmp_path: Path, contents: bytes | None, detail: str) -> None:
    device = tmp_path / "kvm"
    if contents is not None:
        device.write_bytes(contents)
    found = doctor.kvm(device)
    assert not found.usable and detail in found.detail and found.remedy


def test_doctor_gives_the_command_that_gets_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FIRMWARE_FOLDERS", (tmp_path,))
    assert doctor.firmware("bios.bin") == doctor.Finding(
        "firmware bios.bin", False, f"not in {tmp_path}", "sudo apt-get install seabios"
    )
    (tmp_path / "bios.bin").touch()
    assert doctor.firmware("bios.bin") == doctor.Finding("firmware bios.bin", True, f"{tmp_path}/bios.bin")
