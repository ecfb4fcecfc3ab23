"""``truing describe``: the database as a page and a diagram, and whether a page that was kept is still true."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from truing.describe.choose import Chosen
    from truing.describe.page import Section
    from truing.describe.relationships import Relationship
    from truing.drift.snapshots import Taken
    from truing.finding import Finding

_FILE = click.Path(dir_okay=False, path_type=Path)
_SECTIONS: Final[tuple[Section, ...]] = (
    *("diagram", "relationships", "tables", "views"),
    *("types", "functions", "sequences", "others"),
)
"""Those of :mod:`truing.describe.page`, which is only imported when the command runs; a test compares the two."""

_SHOWN_LINES: Final = 40


@click.command("describe")
@click.option("--snapshot", type=_FILE, metavar="FILE", help="Describe a file of `truing snapshot`.")
@click.option("--migrations", is_flag=True, help="Describe what the migrations build, on a private server.")
@click.option(
    "--models",
    is_flag=False,
    flag_value="",
    metavar="[MODULE:ATTRIBUTE]",
    help="Describe what the models build: those of env.py, or these.",
)
@click.option("--scratch-url", metavar="URL", help="A server to build on; else a private one is started.")
@click.option(
    "--relationships",
    is_flag=False,
    flag_value="",
    metavar="[MODULE:ATTRIBUTE]",
    help="Compare each relationship of the mappers with its foreign key.",
)
@click.option("--tables", multiple=True, metavar="PATTERN", help="Only these tables and views: orders, shop.*")
@click.option("--schema", multiple=True, metavar="NAME", help="Only this schema.")
@click.option("--only", multiple=True, type=click.Choice(_SECTIONS), help="Only this section of the page.")
@click.option("--columns", type=click.Choice(["all", "keys"]), help="Of the diagram; keys from 16 tables on.")
@click.option("--title", default="Database", show_default=True, metavar="TEXT", help="The heading of the page.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "mermaid", "svg"]),
    default="markdown",
    show_default=True,
    help="The page, or its diagram alone.",
)
@click.option("--svg", type=_FILE, metavar="FILE", help="Draw the diagram here, and show it on the page.")
@click.option("--check", "kept", type=_FILE, metavar="FILE", help="Exit 1 when this page is not what would be written.")
@common
def command(invocation: Invocation, **asked: Any) -> int:
    """Write a page about a database: every table, with a diagram (-o FILE, else standard output).

    Columns, keys, constraints, indexes, policies, triggers, views, types, functions and rights, as they are in the
    catalog. The database is only read. The page is the same for the same schema, so that it can be kept beside the
    code, and --check says when it is out of date.

    \b
    Examples:
      truing describe -o docs/database.md
      truing describe --check docs/database.md
      truing describe --migrations --tables 'shop.*' --title Shop
      truing describe --format svg -o docs/database.svg
      truing describe --relationships app.models:Base -o docs/database.md
    """
    _sources(invocation, asked)
    if asked["kept"] is not None and asked["svg"] is None and asked["form"] == "markdown":
        asked["svg"] = _picture(asked["kept"])
    taken = _taken(invocation, asked)
    metadatas = _metadatas(invocation, asked["relationships"])
    files = _files(invocation, taken, asked, metadatas)
    if asked["kept"] is not None:
        return _compare(invocation, files)
    for path, text in files.items():
        if path is None:
            click.echo(text, nl=False)
            continue
        _write(path, text)
        invocation.say(f"{path}: written")
    return 0


def _sources(invocation: Invocation, asked: dict[str, Any]) -> None:
    """Refuse what would be passed over."""
    from truing.errors import UsageError

    named = [name for name in ("snapshot", "migrations", "models") if asked[name] not in (None, False)]
    if len(named) > 1:
        raise UsageError(
            f"--{named[0]} and --{named[1]} both name what is described.",
            hint="Give one of them; none is the database.",
        )
    if asked["form"] != "markdown" and asked["svg"] is not None:
        raise UsageError("--svg draws beside a page.", hint="Write the diagram alone with: --format svg -o FILE")
    if invocation.output_format != "full" and asked["kept"] is None:
        raise UsageError(
            "--output-format is how --check answers.", hint="The page itself has: --format markdown, mermaid or svg"
        )


def _taken(invocation: Invocation, asked: dict[str, Any]) -> Taken:
    """Get the database: as it is, as somebody kept it, or as migrations or models build it."""
    from truing.cli.database import project, url_of
    from truing.cli.drift import take_live
    from truing.drift import snapshots
    from truing.errors import ProjectError

    if asked["snapshot"] is not None:
        return snapshots.read(asked["snapshot"])
    found = None
    try:
        found = project(invocation)
    except ProjectError:
        if asked["migrations"] or asked["models"] == "":
            raise
    if not asked["migrations"] and asked["models"] is None:
        return take_live(invocation, found, url_of(invocation))
    from truing.drift.building.base import find_base, load
    from truing.drift.building.builds import build_migrations, build_models
    from truing.drift.building.workshop import Workshop

    with Workshop(scratch_url=asked["scratch_url"]) as workshop:
        if asked["migrations"]:
            if found is None:  # pragma: no cover - it would have been raised above
                raise ProjectError
            base = find_base(invocation.config.base, invocation.config.base_revision, invocation.config.folder)
            start = load(base, workshop) if base is not None else None
            _, built = build_migrations(
                workshop, found, (found.head,), start=start, stamp=base.revisions if base is not None else ()
            )
        else:
            named = (asked["models"],) if asked["models"] else invocation.config.metadata
            folder = str(Path.cwd() if asked["models"] else invocation.config.folder)
            _, built = build_models(workshop, found, named, folder=folder)
            for each in built.reply.refusals:
                invocation.say(f"PostgreSQL refuses, so it is not on the page: {each.statement}: {each.message}")
    return snapshots.Taken(snapshot=built.snapshot, search_path=invocation.config.search_path)


def _metadatas(invocation: Invocation, named: str | None) -> list[MetaData]:
    from truing.cli.models import require_models
    from truing.revisions.metadata import load_metadata

    if named is None:
        return []
    return [load_metadata(named, Path.cwd())] if named else list(require_models(invocation))


def _files(
    invocation: Invocation, taken: Taken, asked: dict[str, Any], metadatas: list[MetaData]
) -> dict[Path | None, str]:
    """Write what was asked for, by where it goes."""
    from truing.describe.graph import graph
    from truing.describe.mermaid import mermaid
    from truing.describe.page import Options, page
    from truing.describe.svg import svg

    chosen, left_out = _chosen(invocation, taken, asked)
    path = asked["kept"] or invocation.output
    if asked["form"] != "markdown":
        drawn = graph(chosen, asked["columns"])
        return {path: svg(drawn) if asked["form"] == "svg" else mermaid(drawn) + "\n"}
    options = Options(
        title=asked["title"],
        sections=frozenset(asked["only"] or _SECTIONS),
        detail=asked["columns"],
        picture=_link(path, asked["svg"]),
        left_out=left_out,
    )
    related = _relationships(invocation, taken, metadatas) if asked["relationships"] is not None else None
    files: dict[Path | None, str] = {path: page(chosen, options, related)}
    return files | ({asked["svg"]: svg(graph(chosen, asked["columns"]))} if asked["svg"] is not None else {})


def _picture(page: Path) -> Path | None:
    """Find the drawing that a kept page shows; None where it has none, or somebody else's."""
    from urllib.parse import unquote

    link = re.search(r"^!\[[^\]]*\]\(([^():\s]+\.svg)\)$", _read(page), re.MULTILINE)
    return page.parent / unquote(link[1]) if link else None


def _link(page: Path | None, picture: Path | None) -> str:
    """Write the way from the page to its picture as a link."""
    from os.path import relpath
    from urllib.parse import quote

    return quote(relpath(picture, page.parent if page else ".")) if picture is not None else ""


def _chosen(invocation: Invocation, taken: Taken, asked: dict[str, Any]) -> tuple[Chosen, tuple[str, ...]]:
    from truing.describe.choose import choose, relations
    from truing.errors import UsageError
    from truing.names import QualifiedName
    from truing.patterns import table_patterns
    from truing.report.clean import clean

    path, schemas = taken.search_path, frozenset(asked["schema"])
    patterns = table_patterns(asked["tables"], path, source="--tables")
    unmanaged = table_patterns(invocation.config.unmanaged, path, source="unmanaged")

    def wanted(name: QualifiedName) -> bool:
        if schemas and name.schema not in schemas:
            return False
        if asked["tables"]:
            return patterns.match(name.schema, name.name) is not None
        return unmanaged.match(name.schema, name.name) is None or name.schema in schemas

    there = relations(taken.snapshot)
    chooses = bool(schemas or asked["tables"])
    theirs = [name for name in there if not wanted(name)]
    chosen = choose(taken.snapshot, wanted if chooses or theirs else None)
    if chooses and not chosen.shown.tables and not chosen.shown.views:
        schemas_there = ", ".join(sorted({clean(name.schema) for name in there})) or "no schema"
        bare = f"A name without a schema means {', '.join(path)}. " if asked["tables"] else ""
        raise UsageError(
            f"No table fits {', '.join([*asked['tables'], *(f'--schema {name}' for name in sorted(schemas))])}.",
            hint=f"{bare}There are tables in: {schemas_there}",
        )
    text = ", ".join(f"`{each}`" for each in invocation.config.unmanaged)
    return chosen, (f"What is `unmanaged`: {text}.",) if theirs and not chooses else ()


def _relationships(invocation: Invocation, taken: Taken, metadatas: list[MetaData]) -> tuple[Relationship, ...]:
    """Compare the mappers with the foreign keys."""
    import msgspec

    from truing.catalog.usage import Usage
    from truing.describe.choose import relations
    from truing.describe.relationships import Relationship
    from truing.orm.agreement import agreements, unmapped_keys
    from truing.orm.context import Context
    from truing.revisions.models import collected_warnings, mappers_of

    snapshot = taken.snapshot
    usage = Usage(search_path=taken.search_path, relations=dict.fromkeys(relations(snapshot), True), positions={})
    with collected_warnings():
        mappers = mappers_of(metadatas)
    context = Context(invocation.config, snapshot, usage, metadatas, mappers)
    return (
        *(Relationship(**msgspec.structs.asdict(each)) for each in agreements(context)),
        *(
            Relationship(
                table=table,
                columns=key.columns,
                references=key.references,
                key=key.name,
                on_delete=key.on_delete,
            )
            for table, key in unmapped_keys(context)
        ),
    )


def _compare(invocation: Invocation, files: dict[Path | None, str]) -> int:
    """Say where a kept file is not what would be written."""
    from truing.report.document import document

    findings = [finding for path, text in files.items() if path is not None for finding in _stale(path, text)]
    summary = "" if findings else f"{', '.join(str(path) for path in files)}: as the database is."
    return invocation.answer(document("describe", findings=findings, summary=summary, fail_on=invocation.fail_on))


def _stale(path: Path, text: str) -> list[Finding]:
    from truing.finding import Evidence, Finding, Location, Severity

    kept = _read(path)
    if kept == text:
        return []
    changed = list(unified_diff(kept.splitlines(), text.splitlines(), "kept", "database", n=1, lineterm=""))
    lines = [each for each in changed[2:] if each.startswith(("+", "-"))]
    more = f"\n... and {len(changed) - _SHOWN_LINES} more lines" if len(changed) > _SHOWN_LINES else ""
    # Only what a diff cannot show, such as the last line's end.
    said = "\n".join(changed[:_SHOWN_LINES]) + more if lines else "Only ends of lines differ."
    first = next((each for each in changed if each.startswith("@@")), "@@ -1")
    return [
        Finding(
            rule="stale-description",
            severity=Severity.ERROR,
            subject=str(path),
            message=f"is not what the database is now: {len(lines)} lines differ.",
            location=Location(str(path), max(1, int(first[4:].partition(" ")[0].partition(",")[0]))),
            evidence=(Evidence("difference", "\n" + said),),
            remedy=f"the same command with -o {path} instead of --check",
        )
    ]


def _read(path: Path) -> str:
    from truing.errors import UsageError

    try:
        return path.read_bytes().decode(errors="replace")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}", hint=f"Write it first: truing describe -o {path}"
        ) from None


def _write(path: Path, text: str) -> None:
    from truing.errors import UsageError

    try:
        path.write_bytes(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None
