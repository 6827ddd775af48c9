"""Linux's watchdog drivers: petted, nothing happens; then the machine is reset, and the next boot knows why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests.conversation import plain
from tests.linux.guest import NO_ACPI, answer, describe, run_linux, said
from tests.linux.initramfs import UP, initramfs
from tests.linux.packages import modules

I6300ESB = """\
insmod /i6300esb.ko heartbeat=4
cd /sys/class/watchdog/watchdog0
echo "identity: $(cat identity), $(cat timeout) s"
echo "bootstatus: $(cat bootstatus)"
if [ "$(cat bootstatus)" = 0 ]; then
    exec 3> /dev/watchdog
    for i in $(seq 6); do echo . >&3; sleep 1; done
    echo "petted: $(cat state)"
    while true; do sleep 1; done
fi
"""

IB700 = """\
insmod /ib700wdt.ko timeout=4
exec 3> /dev/watchdog
for i in $(seq 6); do echo . >&3; sleep 1; done
echo V >&3
exec 3>&-
sleep 5
echo "stopped: yes"
exec 3> /dev/watchdog
while true; do sleep 1; done
"""


def boot(folder: Path, script: str, module: str, device: str) -> Path:
    files = {f"{module}.ko": modules()[module].read_bytes()}
    return describe(folder, initramfs(script, ["watchdog"], files), devices=[device])


def test_i6300esb_resets_a_machine_that_hangs(tmp_path: Path) -> None:
    description = boot(tmp_path, I6300ESB, "i6300esb", "dog: {type: i6300esb}")
    result = run_linux(description)
    text = said(result)
    assert plain(result.output).count(UP) == 2
    first, second = text.split(UP.decode())[1:]
    assert answer(first, "identity") == "i6300ESB timer, 4 s"
    assert answer(first, "bootstatus") == "0"
    assert answer(first, "petted") == "active"
    assert answer(second, "bootstatus") == "32"  # WDIOF_CARDRESET


@pytest.mark.parametrize("device", ["{type: ib700, action: poweroff}", "{type: i6300esb, action: poweroff}"])
def test_a_watchdog_may_switch_the_machine_off(tmp_path: Path, device: str) -> None:
    module = "ib700wdt" if "ib700" in device else "i6300esb"
    script = IB700 if "ib700" in device else IB700.replace("ib700wdt.ko timeout", "i6300esb.ko heartbeat")
    result = run_linux(boot(tmp_path, script, module, f"dog: {device}"))
    assert result.status == 0
    assert plain(result.output).count(UP) == 1
    assert "stopped: yes" in plain(result.output).decode()


def test_a_watchdog_may_interrupt_with_an_nmi(tmp_path: Path) -> None:
    """Linux takes it as what an operator does to a machine that hangs."""
    script = "insmod /ib700wdt.ko timeout=2\nexec 3> /dev/watchdog\nwhile true; do sleep 1; done\n"
    files = {"ib700wdt.ko": modules()["ib700wdt"].read_bytes()}
    description = describe(
        tmp_path,
        initramfs(script, ["watchdog"], files),
        cmdline=f"{NO_ACPI} unknown_nmi_panic",
        devices=["dog: {type: ib700, action: inject-nmi}"],
    )
    run_linux(description, until=[UP, b"Kernel panic - not syncing: NMI: Not continuing"])
