"""Scripts in the lab, with QEMU as the device model, and with ours in its place: the same results are expected of both.

All scripts of a model run in one dom0, so that it is started twice in all. The two may run beside each other.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.guests.build import cpuhp_guest
from tests.lab.dom0 import Result, results, run_scripts, said
from tests.lab.linux import linux_disk
from tests.lab.program import PROGRAM, QEMU, program_disks

MODELS = {"qemu": QEMU, "southbridge": PROGRAM}

VERBS = """\
create: status 0
start: heard
running: counts on
pause: status 0
paused: stands still
unpause: status 0
unpaused: counts on
list: status 0
vcpu-set: status 0
CPUs: 2
cd-insert: status 0
cd-eject: status 0
monitor: status 0
VM status: running
shutdown: status 1
reboot: status 1
after-the-verbs: counts on
save: status 0
domains:
restore: status 0
domains: g
restored: counts on
migrate: status 0
domains: g
migrated: counts on
destroy: status 0
destroy: gone
domains:
models: 0
"""

CPUS = """\
create: status 0
up: heard
vcpu-set: status 0
second: heard
ok cpuhp-one
ok cpuhp-event
ok cpuhp-two
ok cpuhp-second
ok cpuhp-both
destroy: status 0
"""

LINUX = """\
create: status 0
up: heard
guest: pci 5853:0001
guest: pci 8086:100e
guest: pci 8086:1237
guest: pci 8086:7000
guest: pci 8086:7010
guest: pci 8086:7020
guest: pci 8086:7113
guest: disk as it is
guest: interrupts of uhci_hcd
guest: link up
guest: answered, by interrupts of eth0
guest: ready
shutdown: status 0
shutdown: gone
models: 0
"""

RESTRICT = """\
create-r: status 0
start-r: heard
r: Uid: the domain's
r: Gid: 131072
r: root /run/xen/qemu-root-
cd-eject-r: status 0
cd-insert-r: status 0
monitor-r: status 0
VM status: running
save-r: status 0
restore-r: status 0
restored-r: counts on
destroy-r: status 0
destroy-r: gone
create-u: status 0
start-u: heard
u: Uid: 2000
u: Gid: 2000
u: root /
destroy-u: status 0
destroy-u: gone
models: 0
"""

DEATHS = """\
models: 1
half-made: gone
models: 0
create: status 0
start: heard
sandbox: 2
without-xl: counts on
monitor: status 0
VM status: running
destroy: status 0
destroy: gone
models: 0
create-again: status 0
start-again: heard
models: 0
xenstore went away (its daemon has ended): the machine ends
"""

EXPECTED = {"verbs": VERBS, "cpus": CPUS, "linux": LINUX, "restrict": RESTRICT, "deaths": DEATHS}
"""What the scripts say, whoever is the device model; `deaths` is the last, as it leaves no xenstore."""
OURS_ONLY = ("restrict", "deaths")
"""QEMU opens no image after a restore in an empty root folder; what ours says at its end is its own."""

SCRIPTS = {model: [name for name in EXPECTED if model != "qemu" or name not in OURS_ONLY] for model in MODELS}
CASES = [
    pytest.param(model, script, id=f"{model}-{script}", marks=pytest.mark.xdist_group(model))
    for model, scripts in SCRIPTS.items()
    for script in scripts
]


@cache
def outcomes(model: str) -> dict[str, Result]:
    """What came of each script with that device model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scripts = {script: f"exec ./{script}.sh {MODELS[model]}" for script in SCRIPTS[model]}
        disks = [*program_disks(), linux_disk(folder)]
        return run_scripts(scripts, {"cpuhp.img": cpuhp_guest(folder)}, disks=disks)


@pytest.mark.parametrize(("model", "script"), CASES)
def test_results(model: str, script: str) -> None:
    text = said(outcomes(model)[script])
    assert results(text) == EXPECTED[script].splitlines(), text[-4000:]
