"""What cannot be carried, and what can a person do about it? Dependents go in, refusals come out."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from truing.catalog.dependent import Dependent, DependentKind
from truing.catalog.model import Sequence, Table, View
from truing.names import QualifiedName, ident
from truing.online.carry.model import Refusal

_REMOVE: Final = "Drop it before and make it again afterwards, in revisions of their own"

_REASONS: Final[dict[DependentKind, tuple[str, str]]] = {
    "primary-key": (
        "the column is part of the primary key",
        "Give the table another key first, or convert it with a plain ALTER TABLE while nobody writes",
    ),
    "exclusion": ("an EXCLUDE constraint cannot be made from an index that was built beforehand", _REMOVE),
    "foreign-key-out": (
        "the column is a foreign key already",
        "Drop the foreign key first and add it again afterwards",
    ),
    "foreign-key-in": (
        "a foreign key of another table refers to the column",
        "Drop it first, convert both columns, and add it again",
    ),
    "generated-column": ("it is computed from the column", "Drop the generated column first, and add it again"),
    "materialized-view": ("it holds rows computed from the column, which only REFRESH could make again", _REMOVE),
    "rule": ("it rewrites queries by the column", _REMOVE),
    "publication": (
        "logical replication names the column in its column list or row filter",
        "Take the table out of the publication, convert it on the subscribers too, and add it again",
    ),
    "function-atomic": (
        "its body (BEGIN ATOMIC or RETURN) is bound to the column",
        "Write it as text (AS $$...$$), or drop it before and make it again afterwards",
    ),
    "row-type": ("it holds whole rows of a view that has to be made anew", _REMOVE),
    "function-row-type": ("its arguments or result are rows of a view that has to be made anew", _REMOVE),
    "partition-key": ("the table is partitioned by the column", "Move the rows to a new table instead"),
    "parent-table": ("the column is inherited from it", "Detach or disinherit the table first"),
    "child-table": ("it inherits the column", "Detach or disinherit it first"),
    "security-label": ("the column has a security label", "Remove the label first and set it again afterwards"),
    "other": ("it depends on the column in a way that truing does not know how to carry", _REMOVE),
}

_FACTS: Final = """
-- One row: what the current role may do here.
SELECT current_user::text, has_database_privilege(current_database(), 'TEMP'),
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
"""

_EXTRAS: Final = """
-- One row is one thing about a relation (or an index or trigger of it) that is not part of its definition.
SELECT 'label', provider FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = %(relation)s::regclass
UNION ALL
SELECT 'extension', e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.classid = 'pg_class'::regclass AND d.objid = %(relation)s::regclass
AND d.refclassid = 'pg_extension'::regclass AND d.deptype IN ('e', 'x')
"""


class Powers:
    """What the current role may do; each look is one question to the server."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._cursor = connection.cursor(row_factory=tuple_row)
        self._as_member = "SET" if connection.info.server_version >= 160000 else "MEMBER"  # noqa: PLR2004
        self.role, self.may_temp, self.superuser = self._cursor.execute(_FACTS).fetchone() or ("", False, False)

    def owns(self, owner: str) -> bool:
        """Tell whether the role has the rights of an owner."""
        return self._true("SELECT pg_has_role(%s::regrole, 'USAGE')", ident(owner))

    def may_become(self, role: str) -> bool:
        """Tell whether the role may act as another, which giving away objects needs."""
        return self.superuser or self._true(f"SELECT pg_has_role(%s::regrole, '{self._as_member}')", ident(role))

    def may_create(self, role: str, schema: str) -> bool:
        """Tell whether a role may make objects in a schema."""
        return self._true("SELECT has_schema_privilege(%s::regrole, %s, 'CREATE')", ident(role), schema)

    def may_use(self, role: str, schema: str) -> bool:
        """Tell whether a role may use a schema."""
        return self._true("SELECT has_schema_privilege(%s::regrole, %s, 'USAGE')", ident(role), schema)

    def extras(self, relation: QualifiedName) -> list[tuple[str, str]]:
        """Return what a relation has beside its definition: security labels, ties to extensions."""
        return self._cursor.execute(_EXTRAS, {"relation": relation.sql}).fetchall()

    def _true(self, query: str, *parameters: str) -> bool:
        row = self._cursor.execute(query.encode(), parameters).fetchone()
        return bool(row and row[0])


def refused(dependent: Dependent) -> Refusal | None:
    """Return why a dependent cannot be carried; None where it can."""
    subject = subject_of(dependent)
    if dependent.kind == "row-type" and dependent.depth == 0:
        return None
    if dependent.kind in _REASONS:
        return Refusal(subject, *_REASONS[dependent.kind])
    detail = dependent.detail
    if isinstance(detail, Sequence) and detail.owned_by is not None and detail.owned_by.identity:
        return Refusal(
            subject, "the column is an IDENTITY column", "ALTER COLUMN ... DROP IDENTITY first, and add it again"
        )
    if dependent.kind == "trigger" and dependent.depth:
        return Refusal(subject, "it belongs to a view that has to be made anew", _REMOVE)
    index = dependent.index if dependent.kind == "unique" else detail if dependent.kind == "index" else None
    if index is not None:
        return _index_refused(subject, index)
    return None


def _index_refused(subject: str, index: Any) -> Refusal | None:
    if not (index.valid and index.ready and index.live):
        return Refusal(subject, "it is invalid, left by a failed build", "DROP INDEX CONCURRENTLY it, or REINDEX it")
    if index.replica_identity:
        return Refusal(
            subject,
            "it is the table's REPLICA IDENTITY",
            "ALTER TABLE ... REPLICA IDENTITY FULL (or another index) first, and set it again afterwards",
        )
    if index.constraint is not None and index.method != "btree":
        return Refusal(subject, "it is a constraint WITHOUT OVERLAPS", _REMOVE)
    return None


_WORDS: Final[dict[str, str]] = {
    "foreign-key-in": "foreign key",
    "foreign-key-out": "foreign key",
    "exclusion": "EXCLUDE constraint",
    "security-label": "security label of",
}


def subject_of(dependent: Dependent) -> str:
    """Name a dependent for a person."""
    table = dependent.table.sql if dependent.table is not None else ""
    name = dependent.qualified.sql if dependent.qualified else ident(dependent.name)
    word = _WORDS.get(dependent.kind, dependent.kind.replace("-", " "))
    match dependent.kind:
        case "generated-column":
            return f"{word} {table}.{ident(dependent.name)}"
        case "function-atomic" | "function-row-type" | "function-text":
            return f"function {name}({dependent.arguments})"
        case "parent-table" | "child-table" | "partition-key":
            return f"{word} {table}"
        case "view" | "materialized-view" | "index" | "statistics" | "sequence":
            return f"{word} {name}"
        case "other":
            return dependent.description or dependent.name
        case _:
            return f"{word} {ident(dependent.name)} on {table}"


def table_refused(powers: Powers, table: Table) -> list[Refusal]:
    """Return why the table itself, or the role, stands in the way."""
    subject = f"table {table.name.sql}"
    found = []
    if not powers.may_temp:
        found.append(
            Refusal(
                f"role {ident(powers.role)}",
                "it may not create temporary tables, on which everything is tried before it is done",
                f"GRANT TEMPORARY ON DATABASE ... TO {ident(powers.role)}",
            )
        )
    if not powers.owns(table.owner):
        found.append(_foreign(subject, table.owner, powers.role))
    if table.kind != "table" or table.parents or table.of_type is not None:
        found.append(
            Refusal(subject, "it is partitioned, inherits, has a type, or is foreign", "Convert ordinary tables only")
        )
    return found


def view_refused(powers: Powers, view: View) -> list[Refusal]:
    """Return why a view cannot be made anew."""
    subject, anew = f"view {view.name.sql}", "the view has to be made anew"
    found = []
    if not powers.owns(view.owner) or not powers.may_become(view.owner):
        found.append(_foreign(subject, view.owner, powers.role))
    schema = ident(view.name.schema)
    found += [
        Refusal(
            subject,
            f"role {ident(role)} may not create objects in schema {schema}",
            f"GRANT CREATE ON SCHEMA {schema} TO {ident(role)}",
        )
        for role in dict.fromkeys((powers.role, view.owner))
        if not powers.may_create(role, view.name.schema)
    ]
    found += [Refusal(f"trigger {ident(trigger.name)} on {subject}", anew, _REMOVE) for trigger in view.triggers]
    found += [Refusal(f"rule {ident(rule.name)} on {subject}", anew, _REMOVE) for rule in view.rules]
    for kind, name in powers.extras(view.name):
        what = "security label of" if kind == "label" else "membership in extension"
        found.append(Refusal(f"{what} {name} of {subject}", anew, _REMOVE))
    return found


def owner_refused(powers: Powers, subject: str, owner: str) -> list[Refusal]:
    """Return why something that another role owns cannot be altered."""
    return [] if powers.owns(owner) else [_foreign(subject, owner, powers.role)]


def _foreign(subject: str, owner: str, role: str) -> Refusal:
    return Refusal(
        subject,
        f"it belongs to {ident(owner)}, whom {ident(role)} cannot act for",
        f"Run as {ident(owner)} or a superuser, or GRANT {ident(owner)} TO {ident(role)}",
    )
