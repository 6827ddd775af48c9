"""The keys of a description that say who the machine is: `uuid` and `smbios`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DescriptionError
from ..smbios import Identity, wrong_text
from ..smbios.identity import TEXTS
from .nodes import Node, Scalar, Table, is_null, what_is
from .values import check_key

if TYPE_CHECKING:
    from uuid import UUID

IDENTITY_KEYS = ("uuid", "smbios")
SMBIOS_KEYS = (*TEXTS, "uuid")


def identity(tree: Table) -> Identity:
    """What `tree` says of them. Raises DescriptionError."""
    said: dict[str, Any] = {}
    smbios = tree.entries.get("smbios")
    if smbios is not None and not is_null(smbios):
        said = _smbios(smbios)
    top = tree.entries.get("uuid")
    if top is not None and not is_null(top):
        uuid = _uuid(top, "uuid")
        if said.setdefault("uuid", uuid) != uuid:
            raise DescriptionError(f"`smbios` has another one, {said['uuid']}", top.location, "uuid")
    return Identity(**said)


def identity_tree(identity: Identity) -> dict[str, Any]:
    """`identity` as a description has it."""
    tree: dict[str, Any] = {"smbios": {name: getattr(identity, name) for name in TEXTS}}
    return tree if identity.uuid is None else tree | {"uuid": str(identity.uuid)}


def _smbios(node: Node) -> dict[str, Any]:
    if not isinstance(node, Table):
        raise DescriptionError(f"expected a mapping, not {what_is(node)}", node.location, "smbios")
    said: dict[str, Any] = {}
    for name, value in node.entries.items():
        key = f"smbios.{name}"
        check_key(node, name, SMBIOS_KEYS, key)
        if not is_null(value):
            said[name] = _uuid(value, key) if name == "uuid" else _text(value, key)
    return said


def _text(node: Node, key: str) -> str:
    """Numbers, too, may be meant as texts: serial numbers; but not all of them stay what was written."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        hint = ": put it in quotes" if isinstance(node, Scalar) else ""
        raise DescriptionError(f"expected a text, not {what_is(node)}{hint}", node.location, key)
    problem = wrong_text(node.value)
    if problem:
        raise DescriptionError(f"expected {problem}", node.location, key)
    return node.value


def _uuid(node: Node, key: str) -> UUID:
    from uuid import UUID  # which takes its time: it looks closely at the system that it runs on

    if isinstance(node, Scalar) and isinstance(node.value, str):
        try:
            uuid = UUID(node.value)
        except ValueError:
            pass
        else:
            if str(uuid) == node.value.lower():
                return uuid
    example = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    raise DescriptionError(f"expected a UUID such as {example}, not {what_is(node)}", node.location, key)
