"""-readconfig: options in a file, as QEMU's -writeconfig wrote them.

[device "net0"]
  driver = "e1000"
  netdev = "lan"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..discovery import nearest
from .words import OptionError

GROUPS = {
    **{name: name for name in ("device", "drive", "chardev", "netdev", "object", "global", "numa", "mon", "machine")},
    **{name: name for name in ("accel", "name", "rtc", "fw_cfg", "smbios", "action", "sandbox", "trace", "msg")},
    "memory": "m",
    "smp-opts": "smp",
    "boot-opts": "boot",
    "nic": "nic",
}
"""The sections, and the option that each stands for."""
_HEADING = re.compile(r'\[([\w-]+)(?:\s+"([^"]*)")?\]')
_SETTING = re.compile(r'([\w.-]+)\s*=\s*"([^"]*)"')


def options_in(path: str) -> Iterator[tuple[str, str]]:
    """The option and argument that each section of the file is. Raises OptionError, naming the line."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"can't be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    option = ""
    words: list[str] = []
    for number, line in enumerate((*lines, "[end]"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if heading := _HEADING.fullmatch(line):
            if option:
                yield option, ",".join(words)
            group, id = heading[1], heading[2]
            if number > len(lines):
                return
            if group not in GROUPS:
                raise OptionError(f"line {number}: there is no section {group!r}{nearest(group, GROUPS)}")
            option = GROUPS[group]
            words = [f"id={_escaped(id)}"] if id is not None else []
        elif (setting := _SETTING.fullmatch(line)) and option:
            words.append(f"{setting[1]}={_escaped(setting[2])}")
        else:
            raise OptionError(f'line {number}: expected [section "id"] or key = "value", not {line!r}')


def _escaped(text: str) -> str:
    return text.replace(",", ",,")
