"""Where descriptions come from: files, what they extend, and what the command line sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from southbridge.description import load
from southbridge.description.loader import load_tree, shipped
from southbridge.description.yaml_tree import MAX_SIZE
from southbridge.errors import SouthbridgeError


def write(folder: Path, **descriptions: str) -> Path:
    """Writes each description; gives the last one's path."""
    path = folder
    for name, text in descriptions.items():
        path = folder / f"{name}.yaml"
        path.write_text(text)
    return path


def plain(path: Path, *settings: str) -> Any:
    return load_tree(str(path), settings)[1].plain()


def message(path: Path | str, *settings: str) -> str:
    with pytest.raises(SouthbridgeError) as caught:
        load(str(path), settings)
    return str(caught.value)


# --- files -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert message(tmp_path / "m.yaml") == f"can't read {tmp_path}/m.yaml: No such file or directory"


def test_a_folder(tmp_path: Path) -> None:
    assert message(f"{tmp_path}/") == f"can't read {tmp_path}: Is a directory"


def test_a_file_larger_than_a_mebibyte(tmp_path: Path) -> None:
    path = write(tmp_path, m="memory: 1M\n" + "#" * MAX_SIZE)
    assert message(path) == f"{path}:1:1: larger than 1 MiB, which no machine description is"


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes("memory: 1M\nname: ä ".encode() + b"\xff\n")
    assert message(path) == f"{path}:2:9: expected UTF-8, not the byte 0xff"


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(b"\xef\xbb\xbfmemory: 1M\n")
    assert plain(path) == {"memory": "1M"}


def test_an_unknown_shipped_name_is_answered_with_the_nearest() -> None:
    assert message("pcc") == (
        "there is no machine 'pcc': neither a file nor one that comes with Southbridge; did you mean 'pc'?"
    )
    assert message("mainframe").endswith(f"with Southbridge (shipped: {', '.join(shipped())})")


def test_a_file_without_suffix_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("memory: 1M\n")
    monkeypatch.chdir(tmp_path)
    assert load("mine").memory == 1 << 20


def test_the_name_is_the_files_unless_the_description_has_one(tmp_path: Path) -> None:
    assert load(str(write(tmp_path, m="memory: 1M\n"))).name == "m"
    assert load(str(write(tmp_path, m="name: box 7\n"))).name == "box 7"


# --- scalars -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, value",
    [
        ("0x3F8", 0x3F8),
        ("0o17", 15),
        ("0b11", 3),
        ("-5", -5),
        ("0", 0),
        ("", None),
        ("null", None),
        ("true", True),
        ("false", False),
        *[(word, word) for word in ("01.0", "1.5", "1e3", "12:30:00", "2024-01-01", "0377", "0x", "1_000")],
        *[(word, word) for word in ("yes", "no", "on", "off", "True", "FALSE", "~", "Null", ".inf", "=")],
        ('"0x3F8"', "0x3F8"),
        ("'null'", "null"),
        ("|\n    text\n", "text\n"),
    ],
)
def test_only_a_few_words_are_not_strings(tmp_path: Path, text: str, value: object) -> None:
    found = plain(write(tmp_path, m=f"key: {text}\n"))["key"]
    assert found == value and type(found) is type(value)


def test_the_type_named_null_needs_no_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, m="chardevs:\n  serial0: {type: null}\n")
    assert load(str(path)).sections["chardevs"]["serial0"].type_name == "null"
    other = write(tmp_path, n="chardevs:\n  serial0: {type: stdio}\n")
    settings = ["chardevs.serial0.type=null"]
    assert load(str(other), settings).sections["chardevs"]["serial0"].type_name == "null"


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    assert plain(write(tmp_path, m="a: &x {b: [1]}\nc: *x\n")) == {"a": {"b": [1]}, "c": {"b": [1]}}


# --- extends -----------------------------------------------------------------------------------------------------


def test_mappings_merge_null_removes_the_rest_replaces(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="memory: 1M\ndevices:\n  a: {type: x, list: [1, 2], map: {p: 1, q: 2}}\n  b: {type: y}\n",
        over="extends: base.yaml\ndevices:\n  a: {list: [3], map: {q: 3, r: 4}}\n  b: null\n  c: {type: z}\n",
    )
    assert plain(path) == {
        "memory": "1M",
        "devices": {"a": {"type": "x", "list": [3], "map": {"p": 1, "q": 3, "r": 4}}, "c": {"type": "z"}},
    }


def test_another_type_replaces_the_whole_device(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="devices:\n  a: {type: x, irq: 4}\n  b: {type: x, irq: 4}\n",
        over="extends: base.yaml\ndevices:\n  a: {type: y, size: 1}\n  b: {type: x, size: 1}\n",
    )
    assert plain(path)["devices"] == {"a": {"type": "y", "size": 1}, "b": {"type": "x", "irq": 4, "size": 1}}


def test_what_was_removed_can_come_back(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        a="devices: {x: {type: t, irq: 1}}\n",
        b="extends: a.yaml\ndevices: {x: null}\n",
        c="extends: b.yaml\ndevices: {x: {type: t}}\n",
    )
    assert plain(path)["devices"] == {"x": {"type": "t"}}


def test_a_path_is_relative_to_the_file_that_extends(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", base="memory: 3M\n", middle="extends: ./base.yaml\n")
    assert plain(write(tmp_path, top="extends: sub/middle.yaml\n")) == {"memory": "3M"}


def test_a_shipped_machine_is_extended_by_name(tmp_path: Path) -> None:
    tree = plain(write(tmp_path, m="extends: pc\nmemory: 3M\n"))
    assert tree == {**load_tree("pc")[1].plain(), "memory": "3M"}


def test_a_circle_is_answered_with_its_chain(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        c="# c\nextends: a.yaml\n",
        b="extends: c.yaml\n",
        a="extends: b.yaml\n",
    )
    a, b, c = (str(tmp_path / f"{name}.yaml") for name in "abc")
    expected = f"{c}:2:10: extends: descriptions extend each other in a circle: {a} -> {b} -> {c} -> {a}"
    assert message(path) == expected


def test_a_circle_by_another_name_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, a="extends: link.yaml\n")
    os.symlink("a.yaml", tmp_path / "link.yaml")
    assert message(path).endswith(f"in a circle: {path} -> {tmp_path}/link.yaml")


@pytest.mark.parametrize(
    "extends, expected",
    [
        ("none.yaml", "can't read {folder}/none.yaml: No such file or directory"),
        ("pcc", "there is no machine 'pcc': neither a file nor one that comes with Southbridge; did you mean 'pc'?"),
        ("[pc]", "expected a shipped machine's name or a file's path, not a list"),
        ("3", "expected a shipped machine's name or a file's path, not 3"),
    ],
)
def test_extending_what_is_not_there(tmp_path: Path, extends: str, expected: str) -> None:
    path = write(tmp_path, m=f"extends: {extends}\n")
    assert message(path) == f"{path}:1:10: extends: {expected.format(folder=tmp_path)}"


def test_each_value_keeps_its_place(kit: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="devices:\n  b: {type: box,\n      irq: 99}\n",
        over="extends: base.yaml\ndevices:\n  b: {iobase: 8}\n",
    )
    assert message(path).startswith(f"{tmp_path}/base.yaml:3:12: devices.b.irq: ")
    assert message(path, "devices.b.irq=7", "devices.b.iobase=x").startswith(
        "--set devices.b.iobase: devices.b.iobase: "
    )


def test_paths_are_relative_to_the_file_that_wrote_them(
    kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", base="devices:\n  b: {type: box, image: i.img, files: {x: f.bin, y: /etc/f}}\n")
    path = write(tmp_path, over="extends: sub/base.yaml\ndevices:\n  b: {images: [one, ../two]}\n")
    monkeypatch.chdir("/")
    box = load(str(path), ["devices.b.files.z=here.bin"]).sections["devices"]["b"]
    assert box.values == {
        "image": f"{tmp_path}/sub/i.img",
        "images": [f"{tmp_path}/one", f"{tmp_path}/../two"],
        "files": {"x": f"{tmp_path}/sub/f.bin", "y": "/etc/f", "z": "here.bin"},
    }


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("memory=2M", {"memory": "2M", "devices": {"a": {"type": "x"}, "b.0": {"type": "y"}}}),
        ("devices.a=null", {"memory": "1M", "devices": {"b.0": {"type": "y"}}}),
        ("devices.a.irq=0x10", {"memory": "1M", "devices": {"a": {"type": "x", "irq": 16}, "b.0": {"type": "y"}}}),
        ("devices.b.0.irq=3", {"memory": "1M", "devices": {"a": {"type": "x"}, "b.0": {"type": "y", "irq": 3}}}),
        ("devices.a={type: z}", {"memory": "1M", "devices": {"a": {"type": "z"}, "b.0": {"type": "y"}}}),
        ("devices.b.0=null", {"memory": "1M", "devices": {"a": {"type": "x"}}}),
        (
            "accelerator.type=s",
            {"memory": "1M", "devices": {"a": {"type": "x"}, "b.0": {"type": "y"}}, "accelerator": {"type": "s"}},
        ),
        ("memory=", {"devices": {"a": {"type": "x"}, "b.0": {"type": "y"}}}),
    ],
)
def test_a_setting_is_laid_over_the_description(tmp_path: Path, setting: str, expected: object) -> None:
    path = write(tmp_path, m="memory: 1M\ndevices:\n  a: {type: x}\n  b.0: {type: y}\n")
    assert plain(path, setting) == expected


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("memory", "--set memory: expected key=value, such as memory=512M or devices.com1.irq=3"),
        ("=3", "--set : expected key=value, such as memory=512M or devices.com1.irq=3"),
        ("devices..a=3", "--set devices..a: expected names with single dots between them"),
        ("extends=pc", "--set extends: what a description extends can't be set; name another machine"),
        ("memory=[", "--set memory: not YAML: did not find expected node content (while parsing a flow node)"),
        ("memory=much", "--set memory: memory: expected a size such as 256M, not 'much'"),
        ("mem=1M", "--set mem: mem: a machine description has no such key; did you mean 'memory'?"),
        ("devices=null", "--set devices: devices: expected a mapping from ids to devices ({} for none), not null"),
        ("devices.x=null", "--set devices.x: devices.x: nothing to remove: what this extends has no device 'x'"),
        ("devices.a.type=bx", "--set devices.a.type: devices.a.type: there is no device 'bx'; did you mean 'box'?"),
    ],
)
def test_a_setting_that_is_wrong(kit: Path, tmp_path: Path, setting: str, expected: str) -> None:
    path = write(tmp_path, m="devices:\n  a: {type: box}\n")
    assert message(path, setting) == expected
