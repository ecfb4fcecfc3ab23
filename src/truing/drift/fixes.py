"""Which Alembic operations bring one state to another, for one drift? Snapshots go in, Python text comes out.

Only where it is simple; what is not simple gets no text. Nothing here is believed: :mod:`truing.drift.prove` tries
every text before a person sees it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from truing.catalog.diff import objects
from truing.catalog.model import Column, Constraint, Function, Index, Policy, Snapshot, Statistic, Table, Trigger, View
from truing.drift.model import Drift
from truing.names import ident, idents

Found = tuple[Any, Any]
"""An object and the table (or view) that it belongs to; the object itself where it belongs to none."""

_TYPES: Final = {
    "integer": "sa.Integer()",
    "bigint": "sa.BigInteger()",
    "smallint": "sa.SmallInteger()",
    "text": "sa.Text()",
    "boolean": "sa.Boolean()",
    "uuid": "sa.Uuid()",
    "date": "sa.Date()",
    "bytea": "sa.LargeBinary()",
    "real": "sa.REAL()",
    "double precision": "sa.Double()",
    "numeric": "sa.Numeric()",
    "character varying": "sa.String()",
    "timestamp with time zone": "sa.DateTime(timezone=True)",
    "timestamp without time zone": "sa.DateTime()",
    "time without time zone": "sa.Time()",
    "time with time zone": "sa.Time(timezone=True)",
    "interval": "sa.Interval()",
    "json": "postgresql.JSON()",
    "jsonb": "postgresql.JSONB()",
    "inet": "postgresql.INET()",
    "cidr": "postgresql.CIDR()",
    "tsvector": "postgresql.TSVECTOR()",
}
_SIZED: Final = re.compile(r"(character varying|numeric|character)\((\d+)(?:,(\d+))?\)")


class Catalogue:
    """The objects of a snapshot, under the names that drift has."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._found = {(kind, name): (value, owner) for kind, name, value, owner in objects(snapshot)}

    def get(self, drift: Drift, name: str | None = None) -> Found | None:
        """Find the object of a drift, perhaps under another name."""
        return self._found.get((drift.kind, name or drift.name))


def operations(drift: Drift, have: Catalogue, want: Catalogue) -> str | None:
    """Write what turns one state into another.

    Args:
        drift: about which object.
        have: the state that there is.
        want: the state that there shall be.

    Returns:
        Lines for ``upgrade()``; None where it is not simple.
    """
    old, new = have.get(drift), want.get(drift)
    if any(aspect.attribute == "name" for aspect in drift.aspects) or (old is None and new is None):
        return _renaming(drift, have, want)
    lines: tuple[str, ...] | None
    if old is None and new is not None:
        lines = _made(*new)
    elif new is None and old is not None:
        lines = _dropped(*old)
    else:
        lines = _changed(old, new) if old and new else None
    return None if lines is None else "\n".join(lines)


def _renaming(drift: Drift, have: Catalogue, want: Catalogue) -> str | None:
    names = next((aspect for aspect in drift.aspects if aspect.attribute == "name"), None)
    if names is None or len(drift.aspects) > 1 or drift.kind != "index":
        return None
    said = [text for text in (names.models, names.migrations, names.live) if text]
    for one in said:
        for other in said:
            old = have.get(drift, f"{drift.name.rpartition('.')[0]}.{ident(one)}")
            if one != other and old and want.get(drift, f"{drift.name.rpartition('.')[0]}.{ident(other)}"):
                index = f"{ident(old[1].name.schema)}.{ident(one)}"
                return f"op.execute({f'ALTER INDEX {index} RENAME TO {ident(other)}'!r})"
    return None


def _made(value: Any, parent: Any) -> tuple[str, ...] | None:
    line: str | None = None
    match value:
        case Column() if isinstance(parent, Table) and _plain(value):
            line = f"op.add_column({parent.name.name!r}, {_column(value)}{_in(parent)})"
        case Constraint() if isinstance(parent, Table):
            line = _constraint(value, parent)
        case Index():
            line = _index(value, parent)
        case Trigger() | Statistic() | Function():
            line = _execute(value.definition)
        case Policy():
            line = _policy(value, parent)
        case View() if not value.materialized:
            line = _execute(f"CREATE OR REPLACE VIEW {value.name} AS {value.definition}")
    return None if line is None else (line,)


def _dropped(value: Any, parent: Any) -> tuple[str, ...] | None:
    line: str | None = None
    match value:
        case Table():
            line = f"op.drop_table({value.name.name!r}{_in(value)})"
        case Column() if isinstance(parent, Table):
            line = f"op.drop_column({parent.name.name!r}, {value.name!r}{_in(parent)})"
        case Constraint() if isinstance(parent, Table):
            line = f"op.drop_constraint({value.name!r}, {parent.name.name!r}{_in(parent)})"
        case Index():
            line = f"op.drop_index({value.name!r}, table_name={parent.name.name!r}{_in(parent)})"
        case Trigger() | Policy():
            word = "TRIGGER" if isinstance(value, Trigger) else "POLICY"
            line = _execute(f"DROP {word} {ident(value.name)} ON {parent.name}")
        case Statistic():
            line = _execute(f"DROP STATISTICS {value.name}")
        case View():
            line = _execute(f"DROP {'MATERIALIZED ' if value.materialized else ''}VIEW {value.name}")
        case Function():
            line = _execute(f"DROP ROUTINE {value.name}({value.arguments})")
    return None if line is None else (line,)


def _changed(old: Found, new: Found) -> tuple[str, ...] | None:
    (before, parent), (after, _) = old, new
    if isinstance(before, Column) and isinstance(after, Column) and isinstance(parent, Table):
        return _altered(before, after, parent)
    if isinstance(before, Function | View):
        return _made(*new)
    if isinstance(before, Table):
        return _table(before, after)
    if isinstance(before, Index) and before.constraint:
        return None
    dropped, made = _dropped(*old), _made(*new)
    return None if dropped is None or made is None else (*dropped, *made)


def _altered(before: Column, after: Column, table: Table) -> tuple[str, ...] | None:
    if (before.identity, before.generated, before.expression) != (after.identity, after.generated, after.expression):
        return None
    words = []
    if before.type != after.type or before.collation != after.collation:
        kind = _type(after.type)
        if kind is None or after.collation is not None:
            return None
        words += [f"type_={kind}", f"existing_nullable={not before.not_null}"]
        using = f"{ident(after.name)}::{after.type}"
        words.append(f"postgresql_using={using!r}")
    if before.not_null != after.not_null:
        words.append(f"nullable={not after.not_null}")
    if before.default != after.default:
        words.append("server_default=" + ("None" if after.default is None else f"sa.text({_escaped(after.default)!r})"))
    if before.comment != after.comment:
        words.append(f"comment={after.comment!r}")
    if not words:
        return None
    return (f"op.alter_column({table.name.name!r}, {after.name!r}, {', '.join(words)}{_in(table)})",)


def _table(before: Table, after: Table) -> tuple[str, ...] | None:
    lines = []
    if before.row_security != after.row_security:
        word = "ENABLE" if after.row_security else "DISABLE"
        lines.append(_execute(f"ALTER TABLE {after.name} {word} ROW LEVEL SECURITY"))
    if before.force_row_security != after.force_row_security:
        word = "FORCE" if after.force_row_security else "NO FORCE"
        lines.append(_execute(f"ALTER TABLE {after.name} {word} ROW LEVEL SECURITY"))
    if before.comment != after.comment and after.comment is not None:
        lines.append(f"op.create_table_comment({after.name.name!r}, {after.comment!r}{_in(after)})")
    elif before.comment != after.comment:
        lines.append(f"op.drop_table_comment({after.name.name!r}{_in(after)})")
    return tuple(lines) or None


def _constraint(value: Constraint, table: Table) -> str:
    columns = list(value.columns)
    if value.kind == "foreign-key" and value.references is not None and not _unusual(value):
        words = [f"{value.name!r}", f"{table.name.name!r}", f"{value.references.name!r}"]
        words += [repr(columns), repr(list(value.referenced_columns))]
        words += [f"ondelete={value.on_delete!r}"] if value.on_delete != "NO ACTION" else []
        words += [f"onupdate={value.on_update!r}"] if value.on_update != "NO ACTION" else []
        words += [f"source_schema={table.name.schema!r}", f"referent_schema={value.references.schema!r}"]
        return f"op.create_foreign_key({', '.join(words)})"
    plain = value.definition == f"UNIQUE ({idents(columns)})"
    if value.kind == "unique" and plain:
        return f"op.create_unique_constraint({value.name!r}, {table.name.name!r}, {columns!r}{_in(table)})"
    return _execute(f"ALTER TABLE {table.name} ADD CONSTRAINT {ident(value.name)} {value.definition}")


def _unusual(value: Constraint) -> bool:
    return (
        value.match_full
        or bool(value.on_delete_columns)
        or value.deferrable
        or not value.validated
        or not value.enforced
    )


def _index(value: Index, parent: Any) -> str:
    columns = [column for column in value.columns if column is not None]
    unique = "UNIQUE " if value.unique else ""
    plain = f"CREATE {unique}INDEX {ident(value.name)} ON {parent.name} USING {value.method} ({idents(columns)})"
    if value.definition != plain:
        return _execute(value.definition)
    method = "" if value.method == "btree" else f", postgresql_using={value.method!r}"
    options = f"unique={value.unique}{method}{_in(parent)}"
    return f"op.create_index({value.name!r}, {parent.name.name!r}, {columns!r}, {options})"


def _policy(value: Policy, table: Any) -> str:
    kind = "" if value.permissive else " AS RESTRICTIVE"
    roles = ", ".join("PUBLIC" if role == "public" else ident(role) for role in value.roles)
    using = f" USING ({value.using})" if value.using is not None else ""
    check = f" WITH CHECK ({value.check})" if value.check is not None else ""
    return _execute(
        f"CREATE POLICY {ident(value.name)} ON {table.name}{kind} FOR {value.command} TO {roles}{using}{check}"
    )


def _plain(value: Column) -> bool:
    return not value.identity and not value.generated and value.collation is None and _type(value.type) is not None


def _column(value: Column) -> str:
    words = [f"{value.name!r}", str(_type(value.type)), f"nullable={not value.not_null}"]
    if value.default is not None:
        words.append(f"server_default=sa.text({_escaped(value.default)!r})")
    if value.comment is not None:
        words.append(f"comment={value.comment!r}")
    return f"sa.Column({', '.join(words)})"


def _type(name: str) -> str | None:
    if name.endswith("[]"):
        element = _type(name.removesuffix("[]"))
        return None if element is None else f"postgresql.ARRAY({element})"
    sized = _SIZED.fullmatch(name)
    if sized is not None:
        kind = {"character varying": "sa.String", "character": "sa.CHAR", "numeric": "sa.Numeric"}[sized[1]]
        return f"{kind}({', '.join(filter(None, sized.groups()[1:]))})"
    return _TYPES.get(name)


def _execute(statement: str) -> str:
    return f"op.execute({_escaped(statement.rstrip().rstrip(';'))!r})"


def _escaped(text: str) -> str:
    """Keep SQLAlchemy's ``text()`` from reading ``:name`` as a parameter; two colons it leaves alone."""
    return re.sub(r"(?<![:\\]):(?=\w)(?<!::)", r"\\:", text)


def _in(table: Any) -> str:
    return f", schema={table.name.schema!r}"
