"""What is this database? The whole page: an index, the diagram, and a section for every object.

In: what was chosen, and how it is to be shown. Out: Markdown that is the same for the same schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from truing.catalog.model import Snapshot
from truing.describe import objects, tables
from truing.describe.choose import Chosen, partitions, referring
from truing.describe.graph import Detail, graph
from truing.describe.mermaid import MOST, mermaid
from truing.describe.naming import Names
from truing.describe.relationships import Relationship
from truing.describe.relationships import section as relationship_section
from truing.describe.texts import code, prose, table, visible

Section: TypeAlias = Literal["diagram", "relationships", "tables", "views", "types", "functions", "sequences", "others"]
SECTIONS: Final[tuple[Section, ...]] = get_args(Section)

NOTE: Final = "<!-- Written by `truing describe` from the database: write it anew instead of editing it. -->"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a page is to look.

    Attributes:
        title: its heading.
        sections: what is on it.
        detail: which columns the diagram shows.
        picture: a link to the diagram as a file, instead of a Mermaid one.
        left_out: sentences about what was left out, and why.
    """

    title: str = "Database"
    sections: frozenset[Section] = frozenset(SECTIONS)
    detail: Detail | None = None
    picture: str = ""
    left_out: tuple[str, ...] = ()


def page(chosen: Chosen, options: Options, relationships: tuple[Relationship, ...] | None = None) -> str:
    """Write the page.

    Args:
        chosen: what it is about.
        options: how it is to look.
        relationships: what the mappers say about the foreign keys; None where nobody asked.
    """
    return "\n\n".join(_parts(chosen, options, relationships)) + "\n"


def _parts(chosen: Chosen, options: Options, relationships: tuple[Relationship, ...] | None) -> Iterator[str]:
    names = Names(chosen, options.sections)
    yield NOTE
    yield f"# {prose(options.title) or 'Database'}"
    yield _summary(chosen.shown)
    contents: dict[Section, tuple[str, tuple[str, ...]]] = {
        "diagram": ("Diagram", tuple(_diagram(chosen, options))),
        "relationships": ("Relationships", tuple(relationship_section(relationships, names))),
        "tables": ("Tables", tuple(_tables(chosen, names))),
        "views": ("Views", tuple(objects.views(chosen.shown, chosen.whole, names))),
        "types": ("Types", tuple(objects.types(chosen.shown, names))),
        "functions": ("Functions", tuple(objects.functions(chosen.shown, chosen.whole, names))),
        "sequences": ("Sequences", tuple(objects.sequences(chosen.shown, names))),
        "others": ("Elsewhere", tuple(objects.others(chosen.shown))),
    }
    wanted = {name: each for name, each in contents.items() if name in options.sections and each[1]}
    if len(chosen.shown.tables) > 1 and "tables" in wanted:
        yield _index(chosen, names)
    for title, parts in wanted.values():
        yield f"## {title}"
        yield from parts
    missing = (*options.left_out, *_not_shown(chosen))
    if missing:
        yield "## Not on this page"
        yield "\n".join(f"- {each}" for each in missing)


def _summary(shown: Snapshot) -> str:
    counts = (
        (len(shown.tables), "table", "tables"),
        (sum(len(each.foreign_keys) for each in shown.tables), "foreign key", "foreign keys"),
        (len(shown.views), "view", "views"),
        (len(shown.types), "type", "types"),
        (len(shown.functions), "function", "functions"),
    )
    said = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join(said) + "." if said else "Nothing is here."


def _diagram(chosen: Chosen, options: Options) -> Iterator[str]:
    drawn = graph(chosen, options.detail)
    if not drawn.boxes:
        return
    if options.picture:
        yield f"![{prose(options.title)}]({options.picture})"
    elif len(drawn.boxes) > MOST:
        yield (
            f"{len(drawn.boxes)} tables are more than a diagram in a page can show: `--svg FILE` draws all of them,"
            " `--tables` a part."
        )
    else:
        yield f"```mermaid\n{mermaid(drawn)}\n```"


def _index(chosen: Chosen, names: Names) -> str:
    rows = [
        (
            names.link(each.name),
            str(len(each.columns)),
            str(len(each.foreign_keys)),
            str(sum(1 for _ in referring(chosen.whole, each.name))),
            prose(_first_line(each.comment)),
        )
        for each in chosen.shown.tables
    ]
    return table(("table", "columns", "references", "referenced by", "about"), rows)


def _first_line(comment: str | None) -> str:
    return (comment or "").strip().partition("\n")[0]


def _tables(chosen: Chosen, names: Names) -> Iterator[str]:
    for each in chosen.shown.tables:
        yield from tables.section(each, names, chosen)


def _not_shown(chosen: Chosen) -> Iterator[str]:
    whole = chosen.whole
    shown = {each.name for each in chosen.shown.tables}
    for each in chosen.shown.tables:
        shown |= {one.name for one in partitions(whole, each.name)}
    missing = len([each for each in whole.tables if each.name not in shown])
    if missing:
        yield f"{missing} other {'table' if missing == 1 else 'tables'}."
    for unread in whole.unread:
        yield f"{unread.count} of {code(unread.catalog)}, which truing does not read."
    if whole.left_out.extension_members:
        yield f"What belongs to the extensions ({', '.join(visible(each.name) for each in whole.extensions)})."
