"""What in the database refers to a table? Read from ``pg_depend``, so it sees what PostgreSQL itself would protect.

In: a connection (nothing is changed) and the patterns. Out: facts about foreign keys, views, rules, policies, triggers,
defaults, child tables and functions; for functions that keep their body as text, what the text mentions.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from truing.catalog.session import reading
from truing.errors import SqlSyntaxError
from truing.finding import Evidence
from truing.lint.facts import Facts, TableReference, printed
from truing.lint.references.text import mentioned
from truing.names import ident
from truing.sql.parse import parse
from truing.sql.relations import relations

if TYPE_CHECKING:
    import psycopg

    from truing.patterns import TablePatterns

_ACTIONS = {
    "foreign key": "is a foreign key to",
    "view": "is a view that reads",
    "rule": "is a rule that uses",
    "policy": "is a policy that reads",
    "trigger": "is a trigger on",
    "function": "is a function that uses",
    "default": "has a default that uses",
    "child table": "is a child table of",
    "column": "has the row type of",
}


def search_path(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Return the schemas that unqualified names mean for this role and database."""
    row = connection.execute("SELECT pg_catalog.current_schemas(false)").fetchone()
    return tuple(row[0]) if row else ()


def live_references(connection: psycopg.Connection[Any], patterns: TablePatterns) -> Facts:
    """Collect what refers to the tables that the patterns mean.

    Args:
        connection: to the live database.
        patterns: the tables; only what refers to them is read.
    """
    with reading(connection) as reader:
        rows = reader.execute(_sql("relations"))
        oids = [oid for oid, schema, name in rows if patterns.match(schema, name)]
        dependents = reader.execute(_sql("references"), {"relations": oids}) if oids else []
        bodies = reader.execute(_sql("bodies"))
    found = [_dependency(_Dependent(*row)) for row in dependents]
    found += [each for row in bodies for each in _in_body(_Body(*row), patterns)]
    return Facts(tuple(dict.fromkeys(found)))


def _sql(name: str) -> str:
    return files("truing.lint").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


class _Dependent(NamedTuple):
    """A row of ``references.sql``."""

    schema: str
    name: str
    kind: str
    part: str | None
    owner_schema: str
    owner_name: str
    on_schema: str | None
    on_name: str | None
    definition: str


class _Body(NamedTuple):
    """A row of ``bodies.sql``."""

    schema: str
    name: str
    language: str
    body: str
    arguments: str


def _dependency(row: _Dependent) -> TableReference:
    subject = printed(row.owner_schema, row.owner_name)
    if row.kind == "trigger" and row.on_name is not None:
        # The function is what refers, but a person looks for the trigger.
        subject = printed(row.on_schema, row.on_name)
    if row.part:
        subject = f"{subject}.{ident(row.part)}"
    return TableReference(
        origin="database",
        subject=subject,
        schema=row.schema,
        name=row.name,
        action=_ACTIONS[row.kind],
        referrer=(row.owner_schema, row.owner_name),
        evidence=(Evidence("definition", row.definition),),
    )


def _in_body(row: _Body, patterns: TablePatterns) -> Iterator[TableReference]:
    for schema, name, line in named_in_body(row.language, row.body):
        if patterns.match(schema, name):
            yield TableReference(
                origin="database",
                subject=f"{printed(row.schema, row.name)}({row.arguments})",
                schema=schema,
                name=name,
                action="is a function whose text names",
                referrer=(row.schema, row.name),
                certain=False,
                evidence=(Evidence(f"line {line} of the body", row.body.split("\n")[line - 1].strip()),),
            )


def named_in_body(language: str, body: str) -> tuple[tuple[str | None, str, int], ...]:
    """Find the relations that a function's text names.

    Args:
        language: ``sql`` is parsed; any other is searched for names where SQL expects a relation.
        body: the text.

    Returns:
        Schema (or None), name and line (from 1) of each, once for each table.
    """
    found: list[tuple[str | None, str, int]] = []
    try:
        statements = parse(body) if language == "sql" else None
    except SqlSyntaxError:
        statements = None
    if statements is None:
        found = [(schema, name, 1 + body.count("\n", 0, at)) for schema, name, at in mentioned(body)]
    else:
        for statement in statements:
            found += [(each.schema, each.name, statement.line_at(each.location)) for each in relations(statement)]
    return tuple({(schema, name): (schema, name, line) for schema, name, line in reversed(found)}.values())[::-1]
