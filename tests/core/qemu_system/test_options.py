"""QEMU's command line: what it becomes as a description, and what is said of what can't be understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from southbridge.description import load
from southbridge.errors import SouthbridgeError
from southbridge.qemu_system.main import main
from southbridge.qemu_system.options import OPTIONS, read
from southbridge.qemu_system.translate import describe, description_tree
from southbridge.qemu_system.words import OptionError, Words, pieces, size

from tests.core.qemu_system.program import libxl_options, make_files


def tree(*options: str) -> dict[str, Any]:
    plain: dict[str, Any] = description_tree(read(options)).plain()
    return plain


def test_what_libxl_passes_word_for_word(tmp_path: Path) -> None:
    assert tree(*libxl_options(tmp_path)) == {
        "extends": "xenfv",
        "accelerator": {"type": "xen", "domain": 1},
        "memory": "64M",
        "cpus": 1,
        "maxcpus": 2,
        "name": "g",
        "chardevs": {"serial0": {"type": "file", "path": f"{tmp_path}/serial.log"}},
        "monitors": {
            "libxl-cmd": {"type": "qmp", "path": f"{tmp_path}/qmp-libxl-1"},
            "libxenstat-cmd": {"type": "qmp", "path": f"{tmp_path}/qmp-libxenstat-1"},
        },
        "blockdevs": {
            "ide0-hd0": {"type": "raw", "path": f"{tmp_path}/boot.img"},
            "ide-5632": {"type": "raw", "path": f"{tmp_path}/cd1.iso", "read_only": True},
        },
        "devices": {
            "com1": {"type": "uart16550", "iobase": 0x3F8, "irq": 4, "chardev": "serial0"},
            "ide0-hd0": {"type": "ide-hd", "bus": "ide.0", "unit": 0, "drive": "ide0-hd0"},
            "ide-5632": {"type": "ide-cd", "bus": "ide.1", "unit": 0, "drive": "ide-5632"},
            "rtc": {"boot_order": "c"},
        },
    }


@pytest.mark.parametrize(
    ("options", "device"),
    [
        (["-vga", "std"], {"type": "std_vga", "addr": "02.0"}),
        (["-vga", "cirrus"], {"type": "cirrus_vga", "addr": "02.0"}),
        (["-device", "VGA,id=video0,vgamem_mb=32"], {"type": "std_vga", "vgamem_mb": 32}),
        (["-device", "cirrus-vga,id=video0,addr=0x3"], {"type": "cirrus_vga", "addr": "03.0"}),
    ],
)
def test_graphics_cards(options: list[str], device: dict[str, Any]) -> None:
    assert tree("-nodefaults", *options)["devices"]["video0"] == device


def test_what_it_passes_on_restore_and_with_fewer_rights(tmp_path: Path) -> None:
    with (tmp_path / "state").open("wb") as state:
        restrict = ["-xen-domid-restrict", "-chroot", str(tmp_path)]
        draft = read(
            [
                *libxl_options(
                    tmp_path,
                    monitor=f"fd={state.fileno()}",
                    restrict=restrict,
                    incoming=["-incoming", f"fd:{state.fileno()}"],
                    medium=False,
                ),
                *("-runas", "131073:131072"),
            ]
        )
        assert draft.process.paused
        assert not draft.process.ends_with_guest
        assert draft.process.incoming == state.fileno()
        assert (draft.process.user, draft.process.folder) == ("131073:131072", str(tmp_path))
        plain = description_tree(draft).plain()
        assert plain["accelerator"] == {"type": "xen", "domain": 1, "restrict": True}
        assert plain["monitors"]["libxl-cmd"] == {"type": "qmp", "fd": state.fileno()}
        assert "ide-5632" not in plain["blockdevs"]
        assert plain["devices"]["ide-5632"] == {"type": "ide-cd", "bus": "ide.1", "unit": 0}


def test_on_another_accelerator_it_is_a_pc(tmp_path: Path) -> None:
    make_files(tmp_path)
    options = [*libxl_options(tmp_path), "-accel", "tcg"]
    assert tree(*options)["extends"] == "pc"
    described = describe(read(options))
    assert [choice.type_name for choice in described.accelerators] == ["unicorn"]
    assert described.cpus == 1
    assert "bios" in described.sections["devices"]


def test_the_description_that_is_printed_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_files(tmp_path)
    options = [*libxl_options(tmp_path), "-accel", "unicorn", "-uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]
    assert main([*options, "--dump-description"]) == 0
    text = capsys.readouterr().out
    assert "# Not part of a description: -no-shutdown" in text
    (tmp_path / "machine.yaml").write_text(text)
    loaded, expected = load(str(tmp_path / "machine.yaml")), describe(read(options))
    assert yaml.safe_load(text)["memory"] == "64M"
    assert loaded.sections["devices"].keys() == expected.sections["devices"].keys()
    assert str(loaded.identity.uuid) == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-frobnicate"], "-frobnicate: there is no such option"),
        (["-seral", "pty"], "-seral: there is no such option; did you mean 'serial'?"),
        (["-m"], "-m: its argument is missing: [size=]megabytes"),
        (["-m", "lots"], "-m lots: expected a size such as 512M, not 'lots'"),
        (["-m", "-1"], "-m -1: expected a size such as 512M, not '-1'"),
        (["-m", "0.001k"], "-m 0.001k: expected a multiple of 4 KiB"),
        (["-machine", "vax"], "-machine vax: there is no machine 'vax' (there are: pc, xenfv, none)"),
        (["-machine", "pc,acell=kvm"], "-machine pc,acell=kvm: there is no 'acell'; did you mean 'accel'?"),
        (["-machine", "xenfv"], "-machine xenfv: -xen-domid is missing: which domain is it?"),
        (["-xen-domid", "x"], "-xen-domid x: expected a number, not 'x'"),
        (["-xen-domid", "40000"], "-xen-domid 40000: expected a domain's number"),
        (["-smp", "3,maxcpus=2"], "-smp 3,maxcpus=2: 3 CPUs of at most 2"),
        (["-smp", "many"], "-smp many: cpus=many: expected a number"),
        (["-boot", "order=cc"], "-boot order=cc: order=cc: expected each of a, c, d, n once at most"),
        (["-net", "user"], "-net user: expected none; networks are given by -netdev and -device, or -nic"),
        (["-display", "gtk"], "-display gtk: expected none, or vnc=..."),
        (["-device", "e1001"], "-device e1001: there is no device 'e1001'"),
        (["-device", "edu,id=a", "-device", "edu,id=a"], "-device edu,id=a: there are two devices 'a'"),
        (["-device", "ide-cd,drive=cd"], "-device ide-cd,drive=cd: there is no -drive with id=cd"),
        (["-drive", "if=scsi,file=x"], "-drive if=scsi,file=x: if=scsi: expected none, ide, floppy"),
        (["-drive", "file=x,index=7"], "-drive file=x,index=7: IDE place 7 is taken, or there is none"),
        (["-drive", "file=x,index=1", "-hdb", "y"], "-hdb y: IDE place 1 is taken, or there is none"),
        (["-drive", "if=none,file=x"], "-drive if=none,file=x: id=... is missing, by which a device finds it"),
        (["-drive", "file=x,format=vhdx"], "-drive file=x,format=vhdx: format=vhdx: expected raw, qcow2"),
        (["-drive", "file=x,frmat=raw"], "-drive file=x,frmat=raw: there is no 'frmat'; did you mean 'format'?"),
        (["-drive", "index=0"], "-drive index=0: a disk needs file=..."),
        (["-serial", "modem"], "-serial modem: expected pty, null, stdio, vc, file:PATH"),
        (["-serial", "null"] * 5, "-serial null: there are 4 serial ports at most"),
        (["-mon", "chardev=x,mode=control"], "-mon chardev=x,mode=control: there is no chardev 'x'"),
        (
            ["-chardev", "pty,id=p", "-mon", "p,mode=control"],
            "-mon p,mode=control: p is a pty: a monitor needs a socket or stdio",
        ),
        (["-chardev", "socket,id=s"], "-chardev socket,id=s: expected one of path=..., fd=... and port=..."),
        (["-chardev", "socket,id=s,fd=999"], "fd=999: expected the number of an open descriptor"),
        (["-chardev", "null,id=n", "-chardev", "null,id=n"], "-chardev null,id=n: there are two chardevs 'n'"),
        (["-chardev", "socket,id=s,path=p,server=maybe"], "server=maybe: expected on or off"),
        (["-incoming", "rdma:0:4444"], "-incoming rdma:0:4444: expected fd:NUMBER, unix:PATH, tcp:HOST:PORT, exec"),
        (["-incoming", "fd:999"], "-incoming fd:999: descriptor 999 isn't open"),
        (["-chroot", "/nowhere"], "-chroot /nowhere: expected a folder"),
        (["-uuid", "no"], "-uuid no: uuid: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8, not 'no'"),
    ],
)
def test_what_is_wrong_is_one_message(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dump-description", *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("southbridge-system-x86_64: ")
    assert message in line


def test_disks_and_other_devices() -> None:
    options = [
        *("-hda", "a,b.img", "-cdrom", "cd.iso", "-drive", "file=c.img,format=raw,snapshot=on", "-boot", "dc"),
        *("-usb", "-usbdevice", "tablet", "-device", "edu,id=card,addr=0x1d.0x2,dma-mask=0xfff"),
    ]
    plain = tree(*options)
    assert plain["blockdevs"] == {
        "ide0-hd0": {"type": "raw", "path": "a,b.img"},
        "ide1-cd0": {"type": "raw", "path": "cd.iso", "read_only": True},
        "ide0-hd1": {"type": "raw", "path": "c.img", "overlay": True},
    }
    devices = plain["devices"]
    assert devices["ide1-cd0"] == {"type": "ide-cd", "bus": "ide.1", "unit": 0, "drive": "ide1-cd0"}
    assert devices["rtc"] == {"boot_order": "dc"}
    assert devices["usb"] == {"type": "piix3-usb-uhci", "addr": "01.2"}
    assert devices["card"] == {"type": "edu", "addr": "1d.2", "dma_mask": 0xFFF}


def test_serial_ports() -> None:
    plain = tree("-nodefaults", "-serial", "none", "-serial", "unix:/tmp/s,server=on", "-serial", "tcp:[::1]:4000")
    assert plain["devices"]["com1"] is None
    assert plain["devices"]["com2"] == {"type": "uart16550", "iobase": 0x2F8, "irq": 3, "chardev": "serial1"}
    assert plain["chardevs"] == {
        "serial0": None,
        "serial1": {"type": "socket", "path": "/tmp/s", "server": True, "wait": True},
        "serial2": {"type": "socket", "host": "::1", "port": 4000, "server": False},
    }
    assert tree("-nodefaults")["devices"] == {"com1": None}


def test_vnc_servers() -> None:
    assert "displays" not in tree("-vnc", "none")
    assert tree("-vnc", "127.0.0.1:3,to=99,password=on")["displays"] == {
        "default": {"type": "vnc", "host": "127.0.0.1", "display": 3, "to": 99, "password_later": True}
    }
    both = tree("-vnc", ":0,share=ignore", "-vnc", "unix:/tmp/v,id=second")["displays"]
    assert both == {
        "default": {"type": "vnc", "host": "0.0.0.0", "display": 0, "share": "ignore"},
        "second": {"type": "vnc", "path": "/tmp/v"},
    }
    assert tree("-vnc", "[::1]:7")["displays"]["default"]["host"] == "::1"
    for wrong in ("5900", "host:x", ":1,sasl=on"):
        with pytest.raises(SouthbridgeError, match="-vnc"):
            tree("-vnc", wrong)


def test_what_has_no_effect_is_noted() -> None:
    draft = read(["-vnc", "127.0.0.1:0,lossy=on", "-k", "de", "-drive", "file=x,cache=none,aio=native"])
    assert draft.process.notes == [
        "-vnc lossy=...: has no effect here",
        "-k: keys are sent by their places on the keyboard",
        "-drive aio=...: has no effect here",
    ]


def test_words() -> None:
    assert pieces("a,,b,c,") == ["a,b", "c", ""]
    words = Words("boot.img,readonly,nowait,node-name=n", "file")
    assert (words.take("file"), words.flag("readonly"), words.flag("wait", default=True)) == ("boot.img", True, False)
    assert words.rest() == {"node-name": "n"}
    with pytest.raises(OptionError):
        Words("a=1,=2")
    assert [size(text, "m") for text in ("64", "1.5G", "0x10k", "8b")] == [64 << 20, 3 << 29, 16 << 10, 8]
    assert Words("n=010").number("n") == 8


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"-{name}" in printed for name in OPTIONS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Southbridge ")


def test_a_domain_needs_its_number() -> None:
    with pytest.raises(SouthbridgeError, match="-xen-domid is missing"):
        describe(read(["-machine", "pc,accel=xen"]))


# --- networks --------------------------------------------------------------------------------------------------------


def netdev(argument: str) -> dict[str, Any]:
    (made,) = tree("-netdev", argument)["netdevs"].values()
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize(
    ("argument", "made"),
    [
        ("user,id=n", {"type": "user"}),
        (
            "user,id=n,net=192.168.7.5,restrict=on,hostfwd=tcp::22-:22,hostfwd=udp::53-:53,tftp=/a,bootfile=b",
            {
                "type": "user",
                "net": "192.168.7.0/24",
                "restrict": True,
                "hostfwd": ["tcp::22-:22", "udp::53-:53"],
                "tftp": "/a",
                "bootfile": "b",
            },
        ),
        ("tap,id=n,ifname=vif1.0-emu,br=xenbr0,script=no,downscript=no", {"type": "tap", "ifname": "vif1.0-emu"}),
        ("socket,id=n,listen=:1234", {"type": "socket", "host": "127.0.0.1", "port": 1234, "server": True}),
        ("socket,id=n,connect=h:1", {"type": "socket", "host": "h", "port": 1, "server": False}),
        ("socket,id=n,mcast=230.0.0.1:5", {"type": "socket", "mode": "multicast", "host": "230.0.0.1", "port": 5}),
        (
            "socket,id=n,udp=:7,localaddr=127.0.0.1:8",
            {
                "type": "socket",
                "mode": "datagram",
                "host": "127.0.0.1",
                "port": 7,
                "local_host": "127.0.0.1",
                "local_port": 8,
            },
        ),
        (
            "stream,id=n,server=on,addr.type=unix,addr.path=/s",
            {"type": "socket", "path": "/s", "server": True},
        ),
        (
            "dgram,id=n,local.type=unix,local.path=/a,remote.type=unix,remote.path=/b",
            {"type": "socket", "mode": "datagram", "path": "/b", "local_path": "/a"},
        ),
        (
            "dgram,id=n,remote.type=inet,remote.host=230.0.0.1,remote.port=5",
            {"type": "socket", "mode": "multicast", "host": "230.0.0.1", "port": 5},
        ),
    ],
)
def test_networks(argument: str, made: dict[str, Any]) -> None:
    assert netdev(argument) == made


def test_cards_on_networks() -> None:
    plain = tree("-nic", "user,mac=52:54:00:00:00:01", "-netdev", "user,id=n", "-device", "e1000,netdev=n,romfile=")
    assert plain["devices"]["nic0"] == {"type": "e1000", "netdev": "nic0-net", "mac": "52:54:00:00:00:01"}
    assert plain["devices"]["e1000-0"] == {"type": "e1000", "netdev": "n", "romfile": ""}
    assert plain["netdevs"] == {"nic0-net": {"type": "user"}, "n": {"type": "user"}}
    assert "netdevs" not in tree("-nic", "none", "-net", "none")
    hubs = tree("-netdev", "user,id=n", "-netdev", "hubport,id=h,hubid=0,netdev=n")["netdevs"]
    assert hubs == {
        "n": {"type": "user"},
        "hub0": {"type": "hub"},
        "h": {"type": "hubport", "hub": "hub0", "netdev": "n"},
    }
    alone = tree("-netdev", "hubport,id=h,hubid=3", "-device", "e1000,netdev=h")["netdevs"]
    assert alone == {"hub3": {"type": "hub"}, "h": {"type": "hubport", "hub": "hub3"}}


@pytest.mark.parametrize(
    ("option", "argument", "message"),
    [
        ("-netdev", "user", "id=... is missing"),
        ("-netdev", "bridge,id=n", "expected user, tap"),
        ("-netdev", "user,id=n,net=x", "net=x"),
        ("-netdev", "tap,id=n,script=/etc/up", "no scripts are run"),
        ("-netdev", "tap,id=n,hostfwd=tcp::1-:1", "only a user network has port forwards"),
        ("-netdev", "socket,id=n", "expected listen"),
        ("-netdev", "socket,id=n,listen=1", "expected host:port"),
        ("-netdev", "stream,id=n,addr.type=vsock", "expected inet or unix"),
        ("-nic", "user,model=e100", "expected e1000"),
        ("-net", "user", "expected none"),
    ],
)
def test_networks_that_there_are_not(option: str, argument: str, message: str) -> None:
    with pytest.raises(SouthbridgeError, match=message):
        read([option, argument])
