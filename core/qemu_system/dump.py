"""`--dump-description`: a draft as the YAML of a machine description, which `southbridge run` takes."""

from __future__ import annotations

from typing import Any

import yaml

from .draft import Draft, Process
from .translate import describe, description_tree


def dump(draft: Draft) -> str:
    """The description, once it was validated; what isn't part of one is said in comments. Raises SouthbridgeError."""
    describe(draft)
    tree = description_tree(draft).plain()
    sections = {key: value for key, value in tree.items() if isinstance(value, dict) and key != "accelerator"}
    plain = {key: value for key, value in tree.items() if key not in sections}
    text = yaml.safe_dump(plain, sort_keys=False, width=120)
    for name, parts in sections.items():
        text += f"\n{name}:\n"
        for id, part in parts.items():
            text += f"  {_inline({id: part})}\n"
    comments = "".join(f"# Not part of a description: {option}\n" for option in _others(draft.process))
    return text + (f"\n{comments}" if comments else "")


def _inline(value: dict[str, Any]) -> str:
    """`value` on a line, without the braces around it."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.strip().removeprefix("{").removesuffix("}")


def _others(process: Process) -> list[str]:
    said = {
        "-S": process.paused,
        "-preconfig": process.preconfig,
        f"-incoming fd:{process.incoming}": process.incoming is not None,
        "-no-shutdown": not process.ends_with_guest,
        "-no-reboot": not process.reboots,
    }
    return [option for option, there in said.items() if there]
