"""What does a page of the documentation tell a person to do, and what comes of it?

In: a Markdown page. Out: its blocks, in order, and a shell to do them in. Fences inside HTML comments count as well:
that is how a page prepares what its reader has already. Markers are comments on lines of their own, before a block:

- ``<!-- file: NAME -->``: the block is the content of that file
- ``<!-- exit: N -->``: the last command of the block ends with this code (0 otherwise; the others always with 0)
- ``<!-- background -->``: the command goes on while the page does; its output is waited for
- ``<!-- not run: REASON -->``: the block is only to be read
- ``<!-- ci: NAME -->``: ``.ci/run`` runs the block, as it stands there, in a fresh clone
- ``<!-- revision -->``: the block is the body of ``upgrade()`` in revision 0002 of the page's example; it is run, and
  taken back
- ``<!-- setup: NAME -->``: the page begins in a copy of ``examples/NAME`` (with ``seed.py``: migrated to 0001 and filled)
- ``<!-- slow -->``: the page takes more than a few seconds
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

ROOT = Path(__file__).parents[1]
SHELL = frozenset({"console", "bash"})
RUN = SHELL | {"python"}
MARKERS = frozenset({"ci", "file", "exit", "background", "not run", "revision", "setup", "slow"})
NO_END = 90.0
"""Seconds after which a command of the documentation has no end."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[\w+-]*)[^`]*$")
_MARKER = re.compile(r"^\s*<!-- (?P<name>[a-z ]+?)(?:: (?P<value>.+?))? -->\s*$")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$")
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"(`+).*?(?<!`)\1(?!`)")


class Block(msgspec.Struct, frozen=True):
    """A fenced block with the markers before it."""

    line: int
    language: str
    text: str
    markers: dict[str, str]


class Command(msgspec.Struct, frozen=True):
    """A command of a console block, and the output shown for it (empty: none is shown)."""

    text: str
    output: str


class Page(msgspec.Struct, frozen=True):
    """A page, read."""

    path: Path
    blocks: tuple[Block, ...]
    headings: tuple[str, ...]
    links: tuple[tuple[int, str], ...]
    prose: str

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else self.path.name

    def marked(self, name: str) -> str | None:
        """The value of a marker of the page; None where it has none."""
        found = re.search(rf"^<!-- {name}(?:: (.+?))? -->$", self.prose, re.MULTILINE)
        return None if found is None else found[1] or ""

    @property
    def slugs(self) -> frozenset[str]:
        # A generated page writes its anchors itself, since names may be anything.
        written = re.findall(r'<a id="([^"]+)"></a>', self.prose)
        return frozenset(map(slug, self.headings)) | frozenset(written)


def all_pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def slug(title: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def read_page(path: Path) -> Page:
    """Read a page.

    Raises:
        ValueError: a marker is unknown, or a fence has no end.
    """
    blocks: list[Block] = []
    headings: list[str] = []
    links: list[tuple[int, str]] = []
    prose: list[str] = []
    markers: dict[str, str] = {}
    lines = iter(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if fence := _FENCE.match(line):
            content = []
            for _, inner in lines:
                if inner.strip() == fence["ticks"]:
                    break
                content.append(inner.removeprefix(fence["indent"]))
            else:
                raise ValueError(f"{path}:{number}: this fence has no end")
            blocks.append(Block(number, fence["language"], "\n".join(content) + "\n", markers))
            markers = {}
            continue
        prose.append(line)
        if marker := _MARKER.match(line):
            if marker["name"] not in MARKERS:
                raise ValueError(f"{path}:{number}: there is no marker {marker['name']!r}, only {sorted(MARKERS)}")
            if marker["name"] not in {"setup", "slow"}:
                markers[marker["name"]] = marker["value"] or ""
        elif line.strip() and not line.strip().startswith(("<!--", "-->")) and markers:
            raise ValueError(f"{path}:{number}: a marker must stand directly before a block")
        if heading := _HEADING.match(line):
            headings.append(heading["title"])
        links += [(number, link["target"]) for link in _LINK.finditer(_CODE.sub("", line))]
    return Page(path, tuple(blocks), tuple(headings), tuple(links), "\n".join(prose) + "\n")


def commands(block: Block) -> list[Command]:
    """Split a console block into its commands and what is shown for each.

    Raises:
        ValueError: it does not begin with a command.
    """
    found: list[list[str]] = []
    outputs: list[list[str]] = []
    going_on = False
    for line in block.text.splitlines():
        if going_on:
            found[-1].append(line.removeprefix("> "))
        elif line.startswith("$ "):
            found.append([line.removeprefix("$ ")])
            outputs.append([])
        elif not found:
            raise ValueError(f"line {block.line}: a console block begins with a command: $ ...")
        else:
            outputs[-1].append(line)
            continue
        going_on = found[-1][-1].endswith("\\")
    return [Command("\n".join(text), "\n".join(out)) for text, out in zip(found, outputs, strict=True)]


def matches(expected: str, seen: str) -> bool:
    """Compare what a page shows with what was seen: ``...`` stands for anything, alone on a line for any lines.

    How wide blanks and rules are does not count: a longer name elsewhere in a table changes that.
    """
    pattern = ""
    for line in _lines(expected):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(map(re.escape, line.split("..."))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(seen))) is not None


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


class Shell:
    """A bash that keeps its state from command to command, as a person's does."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        kept = {name: os.environ[name] for name in ("TMPDIR", "TRUING_PG_BIN") if name in os.environ}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],  # noqa: S607 - the one that a person has
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={
                "PATH": path,
                "HOME": str(folder),
                "LC_ALL": "C.UTF-8",
                "PYTHONUNBUFFERED": "1",
                **kept,
                **environment,
            },
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._number = 0
        self._background: list[int] = []

    def run(self, command: str) -> tuple[int, str]:
        """Run a command.

        Returns:
            Its exit code and its output, errors among it as a terminal shows them.

        Raises:
            EOFError: the shell ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._number += 1
        end = f"__end_of_{self._number}__"
        # A command that reads must not eat the commands after it; a group keeps `cd` and `export`.
        self._process.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '\\n{end} %s\\n' $?\n")
        self._process.stdin.flush()
        seen: list[str] = []
        for line in self._process.stdout:
            if line.startswith(end):
                return int(line.split()[1]), "".join(seen).removesuffix("\n")
            seen.append(line)
        raise EOFError("".join(seen))

    def start(self, command: str, expected: str) -> None:
        """Run a command in the background until the shell ends, and wait for its output."""
        log = self.folder / f".background-{self._number}"
        # With job control: without it, bash lets what it starts in the background ignore ctrl-C.
        _, seen = self.run(f"set -m\n{command} > '{log}' 2>&1 &\nset +m; echo $!")
        self._background.append(int(seen.split()[-1]))
        deadline = time.monotonic() + NO_END
        while not log.is_file() or not matches(f"{expected}\n...", log.read_text()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{command}: expected\n{expected}\nbut saw\n{log.read_text()}")
            time.sleep(0.05)

    def close(self) -> None:
        """End the shell and what it started; interrupted first, so that it can clean up."""
        for group in (*reversed(self._background), self._process.pid):
            for number, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
                with suppress(ProcessLookupError):
                    os.killpg(group, number)
                if group == self._process.pid and self._process.stdin and not self._process.stdin.closed:
                    with suppress(BrokenPipeError):
                        self._process.stdin.close()
                if self._gone(group, patience):
                    break
        self._process.wait(5)
        if self._process.stdout:
            self._process.stdout.close()

    def _gone(self, group: int, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self._process.poll()
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.02)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def do(page: Page, shell: Shell) -> None:
    """Do what a page says, and compare.

    Raises:
        AssertionError: something is not as the page says.
    """
    for block in page.blocks:
        where = f"{page.name}:{block.line}"
        if {"not run", "ci"} & set(block.markers):
            continue
        if "file" in block.markers:
            file = shell.folder / block.markers["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif "revision" in block.markers:
            _do_revision(block, shell, where)
        elif block.language == "python":
            script = shell.folder / ".block.py"
            script.write_text(block.text, encoding="utf-8")
            code, seen = shell.run("PYTHONPATH=. python .block.py")
            assert code == 0, f"{where}: the block ends with {code}:\n{seen}"
        elif block.language in SHELL:
            _do_console(block, shell, where)


REVISION = """from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
{body}


def downgrade():
    op.revert_column_online("orders", "customer_id")
"""


def _do_revision(block: Block, shell: Shell, where: str) -> None:
    (file,) = shell.folder.glob("migrations/versions/0002*.py")
    before = file.read_text()
    file.write_text(REVISION.format(body=textwrap.indent(block.text.rstrip(), "    ")))
    for command in ("truing upgrade", "truing downgrade 0001"):
        code, seen = shell.run(command)
        assert code == 0, f"{where}: $ {command}\nends with {code}:\n{seen}"
    file.write_text(before)


def _do_console(block: Block, shell: Shell, where: str) -> None:
    todo = commands(block)
    for command in todo:
        if "background" in block.markers:
            shell.start(command.text, command.output)
            continue
        wanted = int(block.markers.get("exit", "0")) if command is todo[-1] else 0
        code, seen = shell.run(command.text)
        assert code == wanted, f"{where}: $ {command.text}\nends with {code}, not {wanted}:\n{seen}"
        if command.output.strip():
            assert matches(command.output, seen), (
                f"{where}: $ {command.text}\nthe page shows\n{command.output}\nbut it says\n{seen}"
            )


def problems(page: Page) -> list[str]:
    """What is wrong with a page without running it."""
    found = []
    for block in page.blocks:
        reason = block.markers.get("not run")
        if reason == "":
            found.append(f"{page.name}:{block.line}: `not run` needs a reason")
        if block.language in {"sh", "shell", "zsh", "pycon", "doctest", "py"}:
            found.append(f"{page.name}:{block.line}: write console or python, which are run")
    for number, target in page.links:
        problem = _broken(page, target)
        found += [f"{page.name}:{number}: {problem}"] if problem else []
    for number, line in enumerate(page.path.read_text(encoding="utf-8").splitlines(), 1):
        if place := re.search(r"(?<![\w.:])/(home|root|work|tmp|Users|opt|var)/\S*", line):
            found.append(f"{page.name}:{number}: {place[0]} is a place of one machine")
    return found


def _broken(page: Page, target: str) -> str:
    if re.match(r"[a-z]+:", target):
        return ""
    name, _, anchor = target.partition("#")
    file = (page.path.parent / name).resolve() if name else page.path
    if not file.exists():
        return f"the link leads to {target}, which is not there"
    if anchor and file.suffix == ".md" and anchor not in read_page(file).slugs:
        return f"{file.name} has no heading of the anchor {anchor}"
    return ""


def linked(pages: list[Page]) -> set[Path]:
    """The pages that others lead to."""
    found: set[Path] = set()
    for page in pages:
        for _, target in page.links:
            name = target.partition("#")[0]
            if name and ":" not in name:
                found.add((page.path.parent / name).resolve())
    return found


def setup(name: str, shell: Shell) -> None:
    """Begin a page in a copy of an example; one with data has its tables, filled, and its later revisions pending."""
    import shutil  # noqa: PLC0415 - of this function alone

    ignore: Any = shutil.ignore_patterns("__pycache__", "*.md")
    shutil.copytree(ROOT / "examples" / name, shell.folder, dirs_exist_ok=True, ignore=ignore)
    code, seen = shell.run("test ! -f seed.py || { alembic upgrade 0001 && python seed.py; }")
    assert code == 0, seen
