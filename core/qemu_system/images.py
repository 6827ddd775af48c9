"""Images, as -drive and -blockdev name them: a chain of parts, the last of which is what a drive has.

QEMU's manual, "Block device options"; its docs/devel/blkdebug for the form blkdebug:CONFIG:FILE.
"""

from __future__ import annotations

from typing import Any

from ..discovery import names, nearest
from .draft import Draft, Part
from .words import OptionError, Words, size

TUNING = (
    *("cache", "aio", "discard", "detect-zeroes", "copy-on-read", "cache.writeback", "cache.direct"),
    *("cache.no-flush", "locking", "auto-read-only", "pr-manager", "drop-cache", "x-check-cache-dropped"),
)
FORMATS = ("raw", "qcow2")
FILES = ("file", "host_device", "host_cdrom")
NULL = ("null-co", "null-aio")
NULL_SIZE = 1 << 30
QCOW2_MAGIC = b"QFI\xfb"


def image(id: str, words: Words, option: str, *, read_only: bool) -> list[Part]:
    """What -drive's keys make; nothing, if there is no medium. Raises OptionError."""
    read_only = words.flag("readonly", default=words.flag("read-only", default=read_only))
    temporary = words.flag("snapshot")
    path = words.take("file") or words.take("file.filename")
    words.ignore("file.driver")
    form = words.take("driver") or words.take("format")
    words.ignore("format")
    if form in NULL or path.partition("://")[0] in NULL:
        return [_null(id, words, option, read_only)]
    faults = []
    if path.startswith("blkdebug:"):
        config, _, path = path.removeprefix("blkdebug:").partition(":")
        faults = [Part(id, "blkdebug", {"image": f"{id}-image", **({"config": config} if config else {})}, option)]
    if not path:
        return []
    form = form or _probed(path)
    if form not in FORMATS:
        raise OptionError(f"format={form}: expected {', '.join(FORMATS)}{nearest(form, FORMATS)}")
    values: dict[str, Any] = {"path": path}
    if read_only:
        values["read_only"] = True
    elif temporary:
        values["overlay"] = True
    return [Part(f"{id}-image" if faults else id, form, values, option), *faults]


def _probed(path: str) -> str:
    """The format of an image whose format nobody said."""
    try:
        with open(path, "rb") as file:
            return "qcow2" if file.read(4) == QCOW2_MAGIC else "raw"
    except OSError:
        return "raw"  # whoever opens it says what is wrong


def _null(id: str, words: Words, option: str, read_only: bool) -> Part:
    words.ignore("read-zeroes", "file.read-zeroes", "latency-ns", "file.latency-ns")
    text = words.take("size", words.take("file.size"))
    values: dict[str, Any] = {"size": size(text, "b") if text else NULL_SIZE}
    return Part(id, "null-co", {**values, **({"read_only": True} if read_only else {})}, option)


def node(name: str, words: Words, option: str, draft: Draft) -> Part:
    """Adds what -blockdev names `name` to the draft, with what is below it. Raises OptionError."""
    driver = words.take("driver")
    words.ignore(*TUNING, "force-share", "node-name")
    read_only = words.flag("read-only")
    if driver in FILES:
        words.ignore("driver")
        made = Part(name, "raw", {"path": words.need("filename")}, option)
    elif driver in NULL:
        made = _null(name, words, option, read_only)
    elif driver in FORMATS:
        below = _below(name, "file", words, option, draft)
        if below.type != "raw" or "path" not in below.values:
            raise OptionError(f"{driver} over {below.type}: expected a file")
        draft.blockdevs.remove(below)
        made = Part(name, driver, dict(below.values), option)
    elif driver == "blkdebug" and driver in names("blockdevs"):
        below = _below(name, "image", words, option, draft)
        made = Part(name, driver, {"image": below.id, **_faults(words)}, option)
    else:
        known = (*FILES, *FORMATS, *NULL, "blkdebug")
        raise OptionError(f"driver={driver}: expected {', '.join(known)}{nearest(driver, known)}")
    if read_only and made.type != "blkdebug":
        made.values["read_only"] = True
    draft.blockdevs.append(made)
    return made


def _below(name: str, key: str, words: Words, option: str, draft: Draft) -> Part:
    """The node that `key` names or describes."""
    if id := words.take(key):
        found = next((part for part in draft.blockdevs if part.id == id), None)
        if found is None:
            raise OptionError(f"{key}={id}: there is no such node before this")
        return found
    inner = words.under(key)
    made = node(inner.take("node-name") or f"{name}-{key}", inner, option, draft)
    inner.end()
    return made


def _faults(words: Words) -> dict[str, Any]:
    """The rules of blkdebug: its file, or inject-error.N.key and set-state.N.key."""
    values: dict[str, Any] = {}
    if config := words.take("config"):
        values["config"] = config
    rules = []
    for kind in ("inject-error", "set-state"):
        number = 0
        while rule := words.under(f"{kind}.{number}").rest():
            rules.append(" ".join([kind, *(f"{key}={value}" for key, value in rule.items())]))
            number += 1
    if rules:
        values["rules"] = rules
    return values
