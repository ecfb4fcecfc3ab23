"""What else is there beside tables? Views, types, functions, sequences and the rest, as sections of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from truing.catalog.model import Function, Sequence, Snapshot, UserType, View
from truing.describe.choose import bare_type, is_trigger, relations
from truing.describe.grants import granted
from truing.describe.mentions import qualified_names, users_of_functions
from truing.describe.naming import Names
from truing.describe.tables import code_or_nothing, columns, privileges, state, titled, triggers
from truing.describe.texts import code, codes, fenced, prose, table
from truing.names import ident

_EVERYWHERE: Final = "plpgsql"
"""An extension that every database has."""


def views(shown: Snapshot, whole: Snapshot, names: Names) -> Iterator[str]:
    """Write the views."""
    known = relations(whole)
    for view in shown.views:
        yield names.heading(view.name)
        reads = dict.fromkeys(name for name, called in qualified_names(view.definition) if name in known and not called)
        facts = (
            "A materialised view." if view.materialized else "",
            "It holds no rows yet." if not view.populated else "",
            f"Reads {', '.join(map(names.link, reads))}." if reads else "",
            f"Options: {codes(view.options)}." if view.options else "",
            names.owner(view.owner),
        )
        yield from filter(None, (prose(view.comment), " ".join(filter(None, facts))))
        yield columns(view.columns, names, nulls=False)
        yield fenced(view.definition, "sql")
        yield from _rest(view)


def _rest(view: View) -> Iterator[str]:
    yield from titled("Indexes", (f"- {code(each.name)}: {code(each.definition)}" for each in view.indexes))
    yield from titled("Triggers", triggers(view.triggers, view.name))
    yield from titled("Rules", (f"- {code(each.name)}: {code(each.definition)}" for each in view.rules))
    yield from privileges("table", view.owner, view.grants, view.columns)


def types(shown: Snapshot, names: Names) -> Iterator[str]:
    """Write enums, domains, composite and range types, with the columns that have them."""
    for each in shown.types:
        yield names.heading(each.name)
        yield from filter(None, (prose(each.comment), " ".join(filter(None, (_type(each), names.owner(each.owner))))))
        if each.columns:
            yield columns(each.columns, names)
        yield from titled(
            "Checks", (f"- {code(one.name)}: {code(one.definition)} {state(one)}".rstrip() for one in each.constraints)
        )
        users = [
            code(f"{names.plain(name)}.{ident(column.name)}")
            for name, found in relations(shown).items()
            for column in found
            if bare_type(column.type) == each.name.sql
        ]
        if users:
            yield f"Used by {', '.join(users)}."


def _type(each: UserType) -> str:
    if each.kind == "enum":
        return f"An enum: {codes(each.labels)}." if each.labels else "An enum without labels."
    if each.kind == "domain":
        parts = (
            f"A domain over {code(each.base or '')}",
            "not null" if each.not_null else "",
            f"default {code(each.default)}" if each.default else "",
            f"collation {code(each.collation.sql)}" if each.collation else "",
        )
        return ", ".join(filter(None, parts)) + "."
    if each.kind == "range":
        return f"A range of {code(each.base or '')}."
    return "A composite type."


def functions(shown: Snapshot, whole: Snapshot, names: Names) -> Iterator[str]:
    """Write the functions, with what would miss them."""
    users = users_of_functions(whole)
    rows = [
        (
            code(f"{names.plain(each.name)}({each.arguments})"),
            code_or_nothing(each.returns),
            _language(each),
            codes(users.get((each.name, is_trigger(each)), ())),
            "; ".join(filter(None, (prose(each.comment), _rights(each), names.owner(each.owner).rstrip(".")))),
        )
        for each in shown.functions
    ]
    if rows:
        yield table(("function", "returns", "language", "used by", "about"), rows)
        yield (
            "*Used by* is what the server itself knows: triggers, defaults, checks, policies, indexes and views."
            " It does not look into the text of other functions."
        )


def _language(each: Function) -> str:
    notes = (
        each.kind if each.kind != "function" else "",
        each.language,
        "**security definer**" if each.security_definer else "",
    )
    return ", ".join(filter(None, notes))


def _rights(each: Function) -> str:
    rights = list(granted("function", each.owner, each.grants))
    if [role for role, _ in rights] == ["everybody"]:
        # As PostgreSQL makes it; only worth a word where it runs with the owner's rights.
        return "everybody may call it" if each.security_definer else ""
    return "may be called by " + ", ".join(role for role, _ in rights) if rights else "only its owner may call it"


def sequences(shown: Snapshot, names: Names) -> Iterator[str]:
    """Write the sequences that are more than the machinery of one column."""
    rows = [
        (code(names.plain(each.name)), code(each.type), str(each.start), str(each.increment), _sequence(each))
        for each in shown.sequences
        if each.owned_by is None
    ]
    if rows:
        yield table(("sequence", "type", "starts at", "step", "about"), rows)


def _sequence(each: Sequence) -> str:
    notes = ("begins again at its end" if each.cycle else "", prose(each.comment))
    rights = "; ".join(f"{role}: {what}" for role, what in granted("sequence", each.owner, each.grants))
    return "; ".join(filter(None, (*notes, rights)))


def others(shown: Snapshot) -> Iterator[str]:
    """Write extensions, schemas with rights, publications and rarer objects."""
    yield from titled(
        "Extensions",
        (
            f"- {code(each.name)} in the schema {code(each.schema)}"
            for each in shown.extensions
            if each.name != _EVERYWHERE
        ),
    )
    lines = []
    for schema in shown.schemas:
        rights = "; ".join(f"{role}: {what}" for role, what in granted("schema", schema.owner, schema.grants))
        about = "; ".join(filter(None, (prose(schema.comment), rights)))
        lines.append(f"- {code(schema.name)}{': ' + about if about else ''}")
    yield from titled("Schemas", lines)
    yield from titled(
        "Publications",
        (
            f"- {code(each.name)}: {', '.join(each.operations)} of "
            + ("all tables" if each.all_tables else codes((*each.schemas, *(one.table.sql for one in each.tables))))
            for each in shown.publications
        ),
    )
    yield from titled(
        "Other objects",
        (
            f"- {each.kind} {code(each.name)}" + (f": {code(each.definition)}" if each.definition else "")
            for each in shown.others
            if each.kind != "database"
        ),
    )
