"""xl's verbs in the lab: QEMU as the device model, and ours in its place, with the same results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests.build import cpuhp_guest
from tests.lab.dom0 import results, run_in_dom0, said
from tests.lab.program import PROGRAM, QEMU, program_disks

MODELS = [pytest.param(QEMU, id="qemu"), pytest.param(PROGRAM, id="southbridge")]

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
"""What verbs.sh says, whoever is the device model."""


@pytest.mark.parametrize("model", MODELS)
def test_verbs(model: str) -> None:
    assert results(said(run_in_dom0(f"exec ./verbs.sh {model}", disks=program_disks()))) == VERBS.splitlines()


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


@pytest.mark.parametrize("model", MODELS)
def test_a_cpu_comes(tmp_path: Path, model: str) -> None:
    disk = {"cpuhp.img": cpuhp_guest(tmp_path)}
    assert results(said(run_in_dom0(f"exec ./cpus.sh {model}", disk, disks=program_disks()))) == CPUS.splitlines()


RESTRICT = """\
create-r: status 0
start-r: heard
r: Uid: {uid}
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


def test_few_rights() -> None:
    """Not QEMU's: it opens no image after a restore in an empty root folder, so that its guest stands still."""
    result = results(said(run_in_dom0(f"exec ./restrict.sh {PROGRAM}", disks=program_disks())))
    assert result == RESTRICT.format(uid=131072 + 1).splitlines()
