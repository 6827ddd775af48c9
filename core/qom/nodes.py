"""Objects with properties, and paths that lead to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..control.commands import DEVICE_NOT_FOUND, CommandError


class Entry(NamedTuple):
    """A property: its type in QOM's words, what gives its value, and what changes it, if that can be.

    `node` gives the object that it leads to: of a child or a link.
    """

    type: str
    get: Callable[[], Any]
    set: Callable[[Any], None] | None = None
    node: Callable[[], Node] | None = None
    doc: str = ""


class Node:
    """An object of the type `type_name`. `entries` gives its own properties when somebody asks."""

    def __init__(self, path: str, type_name: str, entries: Callable[[], dict[str, Entry]]) -> None:
        self.path = path
        self.type_name = type_name
        self._entries = entries

    def entries(self) -> dict[str, Entry]:
        """Its properties by name."""
        return {"type": Entry("string", lambda: self.type_name), **self._entries()}

    def get(self, name: str) -> Any:
        """The value of a property. Raises CommandError."""
        return self._entry(name).get()

    def set(self, name: str, value: Any) -> None:
        """Changes a property. Raises CommandError."""
        change = self._entry(name).set
        if change is None:
            raise CommandError(f"Property '{self.type_name}.{name}' is not writable")
        change(value)

    def children(self) -> Iterator[tuple[str, Node]]:
        """The objects that are its own."""
        for name, entry in self.entries().items():
            if entry.node is not None and entry.type.startswith("child<"):
                yield name, entry.node()

    def _entry(self, name: str) -> Entry:
        entry = self.entries().get(name)
        if entry is None:
            raise CommandError(f"Property '{self.type_name}.{name}' not found")
        return entry


def child(node: Node) -> Entry:
    """The property of an object whose own `node` is."""
    return Entry(f"child<{node.type_name}>", lambda: node.path, node=lambda: node)


def link(type_name: str, path: str, root: Callable[[], Node]) -> Entry:
    """A property that leads to the object at `path`; "" if to none."""
    return Entry(f"link<{type_name}>", lambda: path, node=(lambda: find(root(), path)) if path else None)


def container(path: str, children: Callable[[str], dict[str, Node]]) -> Node:
    """An object that has only others; `children` gives them by name, told where they are."""
    return Node(path, "container", lambda: {name: child(node) for name, node in children(path).items()})


def find(root: Node, path: str) -> Node:
    """The object at `path`: from the root on, or, without a "/" before it, from anywhere on. Raises CommandError."""
    parts = [part for part in path.split("/") if part]
    if path.startswith("/"):
        found = _walk(root, parts)
        if found is not None:
            return found
    else:
        all_found = list(_anywhere(root, parts))
        if len(all_found) > 1:
            raise CommandError(f"Path '{path}' is ambiguous")
        if all_found:
            return all_found[0]
    raise CommandError(f"Device '{path}' not found", DEVICE_NOT_FOUND)


def _walk(node: Node, parts: list[str]) -> Node | None:
    for part in parts:
        entry = node.entries().get(part)
        if entry is None or entry.node is None:
            return None
        node = entry.node()
    return node


def _anywhere(node: Node, parts: list[str]) -> Iterator[Node]:
    if not parts or parts[0] in node.entries():
        found = _walk(node, parts)
        if found is not None:
            yield found
    for _, inner in node.children():
        yield from _anywhere(inner, parts)
