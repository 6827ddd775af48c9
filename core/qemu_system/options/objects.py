"""What isn't a device: -object, -numa."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...discovery import nearest
from ...numa import FARTHEST, LOCAL, MOST_NODES, NEAREST
from ...objects import IOTHREAD, MEMORY_KINDS, POLLING, SECRET
from ..draft import Draft, NumaNode, Part
from ..words import OptionError, Words, parsed, size
from .machine import no_effect
from .option import Option

KINDS = (*MEMORY_KINDS, IOTHREAD, SECRET)
_MEMORY_TUNING = (
    *("prealloc", "prealloc-threads", "merge", "dump", "host-nodes", "policy", "hugetlb", "hugetlbsize", "seal"),
    *("reserve", "discard-data", "pmem", "align", "readonly", "x-use-canonical-path-for-ramblock-id"),
)


def _object(draft: Draft, argument: str) -> None:
    words = parsed(argument, "qom-type")
    kind = words.need("qom-type")
    if kind in ("help", "?"):
        draft.ask("object")
        return
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f" (there are: {', '.join(KINDS)})"
        raise OptionError(f"there is no object {kind!r}{hint}")
    id = words.need("id")
    if id in draft.objects:
        raise OptionError(f"there are two objects {id!r}")
    draft.objects[id] = Part(id, kind, _values(draft, kind, words), f"-object {argument}")
    words.end()


def _values(draft: Draft, kind: str, words: Words) -> dict[str, Any]:
    if kind == "secret":
        return {"data": secret(words)}
    if kind == "iothread":
        words.ignore("thread-pool-min", "thread-pool-max")
        draft.note("-object iothread: images have threads of their own anyway")
        return {name: words.number(name) for name in POLLING if words.peek(name)}
    values: dict[str, Any] = {"size": size(words.need("size"), "b")}
    share = words.flag("share")
    if kind == "memory-backend-file":
        path = words.need("mem-path")
        if share:
            raise OptionError(f"share=on: the memory of {path} can't be the guest's")
        draft.note("-object memory-backend-file: memory that isn't shared is anonymous here")
    values |= {"share": True} if share else {}
    no_effect(draft, f"-object {kind}", words.ignore(*_MEMORY_TUNING))
    return values


def secret(words: Words) -> str:
    """The text of a secret. Raises OptionError."""
    data, path = words.take("data"), words.take("file")
    form = words.one_of("format", ("raw", "base64"), "raw")
    if bool(data) == bool(path):
        raise OptionError("expected one of data=... and file=...")
    if words.peek("keyid", "iv"):
        raise OptionError("keyid: secrets can't be encrypted")
    import base64  # only now: hardly anybody needs it
    import binascii

    try:
        text = Path(path).read_text().rstrip("\n") if path else data
        return base64.b64decode(text, validate=True).decode() if form == "base64" else text
    except OSError as error:
        raise OptionError(f"can't read {path}: {error.strerror}") from None
    except (binascii.Error, UnicodeDecodeError):
        raise OptionError("data isn't base64 of a text") from None


def _numa(draft: Draft, argument: str) -> None:
    words = Words(argument, "type")
    kind = words.one_of("type", ("node", "dist", "cpu"), "node")
    if kind == "dist":
        pair = words.number("src"), words.number("dst")
        draft.distances[pair] = _distance(pair, words.number("val"))
    elif kind == "cpu":
        node = _node(draft, words.number("node-id"))
        node.cpus.append(words.number("socket-id", 0))
        words.ignore("core-id", "thread-id", "die-id")
    else:
        node = _node(draft, words.number("nodeid", len(draft.numa)))
        if memory := words.take("mem"):
            node.memory = size(memory, "m")
        if backend := words.take("memdev"):
            if backend not in draft.objects:
                raise OptionError(f"memdev={backend}: there is no such -object")
            node.memory = draft.objects[backend].values["size"]
            draft.memory_objects.append(backend)
        for cpus in words.take_all("cpus"):
            first, _, last = cpus.partition("-")
            node.cpus += range(_cpu(first), _cpu(last or first) + 1)
        words.ignore("initiator")
    words.end()


def _node(draft: Draft, number: int) -> NumaNode:
    if not 0 <= number <= len(draft.numa) or number >= MOST_NODES:
        raise OptionError(f"node {number}: nodes are numbered from 0 without gaps")
    if number == len(draft.numa):
        draft.numa.append(NumaNode())
    return draft.numa[number]


def _distance(pair: tuple[int, int], value: int) -> int:
    if max(pair) >= MOST_NODES:
        raise OptionError(f"node {max(pair)}: there are at most {MOST_NODES} nodes")
    if (pair[0] == pair[1] and value != LOCAL) or not LOCAL <= value <= FARTHEST:
        expected = f"{LOCAL}, which a node is from itself" if pair[0] == pair[1] else f"{NEAREST} to {FARTHEST}"
        raise OptionError(f"val={value}: expected {expected}")
    return value


def _cpu(text: str) -> int:
    if not text.isdigit() or int(text) > 255:
        raise OptionError(f"cpus: {text!r} is no CPU's number")
    return int(text)


OPTIONS = (
    Option("object", _object, "type,id=id[,key=value...]", f"{', '.join(KINDS)}; help."),
    Option(
        "numa",
        _numa,
        "node[,nodeid=n][,cpus=a-b][,mem=size] or dist,src=n,dst=n,val=n",
        "Which CPUs and memory are near each other.",
    ),
)
