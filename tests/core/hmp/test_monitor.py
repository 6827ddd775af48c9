"""What people type: nothing raises, whatever it is; and what ours has beyond QEMU's words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import Machine, MiB
from southbridge.builder import build
from southbridge.control.server import all_commands
from southbridge.description.model import load
from southbridge.hmp.completion import completions
from southbridge.hmp.monitor import HumanMonitor
from southbridge.hmp.vocabulary import TOPICS, WORDS, Vocabulary

# What ends the machine, waits, or writes files, isn't for lines made up at random.
HARMLESS = sorted(
    {name for word in WORDS for name in word.names}
    - {"quit", "q", "snapshot-save", "memsave", "pmemsave", "screendump", "system_reset", "swap-accelerator", "log"}
)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    settings = ["accelerator=qtest", "memory=16M", "chardevs.serial0.type=null", "devices.card.type=std_vga"]
    settings += ["netdevs.net.type=user", "devices.nic.type=e1000", "devices.nic.netdev=net"]
    machine = build(load("pc", settings))
    yield machine
    machine.close()


def say(machine: Machine, *lines: str) -> list[str]:
    async def said() -> list[str]:
        monitor = HumanMonitor(machine, all_commands(machine))
        return [await monitor.say(line) for line in lines]

    return asyncio.run(said())


WORDS_AND_MORE = st.one_of(
    st.sampled_from(HARMLESS),
    st.sampled_from([topic.name for topic in TOPICS]),
    st.sampled_from(["/4xb", "/i", "0xfffffff0", "$eip", "rtc", "-f", "-a", "1", "on", '"', "e1000,addr=05", "a-b"]),
    st.text(max_size=6),
)


@given(st.sampled_from(HARMLESS), st.lists(WORDS_AND_MORE, max_size=4))
def test_nothing_that_is_typed_raises(machine: Machine, word: str, others: list[str]) -> None:
    (answer,) = say(machine, " ".join([word, *others]))
    assert answer == "" or answer.endswith("\n")
    assert "Traceback" not in answer and "failed:" not in answer


@given(st.text(max_size=30))
def test_nor_does_a_line_of_anything(machine: Machine, line: str) -> None:
    if line.split(maxsplit=1)[:1] not in (["q"], ["quit"], ["c"], ["s"]):
        say(machine, line)


@pytest.mark.parametrize("topic", sorted({topic.name for topic in TOPICS} - {"registers"}))
def test_every_topic_has_its_answer_and_its_help(machine: Machine, topic: str) -> None:
    asked = f"info {topic} rtc" if topic == "device" else f"info {topic}"
    answer, help = say(machine, asked, f"help info {topic}")
    assert "Error" not in answer and "unknown command" not in answer
    assert help.startswith(f"info {topic}")


def test_a_devices_registers(machine: Machine) -> None:
    answer, unknown = say(machine, "info device pic", "info device foo")
    assert "bank master.ports\n" in answer and "IMR" in answer
    assert unknown == "Error: Device 'foo' not found\n"


def test_networks_and_cards(machine: Machine) -> None:
    added, network, removed = say(machine, "netdev_add user,id=n1", "info network", "netdev_del n1")
    assert (added, removed) == ("", "")
    assert "n1: index=0,type=user\n" in network
    assert "nic: index=0,type=nic,model=e1000,macaddr=52:54:00:" in network


def test_the_tree_shows_what_answers_where(machine: Machine) -> None:
    tree, flat, devices = say(machine, "info mtree", "info mtree -f", "info qtree")
    assert "address-space: I/O\n  0000000000000000-000000000000ffff (prio 0, i/o): ports\n" in tree
    assert "00000000fffc0000-00000000ffffffff (prio 0, rom): bios" in tree
    assert "00000000fffc0000-00000000ffffffff (prio 0, rom): bios" in flat
    assert 'dev: mc146818, id "rtc"' in devices and "bus: pci.0\n  type Pci\n" in devices


def test_registers_of_devices_are_read_as_the_guest_reads_them(machine: Machine) -> None:
    (answer,) = say(machine, "xp /1wx 0xfec00000")
    assert answer == "00000000fec00000: 0x00000000\n"


@pytest.mark.parametrize("line", ["x /4xb 0x100000000", "xp /4xb 0x7000000000000", "sum -5 3"])
def test_where_nothing_is(machine: Machine, line: str) -> None:
    (answer,) = say(machine, line)
    assert answer.startswith("Error: Cannot access memory at 0x") or answer.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sto", ["stop"]),
        ("info sta", ["status"]),
        ("help scr", ["screendump"]),
        ("help info mt", ["mtree"]),
        ("device_del rt", ["rtc"]),
        ("info device keyb", ["keyboard"]),
        ("device_add e1000-8", ["e1000-82544gc", "e1000-82545em"]),
        ("foo b", []),
        ("stop ", []),
        ("", sorted(name for word in WORDS for name in word.names if name != "?")),
    ],
)
def test_completion(machine: Machine, text: str, expected: list[str]) -> None:
    assert sorted(completions(machine, Vocabulary(machine), text)) == expected


def test_too_much_memory_is_refused(machine: Machine) -> None:
    (answer,) = say(machine, "xp /65536gx 0")
    assert answer.count("\n") > 1
    (answer,) = say(machine, f"sum 0 {2 * MiB}")
    assert answer.startswith("Error: more than 1 MiB")
