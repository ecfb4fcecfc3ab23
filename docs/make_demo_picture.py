"""Make docs/demo.svg from a real run: ``python docs/make_demo_picture.py [options of truing demo]``."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from truing.report.document import Document
from truing.report.terminal import render_full

PICTURE = Path(__file__).with_name("demo.svg")


def main(options: list[str]) -> None:
    """Run the demo and draw what it says.

    Args:
        options: of ``truing demo``.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "demo.json"
        command = [sys.executable, "-m", "truing", "demo", *options, "--output-format", "json", "-o", str(answer)]
        subprocess.run(command, check=True)
        document = msgspec.json.decode(answer.read_bytes(), type=Document)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text(" ".join(("$ truing demo", *options)), "bold"))
    console.print()
    render_full(document, console)
    picture = console.export_svg(title="truing demo", theme=MONOKAI, unique_id="demo")
    # A picture in a repository should fetch nothing: the reader's own monospace font will do.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
