"""Which table locks does an ordinary statement take, and for how long? Its changes go in; locks come out.

Not what an online operation takes: that is in its plan. The documentation, "Explicit Locking" and the page of each
command, says which mode; tests/postgres/test_locks.py runs the statements and reads ``pg_locks``. What one locks
besides (the parents of a foreign key that goes, the table of an index) is asked of the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec
import psycopg

from truing import changes as c
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, literal
from truing.sql.parse import parse
from truing.sql.relations import relations

Until: TypeAlias = Literal["", "checked", "built", "rewritten"]
"""How long a lock is held at least: a moment, until every row is checked, an index is built, the table is rewritten
(where PostgreSQL has to). Then to the end of the revision's transaction."""


class Taken(msgspec.Struct, frozen=True):
    """A lock that a statement takes, and how long its work lasts meanwhile."""

    lock: TableLock
    until: Until = ""


def say(taken: Iterable[Taken]) -> str:
    """Say what a statement locks and what waits: all tables of a mode at once."""
    together: dict[tuple[LockMode, Until], list[str]] = {}
    for each in sorted(taken, key=lambda one: -one.lock.mode):
        together.setdefault((each.lock.mode, each.until), []).append(str(each.lock.table))
    return "; ".join(_say(mode, until, tables) for (mode, until), tables in together.items())


def _say(mode: LockMode, until: Until, tables: list[str]) -> str:
    waits = "reads and writes wait" if mode.blocks_reads else "writes wait" if mode.blocks_writes else ""
    return f"{mode.sql} on {', '.join(tables)}" + (f": {waits}{_UNTIL[until]}" if waits else "")


_UNTIL: Final[dict[Until, str]] = {
    "": "",
    "checked": " until every row is checked",
    "built": " until the index is built",
    "rewritten": " while rows are checked or rewritten, if they have to be",
}

_EXCLUSIVE: Final = LockMode.ACCESS_EXCLUSIVE
_MODES: Final = {
    "ALTER POLICY": _EXCLUSIVE,
    "ALTER TABLE": _EXCLUSIVE,
    "ANALYZE": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "COMMENT": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "CREATE POLICY": _EXCLUSIVE,
    "CREATE RULE": _EXCLUSIVE,
    "CREATE STATISTICS": LockMode.SHARE_UPDATE_EXCLUSIVE,
    "CREATE TRIGGER": LockMode.SHARE_ROW_EXCLUSIVE,
    "DELETE": LockMode.ROW_EXCLUSIVE,
    "DROP POLICY": _EXCLUSIVE,
    "DROP RULE": _EXCLUSIVE,
    "DROP TRIGGER": _EXCLUSIVE,
    "INSERT": LockMode.ROW_EXCLUSIVE,
    "MERGE": LockMode.ROW_EXCLUSIVE,
    "TRUNCATE TABLE": _EXCLUSIVE,
    "UPDATE": LockMode.ROW_EXCLUSIVE,
}
"""The mode on the first relation that a statement names which no typed change stands for."""

_IDENT: Final = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_ALTERED: Final = re.compile(
    rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_IDENT}(?:\.{_IDENT})? (?:"
    r"(?P<share_update_exclusive>(?:RE)?SET \((?!user_catalog_table)|CLUSTER ON |SET WITHOUT CLUSTER"
    rf"|ALTER COLUMN {_IDENT} (?:SET STATISTICS |(?:RE)?SET \())"
    r"|(?P<share_row_exclusive>(?:EN|DIS)ABLE (?:ALWAYS |REPLICA )?TRIGGER )"
    r"|(?P<attached>ATTACH PARTITION )|(?P<detached>DETACH PARTITION )|(?P<enforced>ALTER CONSTRAINT .*ENFORCED))"
)
"""What ALTER TABLE locks less, or more, for, as the parser writes a subcommand that no typed change stands for."""

_WRITES: Final = re.compile(
    r"\b(?:INSERT INTO|UPDATE(?= (?!OF\b|SKIP\b|NOWAIT\b)\S)|DELETE FROM|MERGE INTO)\b", re.IGNORECASE
)
_REMARK: Final = re.compile(r"COMMENT ON (?:CONSTRAINT|TRIGGER|POLICY|RULE)\b", re.IGNORECASE)

_NONE: Final = frozenset(
    {"CREATE DOMAIN", "CREATE FUNCTION", "CREATE PROCEDURE", "CREATE ROLE", "CREATE SCHEMA", "CREATE SEQUENCE"}
    | {"ALTER TYPE", "CREATE TYPE", "CREATE VIEW", "GRANT ROLE", "SELECT", "SET"}
)
"""Commands that block nobody who reads or writes a table."""


def locks_of(
    changes: Iterable[c.AnyChange], connection: psycopg.Connection[Any], new: frozenset[QualifiedName] = frozenset()
) -> tuple[Taken, ...] | None:
    """Say which tables a statement locks, each in the strongest mode.

    Args:
        changes: of the statement.
        connection: to the database as it is now.
        new: tables that earlier statements make: nobody waits for those.

    Returns:
        The locks; None where they are not known (a DO block, a function that is called).
    """
    strongest: dict[QualifiedName, Taken] = {}
    made = set(new)
    for change in changes:
        if isinstance(change, c.CreateTable):
            made.add(change.table)
        taken = _of_change(change, connection)
        if taken is None:
            return None
        for each in taken:
            before = strongest.get(each.lock.table)
            if each.lock.table.name and (before is None or each.lock.mode > before.lock.mode):
                strongest[each.lock.table] = each if each.until or before is None else _replace(each, before.until)
            elif before is not None and each.until and not before.until:
                strongest[each.lock.table] = _replace(before, each.until)
    return tuple(each for table, each in sorted(strongest.items()) if table not in made)


def _replace(taken: Taken, until: Until) -> Taken:
    return Taken(taken.lock, until)


def _of_change(change: c.AnyChange, connection: psycopg.Connection[Any]) -> list[Taken] | None:
    if not isinstance(change, c.OtherStatement):
        return list(_of_typed(change, connection))
    found: list[Taken] | None
    match change.tag:
        case "ALTER TABLE":
            found = list(_of_alter(change, connection))
        case "TRUNCATE TABLE":
            found = [_taken(each, _EXCLUSIVE) for each in _truncated(change, connection)]
        case "COMMENT" if _REMARK.match(change.sql):
            found = []
        case "CREATE VIEW" if re.match(r"CREATE\s+OR\s+REPLACE\b", change.sql, re.IGNORECASE):
            found = [_taken(change.table, _EXCLUSIVE)]
        case "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" if _writes_elsewhere(change):
            found = None
        case tag if tag in _MODES:
            found = [_taken(change.table, _MODES[tag])]
        case tag:
            found = [] if tag in _NONE else None
    return found


def _writes_elsewhere(change: c.OtherStatement) -> bool:
    """Tell whether a WITH writes to a table that is not the statement's own."""
    if not re.match(r"\s*WITH\b", change.sql, re.IGNORECASE):
        return False
    return len(_WRITES.findall(change.sql)) > (change.tag != "SELECT")


def _of_alter(change: c.OtherStatement, connection: psycopg.Connection[Any]) -> Iterator[Taken]:
    table, found = change.table, _ALTERED.match(change.sql)
    kind = found.lastgroup if found else None
    if kind in ("share_update_exclusive", "attached"):
        yield _taken(table, LockMode.SHARE_UPDATE_EXCLUSIVE)
    elif kind == "share_row_exclusive":
        yield _taken(table, LockMode.SHARE_ROW_EXCLUSIVE)
    else:
        yield _taken(table, _EXCLUSIVE)
    if kind in ("attached", "detached"):
        yield from (_taken(each, _EXCLUSIVE) for each in _named(change) if each != table)
    if kind == "enforced":
        yield from (_taken(each, _EXCLUSIVE) for each in _around(table, connection))


def _named(change: c.OtherStatement) -> list[QualifiedName]:
    """Give the relations that a statement names."""
    schema = change.table.schema
    return [QualifiedName(each.schema or schema, each.name) for one in parse(change.sql) for each in relations(one)]


def _truncated(change: c.OtherStatement, connection: psycopg.Connection[Any]) -> list[QualifiedName]:
    found = _named(change)
    if re.search(r"\bCASCADE\s*;?\s*$", change.sql, re.IGNORECASE):
        for each in found:
            keys = f"SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid = {_oid(each)}"
            found += [one for one in _tables(keys, connection) if one not in found]
    return found


def _of_typed(change: c.AnyChange, connection: psycopg.Connection[Any]) -> Iterator[Taken]:
    table = change.table
    match change:
        case c.CreateTable():
            pass
        case c.AddForeignKey():
            until: Until = "checked" if change.validated else ""
            yield _taken(table, LockMode.SHARE_ROW_EXCLUSIVE, until)
            yield _taken(change.references, LockMode.SHARE_ROW_EXCLUSIVE, until)
        case c.ValidateConstraint():
            yield _taken(table, LockMode.SHARE_UPDATE_EXCLUSIVE)
        case c.CreateIndex():
            mode = LockMode.SHARE_UPDATE_EXCLUSIVE if change.concurrently else LockMode.SHARE
            yield _taken(table, mode, "built")
        case c.DropIndex():
            mode = LockMode.SHARE_UPDATE_EXCLUSIVE if change.concurrently else _EXCLUSIVE
            yield from (_taken(each, mode) for each in _indexed(change, connection))
        case c.DropTable() | c.DropColumn() | c.DropConstraint():
            yield _taken(table, _EXCLUSIVE)
            yield from (_taken(each, _EXCLUSIVE) for each in _parents(change, connection))
            yield from (_taken(each, _EXCLUSIVE) for each in _referring(change, connection))
        case c.AlterColumnType():
            yield _taken(table, _EXCLUSIVE, "rewritten")
            yield from (_taken(each, _EXCLUSIVE) for each in _parents(change, connection))
            yield from (_taken(each, _EXCLUSIVE) for each in _referring(change, connection))
        case _:
            yield _taken(table, _EXCLUSIVE, _work(change))


def _work(change: c.AnyChange) -> Until:
    match change:
        case c.AddUnique(using_index=None):
            return "built"
        case c.SetNotNull() | c.AddCheck(validated=True):
            return "checked"
    return ""


def _taken(table: QualifiedName, mode: LockMode, until: Until = "") -> Taken:
    return Taken(TableLock(table, mode), until)


def _indexed(change: c.DropIndex, connection: psycopg.Connection[Any]) -> Iterator[QualifiedName]:
    index = QualifiedName(change.table.schema, change.name)
    yield from _tables(f"SELECT indrelid FROM pg_index WHERE indexrelid = {_oid(index)}", connection)


def _parents(
    change: c.DropTable | c.DropColumn | c.DropConstraint | c.AlterColumnType, connection: psycopg.Connection[Any]
) -> Iterator[QualifiedName]:
    """Name the tables whose triggers go with a foreign key that refers to them, or are made again."""
    keys = f"SELECT confrelid FROM pg_constraint k WHERE contype = 'f' AND conrelid = {_oid(change.table)}"
    match change:
        case c.DropConstraint():
            keys += f" AND conname = {literal(change.name)}"
        case c.DropColumn() | c.AlterColumnType():
            keys += (
                " AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)"
                f" AND a.attname = {literal(change.column)})"
            )
    yield from _tables(keys, connection)


def _referring(
    change: c.DropTable | c.DropColumn | c.DropConstraint | c.AlterColumnType, connection: psycopg.Connection[Any]
) -> Iterator[QualifiedName]:
    """Name the tables whose foreign keys go with what they refer to, or are made again; and a partition's parent."""
    table = _oid(change.table)
    keys = f"SELECT conrelid FROM pg_constraint k WHERE contype = 'f' AND confrelid = {table}"
    match change:
        case c.DropTable():
            keys += (
                " UNION SELECT inhparent FROM pg_inherits JOIN pg_class p ON p.oid = inhrelid AND relispartition"
                f" WHERE inhrelid = {table}"
            )
        case c.DropConstraint():
            keys += (
                " AND conindid = (SELECT conindid FROM pg_constraint o WHERE o.contype IN ('p', 'u')"
                f" AND o.conrelid = k.confrelid AND o.conname = {literal(change.name)})"
            )
        case c.DropColumn() | c.AlterColumnType():
            keys += (
                " AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)"
                f" AND a.attname = {literal(change.column)})"
            )
    yield from _tables(keys, connection)


def _around(table: QualifiedName, connection: psycopg.Connection[Any]) -> Iterator[QualifiedName]:
    """Name the tables that a table's foreign keys refer to."""
    yield from _tables(
        f"SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid = {_oid(table)}", connection
    )


def _tables(oids: str, connection: psycopg.Connection[Any]) -> Iterator[QualifiedName]:
    query = "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    query += f" WHERE c.oid IN ({oids})"
    for schema, name in connection.execute(query.encode()):
        yield QualifiedName(schema, name)


def _oid(name: QualifiedName) -> str:
    return f"to_regclass({literal(name.sql)})"
