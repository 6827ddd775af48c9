"""The keys of a description that say what to boot: `firmware`, `kernel`, `initrd`, `cmdline`, `boot_protocol`."""

from __future__ import annotations

from pathlib import Path

from ..boot import FIRMWARE, PROTOCOLS, BootSettings
from ..discovery import nearest
from ..errors import DescriptionError
from .nodes import Node, Scalar, Table, folder, is_null, what_is

BOOT_KEYS = ("firmware", "kernel", "initrd", "cmdline", "boot_protocol")
_OF_A_KERNEL = ("initrd", "cmdline", "boot_protocol")


def boot_settings(tree: Table) -> BootSettings | None:
    """What `tree` says of them; None if there is no kernel. Raises DescriptionError."""
    nodes = {key: node for key in BOOT_KEYS if (node := tree.entries.get(key)) is not None and not is_null(node)}
    firmware = _one_of("firmware", nodes.get("firmware"), FIRMWARE)
    protocol = _one_of("boot_protocol", nodes.get("boot_protocol"), PROTOCOLS)
    cmdline = _text("cmdline", nodes["cmdline"], "a command line") if "cmdline" in nodes else ""
    kernel, initrd = (_path(key, nodes.get(key)) for key in ("kernel", "initrd"))
    if kernel is None:
        for key in _OF_A_KERNEL:
            if key in nodes:
                raise DescriptionError("there is no `kernel` that this is for", nodes[key].location, key)
        if firmware == "none":
            raise DescriptionError(
                "`none` needs a `kernel`: nothing else would run", nodes["firmware"].location, "firmware"
            )
        return None
    return BootSettings(
        kernel=kernel,
        initrd=initrd,
        cmdline=cmdline,
        protocol=protocol,
        firmware=firmware != "none",
        places={key: node.location for key, node in nodes.items()},
    )


def _one_of(key: str, node: Node | None, known: tuple[str, ...]) -> str:
    """One of `known`; the first, if `key` isn't given."""
    if node is None:
        return known[0]
    if not isinstance(node, Scalar) or node.value not in known:
        hint = nearest(str(node.value), known) if isinstance(node, Scalar) else ""
        raise DescriptionError(
            f"expected {', '.join(known[:-1])} or {known[-1]}, not {what_is(node)}{hint}", node.location, key
        )
    return str(node.value)


def _text(key: str, node: Node, expected: str) -> str:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        raise DescriptionError(f"expected {expected}, not {what_is(node)}", node.location, key)
    if "\0" in node.value:
        raise DescriptionError("a zero byte can't be in it", node.location, key)
    return node.value


def _path(key: str, node: Node | None) -> Path | None:
    if node is None:
        return None
    text = _text(key, node, "a file's path")
    if not text:
        raise DescriptionError("expected a file's path, not an empty text", node.location, key)
    return folder(node.location) / Path(text).expanduser()
