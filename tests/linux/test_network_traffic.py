"""Debian's e1000 driver under load, on cables to interfaces of the host's: nothing that happens to the card, or to the
machine, costs more than packets that TCP sends again.

eth0 (82545EM) has a tap that takes large segments and unfinished checksums. eth1 (82540EM) has a cable on which the
card does all of it by itself: what it sent is judged by tcpdump, and by the host's kernel.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from southbridge.control.client import find_machine

from tests.guests.build import need
from tests.linux.guest import answer, control_sockets, describe, only_machine, run_linux, said, say
from tests.linux.initramfs import initramfs
from tests.linux.packages import programs
from tests.linux.vlan import VlanSwitch
from tests.namespaces import ip, network_namespace

MAC = bytes.fromhex("525400123457")
"""Of eth1."""
LIBRARIES = {"libiperf.so.0": "libiperf0", "libcrypto.so.3": "libssl3", "libsctp.so.1": "libsctp1"}

BEGIN = """\
busybox ip link set lo up
for n in 0 1; do
  busybox ip link set eth$n up
  busybox ip addr add 10.77.$n.2/24 dev eth$n
done
carrier() { until [ "$(cat /sys/class/net/$1/carrier)" = "$2" ]; do usleep 20000; done; }
carrier eth0 1; carrier eth1 1
ready() { echo "ready: $1, waiting"; read line < /dev/console; }
iperf() {
  name=$1; shift; /iperf3 "$@" > /tmp/$name 2>&1
  echo "$name: $(grep -e receiver -e rror /tmp/$name | tail -1)"
}
problems() { echo "problems: $(bugs 'e1000.*(hang|error)|netdev watchdog' | wc -l)"; }
"""

# tx_timeout_count isn't looked at: the driver also counts a link that goes with packets queued, as for another MTU. A
# queue that stands still is in the kernel's messages.
TRAFFIC = (
    BEGIN
    + """\
iperf sent -c 10.77.0.1 -n 24M
iperf received -c 10.77.0.1 -n 24M -R
iperf finished-sent -c 10.77.1.1 -n 4M
iperf finished-received -c 10.77.1.1 -n 4M -R
busybox ip link add link eth1 name eth1.5 type vlan id 5
busybox ip link set eth1.5 up
busybox ip addr add 10.77.5.2/24 dev eth1.5
iperf vlan-sent -c 10.77.5.1 -n 4M
iperf vlan-received -c 10.77.5.1 -n 4M -R
for n in 0 1; do busybox ip link set eth$n mtu 9000; done
carrier eth0 1; carrier eth1 1
busybox ping -c 3 -i 0.1 -s 8900 10.77.1.1 > /tmp/ping
echo "jumbo: $(grep transmitted /tmp/ping)"
iperf jumbo-sent -c 10.77.1.1 -n 8M
iperf jumbo-received -c 10.77.1.1 -n 8M -R
/ethtool -K eth1 tso off tx off rx off
echo "switched: $(/ethtool -k eth1 | grep -c -e '^[rt]x-checksumming: off')"
iperf undone-sent -c 10.77.1.1 -n 4M
iperf undone-received -c 10.77.1.1 -n 4M -R
ready flood
for n in 0 1; do
  /ethtool -S eth$n > /tmp/statistics
  echo "errors $n: $(grep -e error -e csum_offload_errors /tmp/statistics | grep -v ': 0' | tr '\\n' ' ')"
  echo "segmented $n: $(grep -w tx_tcp_seg_good /tmp/statistics)"
  echo "checked $n: $(grep -w rx_csum_offload_good /tmp/statistics)"
done
problems
"""
)

ADVERSITY = (
    BEGIN
    + """\
/iperf3 -c 10.77.0.1 -t 10000 --bidir > /tmp/living 2>&1 & it=$!
goes_on() {
  for way in rx tx; do
    bytes=/sys/class/net/eth0/statistics/${way}_bytes; before=$(cat $bytes)
    until [ "$(cat $bytes)" -gt $((before + 1000000)) ]; do usleep 10000; done
  done
}
for what in flap swap save swap; do goes_on; ready $what; done
goes_on
kill $it; wait $it
echo "living: $(grep -c receiver /tmp/living) $(grep -e rror /tmp/living)"
ready reload
rmmod e1000
insmod /e1000.ko
for n in 0 1; do busybox ip link set eth$n up; busybox ip addr add 10.77.$n.2/24 dev eth$n; done
carrier eth0 1; carrier eth1 1
iperf reloaded -c 10.77.0.1 -n 4M
/ethtool -s eth1 wol g
echo "wake-up: $(/ethtool eth1 | grep Wake-on | tr '\\n\\t' '  ')"
ready sleep
echo mem > /sys/power/state
carrier eth0 1; carrier eth1 1
iperf woken -c 10.77.0.1 -n 4M
iperf woken-received -c 10.77.1.1 -n 4M -R
problems
"""
)


@contextmanager
def interfaces(folder: Path) -> Iterator[None]:
    """Inside, the host has interfaces with addresses, and an iperf3 that serves on them."""
    with network_namespace(), ExitStack() as stack:
        ip("link", "set", "lo", "up")
        ip("tuntap", "add", "sb0", "mode", "tap", "vnet_hdr")
        switch = VlanSwitch(folder / "eth1", plain="sb1", tagged="sb5", vlan=5)
        stack.callback(switch.close)
        for number in (0, 1, 5):
            ip("link", "set", f"sb{number}", "up", "mtu", "9000")
            ip("addr", "add", f"10.77.{number}.1/24", "dev", f"sb{number}")
        stack.enter_context(_running(need("iperf3", "iperf3"), "-s"))
        yield


@contextmanager
def _running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()


def machine(folder: Path, script: str) -> Path:
    tools = programs({"sbin/ethtool": "ethtool", "usr/bin/iperf3": "iperf3"}, {"libmnl.so.0": "libmnl0", **LIBRARIES})
    return describe(
        folder,
        initramfs(script, ["e1000", "8021q"], programs=tools),
        devices=["nic0: {type: e1000-82545em, netdev: net0}", "nic1: {type: e1000, netdev: seen}"],
        netdevs=[
            "net0: {type: tap, ifname: sb0}",
            "net1: {type: socket, path: eth1}",
            "seen: {type: dump, path: seen.pcap, netdev: net1}",
        ],
    )


def steps(**what: Callable[[], None]) -> list[tuple[bytes, Callable[[], None] | bytes]]:
    """For each "ready", what is done then; afterwards the guest goes on."""
    return [pair for name, do in what.items() for pair in ((f"ready: {name}".encode(), do), (b", waiting", b"go\n"))]


def test_traffic_of_every_kind(tmp_path: Path) -> None:
    flooded: list[str] = []

    def flood() -> None:
        command = [need("ping", "iputils-ping"), "-q", "-f", "-c", "1000", "10.77.1.2"]
        flooded.append(subprocess.run(command, capture_output=True, text=True).stdout)

    description = machine(tmp_path, TRAFFIC)
    with interfaces(tmp_path):
        text = said(run_linux(description, then=steps(flood=flood)))
        wrong = subprocess.run(["nstat", "-az", "TcpInCsumErrors", "UdpInCsumErrors"], capture_output=True, text=True)
    for name in ("sent", "received", "finished", "vlan", "jumbo", "undone"):
        for way in (name,) if name in ("sent", "received") else (f"{name}-sent", f"{name}-received"):
            assert "MBytes" in answer(text, way)
    assert answer(text, "jumbo").startswith("3 packets transmitted, 3 packets received")
    assert answer(text, "switched") == "2"
    assert "1000 packets transmitted, 1000 received, 0% packet loss" in flooded[0]
    for number in range(2):
        assert answer(text, f"errors {number}") == ""
        for name in ("segmented", "checked"):
            assert int(answer(text, f"{name} {number}").rpartition(" ")[2]) > 100
    assert answer(text, "problems") == "0"
    assert re.search(r"TcpInCsumErrors +0 ", wrong.stdout), wrong.stdout
    judged = tcpdump(tmp_path / "seen.pcap")
    assert len(re.findall(r"10\.77\.[15]\.2\.\d+ > .*cksum 0x[0-9a-f]+ \(correct\)", judged)) > 1000
    assert len(re.findall(r"vlan 5, .*10\.77\.5\.2|vlan 5,", judged)) > 1000
    assert "incorrect" not in judged and "bad cksum" not in judged


def tcpdump(capture: Path) -> str:
    """What it says of a capture's frames."""
    command = [need("tcpdump", "tcpdump"), "-n", "-e", "-vvv", "-r", str(capture)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_what_happens_under_traffic(tmp_path: Path) -> None:
    def flap() -> None:
        with find_machine(only_machine("running")) as found:
            for up in (False, True):
                found.run("set_link", name="nic0", up=up)

    swap = say("swap", "ID", "unicorn", to="running")
    save = say("snapshot", "save", "ID", str(tmp_path / "snapshot"), to="running")

    def wake() -> None:
        """By a magic packet."""
        only_machine("suspended")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"sb1")
            sender.sendto(b"\xff" * 6 + MAC * 16, ("255.255.255.255", 9))

    description = machine(tmp_path, ADVERSITY)
    with interfaces(tmp_path), control_sockets(), ExitStack() as stack:

        def reload() -> None:
            """Pings go on until the end."""
            stack.enter_context(_running(need("ping", "iputils-ping"), "-q", "-i", "0.01", "10.77.0.2"))

        then = steps(flap=flap, swap=swap, save=save) + steps(swap=swap, reload=reload)
        then += [(b"ready: sleep", b""), (b", waiting", b"go\n"), (b"", wake)]
        text = said(run_linux(description, then=then))
    assert answer(text, "living") == "2"
    assert answer(text, "wake-up").split() == ["Supports", "Wake-on:", "umbg", "Wake-on:", "g"]
    for name in ("reloaded", "woken", "woken-received"):
        assert "MBytes" in answer(text, name)
    assert answer(text, "problems") == "0"
    assert (tmp_path / "snapshot").exists()


pytestmark = pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun (needs root)")
