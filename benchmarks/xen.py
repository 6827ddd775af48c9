"""The accelerator `xen` on the simulated hypervisor: what a request costs us, while a guest loops on a port.

Our own cost is the computing time of the thread that serves requests, from an event, through the device, to the answer,
without what two threads of Python's pay anyhow to take turns.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from rich.table import Table
from southbridge.accelerators.xen import XenAccelerator
from southbridge.builder import build
from southbridge.description import load
from southbridge.life import ShutdownReason

from . import ours

ACCELERATOR = "{type: xen, hypervisor: simulated, bucket: 64K, budget: 1M}"
LIMIT_US = 8.0
BEGUN = b"<a>"
"""What the guest says before it loops on a port."""
REQUESTS = 20_000
ROUNDS = 5


def compare(folder: Path) -> Table:
    """Runs a boot sector that loops on port 92h."""
    own, whole = request_costs(folder)
    turn, both = turns()
    table = Table("", "Southbridge", "limit", title="simulated Xen, best of several rounds")
    table.add_row("computing time for a request (IN from port 92h)", f"{own:.2f} us", "")
    table.add_row("computing time for a turn of two threads that do nothing", f"{turn:.2f} us", "")
    table.add_row("a request's own cost: the difference", f"{own - turn:.2f} us", f"{LIMIT_US:.0f} us")
    table.add_row("from the guest's IN to the next one", f"{whole:.2f} us", "")
    table.add_row("from a turn of two threads that do nothing to the next one", f"{both:.2f} us", "")
    return table


def request_costs(folder: Path) -> tuple[float, float]:
    """Microseconds of the serving thread's computing time for a request, and of time in all."""
    image, console = folder / "access.img", folder / "console"
    source = Path(__file__).parent / "guests" / "access.asm"
    subprocess.run(["nasm", "-f", "bin", "-o", str(image), str(source)], check=True)
    description = ours.description(folder, image, accelerator=ACCELERATOR)
    machine = build(load(str(description), [f"chardevs.debug={{type: file, path: '{console}'}}"]))
    accelerator = machine.accelerator
    assert isinstance(accelerator, XenAccelerator)
    runner = threading.Thread(target=machine.run)
    runner.start()
    try:
        while not console.exists() or BEGUN not in console.read_bytes():
            time.sleep(0.01)
        clock = time.pthread_getcpuclockid(_serving())
        rounds = [_round(accelerator, clock) for _ in range(ROUNDS)]
    finally:
        machine.request_shutdown(ShutdownReason.HOST_QUIT)
        runner.join()
        machine.close()
    return min(own for own, _ in rounds), min(whole for _, whole in rounds)


def turns() -> tuple[float, float]:
    """Microseconds of a thread's computing time, and of time in all, to be woken by a thread and to wake it."""
    mine, theirs = threading.Lock(), threading.Lock()
    mine.acquire()
    theirs.acquire()
    ended = False

    def take_turns() -> None:
        while not ended:
            theirs.acquire()
            mine.release()

    other = threading.Thread(target=take_turns)
    other.start()
    assert other.ident is not None
    clock = time.pthread_getcpuclockid(other.ident)
    rounds = []
    for _ in range(ROUNDS):
        begin, computed = time.perf_counter(), time.clock_gettime(clock)
        for _ in range(REQUESTS):
            theirs.release()
            mine.acquire()
        rounds.append((time.clock_gettime(clock) - computed, time.perf_counter() - begin))
    ended = True
    theirs.release()
    other.join()
    return min(own for own, _ in rounds) / REQUESTS * 1e6, min(whole for _, whole in rounds) / REQUESTS * 1e6


def _serving() -> int:
    """The thread that serves requests."""
    found = next(thread for thread in threading.enumerate() if thread.name == "ioreq")
    assert found.ident is not None
    return found.ident


def _round(accelerator: XenAccelerator, clock: int) -> tuple[float, float]:
    first, begin, computed = accelerator.server.served, time.perf_counter(), time.clock_gettime(clock)
    while accelerator.server.served < first + REQUESTS:
        time.sleep(0.05)
    served = accelerator.server.served - first
    return (time.clock_gettime(clock) - computed) / served * 1e6, (time.perf_counter() - begin) / served * 1e6


def main() -> None:
    """Prints the table, by itself."""
    import tempfile

    from rich.console import Console

    with tempfile.TemporaryDirectory() as folder:
        Console().print(compare(Path(folder)))


if __name__ == "__main__":
    main()
