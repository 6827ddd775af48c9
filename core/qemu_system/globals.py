"""-global: properties of all devices of a kind, the board's own included."""

from __future__ import annotations

from collections.abc import Mapping

from ..description.loader import load_tree
from ..description.nodes import Node, Scalar, Table
from ..discovery import load
from .draft import Draft, Global
from .qdev import property_value, type_of
from .tree import Tree
from .words import OptionError


def apply_globals(draft: Draft, tree: Tree, description: str) -> None:
    """Adds each -global's value to the devices of its kind that don't say otherwise; `description` is the board's.

    One that no device has is a note, as with QEMU. Raises OptionError for a value that can't be understood.
    """
    if not draft.globals:
        return
    shipped = load_tree(description)[1].entries.get("devices")
    board = shipped.entries if isinstance(shipped, Table) else {}
    for setting in draft.globals:
        type_name = type_of(setting.driver)
        if type_name is None or setting.property not in load("devices", type_name).properties():
            draft.note(f"{setting.option}: there is no such property")
            continue
        _apply(setting, type_name, tree, board)


def _apply(setting: Global, type_name: str, tree: Tree, board: Mapping[str, Node]) -> None:
    try:
        value = property_value(type_name, setting.property, setting.value)
    except OptionError as error:
        raise OptionError(f"{setting.option}: {error}") from None
    for id, node in {**board, **tree.parts("devices")}.items():
        if isinstance(node, Table) and setting.property not in node.entries:
            kind = node.entries.get("type") or _type_of(board.get(id))
            if isinstance(kind, Scalar) and kind.value == type_name:
                tree.change("devices", id, {setting.property: value}, setting.option)


def _type_of(node: Node | None) -> Node | None:
    return node.entries.get("type") if isinstance(node, Table) else None
