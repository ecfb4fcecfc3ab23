"""UNIQUE, PRIMARY KEY and unique indexes: which keys occur more than once, now or after the pending conversions?"""

from __future__ import annotations

import msgspec

from truing.audit.model import Source
from truing.audit.probes.check import mentioned, settled
from truing.audit.probes.probe import Outcome, Probe
from truing.changes import Settlement
from truing.errors import SqlSyntaxError
from truing.names import QualifiedName, ident
from truing.sql.parse import clone, deparse_expression, has, parse, parts, unwrap


class KeyPart(msgspec.Struct, frozen=True):
    """One part of a key: its SQL, and the columns that it looks at."""

    sql: str
    columns: tuple[str, ...]


def column_part(column: str, alias: str) -> KeyPart:
    """Return the part that is a plain column."""
    return KeyPart(f"{ident(alias)}.{ident(column)}", (column,))


def index_part(element: str, alias: str) -> KeyPart:
    """Read an element of an index, as CREATE INDEX has it: its operator class and order do not matter for equality.

    Raises:
        SqlSyntaxError: it is not one.
    """
    statement = parse(f"CREATE INDEX ON t ({element})")
    if len(statement) != 1:
        raise SqlSyntaxError(f"not one element of an index: {element}", line=1, column=1)
    node = clone(unwrap(statement[0].node.index_params[0]))
    collation = ".".join(map(ident, parts(node.collation))) if len(node.collation) else ""
    after = f" COLLATE {collation}" if collation else ""
    if not has(node, "expr"):
        part = column_part(node.name, alias)
        return KeyPart(part.sql + after, part.columns)
    expression = deparse_expression(node.expr)
    return KeyPart(f"({expression}){after}", mentioned(expression))


def unique(
    title: str,
    key: tuple[KeyPart, ...],
    source: Source,
    table: QualifiedName,
    *,
    where: str | None = None,
    nulls_not_distinct: bool = False,
    compared: tuple[str, ...] = (),
    derived: bool = False,
    chosen: Settlement | None = None,
) -> Probe:
    """Ask which keys occur more than once.

    Args:
        title: for a person.
        key: the parts of the key, over the table's own name as alias.
        source: where it is asked for.
        table: the table by then.
        where: the condition of a partial index.
        nulls_not_distinct: whether NULLs are equal to each other.
        compared: the columns (by their names now) that a pending change gives other values.
        derived: the key exists already, and only a pending change makes keys equal.
        chosen: how an online operation settles all rows of the same key but the first.
    """
    conditions = [] if nulls_not_distinct else [f"{part.sql} IS NOT NULL" for part in key]
    conditions += [f"({where}) IS TRUE"] if where else []
    columns = tuple(dict.fromkeys(column for part in key for column in part.columns))
    used = (*columns, *(mentioned(where) if where else ()))
    duplicate = settled(chosen, columns)
    collision = duplicate
    if duplicate.verdict == "refused":
        collision = Outcome("refused", f"{duplicate.fate}: they become equal", duplicate.policy)
    else:
        duplicate = collision = Outcome("altered", f"the first stays; of others: {duplicate.fate}", duplicate.policy)
    return Probe(
        title=title,
        columns=columns,
        source=source,
        outcomes={"duplicate": duplicate, "collision": collision},
        value=key[0].sql if len(key) == 1 else f"ROW({', '.join(part.sql for part in key)})",
        alias=table.name,
        uses=used,
        keys=tuple(part.sql for part in key),
        condition=" AND ".join(conditions) or "true",
        compared=compared,
        derived=derived,
    )
