"""How are views carried, and views on views? The swap drops them and makes them anew, with all that was theirs.

PostgreSQL cannot change the type of a view's column in place, so the whole tree of views above the table is made anew,
from the table upwards, with owners, grants, options, comments and column defaults.
"""

from __future__ import annotations

import msgspec

from truing.catalog.model import Column, View
from truing.names import QualifiedName, ident, idents, literal
from truing.online.carry.grants import AccessList, grants
from truing.online.carry.model import Carried, Part
from truing.online.carry.scope import Changed
from truing.online.carry.target import comment_on


class CarriedView(msgspec.Struct, frozen=True):
    """A view with its new query.

    Attributes:
        view: the view as it was.
        access: its access lists.
        query: the new query.
        changed: which of its columns change, by name.
        defaults: the new defaults of its columns, by name.
        how: which way of rewriting compiled.
    """

    view: View
    access: AccessList
    query: str
    changed: dict[str, Changed]
    defaults: dict[str, str]
    how: str


def create(name: QualifiedName, columns: tuple[Column, ...], options: tuple[str, ...], query: str) -> str:
    """Return CREATE VIEW with explicit columns and options.

    Args:
        name: the view's name.
        columns: its columns.
        options: its options, as ``name=value``.
        query: its query, with or without a semicolon.
    """
    split = (option.partition("=") for option in options)
    listed = ", ".join(f"{ident(option)} = {literal(value).strip()}" for option, _, value in split)
    settings = f" WITH ({listed})" if listed else ""
    names = f" ({idents([column.name for column in columns])})" if columns else ""
    return f"CREATE VIEW {name.sql}{names}{settings} AS {query.rstrip().removesuffix(';')}"


def carry_views(views: tuple[CarriedView, ...], current_role: str) -> Part:
    """Carry the views above a table.

    Args:
        views: all of them, each after those it reads.
        current_role: the role that runs the statements.
    """
    if not views:
        return Part()
    drop = (f"DROP VIEW {', '.join(carried.view.name.sql for carried in reversed(views))}",)
    new, original = [], []
    for carried in views:
        view = carried.view
        defaults = {column.name: column.default for column in view.columns if column.default is not None}
        new += [create(view.name, view.columns, view.options, carried.query)]
        new += _restore(carried, defaults | carried.defaults, current_role)
        original += [create(view.name, view.columns, view.options, view.definition)]
        original += _restore(carried, defaults, current_role)
    return Part(
        # Whoever reads a view locks it before what it reads, so the outermost come first. Giving a view to its owner
        # changes nothing, but locks it; LOCK TABLE would lock the tables under it as well.
        view_locks=tuple(f"ALTER VIEW {c.view.name.sql} OWNER TO {ident(c.view.owner)}" for c in reversed(views)),
        swap_first=drop,
        swap=tuple(new),
        unswap_first=drop,
        unswap=tuple(original),
        carried=tuple(Carried("view", c.view.name.sql, c.how, c.query) for c in views),
    )


def _restore(carried: CarriedView, defaults: dict[str, str], current_role: str) -> list[str]:
    """Return what gives a view that was just made everything else that was its own."""
    view = carried.view
    alter = f"ALTER VIEW {view.name.sql}"
    statements = [f"{alter} ALTER COLUMN {ident(name)} SET DEFAULT {text}" for name, text in defaults.items()]
    statements += comment_on(f"VIEW {view.name.sql}", view.comment)
    for column in view.columns:
        statements += comment_on(f"COLUMN {view.name.sql}.{ident(column.name)}", column.comment)
    if view.owner != current_role:
        statements.append(f"{alter} OWNER TO {ident(view.owner)}")
    return [*statements, *grants(view.name, carried.access, current_role)]
