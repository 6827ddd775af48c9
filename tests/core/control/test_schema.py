"""query-qmp-schema: whole in itself, and beside QEMU's."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from southbridge import Machine, MiB
from southbridge.control.commands import Commands
from southbridge.control.schema import introspection
from southbridge.control.server import all_commands
from southbridge.qmp.events import EVENTS

Schema = dict[str, dict[str, Any]]
PATIENCE_S = 60.0
DOCS = Path(__file__).resolve().parents[3] / "docs"


def by_name(entries: Sequence[Any]) -> Schema:
    found: Schema = {entry["name"]: entry for entry in entries}
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


@pytest.fixture(scope="module")
def theirs() -> Schema:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("QEMU isn't installed")
    said = '{"execute": "qmp_capabilities"}{"execute": "query-qmp-schema"}{"execute": "quit"}'
    program = ["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio", "-S"]
    done = subprocess.run(program, input=said, capture_output=True, text=True, timeout=PATIENCE_S)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return by_name(next(answer["return"] for answer in answers if isinstance(answer.get("return"), list)))


def shape(schema: Schema, name: str) -> str:
    entry = schema[name]
    return entry["json-type"] if entry["meta-type"] == "builtin" else str(entry["meta-type"])


def test_what_clients_of_qemu_give_we_take(ours: Schema, theirs: Schema) -> None:
    """Of each command and event that both have, our members are QEMU's: names, types, and what must be given."""
    shared = [name for name in ours if name in theirs and ours[name]["meta-type"] in ("command", "event")]
    shared.remove("snapshot-save")  # ours saves to a file; QEMU's starts a job that saves into an image
    assert len(shared) > 50
    wrong: list[str] = []
    for name in shared:
        compare(ours, theirs, ours[name]["arg-type"], theirs[name]["arg-type"], name, wrong)
    assert not wrong, "; ".join(wrong)


def test_what_we_return_clients_of_qemu_know(ours: Schema, theirs: Schema) -> None:
    """Of each command that both have, our result's members are QEMU's, and what QEMU always tells is there."""
    shared = [name for name in ours if name in theirs and ours[name]["meta-type"] == "command"]
    wrong: list[str] = []
    for name in shared:
        here, there = ours[name]["ret-type"], theirs[name]["ret-type"]
        assert (here == "any") == (there == "any"), name
        compare(ours, theirs, here, there, name, wrong, result=True)
    assert not wrong, "; ".join(wrong)


def test_the_schema_is_as_it_says_itself() -> None:
    commands = all_commands(Machine(memory=MiB))
    commands.find("query-qmp-schema").result.check(introspection(commands.all(), EVENTS), "schema")


def compare(
    ours: Schema, theirs: Schema, here: str, there: str, where: str, wrong: list[str], *, result: bool = False
) -> None:
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
        compare(
            ours, theirs, ours[here]["element-type"], theirs[there]["element-type"], f"{where}[]", wrong, result=result
        )
    elif kind == "object":
        known = {member["name"]: member for member in theirs[there]["members"]}
        cases = {variant["case"]: variant["type"] for variant in theirs[there].get("variants", [])}
        mine = {member["name"]: member for member in ours[here]["members"]}
        if result:
            always = [name for name in known if "default" not in known[name]]
            wrong.extend(f"{where}.{name}: QEMU always tells" for name in always if not told(mine, name))
        if "variants" not in ours[here]:
            for case in cases.values():
                known |= {member["name"]: member for member in theirs[case]["members"]}
        for variant in ours[here].get("variants", []):
            case = variant["case"]
            compare(ours, theirs, variant["type"], cases[case], f"{where}({case})", wrong, result=result)
        for name, member in mine.items():
            place = f"{where}.{name}"
            if name not in known:
                wrong.append(f"{place}: QEMU has none")
                continue
            if not result and "default" not in member and "default" in known[name]:
                wrong.append(f"{place}: must be given, and not with QEMU")
            compare(ours, theirs, member["type"], known[name]["type"], place, wrong, result=result)


def told(members: Schema, name: str) -> bool:
    return name in members and "default" not in members[name]


def test_the_documents_name_every_command_and_event() -> None:
    machine = Machine(memory=MiB)
    text = "".join((DOCS / name).read_text() for name in ("qmp.md", "control-socket.md"))
    known = [*(command.name for command in all_commands(machine).all()), *EVENTS]
    assert [name for name in known if f"`{name}`" not in text] == []
