"""A network without privileges: the guest's connections become sockets of this process, by libslirp."""

from __future__ import annotations

import asyncio
import contextlib
import select
import threading
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Annotated, NamedTuple

from southbridge.annotations import Checked
from southbridge.errors import SouthbridgeError
from southbridge.net import Frame, FrameQueue, NetworkBackend, NetworkPort, Offload, Takes
from southbridge.net.packets import completed
from southbridge.properties import FilePath, Property

from .slirp import POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, POLL_PRI, Settings, Slirp, port_of

_HOST, _DNS, _DHCP = 2, 3, 15
"""Places in the network, unless it is said."""
CONGESTED = 64
"""Frames that wait for the card from which on nothing more is read from the host's sockets."""

FEW_BYTES = 512
"""Who sends no more than that at once asks, or acknowledges: what he waits for may be there already."""
SOONER_MS = 20
"""What is due so much earlier than the main loop thinks is worth waking it."""

_CHECKED = Offload(checksum_good=True)
"""Of what libslirp makes."""

_EVENTS = (
    (POLL_IN, select.POLLIN),
    (POLL_OUT, select.POLLOUT),
    (POLL_PRI, select.POLLPRI),
    (POLL_ERR, select.POLLERR),
    (POLL_HUP, select.POLLHUP),
)
_TO_HOST = [sum(theirs for ours, theirs in _EVENTS if events & ours) for events in range(32)]
"""libslirp's events as poll's, which are also epoll's."""
_FROM_HOST = [sum(ours for ours, theirs in _EVENTS if events & theirs) for events in range(32)]


class Forward(NamedTuple):
    """A port forward."""

    udp: bool
    address: IPv4Address
    port: int
    guest: IPv4Address | None
    guest_port: int


def parse_forward(text: str) -> Forward:
    """QEMU's form: "tcp:127.0.0.1:2222-10.0.2.15:22", where addresses may be left out. Raises ValueError."""
    kind, _, rest = text.partition(":")
    outside, dash, inside = rest.partition("-")
    address, colon, port = outside.rpartition(":")
    guest, inner_colon, guest_port = inside.rpartition(":")
    if kind not in ("tcp", "udp", "") or not (dash and colon and inner_colon):
        raise ValueError(f'expected a port forward such as "tcp:127.0.0.1:2222-:22", not {text!r}')
    return Forward(
        kind == "udp",
        IPv4Address(address or "0.0.0.0"),
        port_of(port),
        IPv4Address(guest) if guest else None,
        port_of(guest_port),
    )


def _check_forward(text: str) -> str:
    parse_forward(text)
    return text


def _check_network(text: str) -> str:
    IPv4Network(text)
    return text


def _check_network6(text: str) -> str:
    IPv6Network(text)
    return text


def _check_address(text: str) -> str:
    IPv4Address(text)
    return text


ForwardText = Annotated[str, Checked(_check_forward)]
Network = Annotated[str, Checked(_check_network)]
Network6 = Annotated[str, Checked(_check_network6)]
Address = Annotated[str, Checked(_check_address)]


class UserNetdev(NetworkBackend):
    """A network of its own with a router that translates addresses, DHCP, DNS and TFTP; QEMU's user network.

    The guest reaches the host, and by it what the host reaches; nobody reaches the guest but by port forwards.
    """

    net: Network = Property("10.0.2.0/24", doc="The network.")
    host: Address | None = Property(None, doc="The host's address in it; by default its second.")
    dns: Address | None = Property(None, doc="The name server's; by default its third.")
    dhcpstart: Address | None = Property(None, doc="The first that DHCP gives; by default its fifteenth.")
    ipv6: bool = Property(True, doc="Whether there is IPv6 too.")
    net6: Network6 = Property("fec0::/64", doc="The IPv6 network.")
    restrict: bool = Property(False, doc="Whether the guest reaches nothing outside, but by port forwards.")
    hostname: str | None = Property(None, doc="The guest's name, by DHCP.")
    domainname: str | None = Property(None, doc="Its domain, by DHCP.")
    tftp: FilePath | None = Property(None, doc="A folder whose files TFTP gives.")
    bootfile: str | None = Property(None, doc="What to boot from there, by DHCP (BOOTP).")
    hostfwd: list[ForwardText] = Property([], doc='Port forwards, such as "tcp:127.0.0.1:2222-:22".')

    _slirp: Slirp | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _epoll: select.epoll | None = None

    # --- life ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Makes the network, and listens at forwarded ports. Raises SouthbridgeError."""
        takes = Takes.CHECKSUM | Takes.TCP4 | Takes.TCP6  # libslirp takes segments of any size
        self.port = NetworkPort(self._send, receive_batch=self._send_all, sendable=self._flush, takes=takes)
        self._queue = FrameQueue()
        self._fresh: list[bytes] = []
        """What came of the library in the call that it is in."""
        self._watched: dict[int, int] = {}
        self._order: list[int] = []
        self._alarms: dict[int, asyncio.Handle] = {}
        self._timeout: asyncio.Handle | None = None
        self._due: int | None = None
        """When the main loop looks though nothing happened, by `Slirp.now`."""
        self._asked = False
        settings = self._settings()
        self._slirp = Slirp(self, settings)
        try:
            for text in self.hostfwd:
                self._forward(text, settings)
        except BaseException:
            self.close()
            raise

    def _settings(self) -> Settings:
        network = IPv4Network(self.net)
        places = {"host": (self.host, _HOST), "dns": (self.dns, _DNS), "dhcpstart": (self.dhcpstart, _DHCP)}
        found: dict[str, IPv4Address] = {}
        for name, (given, place) in places.items():
            found[name] = IPv4Address(given) if given else IPv4Address(int(network.network_address) + place)
            if found[name] not in network:
                raise SouthbridgeError(f"user: {name}: {found[name]} isn't in {network}")
        if self.tftp is not None and not self.tftp.is_dir():
            raise SouthbridgeError(f"user: tftp: {self.tftp} is no folder")
        return Settings(
            network=network,
            host=found["host"],
            dns=found["dns"],
            dhcp_start=found["dhcpstart"],
            network6=IPv6Network(self.net6) if self.ipv6 else None,
            restricted=self.restrict,
            hostname=self.hostname,
            domain=self.domainname,
            tftp=str(self.tftp.absolute()) if self.tftp is not None else None,
            bootfile=self.bootfile,
        )

    def _forward(self, text: str, settings: Settings) -> None:
        assert self._slirp is not None
        forward = parse_forward(text)
        guest = forward.guest or settings.dhcp_start
        if not self._slirp.forward(forward.udp, forward.address, forward.port, guest, forward.guest_port):
            kind = "UDP" if forward.udp else "TCP"
            place = f"{kind} port {forward.port} of {forward.address}"
            raise SouthbridgeError(f"user: hostfwd: {place} can't be had: it is in use, or not ours to use")

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend."""
        self.plug_into(self.port, port)

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to watch the host's sockets."""
        self._loop, self._lock = loop, lock
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._ready)
        with lock:
            self._watch()

    def close(self) -> None:
        """Ends all connections."""
        loop, self._loop = self._loop, None
        if self._epoll is not None:
            if loop is not None and not loop.is_closed():
                loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        if self._slirp is not None:
            for handle in (*self._alarms.values(), *([self._timeout] if self._timeout else [])):
                handle.cancel()
            self._slirp.close()
            self._slirp = None

    # --- frames --------------------------------------------------------------------------------------------------

    def _send(self, frame: Frame, offload: Offload | None) -> bool:
        return bool(self._send_all([frame], offload))

    def _send_all(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        if self._slirp is not None:
            for frame in frames:
                self._slirp.input(bytes(completed(frame, offload)))
            self._give()
            if self._loop is not None and sum(map(len, frames)) <= FEW_BYTES and len(self._queue) < CONGESTED:
                self._look_at_once()
            else:
                self.attention()
        return len(frames)

    def packet(self, data: bytes) -> None:
        """See slirp.User: a frame for the guest. What finds no room is lost, as on any network."""
        self._fresh.append(data)
        if len(self._fresh) == CONGESTED:
            self._give()

    def _give(self) -> None:
        """Gives the card what came of the library, after what waits; what it has no room for waits."""
        fresh, self._fresh = self._fresh, []
        self._queue.give_to(self.port)
        taken = self.port.send_batch(fresh, _CHECKED) if fresh and not self._queue else 0
        for data in fresh[taken:]:
            self._queue.put(data, _CHECKED)

    def _flush(self) -> None:
        """The card has room again."""
        congested = len(self._queue) >= CONGESTED
        self._queue.give_to(self.port)
        if congested and len(self._queue) < CONGESTED:
            self.attention()

    # --- the host's sockets --------------------------------------------------------------------------------------

    def attention(self) -> None:
        """See slirp.User. On any thread: the main loop looks anew, once for all that happens until then."""
        if self._loop is not None and not self._asked:
            self._asked = True
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        with self._lock:
            self._asked = False
            self._watch()

    def _look_at_once(self) -> None:
        """Sees to the sockets on the thread of the CPU that sent something, which is sooner than on the main loop's;
        that has to look only if it is to watch others than it does.
        """
        masks, due = self._wanted()
        poller = select.poll()
        for descriptor, mask in masks.items():
            poller.register(descriptor, mask)
        if found := poller.poll(0):
            self._happened(found)
            masks, due = self._wanted()
        sooner = due is not None and (self._due is None or due < self._due - SOONER_MS)
        if masks != self._watched or sooner or len(self._queue) >= CONGESTED:
            self.attention()

    def _wanted(self) -> tuple[dict[int, int], int | None]:
        """What the library wants to be watched: the host's events by descriptor; and when it is due anyway."""
        assert self._slirp is not None
        wanted, timeout = self._slirp.watched()
        self._order = [descriptor for descriptor, _ in wanted]
        masks: dict[int, int] = {}
        for descriptor, events in wanted:
            masks[descriptor] = masks.get(descriptor, 0) | _TO_HOST[events]
        return masks, None if timeout is None else Slirp.now() + timeout

    def _happened(self, found: Iterable[tuple[int, int]]) -> None:
        """These descriptors have events; of the others that `_wanted` gave last, nothing happened to any."""
        assert self._slirp is not None
        events = dict(found)
        self._slirp.happened([_FROM_HOST[events.get(descriptor, 0) & 31] for descriptor in self._order])
        self._give()

    def _watch(self) -> None:
        """Watches what the library wants, unless the card has to catch up first."""
        if self._slirp is None or self._epoll is None or self._loop is None:
            return
        masks: dict[int, int] = {}
        self._order, self._due = [], None
        if len(self._queue) < CONGESTED:
            masks, self._due = self._wanted()
        for descriptor in self._watched.keys() - masks.keys():
            with contextlib.suppress(OSError):  # closed, and so no longer watched
                self._epoll.unregister(descriptor)
        for descriptor, mask in masks.items():
            self._epoll_set(descriptor, mask)
        self._watched = masks
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        if self._due is not None:
            self._timeout = self._loop.call_later(max(self._due - Slirp.now(), 0) / 1000, self._ready)

    def _epoll_set(self, descriptor: int, mask: int) -> None:
        """Watches it; a number that is known may be another socket by now, which the kernel has forgotten."""
        assert self._epoll is not None
        try:
            if descriptor in self._watched:
                self._epoll.modify(descriptor, mask)
            else:
                self._epoll.register(descriptor, mask)
        except FileNotFoundError:
            self._epoll.register(descriptor, mask)
        except FileExistsError:
            self._epoll.modify(descriptor, mask)

    def _ready(self) -> None:
        """Something happened on a socket, or it is time."""
        with self._lock:
            if self._slirp is None or self._epoll is None:
                return
            self._happened(self._epoll.poll(0))
            self._order = []
            self._watch()

    # --- timers --------------------------------------------------------------------------------------------------

    def set_timer(self, number: int, milliseconds: int | None) -> None:
        """See slirp.User."""

        def arrange() -> None:
            if number in self._alarms:
                self._alarms.pop(number).cancel()
            if milliseconds is not None and self._loop is not None:
                delay = max(milliseconds - Slirp.now(), 0) / 1000
                self._alarms[number] = self._loop.call_later(delay, self._alarm, number)

        if self._loop is not None:
            self._loop.call_soon_threadsafe(arrange)

    def _alarm(self, number: int) -> None:
        with self._lock:
            self._alarms.pop(number, None)
            if self._slirp is not None:
                self._slirp.timer(number)
                self._give()
                self._watch()
