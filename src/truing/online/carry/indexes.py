"""How are indexes and UNIQUE constraints carried? Twins are built concurrently beforehand; the swap exchanges them.

An old index stays on the old column under another name, so that the way back is a rename too. An old *unique* index
must go in the swap: two unique indexes that see the same key make a concurrent ``INSERT ... ON CONFLICT`` fail on the
one that is not its arbiter. Its files go after the locks do. The way back builds it again, concurrently.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from truing.catalog.model import Constraint, Index
from truing.locks import LockMode
from truing.names import QualifiedName, ident
from truing.online.carry import statements
from truing.online.carry.model import Carried, Part
from truing.online.carry.target import Target, build_index, comment_on, drop_index
from truing.plan import Step


def carry_index(target: Target, index: Index, cast_elements: Collection[int] = ()) -> Part:
    """Carry an index that enforces no constraint.

    Args:
        target: what is converted.
        index: the index.
        cast_elements: see :func:`truing.online.carry.statements.index`.
    """
    name, new, old = (target.sibling(n) for n in (index.name, target.new_name(index.name), target.old_name(index.name)))
    cluster = (target.alter(f"CLUSTER ON {ident(index.name)}"),) if index.clustered else ()
    about = (*comment_on(f"INDEX {name.sql}", index.comment), *cluster)
    definition = new_definition(target, index, index.name, cast_elements)
    built = (_build_old(target, index), *_targets(target, index, old.name, "old"))
    drop = f"DROP INDEX {name.sql}"
    return Part(
        before=(_build_new(target, index, cast_elements), *_targets(target, index, new.name, "new")),
        swap=(drop if index.unique else _rename(name, old), _rename(new, name), *about),
        drop_old_first=() if index.unique else (old,),
        rebuild_old=() if index.unique else built,
        before_unswap=built if index.unique else (),
        unswap=(drop if index.unique else _rename(name, new), _rename(old, name), *about),
        after_unswap=(_drop_new(index, new),),
        notes=_upserts(index),
        carried=(Carried("index", name.sql, "a twin is built concurrently; the swap exchanges them", definition),),
    )


def carry_unique(target: Target, constraint: Constraint, index: Index) -> Part:
    """Carry a UNIQUE constraint with its index."""
    # The index carries the constraint's name.
    name, named = target.sibling(constraint.name), msgspec.structs.replace(index, name=constraint.name)
    old, new = target.old_name(constraint.name), target.new_name(constraint.name)
    timing = " DEFERRABLE" if constraint.deferrable else ""
    timing += " INITIALLY DEFERRED" if constraint.initially_deferred else ""
    about = (
        *comment_on(f"CONSTRAINT {ident(constraint.name)} ON {target.table.sql}", constraint.comment),
        *comment_on(f"INDEX {name.sql}", index.comment),
        *((target.alter(f"CLUSTER ON {ident(constraint.name)}"),) if index.clustered else ()),
    )

    def exchange(twin: str) -> tuple[str, ...]:
        adopt = f"ADD CONSTRAINT {ident(constraint.name)} UNIQUE USING INDEX {ident(twin)}{timing}"
        return (target.alter(f"DROP CONSTRAINT {ident(constraint.name)}"), target.alter(adopt), *about)

    how = "a unique index is built concurrently; the swap makes it the constraint"
    return Part(
        before=(_build_new(target, named),),
        swap=exchange(new),
        before_unswap=(_build_old(target, named),),
        unswap=exchange(old),
        after_unswap=(_drop_new(named, target.sibling(new)),),
        notes=_upserts(named),
        carried=(
            Carried("unique constraint", f"{ident(name.name)} on {target.table.sql}", how, constraint.definition),
        ),
    )


def _upserts(index: Index) -> tuple[str, ...]:
    """Say what PostgreSQL does while a key is unique twice."""
    if not index.unique:
        return ()
    said = (
        f"from the build of the new {ident(index.name)} until the swap the key is unique twice: should two sessions"
        " INSERT ... ON CONFLICT (...) the same new key at the same moment, one may get a unique violation (23505)"
        " instead; let the application retry"
    )
    return (said,)


def new_definition(
    target: Target, index: Index, name: str, cast_elements: Collection[int] = (), *, concurrently: bool = False
) -> str:
    """Return how the index is defined after the swap."""
    return statements.index(
        target.after(),
        index.definition,
        table=target.table,
        name=name,
        column=target.column,
        changed=target.changed,
        tablespace=index.tablespace,
        cast_elements=cast_elements,
        concurrently=concurrently,
    )


def plain_elements(target: Target, index: Index) -> tuple[int, ...]:
    """Return the elements, from 0, of an index that are the column itself."""
    return tuple(place for place, column in enumerate(index.columns) if column == target.column)


def _build_new(target: Target, index: Index, cast_elements: Collection[int] = ()) -> Step:
    new = target.sibling(target.new_name(index.name))
    statement = statements.index(
        target.before(),
        index.definition,
        table=target.table,
        name=new.name,
        column=target.column,
        changed=target.on_new,
        tablespace=index.tablespace,
        cast_elements=cast_elements,
    )
    return build_index(f"build-{new.name}", f"Build index {index.name} on the new column", new, statement)


def _build_old(target: Target, index: Index) -> Step:
    old = target.sibling(target.old_name(index.name))
    statement = statements.index(
        target.on_old(),
        index.definition,
        table=target.table,
        name=old.name,
        column=target.column,
        changed=target.on_old_column,
        tablespace=index.tablespace,
    )
    return build_index(f"build-{old.name}", f"Build index {index.name} on the old column", old, statement)


def _drop_new(index: Index, new: QualifiedName) -> Step:
    return drop_index(f"drop-index-{new.name}", f"Drop index {index.name} of the new column", new)


def _rename(was: QualifiedName, becomes: QualifiedName) -> str:
    return f"ALTER INDEX {was.sql} RENAME TO {ident(becomes.name)}"


def _targets(target: Target, index: Index, name: str, which: str) -> tuple[Step, ...]:
    """Return the step that sets the statistics targets of expressions, before ANALYZE reads them."""
    if not index.statistics:
        return ()
    alter = f"ALTER INDEX {target.sibling(name).sql} ALTER COLUMN"
    settings = tuple(f"{alter} {number} SET STATISTICS {value}" for number, value in index.statistics)
    title = f"Set the statistics targets of the {which} {index.name}"
    return (target.locked(f"targets-{name}", title, *settings, mode=LockMode.SHARE_UPDATE_EXCLUSIVE),)
