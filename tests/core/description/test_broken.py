"""Each way to get a description wrong: one message, with the place, the key, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge.description import load
from southbridge.errors import SouthbridgeError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)

SYNTAX = {
    "nothing": ("", "1:1: expected a machine description, which is a mapping, not nothing"),
    "a comment": ("# soon\n", "1:1: expected a machine description, which is a mapping, not nothing"),
    "a list": ("- a\n", "1:1: expected a machine description, which is a mapping, not a list"),
    "a word": ("pc\n", "1:1: expected a machine description, which is a mapping, not 'pc'"),
    "a tab": ("devices:\n\tb: {type: box}\n", "2:1: expected spaces, not a tab: YAML doesn't indent with tabs"),
    "two values": ("memory: 1M: 2M\n", "1:11: not YAML: mapping values are not allowed in this context"),
    "an open bracket": (
        "accelerator: [still\n",
        "2:1: not YAML: did not find expected ',' or ']' (while parsing a flow sequence)",
    ),
    "a key twice": (
        "devices:\n  b: {type: box}\n  b: {type: card}\n",
        "3:3: devices.b: there already, in line 2",
    ),
    "a number as key": ("devices:\n  1: {type: box}\n", "2:3: devices: expected a name as key, not 1"),
    "a null as key": ("null: 1\n", "1:1: expected a name as key, not null"),
    "a list as key": ("? [a]\n: b\n", "1:3: expected a name as key, not a list"),
    "a merge key": (
        "<<: {memory: 1M}\n",
        "1:1: merge keys (<<) aren't supported; `extends` lays one description over another",
    ),
    "a tag": ("memory: !!str 1M\n", "1:9: memory: tags aren't supported; here is 'tag:yaml.org,2002:str'"),
    "a tag that makes objects": (
        "name: !!python/object/apply:os.system [id]\n",
        "1:7: name: tags aren't supported; here is 'tag:yaml.org,2002:python/object/appl...",
    ),
    "two documents": ("memory: 1M\n---\nmemory: 2M\n", "2:1: expected one document, and here begins another"),
    "an unknown alias": ("memory: *m\n", "1:9: memory: the alias *m names nothing that is complete before it"),
    "an alias of itself": (
        "devices: &d\n  b: *d\n",
        "2:6: devices.b: the alias *d names nothing that is complete before it",
    ),
    "a bomb": (BOMB, "5:55: aliases expand this to more than 100000 values"),
    "too deep": ("[" * 50, "1:34: more than 32 levels deep"),
    "a long number": ("memory: " + "9" * 5000, "1:9: memory: a number of 5000 digits is too large"),
    "a control character": ("name: a\x07b\n", "1:8: the character U+0007 has no place in YAML"),
}

CONTENTS = {
    "an unknown key": ("memry: 1M\n", "1:1: memry: a machine description has no such key; did you mean 'memory'?"),
    "an unknown key like none": (
        "zzz: 1M\n",
        "1:1: zzz: a machine description has no such key (there are: name, extends, accelerator, "
        "on_internal_error, cpu, cpus, maxcpus, memory, numa, uuid, smbios, firmware, kernel, initrd, cmdline, "
        "boot_protocol, blockdevs, chardevs, netdevs, displays, monitors, devices)",
    ),
    "no name": ("name: [a]\n", "1:7: name: expected a name, at most 64 characters, not a list"),
    "no size": ("memory: lots\n", "1:9: memory: expected a size such as 256M, not 'lots'"),
    "a size that is a list": ("memory: [1M]\n", "1:9: memory: expected a size such as 256M, not a list"),
    "a truth value as size": ("memory: true\n", "1:9: memory: expected a size such as 256M, not true"),
    "a negative size": ("memory: -1\n", "1:9: memory: a size can't be negative"),
    "an odd size": ("memory: 1000\n", "1:9: memory: expected a multiple of 4 KiB, at most 1024 GiB, not 1000"),
    "no memory": ("memory: 0\n", "1:9: memory: expected a multiple of 4 KiB, at most 1024 GiB, not 0"),
    "a size beyond reason": (
        "memory: 99999T\n",
        "1:9: memory: expected a multiple of 4 KiB, at most 1024 GiB, not '99999T'",
    ),
    "no CPU": ("cpus: 0\n", "1:7: cpus: expected a number of CPUs, 1 to 255, not 0"),
    "too many CPUs": ("cpus: 256\n", "1:7: cpus: expected a number of CPUs, 1 to 255, not 256"),
    "CPUs that are no number": ("cpus: two\n", "1:7: cpus: expected a number of CPUs, 1 to 255, not 'two'"),
    "a truth value of CPUs": ("cpus: true\n", "1:7: cpus: expected a number of CPUs, 1 to 255, not true"),
    "less than there are": (
        "cpus: 3\nmaxcpus: 2\n",
        "2:10: maxcpus: expected a number of CPUs, 3 to 255, not 2",
    ),
    "an unknown CPU": ("cpu: qemu46\n", "1:6: cpu: there is no CPU model 'qemu46'; did you mean qemu64?"),
    "a CPU that is no name": ("cpu: 486\n", "1:6: cpu: expected a CPU model's name, not 486"),
    "what no error does": (
        "accelerator: [still, absent]\non_internal_error: dance\n",
        "2:20: on_internal_error: expected stop or swap, not 'dance'",
    ),
    "nothing to swap to": (
        "accelerator: still\non_internal_error: swap\n",
        "2:20: on_internal_error: `swap` needs a list of accelerators: [kvm, unicorn]",
    ),
    "no UUID": (
        "uuid: abacus\n",
        "1:7: uuid: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8, not 'abacus'",
    ),
    "a UUID without its dashes": (
        "uuid: '00112233445566778899aabbccddeeff'\n",
        "1:7: uuid: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8, "
        "not '00112233445566778899aabbccddeeff'",
    ),
    "a UUID that is a number": (
        "smbios: {uuid: 7}\n",
        "1:16: smbios.uuid: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8, not 7",
    ),
    "two UUIDs": (
        "uuid: 00112233-4455-6677-8899-aabbccddeeff\nsmbios: {uuid: 00112233-4455-6677-8899-aabbccddee00}\n",
        "1:7: uuid: `smbios` has another one, 00112233-4455-6677-8899-aabbccddee00",
    ),
    "SMBIOS that is a list": ("smbios: [1]\n", "1:9: smbios: expected a mapping, not a list"),
    "an unknown key of SMBIOS": (
        "smbios: {serail: x}\n",
        "1:10: smbios.serail: there is no such key; did you mean 'serial'?",
    ),
    "a serial number that is a number": (
        "smbios: {serial: 42}\n",
        "1:18: smbios.serial: expected a text, not 42: put it in quotes",
    ),
    "a text beyond ASCII": (
        "smbios: {product: Zähler}\n",
        "1:19: smbios.product: expected printable ASCII characters only",
    ),
    "a long text": (
        f"smbios:\n  family: {'x' * 65}\n",
        "2:11: smbios.family: expected at most 64 characters, not 65",
    ),
    "an empty section": (
        "devices:\n",
        "1:9: devices: expected a mapping from ids to devices ({} for none), not null",
    ),
    "a section that is a list": (
        "devices: [box]\n",
        "1:10: devices: expected a mapping from ids to devices ({} for none), not a list",
    ),
    "an id that isn't one": (
        "devices: {a b: {type: box}}\n",
        "1:11: devices.a b: expected an id: a letter, then letters, digits, '.', '_' or '-', at most 64 in all",
    ),
    "a device that is a word": (
        "devices:\n  b: box\n",
        "2:6: devices.b: expected a mapping with a type and its properties, not 'box'",
    ),
    "nothing to remove": (
        "devices:\n  box1: {type: box}\n  box2: null\n",
        "3:9: devices.box2: nothing to remove: what this extends has no device 'box2'; did you mean 'box1'?",
    ),
    "no type": ("devices:\n  b: {irq: 3}\n", "2:6: devices.b.type: missing: the device's type"),
    "a type that is a number": (
        "devices:\n  b: {type: 3}\n",
        "2:13: devices.b.type: expected the device's type, a name, not 3",
    ),
    "an unknown type": (
        "devices:\n  b: {type: bx}\n",
        "2:13: devices.b.type: there is no device 'bx'; did you mean 'box'?",
    ),
    "a type of another kind": (
        "devices:\n  b: {type: mute}\n",
        "2:13: devices.b.type: there is no device 'mute'; there is a chardev of that name",
    ),
    "an unknown property": (
        "devices:\n  b: {type: box, iobse: 3}\n",
        "2:18: devices.b.iobse: box has no such property; did you mean 'iobase'?",
    ),
    "an unknown property like none": (
        "devices:\n  b: {type: card, zzz: 3}\n",
        "2:19: devices.b.zzz: card has no such property (it has: bus)",
    ),
    "a property of a class without any": (
        "devices:\n  b: {type: bridge, zzz: 3}\n",
        "2:21: devices.b.zzz: bridge has no such property (it has: none)",
    ),
    "a required property misspelt": (
        "blockdevs:\n  d: {type: blank, pth: x}\n",
        "2:20: blockdevs.d.pth: blank has no such property; did you mean 'path'?",
    ),
    "a required property left out": (
        "blockdevs:\n  d: {type: blank}\n",
        "2:6: blockdevs.d.path: missing, and blank needs it: The image.",
    ),
    "a word for a number": (
        "devices:\n  b: {type: box, irq: four}\n",
        "2:23: devices.b.irq: expected an integer, not 'four'",
    ),
    "octal as C has it": (
        "devices:\n  b: {type: box, iobase: 0377}\n",
        "2:26: devices.b.iobase: expected an integer, not '0377'",
    ),
    "a number too large": (
        "devices:\n  b: {type: box, irq: 16}\n",
        "2:23: devices.b.irq: expected a number less than or equal to 15, not 16",
    ),
    "a number too small": (
        "devices:\n  b: {type: box, irq: -1}\n",
        "2:23: devices.b.irq: expected a number greater than or equal to 0, not -1",
    ),
    "yes": (
        "devices:\n  b: {type: box, fast: yes}\n",
        "2:24: devices.b.fast: expected true or false, not 'yes'",
    ),
    "a truth value for a number": (
        "devices:\n  b: {type: box, irq: true}\n",
        "2:23: devices.b.irq: expected an integer, not true",
    ),
    "a number for a word": (
        "devices:\n  b: {type: box, mode: 3}\n",
        "2:24: devices.b.mode: expected a string, not 3",
    ),
    "a word of another form": (
        "devices:\n  b: {type: box, mode: A1}\n",
        "2:24: devices.b.mode: expected a string that matches pattern '^[a-z]+$', not 'A1'",
    ),
    "a size that is none": (
        "devices:\n  b: {type: box, buffer: big}\n",
        "2:26: devices.b.buffer: expected a size such as 256M, not 'big'",
    ),
    "a path that is a number": (
        "devices:\n  b: {type: box, image: 3}\n",
        "2:25: devices.b.image: expected a file's path, not 3",
    ),
    "a path in a list": (
        "devices:\n  b:\n    type: box\n    images: [a, 3]\n",
        "4:17: devices.b.images[1]: expected a file's path, not 3",
    ),
    "a list for a word": (
        "devices:\n  b: {type: box, mode: [a]}\n",
        "2:24: devices.b.mode: expected a string, not a list",
    ),
    "a PCI address": (
        "devices:\n  b: {type: pci-card, addr: 20.0}\n",
        "2:29: devices.b.addr: expected slot.function, as lspci has it, such as \"03.0\", not '20.0'",
    ),
    "a missing back end": (
        "chardevs:\n  serial0: {type: mute}\ndevices:\n  b: {type: box, chardev: serial1}\n",
        "4:27: devices.b.chardev: there is no chardev 'serial1'; did you mean 'serial0'?",
    ),
    "no back end at all": (
        "devices:\n  b: {type: box, chardev: serial1}\n",
        "2:27: devices.b.chardev: there is no chardev 'serial1' (there are: none)",
    ),
    "a missing friend": (
        "devices:\n  b: {type: box, friend: box1}\n  box2: {type: box}\n",
        "2:26: devices.b.friend: there is no device 'box1'; did you mean 'box2'?",
    ),
    "an unknown accelerator": (
        "accelerator: stil\n",
        "1:14: accelerator: there is no accelerator 'stil'; did you mean 'still'?",
    ),
    "an unknown accelerator in a list": (
        "accelerator: [still, abset]\n",
        "1:22: accelerator[1]: there is no accelerator 'abset'; did you mean 'absent'?",
    ),
    "an accelerator's property": (
        "accelerator: {type: still, speed: 9}\n",
        "1:35: accelerator.speed: expected a number less than or equal to 0, not 9",
    ),
    "auto with properties": (
        "accelerator: {type: auto, speed: 9}\n",
        "1:27: accelerator.speed: `auto` has no properties",
    ),
    "an accelerator without type": (
        "accelerator: {speed: 9}\n",
        "1:14: accelerator.type: missing: the accelerator's type",
    ),
    "no accelerators": ("accelerator: []\n", "1:14: accelerator: expected at least one accelerator"),
    "an accelerator that is a number": (
        "accelerator: 3\n",
        "1:14: accelerator: expected auto, an accelerator's name, a mapping with a type, or a list of these, not 3",
    ),
    "lists of accelerators in a list": (
        "accelerator: [[still]]\n",
        "1:15: accelerator[0]: expected auto, an accelerator's name, a mapping with a type, not a list",
    ),
}


@pytest.mark.parametrize("text, expected", [*SYNTAX.values(), *CONTENTS.values()], ids=[*SYNTAX, *CONTENTS])
def test_what_is_wrong_is_said_with_its_place(kit: Path, tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(text)
    with pytest.raises(SouthbridgeError) as caught:
        load(str(file))
    assert str(caught.value) == f"{file}:{expected}"


def test_an_id_that_is_too_long(kit: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(f"devices: {{{'a' * 65}: {{type: box}}}}\n")
    with pytest.raises(SouthbridgeError, match="at most 64 in all"):
        load(str(file))
