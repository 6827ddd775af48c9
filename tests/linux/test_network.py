"""Debian's e1000 driver: the link comes up, packets go both ways, over a socket and over the user network."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.guests.test_guests_on_simulated_xen import ACCELERATOR
from tests.linux.guest import answer, control_sockets, describe, run_linux, said, say
from tests.linux.initramfs import initramfs
from tests.linux.packages import programs
from tests.linux.peer import MAC, Peer
from tests.linux.web import web_server

UP = """\
busybox ip link set lo up
busybox ip link set eth0 up
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do usleep 20000; done
echo "link: $(cat /sys/class/net/eth0/speed) $(cat /sys/class/net/eth0/duplex)"
echo "driver: $(readlink -f /sys/class/net/eth0/device/driver)"
echo "address: $(cat /sys/class/net/eth0/address)"
"""

PING = (
    UP
    + """\
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ping -c 5 -i 0.1 -s 1000 10.0.2.2 > /tmp/ping
echo "ping: $(grep transmitted /tmp/ping)"
echo "neighbour: $(busybox ip neigh show 10.0.2.2)"
echo "problems: $(bugs 'e1000.*(hang|error)' | wc -l)"
"""
)


def test_ping_over_a_socket(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "net")
    machine = describe(
        tmp_path,
        initramfs(PING, ["e1000"]),
        devices=["nic0: {type: e1000, netdev: seen}"],
        netdevs=["net0: {type: socket, path: net}", "seen: {type: dump, path: seen.pcap, netdev: net0}"],
    )
    text = said(run_linux(machine))
    peer.close()
    assert answer(text, "link") == "1000 full"
    assert answer(text, "driver").endswith("/e1000")
    assert answer(text, "address") == "52:54:00:12:34:56"
    assert answer(text, "ping").startswith("5 packets transmitted, 5 packets received, 0% packet loss")
    assert MAC.hex(":") in answer(text, "neighbour")
    assert answer(text, "problems") == "0"
    pings = [frame for frame in peer.frames if len(frame) == 1042]
    assert len(pings) == 5
    capture = (tmp_path / "seen.pcap").read_bytes()
    assert all(frame in capture for frame in pings)


LEASE = b"""\
#!/bin/sh
case $1 in
bound) busybox ip addr add $ip/24 dev $interface; busybox ip route add default via $router
  echo "lease: $ip $router $dns" ;;
esac
"""

USER = (
    UP
    + """\
busybox udhcpc -i eth0 -s /lease -n -q -t 10 -T 1 > /tmp/dhcp 2>&1; grep ^lease /tmp/dhcp
busybox ping -c 3 -i 0.1 10.0.2.2 > /tmp/ping
echo "ping: $(grep transmitted /tmp/ping)"
busybox wget -q -O /tmp/page http://10.0.2.2:PORT/data
echo "http: $(sha256sum < /tmp/page)"
busybox tftp -g -r file -l /tmp/file -b 1400 10.0.2.2
echo "tftp: $(sha256sum < /tmp/file)"
for name in rx_errors tx_errors rx_dropped tx_dropped rx_crc_errors; do
  echo "$name: $(cat /sys/class/net/eth0/statistics/$name)"
done
"""
)


@pytest.mark.parametrize("settings", [{}, {"accelerator": ACCELERATOR}], ids=["software CPU", "simulated Xen"])
def test_dhcp_http_and_tftp_over_the_user_network(settings: dict[str, str], tmp_path: Path) -> None:
    data, file = Random("web").randbytes(2 << 20), Random("tftp").randbytes(100_000)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "data").write_bytes(data)
    (tmp_path / "files" / "file").write_bytes(file)
    with web_server(tmp_path / "files") as port:
        machine = describe(
            tmp_path,
            initramfs(USER.replace("PORT", str(port)), ["e1000", "af_packet"], programs={"lease": LEASE}),
            settings=settings,
            devices=["nic0: {type: e1000, netdev: net0}"],
            netdevs=["net0: {type: user, tftp: files}"],
        )
        text = said(run_linux(machine))
    assert answer(text, "lease") == "10.0.2.15 10.0.2.2 10.0.2.3"
    assert answer(text, "ping").startswith("3 packets transmitted, 3 packets received")
    assert answer(text, "http") == f"{sha256(data).hexdigest()}  -"
    assert answer(text, "tftp") == f"{sha256(file).hexdigest()}  -"
    for name in ("rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "rx_crc_errors"):
        assert answer(text, name) == "0"


ETHTOOL = (
    UP
    + """\
echo "identity: $(/ethtool -i eth0 | tr '\\n' ' ')"
/ethtool -t eth0 offline > /tmp/test
echo "self-test: $? $(tr '\\n\\t' '  ' < /tmp/test)"
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do usleep 20000; done
/ethtool -t eth0 online > /tmp/test
echo "online: $? $(tr '\\n\\t' '  ' < /tmp/test)"
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ping -c 3 -i 0.1 10.0.2.2 > /tmp/ping
echo "ping: $(grep transmitted /tmp/ping)"
/ethtool -S eth0 > /tmp/statistics
echo "sent: $(grep -w tx_packets /tmp/statistics) $(grep -w tx_errors /tmp/statistics)"
echo "features: $(/ethtool -k eth0 | grep -e '-checksumming' -e '^tcp-segm' -e vlan | tr '\\n' ' ')"
/ethtool -K eth0 tso off rx off tx off && echo "switched: $(/ethtool -k eth0 | grep '^tx-checksumming')"
echo "eeprom: $(/ethtool -e eth0 | head -3 | tail -1)"
/ethtool -d eth0 > /tmp/registers && echo "registers: $(grep -c . /tmp/registers)"
for kind in 10,half 100,full 1000,full; do
  /ethtool -s eth0 autoneg on speed ${kind%,*} duplex ${kind#*,}
  usleep 50000
  until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do usleep 20000; done
  echo "negotiated $kind: $(cat /sys/class/net/eth0/speed) $(cat /sys/class/net/eth0/duplex)"
done
"""
)


def test_the_drivers_own_self_test(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "net")
    tools = programs({"sbin/ethtool": "ethtool"}, {"libmnl.so.0": "libmnl0"})
    machine = describe(
        tmp_path,
        initramfs(ETHTOOL, ["e1000"], programs=tools),
        devices=["nic0: {type: e1000, netdev: net0}"],
        netdevs=["net0: {type: socket, path: net}"],
    )
    text = said(run_linux(machine))
    peer.close()
    assert answer(text, "identity").startswith("driver: e1000")
    assert answer(text, "self-test").startswith("0 The test result is PASS")
    for name in ("Register test", "Eeprom test", "Interrupt test", "Loopback test", "Link test"):
        assert re.search(rf"{name} +\((on/)?offline\) +0 ", answer(text, "self-test") + " ")
    assert answer(text, "online").startswith("0 The test result is PASS")
    assert answer(text, "ping").startswith("3 packets transmitted, 3 packets received")
    assert answer(text, "sent").endswith("tx_errors: 0")
    assert "tcp-segmentation-offload: on" in answer(text, "features")
    assert answer(text, "switched") == "tx-checksumming: off"
    assert "52 54 00 12 34 56" in answer(text, "eeprom")
    assert int(answer(text, "registers")) > 50
    for kind in ("10,half", "100,full", "1000,full"):
        assert answer(text, f"negotiated {kind}") == kind.replace(",", " ")


LIVING = (
    UP
    + """\
busybox udhcpc -i eth0 -s /lease -n -q -t 10 -T 1 > /tmp/dhcp 2>&1; grep ^lease /tmp/dhcp
while [ ! -e /tmp/enough ]; do
  busybox wget -q -O - http://10.0.2.2:PORT/data | sha256sum >> /tmp/sums
done & loads=$!
received=/sys/class/net/eth0/statistics/rx_bytes
for what in swap save swap; do
  before=$(cat $received)
  until [ "$(cat $received)" -gt $((before + 1000000)) ]; do usleep 10000; done
  echo "ready: $what, waiting"
  read line < /dev/console
done
touch /tmp/enough
wait $loads
echo "http: $(sort -u /tmp/sums)"
"""
)


def test_a_download_survives_other_accelerators_and_snapshots(tmp_path: Path) -> None:
    data = Random("living").randbytes(8 << 20)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "data").write_bytes(data)
    with web_server(tmp_path / "files") as port, control_sockets():
        machine = describe(
            tmp_path,
            initramfs(LIVING.replace("PORT", str(port)), ["e1000", "af_packet"], programs={"lease": LEASE}),
            devices=["nic0: {type: e1000, netdev: net0}"],
            netdevs=["net0: {type: user}"],
        )
        swap = say("swap", "ID", "unicorn", to="running")
        save = say("snapshot", "save", "ID", str(tmp_path / "snapshot"), to="running")
        steps = [(b"ready: swap", swap), (b"ready: save", save), (b"ready: swap", swap)]
        then = [pair for step in steps for pair in (step, (b", waiting", b"go\n"))]
        text = said(run_linux(machine, then=then))
    assert answer(text, "http") == f"{sha256(data).hexdigest()}  -"
    assert (tmp_path / "snapshot").exists()
