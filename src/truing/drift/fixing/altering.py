"""Which operations make another column, or enum, of one that is there? Two states go in, lines of Python come out.

What rows hold is kept, or the server refuses: no line here drops a value that cannot be computed again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from truing.catalog.model import Column, Sequence, Snapshot, Table, UserType
from truing.drift.fixing.spelling import (
    added,
    counting,
    escaped,
    execute,
    identity,
    in_schema,
    owned,
    sql_type,
    type_of,
)
from truing.names import QualifiedName, derived, ident, literal

_TEXTS: Final = frozenset({"text", "character varying", "character"})
_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})
_READ_AS_A_WHOLE: Final = _INTEGERS | {"uuid", "boolean", "json", "jsonb", "inet", "cidr", "macaddr"}
"""Types that take a text as it is, or refuse it."""
_WIDER: Final = frozenset(
    {("real", "double precision"), ("date", "timestamp without time zone"), ("json", "jsonb"), ("jsonb", "json")}
)
_SIZED: Final = re.compile(r"(character varying|character|bit varying|bit)\(\d+\)$")
_UNSIZED: Final = {each: each for each in ("character varying", "bit varying")} | {
    # Without a length these mean a length of one.
    "character": "bpchar",
    "bit": "bit varying",
}
_MANY: Final = 1_000
_MODIFIER: Final = re.compile(r"\(.*\)")

_SET_EXPRESSION: Final = 17
"""ALTER COLUMN ... SET EXPRESSION came with PostgreSQL 17."""


def altered(before: Column, after: Column, table: Table, have: Snapshot, want: Snapshot) -> tuple[str, ...] | None:
    """Write what makes one column of another.

    Args:
        before: the column that there is.
        after: the column that there shall be.
        table: the table as it is.
        have: the state that there is.
        want: the state that there shall be.

    Returns:
        Lines for ``upgrade()``; None where it is not simple, or would lose what rows hold.
    """
    if (before.generated, before.expression) != (after.generated, after.expression):
        return _computed(before, after, table, have, want)
    column = f"ALTER TABLE {table.name} ALTER COLUMN {ident(after.name)}"
    retyped = before.type != after.type or before.collation != after.collation
    lines = [execute(f"{column} DROP IDENTITY")] if before.identity and not after.identity else []
    lines += [_warning(before, after)] if retyped and not _kept(before.type, after.type, _enums(have, want)) else []
    if before.default is not None and (retyped or after.identity):
        # The old default may not fit the new type.
        lines.append(_alter(after, table, ["server_default=None"]))
        before = msgspec.structs.replace(before, default=None)
    using = _cast(before, after, have)
    if retyped and type_of(after) is None:
        lines.append(execute(f"{column} TYPE {sql_type(after)} USING {using}"))
    words = _words(before, after, using if retyped else "")
    lines += [_alter(after, table, words)] if words else []
    if after.identity and not before.identity:
        lines += _counted(after, table, have, want)
    elif after.identity and before.identity != after.identity:
        lines.append(execute(f"{column} SET GENERATED {after.identity.upper()}"))
    counter, own = owned(after, table, want), owned(before, table, have)
    if counter is not None and not after.identity and (own is None or before.identity):
        begin = 1 if before.identity else 0
        lines[begin:] = [*counting(after, table, counter, lines[begin:]), _onward(counter, after, table)]
    return tuple(lines) or None


def _computed(before: Column, after: Column, table: Table, have: Snapshot, want: Snapshot) -> tuple[str, ...] | None:
    """Compute a column otherwise, or no more. One that holds values of its own is not overwritten."""
    column = f"ALTER TABLE {table.name} ALTER COLUMN {ident(after.name)}"
    same = {"generated": "", "expression": None}
    if before.generated == "stored" and not after.generated:
        plain = msgspec.structs.replace(before, **same)
        rest = altered(plain, after, table, have, want) if plain != after else ()
        return None if rest is None else (execute(f"{column} DROP EXPRESSION"), *rest)
    if not before.generated or not after.generated:
        return None
    otherwise = msgspec.structs.replace(before, expression=after.expression)
    if otherwise == after and min(have.version.major, want.version.major) >= _SET_EXPRESSION:
        return (execute(f"{column} SET EXPRESSION AS ({after.expression})"),)
    dropped = f"op.drop_column({table.name.name!r}, {before.name!r}{in_schema(table)})"
    return (dropped, *added(after, table, want))


def _counted(column: Column, table: Table, have: Snapshot, want: Snapshot) -> Iterator[str]:
    """Let a column that holds numbers already count, on from where it is."""
    made = execute(f"ALTER TABLE {table.name} ALTER COLUMN {ident(column.name)} ADD {identity(column, table, want)}")
    counter, own = owned(column, table, want), owned(column, table, have)
    if counter is None:
        return
    if own is not None and own.owned_by is not None and not own.owned_by.identity:
        aside = QualifiedName(own.name.schema, derived(f"{own.name.name} before", "sequence"))
        yield execute(f"ALTER SEQUENCE {own.name} RENAME TO {ident(aside.name)}")
        yield made
        yield execute(f"SELECT setval({literal(str(counter.name))}, last_value, is_called) FROM {aside}")
        yield execute(f"DROP SEQUENCE {aside}")
        return
    yield made
    yield _onward(counter, column, table)


def _onward(counter: Sequence, column: Column, table: Table) -> str:
    """Let a new sequence count on from the last number that is there."""
    last, beyond = ("max", ">=") if counter.increment > 0 else ("min", "<=")
    last = f"{last}({ident(column.name)})"
    return execute(
        f"SELECT setval({literal(str(counter.name))}, {last}) FROM {table.name} HAVING {last} {beyond} {counter.start}"
    )


def recounted(before: Sequence, after: Sequence, attributes: Collection[str]) -> tuple[str, ...] | None:
    """Write what lets a sequence count otherwise.

    Args:
        before: the sequence that there is.
        after: the sequence that there shall be.
        attributes: in what they differ, as far as it counts.

    Returns:
        Lines for ``upgrade()``; None where they differ in anything else.
    """
    words = {
        "type": f"AS {after.type}",
        "start": f"START {after.start}",
        "increment": f"INCREMENT {after.increment}",
        "minimum": f"MINVALUE {after.minimum}",
        "maximum": f"MAXVALUE {after.maximum}",
        "cache": f"CACHE {after.cache}",
        "cycle": "CYCLE" if after.cycle else "NO CYCLE",
    }
    if not set(attributes) <= words.keys():
        return None
    # The limits of another type would be out of reach.
    wanted = {*attributes, "type"} if before.type != after.type else set(attributes)
    return (execute(f"ALTER SEQUENCE {after.name} {' '.join(words[each] for each in words if each in wanted)}"),)


def _cast(before: Column, after: Column, have: Snapshot) -> str:
    """Write the value in the new type. There is no cast from one enum to another but by their labels.

    Not with the length of the new type: a cast to that cuts off what is too long, and an assignment refuses it.
    """
    element, kind = before.type.removesuffix("[]"), after.type.removesuffix("[]")
    by_label = element in _enums(have) and kind != element
    sized = _SIZED.match(kind)
    target = after.type if sized is None else _UNSIZED[sized[1]] + after.type.removeprefix(kind)
    return f"{ident(after.name)}{f'::text{before.type.removeprefix(element)}' if by_label else ''}::{target}"


def _enums(*sides: Snapshot) -> set[str]:
    return {str(each.name) for side in sides for each in side.types if each.labels}


def _kept(before: str, after: str, enums: Collection[str]) -> bool:
    """Tell whether a cast keeps what every value means, or is refused; False where nobody knows."""
    one, other = (each.removesuffix("[]") for each in (before, after))
    old, new = (_MODIFIER.sub("", each) for each in (one, other))
    if one == other or new in _TEXTS or (old in _INTEGERS and (new in _INTEGERS or other == "numeric")):
        return True
    if old == new:
        return other == new or _decimals(one) <= _decimals(other)
    if old in _TEXTS or old in enums:
        return new in _READ_AS_A_WHOLE or other in enums
    return (old, new) in _WIDER


def _decimals(kind: str) -> int:
    """Count the decimals of a numeric, or of the seconds of a time; many where it has no limit."""
    found = re.search(r"(\d+)\)", kind)
    return _MANY if found is None else int(found[1])


def _warning(before: Column, after: Column) -> str:
    zones = {each.type.removesuffix("[]").endswith("with time zone") for each in (before, after)}
    if all(each.type.startswith(("timestamp", "date")) for each in (before, after)) and len(zones) == 2:  # noqa: PLR2004
        utc = f"{ident(after.name)} AT TIME ZONE 'UTC'"
        return f"# It depends on the TimeZone of the session. Where the values are in UTC: {utc!r}"
    return "# A cast may round or cut what rows hold: look at them first."


def _words(before: Column, after: Column, using: str) -> list[str]:
    """Write the arguments of ``op.alter_column`` beside the names; the type's where a cast is given."""
    words = []
    if using and type_of(after) is not None:
        words += [f"type_={type_of(after)}", f"existing_nullable={not before.not_null}", f"postgresql_using={using!r}"]
    if before.not_null != after.not_null:
        words.append(f"nullable={not after.not_null}")
    if before.default != after.default:
        words.append("server_default=" + ("None" if after.default is None else f"sa.text({escaped(after.default)!r})"))
    if before.comment != after.comment:
        words.append(f"comment={after.comment!r}")
    return words


def _alter(column: Column, table: Table, words: Collection[str]) -> str:
    return f"op.alter_column({table.name.name!r}, {column.name!r}, {', '.join(words)}{in_schema(table)})"


def labelled(before: UserType, after: UserType, have: Snapshot) -> tuple[str, ...] | None:
    """Write what gives an enum other labels.

    Args:
        before: the type that there is.
        after: the type that there shall be.
        have: the state that there is.

    Returns:
        Lines for ``upgrade()``; None for what is no enum.
    """
    if before.kind != "enum" or after.kind != "enum":
        return None
    if [each for each in after.labels if each in before.labels] != list(before.labels):
        return tuple(_exchanged(before, after, have))
    lines = []
    for number, label in enumerate(after.labels):
        if label not in before.labels:
            place = f" AFTER {literal(after.labels[number - 1])}" if number else f" BEFORE {literal(before.labels[0])}"
            lines.append(execute(f"ALTER TYPE {after.name} ADD VALUE {literal(label)}{place}"))
    return tuple(lines) or None


def _exchanged(before: UserType, after: UserType, have: Snapshot) -> Iterator[str]:
    """Put another enum in the place of one: PostgreSQL cannot take a label away, nor move one.

    Tables with columns of it are rewritten under a lock, and a row with a label that is gone is refused.
    """
    old = QualifiedName(before.name.schema, derived(f"{before.name.name} before", "type"))
    yield execute(f"ALTER TYPE {before.name} RENAME TO {ident(old.name)}")
    yield execute(f"CREATE TYPE {after.name} AS ENUM ({', '.join(map(literal, after.labels))})")
    for table in have.tables:
        # A partition's columns go with those of its table.
        for column in table.columns if not table.parents else ():
            element = column.type.removesuffix("[]")
            if element != str(before.name):
                continue
            suffix = column.type.removeprefix(element)
            alter = f"ALTER TABLE {table.name} ALTER COLUMN {ident(column.name)}"
            if column.default is not None:
                yield execute(f"{alter} DROP DEFAULT")
            cast = f"{ident(column.name)}::text{suffix}::{after.name}{suffix}"
            yield execute(f"{alter} TYPE {after.name}{suffix} USING {cast}")
            if column.default is not None:
                yield execute(f"{alter} SET DEFAULT {column.default}")
    yield execute(f"DROP TYPE {old}")
