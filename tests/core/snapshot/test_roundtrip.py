"""Saved and restored: everything that a machine remembers, and what becomes of the machine that was saved."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from southbridge import Machine, ResetReason, SouthbridgeError
from southbridge.block import BlockQueue
from southbridge.builder import build
from southbridge.description import load
from southbridge.snapshot import read_info, restore, save
from southbridge.snapshot.contents import memory_blocks

from tests.core.snapshot.conftest import PATIENCE_S, Start

PAGE = 4096


def scribble(machine: Machine, seed: int) -> dict[str, dict[int, bytes]]:
    """Fills some pages of each block of memory; gives what is where."""
    source = random.Random(seed)
    written: dict[str, dict[int, bytes]] = {}
    for name, block in memory_blocks(machine).items():
        pages = written[name] = {}
        for page in {0, block.size // PAGE - 1, *(source.randrange(block.size // PAGE) for _ in range(20))}:
            pages[page] = source.choice([source.randbytes(PAGE), bytes(PAGE), b"\1" + bytes(PAGE - 1)])
            block.view[page * PAGE : (page + 1) * PAGE] = pages[page]
    return written


@pytest.mark.parametrize("seed", range(5))
def test_everything_comes_back(description: Path, start: Start, tmp_path: Path, seed: int) -> None:
    first = start(description)
    first.run("stop")
    machine = first.machine
    written = scribble(machine, seed)
    before = {name: bytes(block.view) for name, block in memory_blocks(machine).items()}
    assert set(written) == {"ram", "video/vram", "video/rom"}
    notes = first.device("notes")
    notes.number, notes.text = 7, b"\0\xff\n"
    notes.expire.after(s=3600, what=9)
    first.save(tmp_path / "file")
    state = machine.save_state()
    second = restore(tmp_path / "file")
    assert {name: bytes(block.view) for name, block in memory_blocks(second).items()} == before
    assert second.name == "saved"
    first.end()
    running = start(second)
    running.run("stop")
    again = second.save_state()
    assert again["clock"] >= state["clock"]
    assert again["devices"] == state["devices"]
    assert running.device("notes").text == b"\0\xff\n" and running.device("notes").expire.arguments == {"what": 9}


def test_what_the_guest_wrote_to_an_overlay_comes_back(description: Path, start: Start, tmp_path: Path) -> None:
    image = (tmp_path / "disk.img").read_bytes()
    wanted = bytearray(image)
    first = start(description)
    reader = first.device("reader")
    with first.machine.lock:
        for offset, data in ((0, b"first"), (70_000, b"middle" * 20_000), (len(image) - 512, b"e" * 512)):
            reader.queue.write(offset, data, reader.done)
            wanted[offset : offset + len(data)] = data
    first.save(tmp_path / "file")
    assert (tmp_path / "disk.img").read_bytes() == image
    first.end()
    second = start(restore(tmp_path / "file"))
    reader = second.device("reader")
    with second.machine.lock:
        reader.queue.read(0, len(image), reader.done)
    reader.queue.drain(PATIENCE_S)
    assert reader.results == [bytes(wanted)]
    assert (tmp_path / "disk.img").read_bytes() == image


def test_a_snapshot_of_a_restored_machine(description: Path, start: Start, tmp_path: Path) -> None:
    """Generations: nothing is lost or grows."""
    machine = start(description)
    machine.device("notes").number = 3
    for generation in range(4):
        path = tmp_path / str(generation)
        machine.save(path)
        machine.end()
        machine = start(restore(path))
        assert machine.device("notes").number == 3
    assert read_info(tmp_path / "3").header.description == read_info(tmp_path / "0").header.description


def test_the_same_folder_isnt_needed(
    description: Path, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths in the description are absolute in the snapshot."""
    monkeypatch.chdir(tmp_path)
    running = start(Path("machine.yaml"))
    running.save(tmp_path / "file")
    monkeypatch.chdir("/")
    assert read_info(tmp_path / "file").header.disks[0].image
    machine = restore(tmp_path / "file")
    assert machine.backends["blockdevs"]["disk"].name == str(tmp_path / "disk.img")
    machine.close()


def test_a_back_end_can_be_changed(description: Path, start: Start, tmp_path: Path) -> None:
    start(description).save(tmp_path / "file")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "disk.img", tmp_path / "elsewhere")
    with pytest.raises(SouthbridgeError, match=r"^/.*/file: blockdevs\.disk: .*disk\.img: cannot open the image"):
        restore(tmp_path / "file")
    machine = restore(tmp_path / "file", settings=[f"blockdevs.disk.path={tmp_path}/elsewhere/disk.img"])
    assert machine.backends["blockdevs"]["disk"].name == f"{tmp_path}/elsewhere/disk.img"
    machine.close()
    with pytest.raises(SouthbridgeError, match=r"--set devices\.notes\.type: only back ends can be changed"):
        restore(tmp_path / "file", settings=["devices.notes.type=video"])


# --- the machine that is saved -----------------------------------------------------------------------------------


def test_it_goes_on_as_it_did(description: Path, start: Start, tmp_path: Path) -> None:
    running = start(description)
    events: list[str] = []
    with running.client() as client:
        client.on_event = lambda event: events.append(event["event"])
        client.run("snapshot-save", path=str(tmp_path / "file"))
        assert client.run("query-status")["status"] == "running"
    assert [event for event in events if not event.startswith("X_")] == ["STOP", "RESUME"]
    running.run("stop")
    running.save(tmp_path / "file")
    assert running.status == "paused"


def test_the_library_saves_a_paused_machine(description: Path, start: Start, tmp_path: Path) -> None:
    running = start(description)
    with pytest.raises(SouthbridgeError, match="saved isn't paused"):
        save(running.machine, str(tmp_path / "file"))
    running.run("stop")
    save(running.machine, str(tmp_path / "file"))
    restore(tmp_path / "file").close()


def with_disk(description: Path, kind: str) -> Path:
    text = description.read_text().replace("{type: raw, path: disk.img, overlay: true}", f"{{type: {kind}}}")
    description.write_text(text)
    return description


def other_thread(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_requests_under_way_are_finished_first(description: Path, start: Start, tmp_path: Path) -> None:
    running = start(with_disk(description, "slow"))
    reader, disk = running.device("reader"), running.machine.backends["blockdevs"]["disk"]
    with running.machine.lock:
        reader.queue.write(0, b"x", lambda data, error: setattr(running.device("notes"), "number", 55))
    assert disk.entered.wait(PATIENCE_S)
    saving = other_thread(lambda: running.save(tmp_path / "file"))
    while running.status != "save-vm":  # each turn is a conversation
        pass
    disk.go.set()
    saving.join(PATIENCE_S)
    machine = start(restore(tmp_path / "file"))
    assert machine.status == "running"
    assert machine.device("notes").number == 55, "the state is from after the request's end"


def test_an_image_that_hangs_is_named(
    description: Path, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(with_disk(description, "slow"))
    reader, disk = running.device("reader"), running.machine.backends["blockdevs"]["disk"]
    with running.machine.lock:
        reader.queue.write(0, b"x", reader.done)
    drain = BlockQueue.drain
    monkeypatch.setattr(BlockQueue, "drain", lambda queue: drain(queue, 0.05))
    with pytest.raises(SouthbridgeError, match=r"slow: 1 request\(s\) not finished after 0.05 s"):
        running.save(tmp_path / "file")
    assert running.status == "running"
    assert not (tmp_path / "file").exists()
    disk.go.set()


def test_what_others_ask_during_a_save_comes_after_it(description: Path, start: Start, tmp_path: Path) -> None:
    running = start(with_disk(description, "lingering"))
    machine = running.machine
    disk = machine.backends["blockdevs"]["disk"]
    notes = running.device("notes")
    notes.number = 5
    saving = other_thread(lambda: running.save(tmp_path / "file"))
    assert disk.entered.wait(PATIENCE_S)
    assert running.status == "save-vm"
    resets = [other_thread(lambda: running.run("system_reset"))]
    machine.request_reset(ResetReason.HOST)
    stopping = other_thread(lambda: running.run("stop"))
    assert running.status == "save-vm" and notes.number == 5
    disk.go.set()
    for thread in (saving, stopping, *resets):
        thread.join(PATIENCE_S)
    assert running.status == "paused"
    assert notes.number == 0
    type(disk).patience = 0
    again = start(restore(tmp_path / "file"))
    assert again.device("notes").number == 5


def test_quitting_during_a_save_lets_it_finish(description: Path, start: Start, tmp_path: Path) -> None:
    running = start(with_disk(description, "lingering"))
    disk = running.machine.backends["blockdevs"]["disk"]
    failures: list[Exception] = []

    def ask() -> None:
        try:
            running.save(tmp_path / "file")
        except SouthbridgeError as error:
            failures.append(error)

    saving = other_thread(ask)
    assert disk.entered.wait(PATIENCE_S)
    running.run("quit")
    disk.go.set()
    saving.join(PATIENCE_S)
    running.join()
    type(disk).patience = 0
    if failures:  # the answer may be lost with the machine, the file isn't
        assert "ended before it answered" in str(failures[0])
    else:
        restore(tmp_path / "file").close()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_write_to_memory_during_a_save_is_noticed(description: Path, start: Start, tmp_path: Path) -> None:
    running = start(with_disk(description, "lingering"))
    disk = running.machine.backends["blockdevs"]["disk"]
    failures: list[str] = []

    def ask() -> None:
        try:
            running.save(tmp_path / "file")
        except SouthbridgeError as error:
            failures.append(str(error))

    # The first call asks whether there is an overlay; the second comes with memory half written.
    saving = other_thread(ask)
    assert disk.entered.wait(PATIENCE_S)
    block = running.machine.ram
    original = block.dirty

    class Eager(list[Any]):
        def append(self, log: Any) -> None:
            super().append(log)
            block.mark_dirty(0, 1)

    block.dirty = Eager(original)
    disk.go.set()
    saving.join(PATIENCE_S)
    assert len(failures) == 1
    assert "a device wrote to 'ram' while the machine stood still; nothing was saved" in failures[0]
    assert not (tmp_path / "file").exists()
    assert running.status == "running"


def test_only_machines_from_descriptions_can_be_saved(description: Path, start: Start, tmp_path: Path) -> None:
    machine = build(load(str(description)))
    machine.description = None
    running = start(machine)
    with pytest.raises(SouthbridgeError, match="wasn't built from a description"):
        running.save(tmp_path / "file")
    assert running.status == "running"


@pytest.mark.parametrize(
    ("target", "message"),
    [("missing/file", "No such file or directory"), ("folder", "it is there, and not a regular file")],
)
def test_where_nothing_can_be_written(
    description: Path, start: Start, tmp_path: Path, target: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    running = start(description)
    with pytest.raises(SouthbridgeError, match=f"can't be written: {message}"):
        running.save(tmp_path / target)
    assert running.status == "running"


def test_relative_paths_are_the_clients_business(description: Path, start: Start) -> None:
    with pytest.raises(SouthbridgeError, match="expected an absolute path"):
        start(description).run("snapshot-save", path="file")
