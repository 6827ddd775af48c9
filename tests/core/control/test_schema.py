"""query-qmp-schema: whole in itself, and beside QEMU's."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from southbridge import Machine, MiB
from southbridge.control.commands import Commands
from southbridge.control.schema import introspection
from southbridge.control.server import all_commands
from southbridge.qmp.events import EVENTS

Schema = dict[str, dict[str, Any]]
PATIENCE_S = 60.0


def by_name(entries: list[dict[str, Any]]) -> Schema:
    found = {entry["name"]: entry for entry in entries}
    assert len(found) == len(entries), "names are unique"
    return found


@pytest.fixture(scope="module")
def ours() -> Schema:
    return by_name(introspection(all_commands(Machine(memory=MiB)).all(), EVENTS))


def test_every_name_leads_somewhere(ours: Schema) -> None:
    for entry in ours.values():
        names = [entry[key] for key in ("arg-type", "ret-type", "element-type") if key in entry]
        members = entry.get("members", []) if entry["meta-type"] != "enum" else []
        names += [one["type"] for one in [*members, *entry.get("variants", [])]]
        for name in names:
            assert ours[name]["meta-type"] not in ("command", "event")


class Circle(TypedDict):
    """One case of a union."""

    shape: Literal["circle", "ring"]
    colour: NotRequired[str]
    radius: int


class Text(TypedDict):
    """The other one."""

    shape: Literal["text"]
    colour: NotRequired[str]


def test_what_is_made_of_annotations() -> None:
    def draw(what: Circle | Text, where: str | list[float] = "", often: int | None = None) -> bool:
        """Draws."""
        return bool(what and where and often)

    commands = Commands()
    commands.add("draw", draw)
    schema = by_name(introspection([commands.find("draw")], {}))
    arguments = {member["name"]: member for member in schema[schema["draw"]["arg-type"]]["members"]}
    assert schema[schema["draw"]["ret-type"]]["json-type"] == "boolean"
    assert {name: "default" in member for name, member in arguments.items()} == {
        "what": False,
        "where": True,
        "often": True,
    }
    union = schema[arguments["what"]["type"]]
    assert union["tag"] == "shape" and {member["name"] for member in union["members"]} == {"shape", "colour"}
    cases = {one["case"]: [member["name"] for member in schema[one["type"]]["members"]] for one in union["variants"]}
    assert cases == {"circle": ["radius"], "ring": ["radius"], "text": []}
    alternate = schema[arguments["where"]["type"]]
    assert alternate["meta-type"] == "alternate"
    assert [schema[member["type"]]["meta-type"] for member in alternate["members"]] == ["builtin", "array"]


def qemus_schema() -> Schema:
    said = '{"execute": "qmp_capabilities"}{"execute": "query-qmp-schema"}{"execute": "quit"}'
    program = ["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio", "-S"]
    done = subprocess.run(program, input=said, capture_output=True, text=True, timeout=PATIENCE_S)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return by_name(next(answer["return"] for answer in answers if isinstance(answer.get("return"), list)))


def shape(schema: Schema, name: str) -> str:
    entry = schema[name]
    return entry["json-type"] if entry["meta-type"] == "builtin" else str(entry["meta-type"])


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU isn't installed")
def test_what_clients_of_qemu_give_we_take(ours: Schema) -> None:
    """Of each command and event that both have, our members are QEMU's: names, types, and what must be given."""
    theirs = qemus_schema()
    shared = [name for name in ours if name in theirs and ours[name]["meta-type"] in ("command", "event")]
    shared.remove("snapshot-save")  # ours saves to a file; QEMU's starts a job that saves into an image
    assert len(shared) > 50
    wrong: list[str] = []
    for name in shared:
        compare(ours, theirs, ours[name]["arg-type"], theirs[name]["arg-type"], name, wrong)
    assert not wrong, "; ".join(wrong)


def compare(ours: Schema, theirs: Schema, here: str, there: str, where: str, wrong: list[str]) -> None:
    """Adds to `wrong` where the type `here` isn't like QEMU's type `there`."""
    kind = shape(ours, here)
    if {kind, shape(theirs, there)} == {"string", "enum"} or kind == "value":
        return
    if kind != shape(theirs, there):
        wrong.append(f"{where}: {kind} and not {shape(theirs, there)}")
    elif kind == "enum":
        more = set(ours[here]["values"]) - set(theirs[there]["values"])
        wrong.extend(f"{where}: {value}" for value in more)
    elif kind == "array":
        compare(ours, theirs, ours[here]["element-type"], theirs[there]["element-type"], f"{where}[]", wrong)
    elif kind == "object":
        known = {member["name"]: member for member in theirs[there]["members"]}
        for variant in theirs[there].get("variants", []):
            known |= {member["name"]: member for member in theirs[variant["type"]]["members"]}
        for member in ours[here]["members"]:
            place = f"{where}.{member['name']}"
            if member["name"] not in known:
                wrong.append(f"{place}: QEMU has none")
                continue
            if "default" not in member and "default" in known[member["name"]]:
                wrong.append(f"{place}: must be given, and not with QEMU")
            compare(ours, theirs, member["type"], known[member["name"]]["type"], place, wrong)
