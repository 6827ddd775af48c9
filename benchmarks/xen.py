"""The accelerator `xen` on the simulated hypervisor: what a request costs, while a guest loops on a port.

The CPU lends its thread to the ioreq server; so that thread's computing time is all there is: what the guest itself
takes, the hypervisor's part, ours from the event through the device to the answer, and what it takes to go on.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from rich.table import Table
from southbridge.builder import build
from southbridge.description import load
from southbridge.life import ShutdownReason

from . import ours

ACCELERATOR = "{type: xen, hypervisor: simulated, bucket: 64K, budget: 1M}"
LIMIT_US = 8.0
BEGUN, ENDED = b"<a>", b"<b>"
"""What the guest says before and after it reads the port so many times."""
ACCESSES = 200_000
ROUNDS = 3


def compare(folder: Path) -> Table:
    """Runs a boot sector that loops on port 92h, on the simulated hypervisor and on what runs the CPU there, alone."""
    cost, whole = access_costs(folder, ACCELERATOR)
    alone, whole_alone = access_costs(folder, "unicorn")
    table = Table("", "simulated Xen", "limit", "unicorn alone", title="IN from port 92h, best of several rounds")
    table.add_row("computing time", f"{cost:.2f} us", f"{LIMIT_US:.0f} us", f"{alone:.2f} us")
    table.add_row("from the guest's IN to the next one", f"{whole:.2f} us", "", f"{whole_alone:.2f} us")
    return table


def access_costs(folder: Path, accelerator: str) -> tuple[float, float]:
    """Microseconds of computing time for an access, and of time in all."""
    image = folder / "access.img"
    source = Path(__file__).parent / "guests" / "access.asm"
    subprocess.run(["nasm", "-f", "bin", "-o", str(image), str(source)], check=True)
    description = ours.description(folder, image, accelerator=accelerator)
    rounds = [_round(description, folder / f"console{number}") for number in range(ROUNDS)]
    return min(computed for computed, _ in rounds), min(whole for _, whole in rounds)


def _round(description: Path, console: Path) -> tuple[float, float]:
    machine = build(load(str(description), [f"chardevs.debug={{type: file, path: '{console}'}}"]))
    runner = threading.Thread(target=machine.run)
    runner.start()
    try:
        before = _times_at(BEGUN, console)
        after = _times_at(ENDED, console)
    finally:
        machine.request_shutdown(ShutdownReason.HOST_QUIT)
        runner.join()
        machine.close()
        console.unlink()
    return (after[0] - before[0]) / ACCESSES * 1e6, (after[1] - before[1]) / ACCESSES * 1e6


def _times_at(mark: bytes, console: Path) -> tuple[float, float]:
    """Seconds that the CPU's threads have computed when the guest says `mark`, and by the clock."""
    while not console.exists() or mark not in console.read_bytes():
        time.sleep(0.002)
    threads = [thread.ident for thread in threading.enumerate() if thread.name == "vcpu0"]
    clocks = [time.pthread_getcpuclockid(thread) for thread in threads if thread is not None]
    return sum(time.clock_gettime(clock) for clock in clocks), time.perf_counter()


def main() -> None:
    """Prints the table, by itself."""
    import tempfile

    from rich.console import Console

    with tempfile.TemporaryDirectory() as folder:
        Console().print(compare(Path(folder)))


if __name__ == "__main__":
    main()
