"""The same said to our program and to QEMU: answers have one form, refusals one class and text."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from southbridge import Machine, MiB
from southbridge.control.server import all_commands

from tests.core.qemu_system.program import PROGRAM
from tests.core.qmp.conversations import form
from tests.core.qmp.talking import Requests, connected

QEMU = "qemu-system-i386"
OPTIONS = ("-machine", "pc", "-nodefaults", "-display", "none", "-S", "-m", "32", "-smp", "1,maxcpus=2")

Request = tuple[str, dict[str, Any]]

ANSWERED: list[Request] = [
    ("query-version", {}),
    ("query-uuid", {}),
    ("query-status", {}),
    ("query-chardev", {}),
    ("query-cpus-fast", {}),
    ("query-kvm", {}),
    ("query-target", {}),
    ("query-memdev", {}),
    ("query-block", {}),
    ("query-hotpluggable-cpus", {}),
    ("query-fdsets", {}),
    ("query-vnc", {}),
    ("query-vnc-servers", {}),
    ("qom-list", {"path": "/"}),
    ("qom-list", {"path": "/machine/peripheral"}),
    ("qom-get", {"path": "/machine", "property": "type"}),
    ("qom-get", {"path": "/machine", "property": "smp"}),
    ("qom-get", {"path": "/machine/peripheral/n0", "property": "addr"}),
    ("qom-get", {"path": "/machine/peripheral/n0", "property": "parent_bus"}),
    ("qom-get", {"path": "/machine/peripheral/n0", "property": "mac"}),
    ("qom-get", {"path": "n0", "property": "legacy-addr"}),
    ("qom-get", {"path": "/machine/peripheral", "property": "n0"}),
    ("qom-list-types", {"implements": "no-such-type"}),
    ("device_add", {"driver": "e1000", "id": "n1"}),
    ("chardev-add", {"id": "c0", "backend": {"type": "null", "data": {}}}),
    ("chardev-add", {"id": "c1", "backend": {"type": "pty", "data": {}}}),
    ("chardev-change", {"id": "c1", "backend": {"type": "null", "data": {}}}),
    ("chardev-remove", {"id": "c1"}),
    ("netdev_add", {"type": "user", "id": "net0", "hostfwd": [{"str": "tcp:127.0.0.1:0-:22"}]}),
    ("netdev_add", {"type": "hubport", "id": "port0", "hubid": 0}),
    ("netdev_del", {"id": "port0"}),
    ("set_link", {"name": "n0", "up": False}),
    ("blockdev-add", {"driver": "null-co", "node-name": "b0", "size": 4096}),
    ("object-add", {"qom-type": "secret", "id": "s0", "data": "c2VjcmV0", "format": "base64"}),
    ("object-add", {"qom-type": "iothread", "id": "t0", "poll-max-ns": 7}),
    ("object-add", {"qom-type": "memory-backend-ram", "id": "m0", "size": 1 << 20}),
    ("query-xen-replication-status", {}),
    ("query-migrate", {}),
    ("query-migrate-capabilities", {}),
    ("migrate_cancel", {}),
    ("query-memdev", {}),
    ("query-iothreads", {}),
    ("qom-get", {"path": "/objects/t0", "property": "poll-max-ns"}),
    ("qom-set", {"path": "/objects/t0", "property": "poll-max-ns", "value": 9}),
    ("qom-get", {"path": "/objects/t0", "property": "poll-max-ns"}),
    ("qom-get", {"path": "/objects/m0", "property": "size"}),
    ("object-del", {"id": "m0"}),
    ("query-memdev", {}),
    ("blockdev-open-tray", {"id": "cd0"}),
    ("blockdev-remove-medium", {"id": "cd0"}),
    ("blockdev-insert-medium", {"id": "cd0", "node-name": "b0"}),
    ("blockdev-close-tray", {"id": "cd0"}),
]
ALIKE: set[str] = {"qom-get"}
"""Commands whose results are the same, and not only of one form."""
REFUSED: list[Request] = [
    ("add-fd", {}),
    ("add-fd", {"fdset-id": "none"}),
    ("query-version", {"more": 1}),
    ("remove-fd", {"fdset-id": 5}),
    ("no-such-command", {}),
    ("qom-list", {"path": "/machine/nowhere"}),
    ("qom-list", {"path": "/machine/peripheral/n0/type"}),
    ("qom-list", {"path": ""}),
    ("qom-list", {"path": 5}),
    ("qom-get", {"path": "/machine/peripheral/n0", "property": "nothing"}),
    ("qom-set", {"path": "/machine/peripheral/n0", "property": "addr", "value": "5"}),
    ("qom-set", {"path": "/machine/peripheral-anon/device[0]", "property": "mac", "value": ""}),
    ("qom-set", {"path": "/machine/peripheral/n0", "property": "type", "value": "x"}),
    ("qom-set", {"path": "/machine/peripheral", "property": "n0", "value": "x"}),
    ("qom-set", {"path": "/machine/peripheral", "property": "n0"}),
    ("qom-list-properties", {"typename": "no-such-type"}),
    ("device-list-properties", {"typename": "no-such-type"}),
    ("device-list-properties", {"typename": "pci-device"}),
    ("device_add", {"driver": "e1000", "id": "n0"}),
    ("device_add", {"driver": "no-such-device", "id": "n2"}),
    ("device_add", {"driver": "e1000", "id": "9"}),
    ("device_add", {"driver": "e1000", "id": "n2", "nothing": 1}),
    ("device_add", {"driver": "e1000", "id": "n2", "netdev": "nobody"}),
    ("device_add", {"driver": "e1000", "id": "n2", "bus": "nowhere"}),
    ("device_del", {"id": "nobody"}),
    ("chardev-add", {"id": "c0", "backend": {"type": "null", "data": {}}}),
    ("chardev-add", {"id": "c2", "backend": {"type": "nothing", "data": {}}}),
    ("chardev-add", {"id": "c2", "backend": {"type": "null"}}),
    ("chardev-add", {"id": "c2", "backend": {"type": "file", "data": {}}}),
    ("chardev-add", {"id": "c2", "backend": {"type": "file", "data": {"out": "log", "more": 1}}}),
    ("chardev-add", {"id": "c2", "backend": {"type": "socket", "data": {"addr": {"type": "unix", "data": {}}}}}),
    ("chardev-add", {"id": "c2", "backend": "null"}),
    ("chardev-change", {"id": "nobody", "backend": {"type": "null", "data": {}}}),
    ("chardev-remove", {"id": "nobody"}),
    ("chardev-remove", {"id": "qmp"}),
    ("netdev_add", {"type": "user", "id": "net0"}),
    ("netdev_add", {"type": "nothing", "id": "net1"}),
    ("netdev_add", {"type": "user"}),
    ("netdev_add", {"id": "net1"}),
    ("netdev_add", {"type": "user", "id": "9"}),
    ("netdev_add", {"type": "user", "id": "net1", "hubid": 1}),
    ("netdev_add", {"type": "hubport", "id": "net1", "hubid": "1"}),
    ("netdev_del", {"id": "nobody"}),
    ("set_link", {"name": "nobody", "up": True}),
    ("query-rx-filter", {"name": "nobody"}),
    ("blockdev-add", {"driver": "null-co", "node-name": "b0"}),
    ("blockdev-add", {"driver": "null-co"}),
    ("blockdev-add", {"driver": "nothing", "node-name": "b3"}),
    ("blockdev-add", {"driver": "raw", "node-name": "b3"}),
    ("blockdev-add", {"driver": "raw", "node-name": "b3", "file": "nobody"}),
    ("blockdev-add", {"driver": "raw", "node-name": "b3", "file": {"driver": "file"}}),
    ("blockdev-add", {"driver": "null-co", "node-name": "9"}),
    ("blockdev-add", {"driver": "null-co", "node-name": "b3", "filename": "x"}),
    ("blockdev-del", {"node-name": "nobody"}),
    ("blockdev-del", {"node-name": "b0"}),
    ("blockdev-insert-medium", {"id": "cd0", "node-name": "nobody"}),
    ("blockdev-insert-medium", {"id": "cd0", "node-name": "b0"}),
    ("blockdev-remove-medium", {"id": "cd0"}),
    ("blockdev-open-tray", {"id": "hd0"}),
    ("blockdev-open-tray", {"id": "nobody"}),
    ("blockdev-open-tray", {}),
    ("eject", {"id": "nobody"}),
    ("migrate", {"uri": "nothing:x"}),
    ("migrate", {"uri": "fd:nobody"}),
    ("migrate", {}),
    ("migrate-incoming", {"uri": "defer"}),
    ("migrate-set-capabilities", {"capabilities": [{"capability": "nothing", "state": True}]}),
    ("migrate-set-capabilities", {"capabilities": [{"capability": "events"}]}),
    ("getfd", {"fdname": "nobody"}),
    ("getfd", {"fdname": 5}),
    ("closefd", {"fdname": "nobody"}),
    ("add_client", {"protocol": "vnc", "fdname": "nobody"}),
    ("add_client", {"protocol": "vnc"}),
    ("xen-load-devices-state", {"filename": "/no/where"}),
    ("object-add", {"qom-type": "secret", "id": "s0", "data": "x"}),
    ("object-add", {"qom-type": "secret", "id": "s1"}),
    ("object-add", {"qom-type": "secret", "id": "9", "data": "x"}),
    ("object-add", {"qom-type": "nothing", "id": "s1"}),
    ("object-add", {"qom-type": "secret"}),
    ("object-add", {"id": "s1"}),
    ("object-add", {"qom-type": "iothread", "id": "t1", "more": 1}),
    ("object-add", {"qom-type": "memory-backend-ram", "id": "m1"}),
    ("object-add", {"qom-type": "memory-backend-ram", "id": "m1", "size": 0}),
    ("object-del", {"id": "nobody"}),
    ("object-del", {"id": "pc.ram"}),
    ("qom-set", {"path": "/objects/t0", "property": "poll-max-ns", "value": "x"}),
    ("qom-set", {"path": "/objects/pc.ram", "property": "size", "value": 5}),
]


def said(program: str | Path, folder: Path, accelerator: str) -> list[Any]:
    """What `program` answers to each request, in turn."""
    disk, disc = folder / "disk.img", folder / "disc.iso"
    for image in (disk, disc):
        image.write_bytes(bytes(MiB))
    drives = [f"id=d0,if=none,format=raw,file={disk}", f"id=cd,if=none,format=raw,readonly=on,file={disc}"]
    cards = [
        "e1000,id=n0",
        "e1000",
        "ide-hd,id=hd0,drive=d0,bus=ide.0",
        "ide-cd,id=cd0,drive=cd,bus=ide.1",
        "ide-cd,id=cd1,bus=ide.0",
    ]
    options = [*OPTIONS, "-accel", accelerator, "-vnc", f"unix:{folder}/{accelerator}"]
    options += [word for drive in drives for word in ("-drive", drive)]
    options += [word for card in cards for word in ("-device", card)]
    with connected(program, options, folder) as client:
        return Requests(client).answers([*ANSWERED, *REFUSED, ("query-pci", {}), ("quit", {})])[:-1]


@pytest.mark.skipif(shutil.which(QEMU) is None, reason="QEMU isn't installed")
def test_one_exchange(tmp_path: Path) -> None:
    ours, theirs = said(PROGRAM, tmp_path, "unicorn"), said(QEMU, tmp_path, "tcg")
    commands = all_commands(Machine(memory=MiB))
    count = len(ANSWERED)
    for (name, _), our, their in zip(ANSWERED, ours, theirs, strict=False):
        commands.find(name).result.check(our["return"], name)
        assert form(our["return"]) == form(their["return"]), name
        if name in ALIKE:
            assert our["return"] == their["return"]
        if name == "query-hotpluggable-cpus":
            assert [cpu["props"] for cpu in our["return"]] == [cpu["props"] for cpu in their["return"]]
    for our, their in zip(ours[count:-1], theirs[count:-1], strict=True):
        assert our["error"] == their["error"]
    (our_bus,), (their_bus,) = ours[-1]["return"], theirs[-1]["return"]
    commands.find("query-pci").result.check([our_bus], "query-pci")
    bridge = our_bus["devices"][0]
    assert form(bridge) == form(their_bus["devices"][0])
