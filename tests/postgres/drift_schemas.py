"""Random schemas as values: what Hypothesis draws, and the SQL that builds it.

A second schema is the first with a few edits, as databases drift: a column of another type, an index gone, a table new.
Names are hostile and everything is spread over two schemas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from truing.names import ident, idents, literal

SCHEMAS: Final = ("public", 'Oth"er; é')
TABLES: Final = ("plain", 'qu"oted', "select", "new\nline", "per%(cent)s", "co:lon ::x", "t" * 63)
COLUMNS: Final = (
    "id",
    "Mixed Case",
    "it's",
    "user",
    "50%",
    ":name",
    "back\\slash",
    "c" * 63,
    "é" * 31,
    "a.b",
    "semi; --",
)
WORDS: Final = ("", "it's", "50% :x ::y", "a\nb", "\\:x \\", '"quoted" é <b>')

TYPES: Final[dict[str, tuple[str, ...]]] = {
    "integer": ("0", "-1", "(1 + 2)"), "bigint": ("7",), "smallint": (), "text": ("''", "'it''s 50% :x ::y'", "lower('A'::text)"),
    "character varying": ("'a'",), "character varying(20)": ("'a:b'",), "character(5)": ("'ab'",), "numeric(8,2)": ("0.50", "-1"),
    "numeric": (), "boolean": ("true", "false"), "date": ("CURRENT_DATE",), "timestamp with time zone": ("now()", "CURRENT_TIMESTAMP"),
    "timestamp(3) without time zone": (), "time without time zone": ("'12:34:56'",), "interval": ("'1 day'",), "interval day to second(2)": (),
    "uuid": ("gen_random_uuid()",), "jsonb": ("'{}'", """'{"a": ":b", "c": "50%"}'"""), "json": ("'[]'",), "text[]": ("'{}'",), "integer[]": ("'{1,2}'",),
    "bytea": ("'\\x00ff'",), "inet": ("'10.0.0.1'",), "double precision": ("1.5",), "real": (), "int4range": ("'[1,2)'",), "tsvector": (), "bit(3)": ("B'101'",),
    'text COLLATE "C"': ("'x'",), "enum": ("'one'",), "enum[]": (),
}  # fmt: skip


class Column(msgspec.Struct, frozen=True):
    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    comment: str | None = None
    made: str = ""
    """Instead of a default: `GENERATED ...`."""


class Part(msgspec.Struct, frozen=True):
    """A constraint or index, by its name; `{name}` and `{table}` in the text are filled in."""

    name: str
    text: str
    needs: tuple[str, ...]
    index: bool = False
    comment: str | None = None


class Table(msgspec.Struct, frozen=True):
    schema: str
    name: str
    columns: tuple[Column, ...]
    parts: tuple[Part, ...] = ()
    comment: str | None = None

    @property
    def sql(self) -> str:
        return f"{ident(self.schema)}.{ident(self.name)}"


class World(msgspec.Struct, frozen=True):
    """Everything: the labels of the one enum, and tables. `keys` are foreign keys, as (from, column, to)."""

    labels: tuple[str, ...]
    tables: tuple[Table, ...]
    keys: tuple[tuple[int, int, str], ...] = ()


def statements(world: World) -> Iterator[str]:
    """Build it in schemas that are made anew."""
    for schema in SCHEMAS:
        yield f"DROP SCHEMA IF EXISTS {ident(schema)} CASCADE"
        yield f"CREATE SCHEMA {ident(schema)}"
    enum = f"{ident(SCHEMAS[1])}.{ident('an enum')}"
    yield f"CREATE TYPE {enum} AS ENUM ({', '.join(map(literal, world.labels))})"
    for table in world.tables:
        columns = ", ".join(_column(each, enum) for each in table.columns)
        yield f"CREATE TABLE {table.sql} ({columns})"
        yield from _comment("TABLE", table.sql, table.comment)
        for column in table.columns:
            yield from _comment("COLUMN", f"{table.sql}.{ident(column.name)}", column.comment)
        for part in table.parts:
            yield part.text.replace("{table}", table.sql).replace("{name}", ident(part.name))
            if part.index:
                yield from _comment("INDEX", f"{ident(table.schema)}.{ident(part.name)}", part.comment)
            else:
                yield from _comment("CONSTRAINT", f"{ident(part.name)} ON {table.sql}", part.comment)
    for number, (one, other, options) in enumerate(world.keys):
        referring, referred = world.tables[one % len(world.tables)], world.tables[other % len(world.tables)]
        target = f"{ident(f'k{number}')} integer"
        yield f"ALTER TABLE {referring.sql} ADD COLUMN {target}"
        yield f"ALTER TABLE {referred.sql} ADD COLUMN {ident(f'p{number}')} integer UNIQUE"
        yield (
            f"ALTER TABLE {referring.sql} ADD CONSTRAINT {ident(f'key {number}')} FOREIGN KEY ({ident(f'k{number}')})"
            f" REFERENCES {referred.sql} ({ident(f'p{number}')}) {options}"
        )


def _column(column: Column, enum: str) -> str:
    kind = column.type.replace("enum", enum, 1) if column.type.startswith("enum") else column.type
    default = f" DEFAULT {column.default}" if column.default is not None else ""
    return f"{ident(column.name)} {kind}{default}{' NOT NULL' if column.not_null else ''} {column.made}"


def _comment(kind: str, name: str, comment: str | None) -> Iterator[str]:
    if comment is not None:
        yield f"COMMENT ON {kind} {name} IS {literal(comment)}"


# -- what is drawn -----------------------------------------------------------------------------------------------------

comments = st.none() | st.none() | st.sampled_from(WORDS[1:])
MADE: Final = {
    "integer": ("GENERATED ALWAYS AS IDENTITY", "GENERATED BY DEFAULT AS IDENTITY (START 5 INCREMENT 2)", "GENERATED ALWAYS AS (1 + 2) STORED"),
    "text": ("GENERATED ALWAYS AS ('50% :x'::text) STORED",),
}  # fmt: skip


@st.composite
def columns(draw: Any, name: str) -> Column:
    kind = draw(st.sampled_from(list(TYPES)))
    if kind in MADE and draw(st.integers(0, 5)) == 0:
        return Column(name, kind, not_null=True, made=draw(st.sampled_from(MADE[kind])), comment=draw(comments))
    default = draw(st.none() | st.sampled_from((*TYPES[kind], "NULL"))) if TYPES[kind] else None
    return Column(name, kind, draw(st.booleans()), default, draw(comments))


@st.composite
def parts(draw: Any, table: tuple[str, str], having: tuple[Column, ...]) -> tuple[Part, ...]:
    """Constraints and indexes on columns that are there."""
    found = []
    plain = [each for each in having if each.type.split(" COLL")[0] not in {"json", "enum[]"}]
    unique = [each for each in plain if each.type != "tsvector"]
    prefix = f"{SCHEMAS.index(table[0])}{TABLES.index(table[1])}"
    if unique and draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(unique), min_size=1, max_size=2, unique=True))
        names = tuple(each.name for each in chosen if each.made == "" or "IDENTITY" in each.made)
        if names:
            text = f"ALTER TABLE {{table}} ADD CONSTRAINT {{name}} PRIMARY KEY ({idents(names)})"
            found.append(Part(f"{prefix} pk", text, names))
    for number, shape in enumerate(draw(st.lists(st.sampled_from(list(SHAPES)), max_size=4))):
        usable = unique if "UNIQUE" in SHAPES[shape] or "USING btree" in SHAPES[shape] else list(having)
        if not usable:
            continue
        chosen = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=2, unique=True))
        names = tuple(each.name for each in chosen)
        text = SHAPES[shape].replace("{columns}", idents(names)).replace("{column}", ident(names[0]))
        found.append(Part(f"{prefix} {shape} {number}", text, names, index="INDEX" in text, comment=draw(comments)))
    return tuple(found)


SHAPES: Final = {
    "unique": "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns})",
    "unique 'later'": "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns}) DEFERRABLE INITIALLY DEFERRED",
    "check": "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL)",
    "check :text 50%": "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column}::text <> 'a:b 50%')",
    "check not valid": "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NULL) NOT VALID",
    "index": "CREATE INDEX {name} ON {table} USING btree ({columns})",
    'unique "index"': "CREATE UNIQUE INDEX {name} ON {table} ({columns})",
    "partial": "CREATE INDEX {name} ON {table} USING btree ({column}) WHERE {column} IS NOT NULL",
    "down": "CREATE INDEX {name} ON {table} USING btree ({column} DESC NULLS LAST) WITH (fillfactor=60)",
    "expression": "CREATE INDEX {name} ON {table} USING btree (({column} IS NULL))",
    "include": "CREATE INDEX {name} ON {table} USING btree ({column}) INCLUDE ({columns})",
}


@st.composite
def tables(draw: Any, name: tuple[str, str]) -> Table:
    names = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True))
    having = tuple(draw(columns(each)) for each in names)
    return Table(*name, having, draw(parts(name, having)), draw(comments))


keys = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 5),
        st.sampled_from(("", "ON DELETE CASCADE", "ON DELETE SET NULL ON UPDATE CASCADE", "MATCH FULL DEFERRABLE", "NOT VALID")),
    ),
    max_size=2,
).map(tuple)  # fmt: skip
labels = st.lists(st.sampled_from(("two", "it's", "50%", "ünï")), max_size=2, unique=True).map(
    lambda more: ("one", *more)
)
places = st.tuples(st.sampled_from(SCHEMAS), st.sampled_from(TABLES))


@st.composite
def worlds(draw: Any) -> World:
    """A schema of up to four tables."""
    names = draw(st.lists(places, min_size=1, max_size=4, unique=True))
    return World(draw(labels), tuple(draw(tables(name)) for name in names), draw(keys))


@st.composite
def edited(draw: Any, world: World) -> World:
    """The same, after somebody was at it: most of it stays."""
    kept = [
        draw(_edited_table(table)) if draw(st.booleans()) else table
        for table in world.tables
        if draw(st.integers(0, 7)) > 0
    ]
    if draw(st.integers(0, 3)) == 0 or not kept:
        there = {(each.schema, each.name) for each in kept}
        kept.append(draw(places.filter(lambda place: place not in there).flatmap(tables)))
    return World(
        world.labels if draw(st.integers(0, 3)) else draw(labels),
        tuple(kept),
        world.keys if draw(st.booleans()) else draw(keys),
    )


@st.composite
def _edited_table(draw: Any, table: Table) -> Table:
    having = [
        draw(columns(each.name)) if draw(st.integers(0, 3)) == 0 else each
        for each in table.columns
        if draw(st.integers(0, 5)) > 0
    ]
    taken = {each.name for each in having}
    free = [name for name in COLUMNS if name not in taken]
    having += [draw(columns(name)) for name in free if draw(st.integers(0, 9)) == 0]
    if not having:
        having.append(draw(columns(COLUMNS[0])))
    same = {each.name for each in having if each in table.columns}
    kept = tuple(each for each in table.parts if set(each.needs) <= same and draw(st.integers(0, 4)))
    names = {each.name for each in kept}
    primary = any("PRIMARY" in each.text for each in kept)
    more = draw(parts((table.schema, table.name), tuple(having))) if draw(st.booleans()) else ()
    added = tuple(each for each in more if each.name not in names and not (primary and "PRIMARY" in each.text))
    return Table(table.schema, table.name, tuple(having), (*kept, *added), draw(comments) if draw(st.booleans()) else table.comment)  # fmt: skip
