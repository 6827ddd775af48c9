"""What -help, -version, and help asked of an option say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .. import __version__
from ..cpu_models import model_names
from ..discovery import load, names, summary
from ..properties import PropertySpec
from .draft import Asked
from .machines import MACHINES
from .options import OPTIONS
from .options.character import BACKENDS
from .options.display import CARDS, DISPLAYS
from .options.network import NETDEVS, card_models
from .options.objects import KINDS
from .options.process import LOGGED
from .program import program
from .qdev import qemu_name, type_of

if TYPE_CHECKING:
    from ..properties import Configurable


def answer(asked: Asked) -> str:
    """The text for a question, without the last line's end."""
    if asked.topic == "device":
        return _device(asked.about) if asked.about else _devices()
    return "\n".join(_TOPICS[asked.topic]())


def _version() -> Iterable[str]:
    yield f"Southbridge {__version__}, with the command line of QEMU"


def _options() -> Iterable[str]:
    yield f"usage: {program()} [options] [disk image]"
    yield ""
    for option in OPTIONS.values():
        yield f"-{option.name} {option.takes}".rstrip()
        yield f"    {option.doc}"


def _machines() -> Iterable[str]:
    yield "Supported machines are:"
    for name, kind in MACHINES.items():
        yield f"{name:<20} {kind.doc}{' (default)' if name == 'pc' else ''}"


def _accelerators() -> Iterable[str]:
    yield "Accelerators supported in Southbridge:"
    yield from ("tcg" if name == "unicorn" else name for name in names("accelerators"))


def _cpus() -> Iterable[str]:
    yield "Available CPUs:"
    yield from (f"x86 {name}" for name in [*model_names(), "host"])


def _listed(title: str, known: Iterable[str]) -> Callable[[], Iterable[str]]:
    return lambda: [title, *known]


_TOPICS: dict[str, Callable[[], Iterable[str]]] = {
    "help": _options,
    "version": _version,
    "machine": _machines,
    "accel": _accelerators,
    "cpu": _cpus,
    "chardev": _listed("Available chardev backend types:", BACKENDS),
    "netdev": _listed("Available netdev backend types:", NETDEVS),
    "nic": lambda: ["Available NIC models:", *card_models()],
    "display": _listed("Available display backend types:", DISPLAYS),
    "vga": _listed("Available graphics cards:", ("none", *CARDS)),
    "object": _listed("List of user creatable objects:", KINDS),
    "log": _listed("Log items (comma separated):", LOGGED),
    "trace": lambda: ["There are no trace events."],
}


# --- devices -----------------------------------------------------------------------------------------------------


def _devices() -> str:
    lines = []
    for name in names("devices"):
        cls = load("devices", name)
        bus = cls.properties().get("bus")
        where = f', bus "{bus.default}"' if bus is not None and isinstance(bus.default, str) else ""
        lines.append(f'name "{qemu_name(name)}"{where}, desc "{summary(cls)}"')
    return "\n".join(sorted(lines, key=str.lower))


def _device(driver: str) -> str:
    type_name = type_of(driver)
    assert type_name is not None
    cls: type[Configurable] = load("devices", type_name)
    lines = [f"{driver} options:"]
    lines += [f"  {_property(name, spec)}" for name, spec in sorted(cls.properties().items())]
    return "\n".join(lines)


def _property(name: str, spec: PropertySpec) -> str:
    default = "" if spec.required or spec.default is None else f" (default: {_shown(spec.default)})"
    return f"{name}=<{'id' if spec.section else 'value'}> - {spec.doc}{default}"


def _shown(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
