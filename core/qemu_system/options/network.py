"""Networks and cards: -netdev, -nic, -net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...discovery import names, nearest
from ..draft import Draft, Part
from ..words import OptionError, Words, parsed, pieces, truth
from .option import Option

DEFAULT_CARD = "e1000"


def _netdev(draft: Draft, argument: str) -> None:
    if argument in ("help", "?"):
        draft.ask("netdev")
        return
    draft.given.add("net")
    words, repeated = _words(argument)
    id = words.need("id")
    if id in {netdev.id for netdev in draft.netdevs}:
        raise OptionError(f"there are two netdevs {id!r}")
    _add(draft, id, words, repeated, f"-netdev {argument}")
    words.end()


def _nic(draft: Draft, argument: str) -> None:
    draft.given.add("net")
    if argument == "none":
        return
    words, repeated = _words(argument)
    id = words.take("id") or _next_id(draft)
    model = words.take("model") or DEFAULT_CARD
    if model in ("help", "?"):
        draft.ask("nic")
        return
    if model not in card_models():
        raise OptionError(f"model={model}: expected {', '.join(card_models())}{nearest(model, card_models())}")
    values: dict[str, Any] = {"netdev": f"{id}-net"}
    if mac := words.take("mac"):
        values["mac"] = mac
    _add(draft, f"{id}-net", words, repeated, f"-nic {argument}")
    words.end()
    draft.cards.append(Part(id, model, values, f"-nic {argument}"))


def default_network(draft: Draft) -> None:
    """QEMU's default: a card on a user network."""
    draft.netdevs.append(Part("nic0-net", "user", {}, "-nic user"))
    draft.cards.append(Part("nic0", DEFAULT_CARD, {"netdev": "nic0-net"}, "-nic user"))


def _next_id(draft: Draft) -> str:
    taken = {card.id for card in draft.cards}
    return next(id for number in range(len(taken) + 1) if (id := f"nic{number}") not in taken)


def _net(draft: Draft, argument: str) -> None:
    draft.given.add("net")
    if argument != "none":
        raise OptionError("expected none; networks are given by -netdev and -device, or -nic")


def card_models() -> list[str]:
    """The network cards that there are."""
    return [name for name in names("devices") if name.startswith(DEFAULT_CARD)]


def _words(argument: str) -> tuple[Words, list[str]]:
    """The pieces, and those called hostfwd, of which there may be several."""
    if argument.lstrip().startswith("{"):
        found = parsed(argument)
        return found, list(found.under("hostfwd").rest().values())
    forwards = [piece.partition("=")[2] for piece in pieces(argument) if piece.startswith("hostfwd=")]
    rest = [piece.replace(",", ",,") for piece in pieces(argument) if not piece.startswith("hostfwd=")]
    return Words(",".join(rest), "type"), forwards


def _add(draft: Draft, id: str, words: Words, forwards: list[str], option: str) -> None:
    kind = words.one_of("type", _KINDS)
    if forwards and kind != "user":
        raise OptionError("only a user network has port forwards")
    type_name, values = _KINDS[kind](words)
    if forwards:
        values["hostfwd"] = forwards
    if kind == "hubport":
        _hub(draft, values["hub"], option)
    draft.netdevs.append(Part(id, type_name, values, option))


# --- kinds --------------------------------------------------------------------------------------------------------

_Made = tuple[str, dict[str, Any]]


def _user(words: Words) -> _Made:
    values: dict[str, Any] = {}
    for key in ("host", "dns", "dhcpstart", "hostname", "domainname", "tftp", "bootfile"):
        if text := words.take(key):
            values[key] = text
    if net := words.take("net"):
        values["net"] = _network(net)
    for key in ("restrict", "ipv6"):
        if text := words.take(key):
            values[key] = truth(key, text)
    words.ignore("ipv4", "tftp-server-name")
    return "user", values


def _network(text: str) -> str:
    """QEMU lets a network without a mask be one of 24 bits, and an address within it stand for it."""
    import ipaddress  # only now: it takes as long to import as all options

    try:
        return str(ipaddress.IPv4Network(text if "/" in text else f"{text}/24", strict=False))
    except ValueError as error:
        raise OptionError(f"net={text}: {error}") from None


def _tap(words: Words) -> _Made:
    values: dict[str, Any] = {}
    if name := words.take("ifname"):
        values["ifname"] = name
    if words.peek("fd"):
        values["fd"] = words.number("fd")
    for key in ("script", "downscript"):
        if words.take(key, "no") not in ("no", ""):
            raise OptionError(f"{key}: no scripts are run: expected no")
    words.ignore("br", "vhost", "sndbuf", "vnet_hdr", "queues")
    return "tap", values


def _socket(words: Words) -> _Made:
    for key in ("listen", "connect"):
        if text := words.take(key):
            host, port = _place(key, text)
            return "socket", {"host": host or "127.0.0.1", "port": port, "server": key == "listen"}
    local = words.take("localaddr")
    if text := words.take("mcast"):
        host, port = _place("mcast", text)
        return "socket", {"mode": "multicast", "host": host, "port": port, **({"local_host": local} if local else {})}
    if text := words.take("udp"):
        host, port = _place("udp", text)
        local_host, local_port = _place("localaddr", local)
        values = {"mode": "datagram", "host": host or "127.0.0.1", "port": port}
        return "socket", {**values, "local_host": local_host or "127.0.0.1", "local_port": local_port}
    raise OptionError("expected listen=..., connect=..., mcast=... or udp=...")


def _stream(words: Words) -> _Made:
    values = _address(words, "addr")
    values["server"] = words.flag("server")
    if text := words.take("reconnect"):
        values["reconnect"] = int(text) if text.isdigit() else 1
    return "socket", values


def _datagrams(words: Words) -> _Made:
    remote, local = _address(words, "remote"), _address(words, "local", needed=False)
    import ipaddress  # see above

    multicast = "path" not in remote and ipaddress.ip_address(remote["host"]).is_multicast
    values = {"mode": "multicast" if multicast else "datagram", **remote}
    if multicast:
        local.pop("port", None)
    return "socket", {**values, **{f"local_{key}": value for key, value in local.items()}}


def _address(words: Words, name: str, *, needed: bool = True) -> dict[str, Any]:
    """What QEMU's SocketAddress has: addr.type=inet,addr.host=...,addr.port=..., or addr.type=unix,addr.path=..."""
    kind = words.take(f"{name}.type")
    if kind == "unix":
        return {"path": words.need(f"{name}.path")}
    if kind == "inet":
        host, port = words.need(f"{name}.host"), words.need(f"{name}.port")
        words.ignore(f"{name}.ipv4", f"{name}.ipv6", f"{name}.to")
        return {"host": host, "port": _port(name, port)}
    if kind or needed:
        raise OptionError(f"{name}.type={kind}: expected inet or unix")
    return {}


def _hubport(words: Words) -> _Made:
    values: dict[str, Any] = {"hub": f"hub{words.number('hubid')}"}
    if netdev := words.take("netdev"):
        values["netdev"] = netdev
    return "hubport", values


def _hub(draft: Draft, id: str, option: str) -> None:
    if id not in {netdev.id for netdev in draft.netdevs}:
        draft.netdevs.append(Part(id, "hub", {}, option))


_KINDS: dict[str, Callable[[Words], _Made]] = {
    "user": _user,
    "tap": _tap,
    "socket": _socket,
    "stream": _stream,
    "dgram": _datagrams,
    "hubport": _hubport,
}
NETDEVS = tuple(_KINDS)


def _place(key: str, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise OptionError(f"{key}={text}: expected host:port")
    return host.strip("[]"), _port(key, port)


def _port(key: str, text: str) -> int:
    if not text.isdigit() or int(text) > 0xFFFF:
        raise OptionError(f"{key}: {text!r} is no port")
    return int(text)


OPTIONS = (
    Option("netdev", _netdev, "type,id=id[,key=value...]", "A network: user, tap, socket, stream, dgram, hubport."),
    Option("nic", _nic, "type[,model=e1000][,mac=...]", "A network with a card on it; none."),
    Option("net", _net, "none", "Networks of old: none."),
)
