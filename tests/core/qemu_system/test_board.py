"""QEMU's command line: the board, what firmware is told, default devices, and options in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.qemu_system.main import main
from southbridge.qemu_system.options import read
from southbridge.qemu_system.translate import describe, description_tree

BARE = ("-nodefaults", "-display", "none", "-accel", "tcg")


def tree(*options: str) -> dict[str, Any]:
    plain: dict[str, Any] = description_tree(read(options)).plain()
    return plain


def devices(*options: str) -> dict[str, Any]:
    """The devices that options made, or changed."""
    found: dict[str, Any] = tree(*BARE, "-serial", "null", *options)["devices"]
    return found


def test_default_devices() -> None:
    plain = tree()
    found = plain["devices"]
    assert found["video0"] == {"type": "std_vga", "addr": "02.0"}
    assert found["nic0"] == {"type": "e1000", "netdev": "nic0-net"}
    assert found["ide1-cd0"] == {"type": "ide-cd", "bus": "ide.1", "unit": 0}
    assert found["floppy0"] == {"type": "floppy", "unit": 0}
    assert plain["displays"] == {"default": {"type": "vnc", "host": "127.0.0.1", "display": 0, "to": 99}}
    assert plain["chardevs"]["serial0"] == {"type": "null"}


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        (["-vga", "none"], "video0"),
        (["-device", "cirrus-vga"], "video0"),
        (["-net", "none"], "nic0"),
        (["-netdev", "user,id=n"], "nic0"),
        (["-device", "ide-cd,bus=ide.0"], "ide1-cd0"),
        (["-device", "floppy"], "floppy0"),
    ],
)
def test_options_that_take_a_default_devices_place(options: list[str], absent: str) -> None:
    assert absent not in tree(*options)["devices"]


def test_the_terminal() -> None:
    assert tree("-nographic")["chardevs"]["serial0"] == {"type": "stdio"}
    assert tree("-nographic", "-serial", "null")["chardevs"]["serial0"] == {"type": "null"}
    assert "displays" not in tree("-nographic")


def test_firmware_and_kernel() -> None:
    plain = tree(*BARE, "-bios", "b", "-kernel", "k", "-initrd", "i", "-append", "a b")
    assert plain["devices"]["bios"] == {"image": "b"}
    assert (plain["kernel"], plain["initrd"], plain["cmdline"]) == ("k", "i", "a b")


def test_what_firmware_is_told() -> None:
    found = devices(
        *("-boot", "order=ac,once=d,menu=on,splash=s.bmp,splash-time=10,reboot-timeout=5,strict=on"),
        *("-no-fd-bootchk", "-rtc", "base=2001-02-03T04:05:06,clock=vm"),
        *("-fw_cfg", "name=opt/a,file=f", "-fw_cfg", "opt/b,string=x,,y", "-fw_cfg", "opt/c,string=z"),
    )
    assert found["rtc"] == {
        "boot_order": "ac",
        "boot_once": "d",
        "check_floppies": False,
        "base": "2001-02-03T04:05:06",
    }
    assert found["firmware-config"] == {
        "boot_menu": True,
        "strict_boot": True,
        "splash": "s.bmp",
        "boot_menu_wait": 10,
        "reboot_timeout": 5,
        "files": {"opt/a": "f"},
        "texts": {"opt/b": "x,y", "opt/c": "z"},
    }


@pytest.mark.parametrize(
    ("dist", "distances"),
    [
        ([], None),
        (["src=0,dst=1,val=21"], [[10, 21], [21, 10]]),
        (["src=1,dst=0,val=21", "src=0,dst=1,val=33"], [[10, 33], [21, 10]]),
        (["src=0,dst=0,val=10", "src=0,dst=1,val=255"], [[10, 255], [255, 10]]),
    ],
)
def test_numa_nodes(dist: list[str], distances: list[list[int]] | None) -> None:
    options = ["-m", "64", "-smp", "1,maxcpus=3", "-numa", "node,cpus=0-1,mem=16", "-numa", "node,cpus=2,mem=48M"]
    options += [word for text in dist for word in ("-numa", f"dist,{text}")]
    found = tree(*BARE, *options)["numa"]
    assert found["nodes"] == [{"memory": 16 << 20, "cpus": [0, 1]}, {"memory": 48 << 20, "cpus": [2]}]
    assert found.get("distances") == distances


def test_memory_that_no_node_has_is_divided() -> None:
    found = tree(*BARE, "-m", "64", "-numa", "node", "-numa", "node", "-numa", "node,cpus=0")["numa"]
    assert found["nodes"] == [{"memory": size << 20, "cpus": cpus} for size, cpus in ((16, []), (16, []), (32, [0]))]


def test_who_it_is() -> None:
    plain = tree(
        *BARE, "-smbios", "type=1,manufacturer=A,serial=007", "-smbios", "type=1,product=B", "-name", "guest=n"
    )
    assert plain["smbios"] == {"manufacturer": "A", "serial": "007", "product": "B"}
    assert plain["name"] == "n"


def test_parts_of_the_board_that_are_switched_off() -> None:
    found = devices("-no-hpet", "-machine", "pc-i440fx-7.2,acpi=off,i8042=off,usb=on")
    assert [found[id] for id in ("hpet", "power", "modules", "keyboard")] == [None] * 4
    assert found["usb"] == {"type": "piix3-usb-uhci", "addr": "01.2"}
    assert describe(read([*BARE, "-no-hpet", "-no-acpi"])).sections["devices"].keys().isdisjoint({"hpet", "power"})


def test_accelerators_in_their_order() -> None:
    assert tree("-machine", "pc,accel=kvm:tcg")["accelerator"] == ["kvm", "unicorn"]
    assert tree("-accel", "kvm,kernel-irqchip=split", "-accel", "tcg,thread=single")["accelerator"] == [
        {"type": "kvm", "kernel_irqchip": "split"},
        "unicorn",
    ]
    assert tree("-enable-kvm", "-cpu", "max")["cpu"] == "host"
    assert tree("-cpu", "qemu64-v1,check=on")["cpu"] == "qemu64"
    assert tree("-cpu", "qemu64,+popcnt,enforce,cx16=off")["cpu"] == "qemu64,+popcnt,cx16=off"


def test_devices_in_json_and_globals() -> None:
    found = devices(
        *("-device", '{"driver": "ide-hd", "id": "d", "drive": "n", "serial": "0123", "bootindex": 1}'),
        *("-blockdev", '{"driver": "raw", "node-name": "n", "file": {"driver": "file", "filename": "x"}}'),
        *("-device", "isa-serial,index=1,chardev=serial0", "-device", "i6300esb", "-watchdog-action", "pause"),
        *("-global", "ide-hd.model=M", "-global", "mc146818rtc.base=localtime", "-global", "ide-hd.serial=no"),
    )
    assert found["d"] == {"type": "ide-hd", "drive": "n", "serial": "0123", "bootindex": 1, "model": "M"}
    assert found["isa-serial-1"] == {"type": "uart16550", "iobase": 0x2F8, "irq": 3, "chardev": "serial0"}
    assert found["i6300esb-2"] == {"type": "i6300esb", "action": "pause"}
    assert found["rtc"]["base"] == "localtime"
    draft = read([*BARE, "-global", "frob.x=1"])
    describe(draft)
    assert draft.process.notes == ["-global frob.x=1: there is no such property"]


def test_images(tmp_path: Path) -> None:
    qcow2 = tmp_path / "q"
    qcow2.write_bytes(b"QFI\xfb")
    options = [
        *("-blockdev", "driver=file,node-name=f,filename=a", "-blockdev", "driver=qcow2,node-name=q,file=f"),
        *("-drive", f"file={qcow2},if=none,id=d,werror=stop", "-device", "ide-hd,drive=d,id=one", "-snapshot"),
        *("-fda", "f.img"),
    ]
    plain = tree(*BARE, *options)
    assert plain["blockdevs"] == {
        "q": {"type": "qcow2", "path": "a", "overlay": True},
        "d": {"type": "qcow2", "path": str(qcow2), "overlay": True},
        "floppy0": {"type": "raw", "path": "f.img", "overlay": True},
    }
    assert plain["devices"]["one"] == {"type": "ide-hd", "drive": "d", "werror": "stop"}
    assert plain["devices"]["floppy0"] == {"type": "floppy", "unit": 0, "drive": "floppy0"}


def test_memory_objects_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    plain = tree(
        *("-machine", "pc,memory-backend=ram", "-vnc", ":1,password-secret=s", "-nodefaults"),
        *("-object", "memory-backend-ram,id=ram,size=96M", "-object", f"secret,id=s,file={tmp_path}/secret"),
        *("-object", "iothread,id=t"),
    )
    assert plain["memory"] == "96M"
    assert plain["displays"]["default"]["password"] == "hunter2"


def test_options_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "options"
    file.write_text('# made by hand\n[device "card"]\n  driver = "edu"\n  addr = "07.0"\n[memory]\n  size = "32"\n')
    plain = tree(*BARE, "-readconfig", str(file))
    assert plain["devices"]["card"] == {"type": "edu", "addr": "07.0"}
    assert plain["memory"] == "32M"
    for text, message in (("[frob]\n", "line 1: there is no section 'frob'"), ("x\n", "line 1: expected")):
        file.write_text(text)
        with pytest.raises(SouthbridgeError, match=message):
            read(["-readconfig", str(file)])


def test_the_order_of_options_is_free() -> None:
    path = "/s"
    plain = tree(*BARE, "-mon", "chardev=m,mode=control", "-chardev", f"socket,id=m,path={path},server=on,wait=off")
    assert plain["monitors"] == {"m": {"type": "qmp", "path": path}}
    assert tree("disk.img", *BARE)["blockdevs"] == {"ide0-hd0": {"type": "raw", "path": "disk.img"}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-machine", "help"], "xenfv"),
        (["-cpu", "help"], "x86 qemu64"),
        (["-accel", "help"], "\ntcg\n"),
        (["-netdev", "help"], "\nuser\n"),
        (["-chardev", "help"], "\nsocket\n"),
        (["-object", "help"], "\niothread\n"),
        (["-d", "help"], "guest_errors"),
        (["-device", "help"], 'name "VGA"'),
        (["-device", "e1000,help"], "  mac=<value> - "),
        (["-nic", "model=help"], "\ne1000\n"),
        (["-version"], "Southbridge"),
    ],
)
def test_help(options: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 0
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-accel", "hax"], "-accel hax: there is no accelerator 'hax' (there are: kvm, "),
        (["-cpu", "486"], "-cpu 486: there is no CPU model '486' (there are: portable, "),
        (["-cpu", "qemu64,+avx"], "-cpu qemu64,+avx: cpu: avx needs XSAVE, which the CPU model qemu64 doesn't have"),
        (["-cpu", "qemu64,+popcmt"], "there is no CPU feature 'popcmt'; did you mean popcnt"),
        (["-object", "rng-random,id=r"], "there is no object 'rng-random' (there are: memory-backend-ram, "),
        (["-object", "memory-backend-file,id=m,size=1M,mem-path=/x,share=on"], "share=on: the memory of /x can't be"),
        (["-numa", "node,cpus=4", "-nodefaults"], "-numa: there is no CPU 4: there are 1"),
        (["-numa", "node,nodeid=3"], "node 3: nodes are numbered from 0 without gaps"),
        (["-numa", "dist,src=0,dst=1,val=20"], "-numa dist: there are no nodes"),
        (["-numa", "node", "-numa", "dist,src=0,dst=1,val=20"], "-numa dist: there is no node 1"),
        (["-numa", "node", "-numa", "dist,src=0,dst=0,val=11"], "val=11: expected 10, which a node is from itself"),
        (["-numa", "node", "-numa", "dist,src=0,dst=1,val=256"], "val=256: expected 11 to 255"),
        (
            [*(["-numa", "node"] * 3), "-numa", "dist,src=0,dst=1,val=20"],
            "-numa dist: the distance from node 0 to node 2 is missing",
        ),
        (
            [
                *(["-numa", "node"] * 3),
                *("-numa", "dist,src=0,dst=1,val=20", "-numa", "dist,src=1,dst=0,val=21"),
                *("-numa", "dist,src=0,dst=2,val=20", "-numa", "dist,src=1,dst=2,val=20"),
            ],
            "where two differ, both directions of each pair are to be given",
        ),
        (["-smbios", "file=x"], "file=...: tables are made from fields"),
        (["-fw_cfg", "name=opt/a"], "expected one of file=... and string=..."),
        (["-boot", "order=acdn"], "order=acdn: expected 3 letters at most"),
        (["-d", "gest_errors"], "there is no log item 'gest_errors'; did you mean 'guest_errors'?"),
        (["-device", "{"], "-device {: not JSON"),
        (["-device", "edu,frob=1", "-nodefaults"], "-device edu,frob=1: devices.edu-0.frob"),
        (["-global", "x"], "-global x: expected driver.property=value"),
        (["-blockdev", "driver=nbd,node-name=n"], "driver=nbd: expected file, "),
        (["-blockdev", "driver=raw,node-name=n,file=m"], "file=m: there is no such node before this"),
        (["-watchdog-action", "bark"], "-watchdog-action bark: expected reset, "),
    ],
)
def test_what_is_not_there(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dump-description", *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
