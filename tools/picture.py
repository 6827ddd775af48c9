"""Makes docs/boot.svg: what a terminal shows of the demo. Run it from the environment that `make demo` set up."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
MACHINE = "examples/demo/machine.yaml"
WIDTH = 80


def main() -> None:
    """Runs the demo and records its output, without the terminal's control sequences."""
    program = Path(sysconfig.get_path("scripts"), "southbridge")
    run = subprocess.run([program, "run", ROOT / MACHINE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    text = re.sub(rb"\x1b(\[[0-9;?]*[a-zA-Z]|c)", b"", run.stdout).decode("ascii", "replace")
    console = Console(record=True, width=WIDTH)
    console.print(Text("$ ", "bold green") + Text(f"southbridge run {MACHINE}", "bold"))
    for line in text.replace("\r", "").splitlines():
        console.print(Text(line))
    picture = console.export_svg(title="Southbridge")
    fonts = re.compile(r"@font-face \{.*?\}\n", re.DOTALL)  # these would be fetched from elsewhere
    (ROOT / "docs" / "boot.svg").write_text(fonts.sub("", picture))


main()
