"""A second CPU comes to a guest that waits for one: QEMU's and ours, on KVM, by the control socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from southbridge import SouthbridgeError
from southbridge.accelerators.kvm import KvmAccelerator
from southbridge.control.client import find_machine
from southbridge.control.folder import live

from tests.guests import expect
from tests.guests.build import cpuhp_guest
from tests.guests.conversation import talk
from tests.guests.southbridge import PROGRAM, describe
from tests.linux.guest import control_sockets

LONG_ENOUGH_S = 120.0
"""Only a guest that hangs meets this."""

usable = KvmAccelerator.availability()
on_kvm = pytest.mark.skipif(not usable.usable, reason=f"KVM: {usable.reason}")


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    with control_sockets():
        yield


def plug() -> list[dict[str, Any]]:
    """Brings the CPU that isn't there yet to the only machine; what the machine says of its CPUs then."""
    (id,) = live()
    with find_machine(id) as machine:
        (cpu,) = [cpu for cpu in machine.run("query-hotpluggable-cpus") if "qom-path" not in cpu]
        machine.run("device_add", driver=cpu["type"], id="late", **cpu["props"])
        cpus: list[dict[str, Any]] = machine.run("query-cpus-fast")
        return cpus


@on_kvm
@pytest.mark.parametrize(
    "accelerator",
    [
        *[f"{{type: kvm, kernel_irqchip: '{mode}'}}" for mode in ("on", "split", "off")],
        "{type: xen, hypervisor: simulated, cpu: kvm}",
    ],
)
def test_it_sees_the_cpu_and_starts_it(images: Path, tmp_path: Path, accelerator: str) -> None:
    description = describe(tmp_path, image=cpuhp_guest(images))
    with description.open("a") as file:
        file.write(f"accelerator: {accelerator}\nmaxcpus: 2\n")
    seen: list[dict[str, Any]] = []
    result = talk(
        [PROGRAM, "run", description],
        send=[(b"WAITING", lambda: seen.extend(plug())), (b"ok cpuhp-both", b"q")],
        timeout_s=LONG_ENOUGH_S,
    )
    assert expect.parse_cpu_report(result.output) == dict.fromkeys(
        ["cpuhp-one", "cpuhp-event", "cpuhp-two", "cpuhp-second", "cpuhp-both"], "ok"
    )
    assert result.status == expect.CPU_EXIT_STATUS
    assert [cpu["cpu-index"] for cpu in seen] == [0, 1]
    assert len({cpu["thread-id"] for cpu in seen}) == 2


def test_an_accelerator_with_one_cpu_says_so(images: Path, tmp_path: Path) -> None:
    def refused() -> None:
        with pytest.raises(SouthbridgeError, match="accelerator unicorn has one CPU"):
            plug()

    description = describe(tmp_path, image=cpuhp_guest(images))
    with description.open("a") as file:
        file.write("accelerator: unicorn\nmaxcpus: 2\n")
    talk([PROGRAM, "run", description], send=[(b"WAITING", refused)], until=b"", timeout_s=LONG_ENOUGH_S)
