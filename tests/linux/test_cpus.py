"""Debian's ACPI driver finds a CPU that comes. The software CPU has no second one to start: that much is the lab's."""

from __future__ import annotations

from pathlib import Path

from southbridge import Device, PortBank
from southbridge.builder import build
from southbridge.description import load

from tests.guests.conversation import plain
from tests.linux.guest import answer, describe
from tests.linux.initramfs import initramfs

PORT = 0x5F0
SCRIPT = """\
cd /sys/devices/system/cpu
mknod /dev/port c 1 4
echo "possible: $(cat possible)"
echo "before: $(cat present)"
printf x | dd of=/dev/port bs=1 seek=1520 2>/dev/null
for i in $(seq 100); do [ "$(cat present)" = 0 ] || break; sleep 0.1; done
echo "after: $(cat present)"
echo "offline: $(cat offline)"
echo "driver: $(cat /sys/bus/acpi/devices/ACPI0007:01/status)"
"""


class Plug(Device):
    """A CPU is said to come when the guest writes here."""

    ports = PortBank(1)
    COMES = ports.register(0)

    def realize(self) -> None:
        self.claim_ports(self.ports, PORT)

    @COMES.write
    def written(self, value: int) -> None:
        self.machine.cpus.plugged[1] = ""
        self.machine.hooks.call.cpu_plugged(machine=self.machine, cpu=1)


def test_a_cpu_that_comes_is_found(tmp_path: Path) -> None:
    description = describe(tmp_path, initramfs(SCRIPT), settings={"maxcpus": "2", "accelerator": "unicorn"})
    serial = tmp_path / "serial.log"
    machine = build(load(str(description), ["chardevs.serial0.type=file", f"chardevs.serial0.path={serial}"]))
    try:
        machine.plug(Plug(id="plug"))
        machine.run()
    finally:
        machine.close()
    text = plain(serial.read_bytes()).decode("ascii", "replace")
    said = [answer(text, name) for name in ("possible", "before", "after", "offline", "driver")]
    assert said == ["0-1", "0", "0-1", "1", "15"]
