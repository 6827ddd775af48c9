"""What the machine does between two instructions of its guest: another accelerator, a dirty log, a state saved.

In this process, with nothing of QEMU's to compare with.
"""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from southbridge import Device, Machine, MiB, PortBank, ShutdownReason
from southbridge.builder import accelerator_named, build
from southbridge.description import load
from southbridge.memory.regions import Ram
from southbridge.snapshot.restoring import restore
from southbridge.snapshot.saving import save

from . import ours

SNAPSHOTS = 3
SWAPS = 20
SYNCS = 200
DIRTY = 480


def swap_times(folder: Path, first: str, second: str) -> dict[str, float]:
    """Milliseconds that swaps of the accelerator take with 256 MiB of memory, about as long as the guest stands still.

    They are the medians by what became what.
    """
    quiet = ["memory=256M", "chardevs.debug={type: 'null'}"]
    machine = build(load(str(ours.description(folder, accelerator=first)), quiet))
    times: dict[str, list[float]] = {}

    def swap() -> None:
        old = first
        for _ in range(SWAPS):
            for new in (second, first):
                time.sleep(0.02)  # the guest goes on a bit
                accelerator = accelerator_named(machine, new)
                start = time.perf_counter()
                machine.swap_accelerator(accelerator)
                times.setdefault(f"{old} to {new}", []).append((time.perf_counter() - start) * 1e3)
                old = new
        machine.request_shutdown(ShutdownReason.HOST_QUIT)

    _run_with(machine, swap)
    return {name: statistics.median(values) for name, values in times.items()}


def _run_with(machine: Machine, work: Callable[[], None]) -> None:
    """Runs `machine` while `work` is done on another thread, which ends it."""
    thread = threading.Thread(target=work)
    machine.post(thread.start)
    machine.run()
    thread.join()
    machine.close()


def snapshot_times(folder: Path) -> dict[str, float]:
    """Milliseconds to save and to restore 256 MiB, of which a quarter is random and a quarter is text."""
    quiet = ["memory=256M", "chardevs.debug={type: 'null'}"]
    machine = build(load(str(ours.description(folder)), quiet))
    random, line = Random(1), b"The quick brown fox jumps over the lazy dog. "
    machine.ram.view[64 * MiB : 128 * MiB] = random.randbytes(64 * MiB)
    machine.ram.view[128 * MiB : 192 * MiB] = (line * (64 * MiB // len(line) + 1))[: 64 * MiB]
    path = str(folder / "snapshot")
    times: dict[str, list[float]] = {"save": [], "restore": []}

    def work() -> None:
        machine.pause()
        for _ in range(SNAPSHOTS):
            times["save"].append(_milliseconds(lambda: save(machine, path)))
        machine.request_shutdown(ShutdownReason.HOST_QUIT)

    _run_with(machine, work)
    for _ in range(SNAPSHOTS):
        restored: list[Machine] = []
        times["restore"].append(_milliseconds(lambda: restored.append(restore(path))))  # noqa: B023
        restored[0].close()
    return {name: statistics.median(values) for name, values in times.items()} | {
        "MiB": Path(path).stat().st_size / MiB
    }


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


class DirtySync(Device):
    """Fetches the dirty log of `region` when the guest says that it wrote."""

    ports = PortBank(1)
    WRITTEN = ports.register(0)

    def realize(self) -> None:
        """Answers at the bell's ports."""
        self.claim_ports(self.ports, ours.BELL_PORTS)
        self.region = Ram("all", self.machine.ram)
        self.times: list[float] = []
        self.pages: list[int] = []

    @WRITTEN.write
    def written(self, value: int) -> None:
        """The guest wrote to DIRTY pages."""
        call = self.machine.hooks.call
        if not self.pages:
            call.dirty_log_start(region=self.region)
        start = time.perf_counter()
        found = call.dirty_log_sync(region=self.region)
        self.times.append((time.perf_counter() - start) * 1e6)
        self.pages.append(int(found.sum()))
        if len(self.times) == SYNCS:
            self.machine.request_shutdown(ShutdownReason.HOST_QUIT)


def dirty_sync(folder: Path) -> float:
    """Microseconds that the log of 16 MiB takes under KVM, with 480 dirty pages."""
    image = folder / "dirty.img"
    source = Path(__file__).parent / "guests" / "dirty.asm"
    subprocess.run(["nasm", "-f", "bin", "-o", str(image), str(source)], check=True)
    description = ours.description(folder, image, accelerator="kvm")
    machine = build(load(str(description), [f"memory={16 * MiB}", "chardevs.debug={type: 'null'}"]))
    device = DirtySync("sync")
    machine.plug(device)
    machine.run()
    machine.close()
    assert set(device.pages[2:]) == {DIRTY}, "the log holds what the guest wrote"
    return statistics.median(device.times[2:])
