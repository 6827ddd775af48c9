"""libslirp, a TCP/IP stack that makes sockets of a guest's connections, by ctypes (its libslirp.h, version 4).

`Slirp` is the library's object with plain Python around it. Nothing here locks, waits or watches descriptors.
"""

from __future__ import annotations

import ctypes as c
import logging
import socket
import time
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, NamedTuple, Protocol

from southbridge.errors import SouthbridgeError

LIBRARY = "libslirp.so.0"
CONFIG_VERSION = 3
POLL_IN, POLL_OUT, POLL_PRI, POLL_ERR, POLL_HUP = 1, 2, 4, 8, 16
NO_TIMEOUT = 0xFFFF_FFFF

guest_log = logging.getLogger("southbridge.guest_errors")

_In = c.c_uint32
_In6 = c.c_uint8 * 16

_SEND = c.CFUNCTYPE(c.c_ssize_t, c.c_void_p, c.c_size_t, c.c_void_p)
_GUEST_ERROR = c.CFUNCTYPE(None, c.c_char_p, c.c_void_p)
_CLOCK = c.CFUNCTYPE(c.c_int64, c.c_void_p)
_TIMER = c.CFUNCTYPE(None, c.c_void_p)
_TIMER_NEW = c.CFUNCTYPE(c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p)
_TIMER_FREE = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p)
_TIMER_MOD = c.CFUNCTYPE(None, c.c_void_p, c.c_int64, c.c_void_p)
_FD = c.CFUNCTYPE(None, c.c_int, c.c_void_p)
_NOTIFY = c.CFUNCTYPE(None, c.c_void_p)
_ADD_POLL = c.CFUNCTYPE(c.c_int, c.c_int, c.c_int, c.c_void_p)
_GET_EVENTS = c.CFUNCTYPE(c.c_int, c.c_int, c.c_void_p)


class _Callbacks(c.Structure):
    _fields_ = (
        ("send_packet", _SEND),
        ("guest_error", _GUEST_ERROR),
        ("clock_get_ns", _CLOCK),
        ("timer_new", _TIMER_NEW),
        ("timer_free", _TIMER_FREE),
        ("timer_mod", _TIMER_MOD),
        ("register_poll_fd", _FD),
        ("unregister_poll_fd", _FD),
        ("notify", _NOTIFY),
        ("init_completed", c.c_void_p),
        ("timer_new_opaque", c.c_void_p),
    )


class _Config(c.Structure):
    _fields_ = (
        ("version", c.c_uint32),
        ("restricted", c.c_int),
        ("in_enabled", c.c_bool),
        ("vnetwork", _In),
        ("vnetmask", _In),
        ("vhost", _In),
        ("in6_enabled", c.c_bool),
        ("vprefix_addr6", _In6),
        ("vprefix_len", c.c_uint8),
        ("vhost6", _In6),
        ("vhostname", c.c_char_p),
        ("tftp_server_name", c.c_char_p),
        ("tftp_path", c.c_char_p),
        ("bootfile", c.c_char_p),
        ("vdhcp_start", _In),
        ("vnameserver", _In),
        ("vnameserver6", _In6),
        ("vdnssearch", c.c_void_p),
        ("vdomainname", c.c_char_p),
        ("if_mtu", c.c_size_t),
        ("if_mru", c.c_size_t),
        ("disable_host_loopback", c.c_bool),
        ("enable_emu", c.c_bool),
        ("outbound_addr", c.c_void_p),
        ("outbound_addr6", c.c_void_p),
        ("disable_dns", c.c_bool),
    )


@cache
def library() -> Any:
    """The library, with its functions' types. Raises SouthbridgeError if it isn't installed."""
    try:
        lib = c.PyDLL(LIBRARY)  # keeps the interpreter's lock: it waits for nothing, and calls back often
    except OSError as error:
        raise SouthbridgeError(f"user: needs {LIBRARY} (Debian's libslirp0): {error}") from None
    lib.slirp_new.restype = c.c_void_p
    lib.slirp_new.argtypes = [c.POINTER(_Config), c.POINTER(_Callbacks), c.c_void_p]
    lib.slirp_cleanup.argtypes = [c.c_void_p]
    lib.slirp_cleanup.restype = None
    lib.slirp_pollfds_fill.argtypes = [c.c_void_p, c.POINTER(c.c_uint32), _ADD_POLL, c.c_void_p]
    lib.slirp_pollfds_fill.restype = None
    lib.slirp_pollfds_poll.argtypes = [c.c_void_p, c.c_int, _GET_EVENTS, c.c_void_p]
    lib.slirp_pollfds_poll.restype = None
    lib.slirp_input.argtypes = [c.c_void_p, c.c_char_p, c.c_int]
    lib.slirp_input.restype = None
    lib.slirp_add_hostfwd.argtypes = [c.c_void_p, c.c_int, _In, c.c_int, _In, c.c_int]
    lib.slirp_add_hostfwd.restype = c.c_int
    return lib


class Settings(NamedTuple):
    """What a network is like."""

    network: IPv4Network
    host: IPv4Address
    dhcp_start: IPv4Address
    dns: IPv4Address
    network6: IPv6Network | None = None
    restricted: bool = False
    hostname: str | None = None
    tftp: str | None = None
    bootfile: str | None = None
    domain: str | None = None


class User(Protocol):
    """Who uses the library."""

    def packet(self, data: bytes) -> None:
        """A frame for the guest."""

    def attention(self) -> None:
        """What is to be watched may have changed."""

    def set_timer(self, number: int, milliseconds: int | None) -> None:
        """`Slirp.timer` is to be called with this number at that time of `Slirp.now`; None: no longer."""


def _in4(address: IPv4Address) -> int:
    return int.from_bytes(address.packed, "little")  # in network order, as the library's integers lie in memory


def _text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


class Slirp:
    """One network. Calls don't overlap, and none is made from within a call of `User`."""

    def __init__(self, user: User, settings: Settings) -> None:
        self._lib = library()
        self._user = user
        self._timers: dict[int, tuple[Callable[[Any], None], Any]] = {}
        self._callbacks = self._make_callbacks()
        self._wanted: list[tuple[int, int]] = []
        self._happened: list[int] = []
        self._add, self._get = _ADD_POLL(self._wants), _GET_EVENTS(self._event)
        config = _Config(
            version=CONFIG_VERSION,
            restricted=settings.restricted,
            in_enabled=True,
            vnetwork=_in4(settings.network.network_address),
            vnetmask=_in4(settings.network.netmask),
            vhost=_in4(settings.host),
            in6_enabled=settings.network6 is not None,
            vhostname=_text(settings.hostname),
            tftp_path=_text(settings.tftp),
            bootfile=_text(settings.bootfile),
            vdhcp_start=_in4(settings.dhcp_start),
            vnameserver=_in4(settings.dns),
            vdomainname=_text(settings.domain),
        )
        if settings.network6 is not None:
            config.vprefix_addr6 = _In6(*settings.network6.network_address.packed)
            config.vprefix_len = settings.network6.prefixlen
            config.vhost6 = _In6(*IPv6Address(int(settings.network6.network_address) + 2).packed)
            config.vnameserver6 = _In6(*IPv6Address(int(settings.network6.network_address) + 3).packed)
        self._config = config
        self._slirp: int | None = self._lib.slirp_new(config, self._callbacks, None)
        if not self._slirp:
            raise SouthbridgeError("user: libslirp could not make the network")

    def close(self) -> None:
        """Ends all connections; may be called twice."""
        if self._slirp:
            self._lib.slirp_cleanup(self._slirp)
            self._slirp = None

    def input(self, frame: bytes) -> None:
        """A frame that the guest sends."""
        self._lib.slirp_input(self._slirp, frame, len(frame))

    def forward(self, udp: bool, address: IPv4Address, port: int, guest: IPv4Address, guest_port: int) -> bool:
        """Connections to this port of the host go to that of the guest. False: the host's port can't be had."""
        return not self._lib.slirp_add_hostfwd(self._slirp, udp, _in4(address), port, _in4(guest), guest_port)

    def watched(self) -> tuple[list[tuple[int, int]], int | None]:
        """The descriptors to watch, with the events (POLL_IN...), and for how many milliseconds at most."""
        self._wanted = []
        timeout = c.c_uint32(NO_TIMEOUT)
        self._lib.slirp_pollfds_fill(self._slirp, c.byref(timeout), self._add, None)
        return self._wanted, None if timeout.value == NO_TIMEOUT else timeout.value

    def happened(self, events: list[int]) -> None:
        """What happened to each of those that `watched` gave last."""
        self._happened = events
        self._lib.slirp_pollfds_poll(self._slirp, 0, self._get, None)

    def _wants(self, descriptor: int, events: int, opaque: int | None) -> int:
        self._wanted.append((descriptor, events))
        return len(self._wanted) - 1

    def _event(self, index: int, opaque: int | None) -> int:
        return self._happened[index] if 0 <= index < len(self._happened) else 0

    def timer(self, number: int) -> None:
        """A timer is due."""
        if self._slirp and number in self._timers:
            call, opaque = self._timers[number]
            call(opaque)

    @staticmethod
    def now() -> int:
        """Milliseconds."""
        return time.monotonic_ns() // 1_000_000

    def _make_callbacks(self) -> _Callbacks:
        user, timers = self._user, self._timers

        def send(data: int, length: int, opaque: int | None) -> int:
            user.packet(c.string_at(data, length))
            return length

        def timer_new(call: int, argument: int | None, opaque: int | None) -> int:
            number = len(timers) + 1
            timers[number] = (_TIMER(call), argument)
            return number

        def timer_free(number: int, opaque: int | None) -> None:
            timers.pop(number, None)
            user.set_timer(number, None)

        return _Callbacks(
            send_packet=_SEND(send),
            guest_error=_GUEST_ERROR(lambda text, opaque: guest_log.info("network: %s", text.decode(errors="replace"))),
            clock_get_ns=_CLOCK(lambda opaque: time.monotonic_ns()),
            timer_new=_TIMER_NEW(timer_new),
            timer_free=_TIMER_FREE(timer_free),
            timer_mod=_TIMER_MOD(lambda number, when, opaque: user.set_timer(number, when)),
            register_poll_fd=_FD(lambda descriptor, opaque: None),
            unregister_poll_fd=_FD(lambda descriptor, opaque: None),
            notify=_NOTIFY(lambda opaque: user.attention()),
        )


def port_of(text: str) -> int:
    """A port's number. Raises ValueError."""
    try:
        number = int(text) if text.isdigit() else socket.getservbyname(text)
    except OSError:
        raise ValueError(f"{text!r} is no port") from None
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"{number} is no port")
    return number
