"""Which Alembic operations bring one state to another, for one drift? Snapshots go in, Python text comes out.

Only where it is simple; what is not simple gets no text. Nothing here is believed: :mod:`.fixing.prove` tries
every text before a person sees it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from truing.catalog.diff import objects
from truing.catalog.model import (
    Brought,
    Column,
    Constraint,
    Function,
    Index,
    Policy,
    Sequence,
    Snapshot,
    Statistic,
    Table,
    Trigger,
    UserType,
    View,
)
from truing.drift.fixing.altering import altered, labelled, recounted
from truing.drift.fixing.granting import granted
from truing.drift.fixing.spelling import (
    added,
    created,
    execute,
    in_schema,
    owned,
    primary_key,
    sequence_alone,
)
from truing.drift.model import Drift
from truing.names import ident, idents, literal

Found = tuple[Any, Any]
"""An object and the table (or view) that it belongs to; the object itself where it belongs to none."""


class Catalogue:
    """The objects of a snapshot, under the names that drift has."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._found = {(kind, name): (value, owner) for kind, name, value, owner in objects(snapshot)}

    def get(self, drift: Drift, name: str | None = None) -> Found | None:
        """Find the object of a drift, perhaps under another name."""
        return self._found.get((drift.kind, name or drift.name))

    def named(self, drift: Drift, names: Collection[str]) -> Found | None:
        """Find what is renamed: of the kind and in the place of a drift, under one of these names."""
        value: Any
        for (kind, _), (value, owner) in self._found.items():
            if (
                kind == drift.kind
                and str(value.name) in names
                and any(_titled(value, owner, name) == drift.name for name in names)
            ):
                return value, owner
        return None


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
    if any(isinstance(each[0], Brought) for each in (old, new) if each):
        lines = granted(old[0] if old else None, new[0] if new else None)
    elif old is None and new is not None:
        lines = _made(*new, want.snapshot)
    elif new is None and old is not None:
        lines = _dropped(*old, want.snapshot)
    elif old is not None and new is not None and isinstance(old[0], Sequence):
        lines = recounted(old[0], new[0], {aspect.attribute for aspect in drift.aspects})
    else:
        lines = _changed(old, new, have.snapshot, want.snapshot) if old and new else None
    return None if lines is None else "\n".join(lines)


def _renaming(drift: Drift, have: Catalogue, want: Catalogue) -> str | None:
    names = next((aspect for aspect in drift.aspects if aspect.attribute == "name"), None)
    if names is None or len(drift.aspects) > 1:
        return None
    said = {text for text in (names.models, names.migrations, names.live) if text}
    old, new = have.named(drift, said), want.named(drift, said)
    if old is None or new is None:
        return None
    line = _renamed(*old, new[0])
    if line is not None and isinstance(old[0], Column | Table):
        line = f"# It is taken for the same {drift.kind}, as it is like it; if it is another one, drop and add.\n{line}"
    counts = _recounted(old[0], new[0], have.snapshot, want.snapshot) if isinstance(old[0], Table) else ()
    return None if line is None else "\n".join((*counts, line))


def _recounted(old: Table, new: Table, have: Snapshot, want: Snapshot) -> Iterator[str]:
    """Rename the sequences of the columns with their table."""
    for column in old.columns:
        one, other = owned(column, old, have), owned(column, new, want)
        if one is not None and other is not None and one.name != other.name:
            yield execute(f"ALTER SEQUENCE {one.name} RENAME TO {ident(other.name.name)}")


def _renamed(old: Any, parent: Any, new: Any) -> str | None:
    match old:
        case Index():
            return execute(f"ALTER INDEX {ident(parent.name.schema)}.{ident(old.name)} RENAME TO {ident(new.name)}")
        case Constraint() if isinstance(parent, Table):
            return execute(f"ALTER TABLE {parent.name} RENAME CONSTRAINT {ident(old.name)} TO {ident(new.name)}")
        case Column() if isinstance(parent, Table):
            table = parent.name.name
            return f"op.alter_column({table!r}, {old.name!r}, new_column_name={new.name!r}{in_schema(parent)})"
        case Table() if old.name.schema == new.name.schema:
            return f"op.rename_table({old.name.name!r}, {new.name.name!r}{in_schema(old)})"
    return None


def _titled(value: Any, owner: Any, name: str) -> str:
    """Give the name that a drift has for an object if this is what it is called."""
    match value:
        case Column():
            return f"{owner.name}.{ident(name)}"
        case Index():
            return f"{ident(owner.name.schema)}.{ident(name)}"
        case Constraint():
            return f"{ident(name)} on {owner.name}"
    return name


def _made(value: Any, parent: Any, want: Snapshot) -> tuple[str, ...] | None:
    line: str | None = None
    match value:
        case Table():
            return _whole(value, want)
        case Column() if isinstance(parent, Table):
            return added(value, parent, want)
        case Constraint() if isinstance(parent, Table):
            line = _constraint(value, parent)
        case Index():
            line = _index(value, parent)
        case Trigger() | Statistic() | Function():
            line = execute(value.definition)
        case Policy():
            line = _policy(value, parent)
        case Sequence() if value.owned_by is None:
            # One that a column owns comes with the column's default.
            line = sequence_alone(value)
        case View() if not value.materialized:
            line = execute(f"CREATE OR REPLACE VIEW {value.name} AS {value.definition}")
        case UserType() if value.labels:
            line = execute(f"CREATE TYPE {value.name} AS ENUM ({', '.join(map(literal, value.labels))})")
    return None if line is None else (line, *_remark(value, parent))


def _whole(table: Table, want: Snapshot) -> tuple[str, ...] | None:
    """Create a table with all that belongs to it."""
    lines = created(table, want)
    key = primary_key(table)
    # A table may refer to itself, and so to a unique constraint that must be there first.
    constraints = sorted(table.constraints, key=lambda each: each.kind == "foreign-key")
    parts: list[Any] = [each for each in constraints if each != key]
    parts += [each for each in table.indexes if each.constraint is None]
    parts += [*table.triggers, *table.policies, *table.statistics]
    made = [_made(each, table, want) for each in parts]
    bare = Table(name=table.name, comment=table.comment)
    secured = _table(bare, table) or ()
    if lines is None or None in made:
        return None
    return (*lines, *(line for each in made if each for line in each), *_remark(key, table), *secured)


def _remark(value: Any, parent: Any) -> tuple[str, ...]:
    """Write the comment on a constraint or index, which is made without it."""
    if not isinstance(value, Index | Constraint) or value.comment is None:
        return ()
    return (_remarked(value, parent),)


def _remarked(value: Any, parent: Any) -> str:
    name = f"{ident(parent.name.schema)}.{ident(value.name)}"
    what = f"INDEX {name}" if isinstance(value, Index) else f"CONSTRAINT {ident(value.name)} ON {parent.name}"
    return execute(f"COMMENT ON {what} IS {literal(value.comment)}")


def _dropped(value: Any, parent: Any, want: Snapshot) -> tuple[str, ...] | None:
    line: str | None = None
    lost: tuple[str, ...] = ()
    match value:
        case Table():
            line = f"op.drop_table({value.name.name!r}{in_schema(value)})"
            lost = ("# This loses the rows of the table.",) if value.kind != "foreign-table" else ()
        case Column() if isinstance(parent, Table):
            line = f"op.drop_column({parent.name.name!r}, {value.name!r}{in_schema(parent)})"
            lost = ("# This loses what the column holds.",) if not value.generated else ()
        case Constraint() if isinstance(parent, Table):
            there = _perhaps(parent, want)
            line = f"op.drop_constraint({value.name!r}, {parent.name.name!r}{in_schema(parent)}{there})"
        case Index():
            there = _perhaps(parent, want)
            line = f"op.drop_index({value.name!r}, table_name={parent.name.name!r}{in_schema(parent)}{there})"
        case Trigger() | Policy():
            word = "TRIGGER" if isinstance(value, Trigger) else "POLICY"
            line = execute(f"DROP {word} {ident(value.name)} ON {parent.name}")
        case Statistic() | Sequence():
            word = "STATISTICS" if isinstance(value, Statistic) else "SEQUENCE"
            line = execute(f"DROP {word} {value.name}")
            lost = ("# This loses how far it has counted.",) if word == "SEQUENCE" else ()
        case View():
            line = execute(f"DROP {'MATERIALIZED ' if value.materialized else ''}VIEW {value.name}")
        case Function():
            line = execute(f"DROP ROUTINE {value.name}({value.arguments})")
        case UserType():
            line = execute(f"DROP {'DOMAIN' if value.kind == 'domain' else 'TYPE'} {value.name}")
    return None if line is None else (*lost, line)


def _perhaps(parent: Any, want: Snapshot) -> str:
    """Say that it may be gone already: with a column that goes too, and nobody knows which of both is run first."""
    table = want.table(parent.name) if isinstance(parent, Table) else None
    stays = {each.name for each in table.columns} if table is not None else set()
    return "" if all(each.name in stays for each in parent.columns) else ", if_exists=True"


def _changed(old: Found, new: Found, have: Snapshot, want: Snapshot) -> tuple[str, ...] | None:
    (before, parent), (after, _) = old, new
    match before:
        case Column():
            return altered(before, after, parent, have, want) if isinstance(parent, Table) else None
        case Function() | View():
            return _made(*new, want)
        case UserType():
            return labelled(before, after, have)
        case Table():
            return _table(before, after)
        case Index() | Constraint():
            return _replaced(old, new, want)
    return _anew(old, new, want)


def _replaced(old: Found, new: Found, want: Snapshot) -> tuple[str, ...] | None:
    """Change a constraint or index in place where only its comment or its proof is missing; else make it anew."""
    (before, parent), (after, _) = old, new
    if msgspec.structs.replace(before, comment=after.comment) == after:
        return (_remarked(after, parent),)
    if isinstance(before, Constraint) and _now_valid(before, after):
        proved = execute(f"ALTER TABLE {parent.name} VALIDATE CONSTRAINT {ident(after.name)}")
        return (proved,) if before.comment == after.comment else (proved, _remarked(after, parent))
    return None if isinstance(before, Index) and before.constraint else _anew(old, new, want)


def _anew(old: Found, new: Found, want: Snapshot) -> tuple[str, ...] | None:
    dropped, made = _dropped(*old, want), _made(*new, want)
    return None if dropped is None or made is None else (*dropped, *made)


def _now_valid(before: Constraint, after: Constraint) -> bool:
    definition = before.definition.removesuffix(" NOT VALID")
    proved = msgspec.structs.replace(before, validated=True, definition=definition, comment=after.comment)
    return not before.validated and before.enforced and proved == after


def _table(before: Table, after: Table) -> tuple[str, ...] | None:
    lines = []
    if before.row_security != after.row_security:
        word = "ENABLE" if after.row_security else "DISABLE"
        lines.append(execute(f"ALTER TABLE {after.name} {word} ROW LEVEL SECURITY"))
    if before.force_row_security != after.force_row_security:
        word = "FORCE" if after.force_row_security else "NO FORCE"
        lines.append(execute(f"ALTER TABLE {after.name} {word} ROW LEVEL SECURITY"))
    if before.comment != after.comment and after.comment is not None:
        lines.append(f"op.create_table_comment({after.name.name!r}, {after.comment!r}{in_schema(after)})")
    elif before.comment != after.comment:
        lines.append(f"op.drop_table_comment({after.name.name!r}{in_schema(after)})")
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
        return f"op.create_unique_constraint({value.name!r}, {table.name.name!r}, {columns!r}{in_schema(table)})"
    return execute(f"ALTER TABLE {table.name} ADD CONSTRAINT {ident(value.name)} {value.definition}")


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
        return execute(value.definition)
    method = "" if value.method == "btree" else f", postgresql_using={value.method!r}"
    options = f"unique={value.unique}{method}{in_schema(parent)}"
    return f"op.create_index({value.name!r}, {parent.name.name!r}, {columns!r}, {options})"


def _policy(value: Policy, table: Any) -> str:
    kind = "" if value.permissive else " AS RESTRICTIVE"
    roles = ", ".join("PUBLIC" if role == "public" else ident(role) for role in value.roles)
    using = f" USING ({value.using})" if value.using is not None else ""
    check = f" WITH CHECK ({value.check})" if value.check is not None else ""
    return execute(
        f"CREATE POLICY {ident(value.name)} ON {table.name}{kind} FOR {value.command} TO {roles}{using}{check}"
    )
