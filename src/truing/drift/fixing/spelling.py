"""How are a column and a table written, for Alembic or as SQL? Values of a snapshot go in, Python text comes out.

SQLAlchemy's own words where it has them, as a person would write the revision; PostgreSQL's where it has not.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from truing.catalog.model import Column, Constraint, Sequence, Snapshot, Table
from truing.names import QualifiedName, ident, idents, literal

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
_COUNTED: Final = frozenset({"smallint", "integer", "bigint"})
_SIZED: Final = re.compile(r"(character varying|numeric|character)\((\d+)(?:,(\d+))?\)")
# What SQLAlchemy's text() takes for a parameter, or for the backslash that says it is none.
_PARAMETER: Final = re.compile(r"\\:|(?<!:):(?=\w)")


def execute(statement: str) -> str:
    """Write a statement of SQL as an operation."""
    return f"op.execute({escaped(statement.rstrip().rstrip(';'))!r})"


def escaped(text: str) -> str:
    """Keep SQLAlchemy's ``text()`` from reading ``:name`` as a parameter; two colons it leaves alone."""
    return _PARAMETER.sub(r"\\\g<0>", text)


def in_schema(table: Any) -> str:
    """Write the keyword that says in which schema a table is."""
    return f", schema={table.name.schema!r}"


def type_of(column: Column) -> str | None:
    """Write the type as SQLAlchemy's; None where it has no word for it."""
    return None if column.collation is not None else _type(column.type)


def _type(name: str) -> str | None:
    if name.endswith("[]"):
        element = _type(name.removesuffix("[]"))
        return None if element is None else f"postgresql.ARRAY({element})"
    sized = _SIZED.fullmatch(name)
    if sized is not None:
        kind = {"character varying": "sa.String", "character": "sa.CHAR", "numeric": "sa.Numeric"}[sized[1]]
        return f"{kind}({', '.join(filter(None, sized.groups()[1:]))})"
    return _TYPES.get(name)


def sql_type(column: Column) -> str:
    """Write the type as PostgreSQL does."""
    return column.type + (f" COLLATE {column.collation}" if column.collation is not None else "")


def added(column: Column, table: Table, snapshot: Snapshot) -> tuple[str, ...]:
    """Write what adds a column, with a sequence of its own if it has one."""
    written, counts = _column(column), owned(column, table, snapshot)
    if written is not None and counts is None:
        return (f"op.add_column({table.name.name!r}, {written}{in_schema(table)})",)
    lines = [execute(f"ALTER TABLE {table.name} ADD COLUMN {_definition(column, counts)}")]
    if counts is not None and not column.identity:
        lines = [*counting(column, table, counts, lines)]
    if column.comment is not None:
        lines.append(_column_comment(column, table))
    return tuple(lines)


def created(table: Table, snapshot: Snapshot) -> tuple[str, ...] | None:
    """Write what creates a table with its columns and primary key, no more; None for one of an unusual kind."""
    unusual = (table.kind != "table", table.parents, table.rules, table.options, table.persistence != "permanent")
    if any(unusual):
        return None
    key = primary_key(table)
    written = [_in_table(each, table, snapshot) for each in table.columns]
    if None not in written:
        words = [*filter(None, written)]
        if key is not None:
            columns = ", ".join(map(repr, key.columns))
            words.append(f"sa.PrimaryKeyConstraint({columns}, name={key.name!r})")
        body = "".join(f"    {word},\n" for word in words)
        lines = [f"op.create_table(\n    {table.name.name!r},\n{body}    schema={table.name.schema!r},\n)"]
    else:
        counts = [(each, owned(each, table, snapshot)) for each in table.columns]
        parts = [_definition(*each) for each in counts]
        parts += [f"CONSTRAINT {ident(key.name)} {key.definition}"] if key is not None else []
        lines = [execute(f"CREATE TABLE {table.name} ({', '.join(parts)})")]
        for column, sequence in counts:
            if sequence is not None and not column.identity:
                lines = [*counting(column, table, sequence, lines)]
        commented = (each for each in table.columns if each.comment is not None)
        lines += [_column_comment(each, table) for each in commented]
    if table.comment is not None:
        lines.append(execute(f"COMMENT ON TABLE {table.name} IS {literal(table.comment)}"))
    return tuple(lines)


def primary_key(table: Table) -> Constraint | None:
    """Give the primary key, where it is created with the table."""
    for each in table.constraints:
        if each.kind == "primary-key" and each.definition == f"PRIMARY KEY ({idents(each.columns)})":
            return each
    return None


def _in_table(column: Column, table: Table, snapshot: Snapshot) -> str | None:
    """Write a column of a new table; one that counts up from 1 and is the key, as SQLAlchemy's serial."""
    sequence, key = owned(column, table, snapshot), primary_key(table)
    lone = key is not None and key.columns == (column.name,) and column.type in _COUNTED
    if sequence is None:
        written = _column(column)
        # Alembic would make a sequence for an integer key of its own accord.
        return f"{written[:-1]}, autoincrement=False)" if written and lone and column.default is None else written
    serial = QualifiedName(table.name.schema, f"{table.name.name}_{column.name}_seq")
    usual = msgspec.structs.replace(sequence, start=1, increment=1, minimum=1, cache=1, cycle=False) == sequence
    plain = msgspec.structs.replace(column, default=None)
    if lone and usual and not column.identity and sequence.name == serial and column.default == _next(serial):
        return _column(plain)
    return None


def _next(sequence: QualifiedName) -> str:
    return f"nextval({literal(str(sequence))}::regclass)"


def _column_comment(column: Column, table: Table) -> str:
    return execute(f"COMMENT ON COLUMN {table.name}.{ident(column.name)} IS {literal(column.comment)}")


def identity(column: Column, table: Table, snapshot: Snapshot) -> str:
    """Write ``GENERATED ... AS IDENTITY`` with the options of its sequence."""
    return _identity(column, owned(column, table, snapshot))


def owned(column: Column, table: Table, snapshot: Snapshot) -> Sequence | None:
    """Find the sequence that goes with a column."""
    for each in snapshot.sequences:
        owner = each.owned_by
        if owner is not None and owner.table == table.name and owner.column == column.name:
            return each
    return None


def _column(value: Column) -> str | None:
    kind = type_of(value)
    if kind is None or value.identity or value.dimensions > 1:
        return None
    words = [f"{value.name!r}", kind]
    if value.generated:
        words.append(f"sa.Computed({escaped(value.expression or '')!r}, persisted={value.generated == 'stored'})")
    words.append(f"nullable={not value.not_null}")
    if value.default is not None:
        words.append(f"server_default=sa.text({escaped(value.default)!r})")
    if value.comment is not None:
        words.append(f"comment={value.comment!r}")
    return f"sa.Column({', '.join(words)})"


def _definition(value: Column, sequence: Sequence | None) -> str:
    """Write a column as SQL, without its comment."""
    words = [ident(value.name), sql_type(value)]
    if value.identity:
        words.append(_identity(value, sequence))
    elif value.generated:
        words.append(f"GENERATED ALWAYS AS ({value.expression}) {value.generated.upper()}")
    elif value.default is not None:
        words.append(f"DEFAULT {value.default}")
    return " ".join([*words, *(["NOT NULL"] if value.not_null else [])])


def _identity(column: Column, sequence: Sequence | None) -> str:
    options = ""
    if sequence is not None and sequence.owned_by is not None:
        usual = f"{sequence.owned_by.table.name}_{column.name}_seq"
        name = f"SEQUENCE NAME {sequence.name} " if sequence.name.name != usual else ""
        options = f" ({name}{_options(sequence)})"
    return f"GENERATED {column.identity.upper()} AS IDENTITY{options}"


def _options(sequence: Sequence) -> str:
    words = (
        f"START {sequence.start} INCREMENT {sequence.increment} MINVALUE {sequence.minimum} MAXVALUE {sequence.maximum}"
    )
    return f"{words} CACHE {sequence.cache}{' CYCLE' if sequence.cycle else ''}"


def counting(column: Column, table: Table, sequence: Sequence, lines: list[str]) -> tuple[str, ...]:
    """Put a column's own sequence around the lines that make the column."""
    return (
        sequence_alone(sequence),
        *lines,
        execute(f"ALTER SEQUENCE {sequence.name} OWNED BY {table.name}.{idents([column.name])}"),
    )


def sequence_alone(sequence: Sequence) -> str:
    """Write what makes a sequence that belongs to no column yet."""
    return execute(f"CREATE SEQUENCE {sequence.name} AS {sequence.type} {_options(sequence)}")
