"""Reading machine descriptions: where they are, what they extend, what the command line sets on top."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from ..discovery import nearest
from ..errors import DescriptionError, Location, SouthbridgeError
from .kept import keep, kept
from .nodes import Node, OptionLocation, Scalar, Table, merge, what_is

SUFFIXES = (".yaml", ".yml")

SECTIONS = ("blockdevs", "chardevs", "netdevs", "displays", "monitors", "devices")
"""The parts of a description that have ids; each is also a kind of plugin."""


def shipped() -> dict[str, Path]:
    """The descriptions that come with the package, by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def keep_trees(folder: Path) -> None:
    """Keeps the trees of the descriptions in `folder`, where an installation has its shipped ones."""
    for path in folder.glob("*.yaml"):
        keep(path, _parsed(path, None))


def shipped_folder() -> Path:
    """Where this one has them."""
    file = importlib.import_module("southbridge.machines").__file__
    assert file is not None
    return Path(file).parent


def load_tree(machine: str, settings: Iterable[str] = ()) -> tuple[Path, Table]:
    """The file of `machine`, a path or a shipped name, and its tree: laid over what it extends, `settings` on top.

    Raises SouthbridgeError.
    """
    if _is_path(machine):
        path = Path(machine)
    else:
        found = _find(machine, Path())
        if found is None:
            raise SouthbridgeError(_unknown(machine))
        path = found
    return path, with_settings(_extended(path), settings)


def load_over(tree: Table) -> tuple[Path, Table]:
    """What `tree`, which isn't a file's and extends a shipped description, is with it; and that one's file.

    Raises SouthbridgeError.
    """
    path = _extended_path(tree.entries["extends"], Path())
    return path, _merged(_extended(path), _without_extends(tree))


def with_settings(tree: Table, settings: Iterable[str]) -> Table:
    """`tree` with each of `settings` ("key=value") laid over it. Raises DescriptionError."""
    for setting in settings:
        tree = _set(tree, setting)
    return tree


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(SUFFIXES)


def _find(name: str, folder: Path) -> Path | None:
    """The description `name`: shipped, or a file relative to `folder`."""
    if _is_path(name):
        return folder / Path(name).expanduser()
    path = shipped().get(name, folder / name)
    return path if path.is_file() else None


def _unknown(name: str) -> str:
    known = shipped()
    hint = nearest(name, known) or f" (shipped: {', '.join(known)})"
    return f"there is no machine {name!r}: neither a file nor one that comes with Southbridge{hint}"


def _read(path: Path, named_at: Location | None) -> Table:
    if path.parent != shipped_folder():
        return _parsed(path, named_at)
    tree = kept(path)
    if not isinstance(tree, Table):
        tree = _parsed(path, named_at)
        if not sys.dont_write_bytecode:
            keep(path, tree)
    return tree


def _parsed(path: Path, named_at: Location | None) -> Table:
    from . import yaml_tree  # whose parser takes long to import

    try:
        with path.open("rb") as file:
            data = file.read(yaml_tree.MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DescriptionError(f"can't read {path}: {reason}", named_at, "extends" if named_at else "") from None
    name = str(path)
    root = yaml_tree.parse(yaml_tree.decode(data, name), lambda line, column: Location(name, line, column))
    if not isinstance(root, Table):
        found = "nothing" if root is None else what_is(root)
        place = Location(name, 1, 1) if root is None else root.location
        raise DescriptionError(f"expected a machine description, which is a mapping, not {found}", place)
    return root


def _extended(path: Path) -> Table:
    """The description in `path`, laid over what it extends."""
    layers: list[Table] = []
    chain: list[Path] = []
    named_at: Location | None = None
    while True:
        identity = path.resolve()
        if identity in [seen.resolve() for seen in chain]:
            circle = " -> ".join(str(seen) for seen in [*chain, path])
            raise DescriptionError(f"descriptions extend each other in a circle: {circle}", named_at, "extends")
        chain.append(path)
        layer = _read(path, named_at)
        layers.append(_without_extends(layer))
        extends = layer.entries.get("extends")
        if extends is None or (isinstance(extends, Scalar) and extends.value is None):
            break
        named_at = extends.location
        path = _extended_path(extends, path.parent)
    tree = layers.pop()
    while layers:
        tree = _merged(tree, layers.pop())
    return tree


def _extended_path(extends: Node, folder: Path) -> Path:
    if not isinstance(extends, Scalar) or not isinstance(extends.value, str):
        message = f"expected a shipped machine's name or a file's path, not {what_is(extends)}"
        raise DescriptionError(message, extends.location, "extends")
    path = _find(extends.value, folder)
    if path is None:
        raise DescriptionError(_unknown(extends.value), extends.location, "extends")
    return path


def _without_extends(tree: Table) -> Table:
    entries = {key: node for key, node in tree.entries.items() if key != "extends"}
    return Table(entries, tree.keys, tree.location, tree.weight)


def _merged(base: Table, over: Table) -> Table:
    """Like merge, but an empty section (`devices:` with nothing below it) removes nothing: it stays, to be refused."""
    merged = merge(base, over)
    assert isinstance(merged, Table)
    empty = {
        key: node
        for key, node in over.entries.items()
        if key in SECTIONS and isinstance(node, Scalar) and node.value is None
    }
    return Table({**merged.entries, **empty}, {**merged.keys, **over.keys}, merged.location, merged.weight)


def _set(tree: Table, setting: str) -> Table:
    """`tree` with one `--set key=value` laid over it. Raises DescriptionError."""
    from . import yaml_tree

    key, equals, value = setting.partition("=")
    place = OptionLocation(f"--set {key}", 1, 1)
    if not equals or not key:
        raise DescriptionError("expected key=value, such as memory=512M or devices.com1.irq=3", place)
    path = _split(tree, key)
    if not all(path):
        raise DescriptionError("expected names with single dots between them", place)
    if path[0] == "extends":
        raise DescriptionError("what a description extends can't be set; name another machine", place)
    node = yaml_tree.parse(value, lambda line, column: place) or Scalar(None, place)
    if path[-1] == "type" and isinstance(node, Scalar) and node.value is None and value.strip() == "null":
        node = Scalar("null", place)
    for name in reversed(path):
        node = Table({name: node}, {name: place}, place)
    assert isinstance(node, Table)
    return _merged(tree, node)


def _split(tree: Table, key: str) -> list[str]:
    """The names in a dotted key; ids may have dots themselves, and an id that exists is taken as a whole."""
    section, dot, rest = key.partition(".")
    parts = tree.entries.get(section)
    if dot and isinstance(parts, Table):
        known = [id for id in parts.entries if rest == id or rest.startswith(f"{id}.")]
        if known:
            id = max(known, key=len)
            return [section, id, *(rest[len(id) + 1 :].split(".") if rest != id else [])]
    return key.split(".")
